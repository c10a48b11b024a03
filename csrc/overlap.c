/* Do pixels that are to be written in place lie apart from everything else in the file? Only they are kept, sorted; whatever else the IFDs
 * tell of is compared with them as it is met, so that a file that tells of the same bytes again and again needs no memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "runs.h"

/* Tags that lead to further IFDs (TIFF Technical Note 1; Exif 2.3, section 4.6.3). */
enum { TAG_SUBIFDS = 330, TAG_EXIF = 34665, TAG_GPS = 34853, TAG_INTEROPERABILITY = 40965 };

enum { MAX_DEPTH = 8, STRETCH = 4096 };

/* IFDs outside of the table: each once, in the order in which they were found. */
struct found {
    uint64_t *offsets;
    uint64_t count, room;
    uint64_t *slots; /* a hash table of the offsets, and of those of the table's own IFDs; 0: free */
    uint64_t slot_room;
};

struct check {
    const struct lzt_table *table;
    struct lzt_error *error;
    uint8_t *named;        /* a bit for each page of the table */
    struct lzt_runs *runs; /* the pixels of the named pages */
    uint64_t patience;     /* tags and numbers that may still be looked at: IFDs that share their values could ask for any number */
    struct lzt_peek ifds, offsets, lengths;
    struct found found;
};

struct ifd {
    uint64_t offset;
    int64_t page; /* -1: none of the table */
    struct lzt_tag *tags;
    size_t count;
    const struct lzt_layout *layout; /* NULL: its pixels cannot be read */
    uint64_t shift;                  /* from where its chunks are said to be to where they are */
};

enum kind { HEADER, DIRECTORY, VALUE, STREAM, CHUNK };

/* What must not share a byte with pixels. */
struct thing {
    enum kind kind;
    uint64_t offset, length;
    const struct ifd *ifd;
    uint64_t number; /* of the tag or chunk */
};

static enum lzt_status spend(struct check *check, uint64_t amount)
{
    if (amount > check->patience)
        return lzt_fail(check->error, LZT_LIMIT, "its IFDs share too many values to be checked for overlaps");
    check->patience -= amount;
    return LZT_OK;
}

/* ---- Words -------------------------------------------------------------------------------------------------------------- */

static void name_thing(const struct thing *thing, char *name, size_t room)
{
    char place[64];
    if (thing->kind == HEADER) {
        snprintf(name, room, "the header");
        return;
    }
    if (thing->ifd->page >= 0)
        snprintf(place, sizeof place, "page %" PRId64, thing->ifd->page);
    else
        snprintf(place, sizeof place, "the IFD at offset %" PRIu64, thing->ifd->offset);
    if (thing->kind == DIRECTORY)
        snprintf(name, room, "an IFD (at offset %" PRIu64 ")", thing->offset);
    else if (thing->kind == VALUE)
        snprintf(name, room, "the value of tag %" PRIu64 " of %s", thing->number, place);
    else if (thing->kind == STREAM)
        snprintf(name, room, "the JPEG stream of %s", place);
    else
        snprintf(name, room, "those of %s, chunk %" PRIu64, place, thing->number);
}

static const struct lzt_layout *layout_of(const struct lzt_table *table, uint64_t page)
{
    return &table->layouts[table->rows[page].layout];
}

static int is_named(const struct check *check, uint64_t page)
{
    return check->named[page / 8] >> page % 8 & 1;
}

/* ---- Anything else ------------------------------------------------------------------------------------------------------ */

/* What lies behind the end of the file is nowhere. */
static enum lzt_status compare(const struct check *check, const struct thing *thing)
{
    if (thing->offset >= check->table->size || thing->length == 0)
        return LZT_OK;
    const uint64_t length = lzt_min64(thing->length, check->table->size - thing->offset);
    const struct lzt_run *run = lzt_runs_find(check->runs, thing->offset, length);
    if (run == NULL)
        return LZT_OK;
    char name[96];
    name_thing(thing, name, sizeof name);
    return lzt_runs_fail(check->runs, run, lzt_max64(run->start, thing->offset), name, check->error);
}

static const struct lzt_tag *find(const struct ifd *ifd, uint16_t number)
{
    const struct lzt_tag *tag = lzt_find_tag(ifd->tags, ifd->count, number);
    return tag == NULL || tag->problem ? NULL : tag;
}

/* Values within the entry are in the peek that has seen the IFD. *fits: see lzt_tag_number. */
static enum lzt_status read_number(struct check *check, struct lzt_peek *peek, const struct lzt_tag *tag, uint64_t index, uint64_t *number,
                                   int *fits)
{
    const struct lzt_format format = check->table->format;
    enum lzt_status status = spend(check, 1);
    if (status != LZT_OK)
        return status;
    return lzt_tag_number(tag->bytes <= lzt_offset_size(format) ? &check->ifds : peek, format, tag, index, number, fits, check->error);
}

/* Stated lengths count, but for uncompressed chunks whose length is not stated (as by early writers) or may be that of all frames. */
static uint64_t true_length(const struct check *check, const struct ifd *ifd, uint64_t chunk, uint64_t stated)
{
    const struct lzt_layout *layout = ifd->layout;
    if (layout == NULL || layout->compression != LZT_NONE || (stated != 0 && check->table->frame_bytes == 0))
        return stated;
    const uint64_t chunks = (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
    return chunk < chunks ? lzt_page_plain_bytes(layout, chunk) : stated;
}

static enum lzt_status compare_chunk(struct check *check, const struct ifd *ifd, struct thing *thing, const struct lzt_tag *offsets,
                                     const struct lzt_tag *lengths)
{
    int is_offset, is_length;
    enum lzt_status status = read_number(check, &check->offsets, offsets, thing->number, &thing->offset, &is_offset);
    if (status != LZT_OK || !is_offset)
        return status;
    if (lengths != NULL)
        status = read_number(check, &check->lengths, lengths, thing->number, &thing->length, &is_length);
    if (status != LZT_OK)
        return status;
    if (thing->offset != 0 && thing->kind == CHUNK) {
        thing->length = true_length(check, ifd, thing->number, thing->length);
        thing->offset += ifd->shift;
    }
    return compare(check, thing);
}

/* Tags that tell of chunks; as some writers mix those of strips and tiles, with a second choice for the lengths. */
struct chunk_tags {
    enum kind kind;
    uint16_t offsets, lengths, other_lengths;
};

static enum lzt_status compare_chunks(struct check *check, const struct ifd *ifd, struct chunk_tags tags)
{
    const struct lzt_tag *offsets = find(ifd, tags.offsets), *lengths = find(ifd, tags.lengths);
    enum lzt_status status = LZT_OK;
    if (lengths == NULL)
        lengths = find(ifd, tags.other_lengths);
    if (offsets == NULL || (lengths == NULL && ifd->layout == NULL))
        return LZT_OK;
    for (uint64_t i = 0; i < offsets->count && status == LZT_OK; i++) {
        struct thing thing = {.kind = tags.kind, .ifd = ifd, .number = i};
        status = compare_chunk(check, ifd, &thing, offsets, lengths);
    }
    return status;
}

static enum lzt_status compare_stream(struct check *check, const struct ifd *ifd)
{
    const struct chunk_tags stream = {STREAM, LZT_TAG_JPEG_STREAM, LZT_TAG_JPEG_STREAM_LENGTH, LZT_TAG_JPEG_STREAM_LENGTH};
    return compare_chunks(check, ifd, stream);
}

static enum lzt_status compare_image(struct check *check, const struct ifd *ifd)
{
    const struct chunk_tags strips = {CHUNK, LZT_TAG_STRIP_OFFSETS, LZT_TAG_STRIP_COUNTS, LZT_TAG_TILE_COUNTS};
    const struct chunk_tags tiles = {CHUNK, LZT_TAG_TILE_OFFSETS, LZT_TAG_TILE_COUNTS, LZT_TAG_STRIP_COUNTS};
    enum lzt_status status = compare_chunks(check, ifd, strips);
    return status == LZT_OK ? compare_chunks(check, ifd, tiles) : status;
}

/* ---- Further IFDs ------------------------------------------------------------------------------------------------------- */

/* Put offset among those known; 1 when it was there. */
static int know(struct found *found, uint64_t offset)
{
    uint64_t at = (offset * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (found->slot_room - 1);
    for (; found->slots[at] != 0; at = (at + 1) & (found->slot_room - 1))
        if (found->slots[at] == offset)
            return 1;
    found->slots[at] = offset;
    return 0;
}

static enum lzt_status grow_slots(struct check *check)
{
    struct found *found = &check->found;
    uint64_t room = found->slot_room == 0 ? 64 : found->slot_room;
    while (room < 2 * (check->table->pages + found->count + 2))
        room *= 2;
    if (room == found->slot_room)
        return LZT_OK;
    uint64_t *slots = calloc((size_t)room, sizeof *slots);
    if (slots == NULL)
        return lzt_fail_memory(check->error, room * sizeof *slots);
    free(found->slots);
    found->slots = slots;
    found->slot_room = room;
    for (uint64_t i = 0; i < check->table->pages; i++)
        know(found, check->table->rows[i].ifd);
    for (uint64_t i = 0; i < found->count; i++)
        know(found, found->offsets[i]);
    return LZT_OK;
}

static enum lzt_status add_found(struct check *check, uint64_t offset)
{
    struct found *found = &check->found;
    if (offset == 0 || offset >= check->table->size)
        return LZT_OK;
    enum lzt_status status = grow_slots(check);
    if (status != LZT_OK || know(found, offset))
        return status;
    if (found->count == check->table->options.max_pages)
        return lzt_fail(check->error, LZT_LIMIT, "it has more than %" PRIu64 " SubIFDs, the limit max_pages", found->count);
    if (found->count == found->room) {
        const uint64_t room = found->room == 0 ? 16 : 2 * found->room;
        uint64_t *offsets = realloc(found->offsets, (size_t)room * sizeof *offsets);
        if (offsets == NULL)
            return lzt_fail_memory(check->error, room * sizeof *offsets);
        found->offsets = offsets;
        found->room = room;
    }
    found->offsets[found->count++] = offset;
    return LZT_OK;
}

static int leads_further(uint16_t tag)
{
    return tag == TAG_SUBIFDS || tag == TAG_EXIF || tag == TAG_GPS || tag == TAG_INTEROPERABILITY;
}

static enum lzt_status follow(struct check *check, const struct lzt_tag *tag)
{
    enum lzt_status status = LZT_OK;
    for (uint64_t i = 0; i < tag->count && status == LZT_OK; i++) {
        uint64_t offset;
        int fits;
        status = read_number(check, &check->offsets, tag, i, &offset, &fits);
        if (status == LZT_OK && fits)
            status = add_found(check, offset);
    }
    return status;
}

/* ---- IFDs --------------------------------------------------------------------------------------------------------------- */

static enum lzt_status compare_ifd(struct check *check, const struct ifd *ifd)
{
    const struct lzt_format format = check->table->format;
    const uint64_t bytes = lzt_count_size(format) + (uint64_t)ifd->count * lzt_entry_size(format) + lzt_offset_size(format);
    enum lzt_status status = compare(check, &(struct thing){DIRECTORY, ifd->offset, bytes, ifd, 0});
    for (size_t i = 0; i < ifd->count && status == LZT_OK; i++) {
        const struct lzt_tag *tag = &ifd->tags[i];
        if (tag->problem)
            continue;
        if (tag->bytes > lzt_offset_size(format))
            status = compare(check, &(struct thing){VALUE, tag->offset, tag->bytes, ifd, tag->tag});
        if (status == LZT_OK && leads_further(tag->tag))
            status = follow(check, tag);
    }
    return status == LZT_OK ? compare_stream(check, ifd) : status;
}

static enum lzt_status compare_page(struct check *check, struct ifd *ifd, uint64_t page)
{
    const struct lzt_table *table = check->table;
    const struct lzt_row *row = &table->rows[page];
    const int again = ifd->tags != NULL && ifd->offset == row->ifd; /* a frame: the IFD is known, only the chunks are its own */
    enum lzt_status status = LZT_OK;
    ifd->page = (int64_t)page;
    if (!again) {
        free(ifd->tags);
        check->ifds.stretch = page + 1 < table->pages ? lzt_ifd_stretch(row->ifd, row[1].ifd) : STRETCH;
        ifd->offset = row->ifd;
        ifd->layout = layout_of(table, page)->problem ? NULL : layout_of(table, page);
        status = lzt_table_tags(table, &check->ifds, page, &ifd->tags, &ifd->count, check->error);
        if (status == LZT_OK)
            status = spend(check, ifd->count);
        if (status == LZT_OK)
            status = compare_ifd(check, ifd);
    }
    ifd->shift = page * table->frame_bytes;
    return status == LZT_OK && !is_named(check, page) ? compare_image(check, ifd) : status;
}

static enum lzt_status compare_pages(struct check *check)
{
    enum lzt_status status = LZT_OK;
    struct ifd ifd = {.tags = NULL};
    for (uint64_t page = 0; page < check->table->pages && status == LZT_OK; page++)
        status = lzt_fail_at(check->error, compare_page(check, &ifd, page), (int64_t)page, -1);
    free(ifd.tags);
    return status;
}

/* An IFD outside of the table. A broken one is nothing: nobody can read what it tells of. */
static enum lzt_status compare_found(struct check *check, uint64_t offset)
{
    const struct lzt_table *table = check->table;
    struct lzt_directory directory;
    struct lzt_layout layout;
    enum lzt_status status = lzt_directory_read(&check->ifds, table->format, offset, table->options.max_tags, &directory, check->error);
    if (status == LZT_CORRUPT || status == LZT_LIMIT)
        return LZT_OK;
    if (status == LZT_OK)
        status = spend(check, directory.count);
    if (status != LZT_OK)
        return status;
    struct ifd ifd = {.offset = offset, .page = -1, .tags = malloc(directory.count * sizeof *ifd.tags), .count = directory.count};
    if (ifd.tags == NULL)
        return lzt_fail_memory(check->error, directory.count * sizeof *ifd.tags);
    for (uint32_t i = 0; i < directory.count; i++)
        ifd.tags[i] = lzt_directory_tag(&directory, table->format, i, table->size);
    status = lzt_layout_read(&check->ifds, table->format, ifd.tags, ifd.count, table->options.max_chunk_bytes, &layout, check->error);
    ifd.layout = status == LZT_OK && !layout.problem ? &layout : NULL;
    if (status == LZT_OK)
        status = compare_ifd(check, &ifd);
    if (status == LZT_OK)
        status = compare_image(check, &ifd);
    free(ifd.tags);
    return status;
}

static enum lzt_status compare_all_found(struct check *check)
{
    enum lzt_status status = LZT_OK;
    check->ifds.stretch = STRETCH;
    for (uint64_t depth = 0, i = 0; i < check->found.count && status == LZT_OK; depth++) {
        if (depth == MAX_DEPTH)
            return lzt_fail(check->error, LZT_LIMIT, "its SubIFDs are more than %d deep", MAX_DEPTH);
        for (const uint64_t end = check->found.count; i < end && status == LZT_OK; i++)
            status = compare_found(check, check->found.offsets[i]);
    }
    return status;
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

static enum lzt_status name_pages(struct check *check, const uint64_t *pages, size_t count)
{
    const size_t bytes = (size_t)(check->table->pages / 8 + 1);
    check->named = calloc(bytes, 1);
    check->runs = calloc(1, sizeof *check->runs);
    if (check->named == NULL || check->runs == NULL)
        return lzt_fail_memory(check->error, bytes + sizeof *check->runs);
    check->runs->table = check->table;
    for (size_t i = 0; i < count; i++) {
        if (pages[i] >= check->table->pages)
            return lzt_fail(check->error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, pages[i], check->table->pages);
        check->named[pages[i] / 8] |= (uint8_t)(1u << pages[i] % 8);
    }
    return LZT_OK;
}

static enum lzt_status collect_pixels(struct check *check)
{
    enum lzt_status status = LZT_OK;
    for (uint64_t page = 0; page < check->table->pages && status == LZT_OK && !lzt_runs_are_enough(check->runs); page++)
        if (is_named(check, page))
            status = lzt_runs_add(check->runs, page, check->error);
    return status == LZT_OK ? lzt_runs_sort(check->runs, check->error) : status;
}

static void close_check(struct check *check)
{
    struct lzt_peek *const peeks[] = {&check->ifds, &check->offsets, &check->lengths};
    for (size_t i = 0; i < sizeof peeks / sizeof *peeks; i++)
        lzt_peek_close(peeks[i]);
    if (check->runs != NULL)
        lzt_runs_close(check->runs);
    free(check->runs);
    free(check->named);
    free(check->found.offsets);
    free(check->found.slots);
}

enum lzt_status lzt_table_check_apart(const struct lzt_table *table, const uint64_t *pages, size_t count, struct lzt_error *error)
{
    struct check check = {.table = table, .error = error, .patience = table->size / 2 + (UINT64_C(1) << 25)};
    lzt_peek_open(&check.ifds, table->source, table->size, STRETCH);
    lzt_peek_open(&check.offsets, table->source, table->size, STRETCH);
    lzt_peek_open(&check.lengths, table->source, table->size, STRETCH);
    enum lzt_status status = name_pages(&check, pages, count);
    if (status == LZT_OK)
        status = collect_pixels(&check);
    if (status == LZT_OK)
        status = compare(&check, &(struct thing){.kind = HEADER, .length = table->format.bigtiff ? 16 : 8});
    if (status == LZT_OK)
        status = compare_pages(&check);
    if (status == LZT_OK)
        status = compare_all_found(&check);
    close_check(&check);
    return status;
}
