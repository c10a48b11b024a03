#include "walk.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "frames.h"
#include "layout.h"
#include "visited.h"
#include "whole.h"

enum { FIRST_STRETCH = 4 << 10 };

/* Of the entries that say where the only chunk is, and how long: there is none, or one whose number is not in the entry. */
enum { MISSING = -1, ELSEWHERE = -2 };

/* Warnings of which one is enough for a file. */
enum { ODD_OFFSET = 1, UNSORTED = 2, DUPLICATE = 4, UNREADABLE = 8 };

struct walk {
    struct lzt_table *table;
    struct lzt_peek peek;
    struct lzt_error *error;
    /* The IFD before, to recognise one that is alike. */
    uint8_t *previous;
    size_t previous_room;
    uint32_t previous_count;
    uint32_t layout;
    int64_t data_entry, length_entry; /* which entries hold the offset and the length of the page's only chunk; MISSING: none */
    struct lzt_visited visited;
    /* Indexes of layouts by their hash. */
    uint32_t *index;
    size_t index_room;
    unsigned warned;
    uint64_t bytes_read; /* of all IFDs so far, and of the lists that were looked through */
    uint64_t growing;    /* from this page on they may still be written */
};

static void warn_once(struct walk *walk, unsigned kind, const char *what)
{
    if (walk->warned & kind)
        return;
    walk->warned |= kind;
    lzt_table_warn(walk->table, "page %" PRIu64 ": %s", walk->table->pages, what);
}

/* ---- Layouts: each kept once -------------------------------------------------------------------------------------------- */

static size_t hash_layout(const struct lzt_layout *layout)
{
    const uint8_t *bytes = (const uint8_t *)layout;
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof *layout; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
    return (size_t)(hash ^ hash >> 32);
}

static enum lzt_status grow_index(struct walk *walk)
{
    const struct lzt_table *table = walk->table;
    if (walk->index_room > 2 * table->layout_count)
        return LZT_OK;
    const size_t room = walk->index_room == 0 ? 16 : 2 * walk->index_room;
    uint32_t *index = malloc(room * sizeof *index);
    if (index == NULL)
        return lzt_fail_memory(walk->error, room * sizeof *index);
    memset(index, 0xFF, room * sizeof *index);
    for (size_t i = 0; i < table->layout_count; i++) {
        size_t at = hash_layout(&table->layouts[i]) & (room - 1);
        while (index[at] != UINT32_MAX)
            at = (at + 1) & (room - 1);
        index[at] = (uint32_t)i;
    }
    free(walk->index);
    walk->index = index;
    walk->index_room = room;
    return LZT_OK;
}

static enum lzt_status add_layout(struct walk *walk, const struct lzt_layout *layout)
{
    struct lzt_table *table = walk->table;
    if (table->layout_count == table->options.max_layouts)
        return lzt_fail(walk->error, LZT_LIMIT, "its pages have more than %" PRIu64 " different layouts, the limit max_layouts",
                        (uint64_t)table->layout_count);
    if (table->layout_count == table->layout_room) {
        const size_t room = table->layout_room == 0 ? 4 : 2 * table->layout_room;
        struct lzt_layout *layouts = realloc(table->layouts, room * sizeof *layouts);
        if (layouts == NULL)
            return lzt_fail_memory(walk->error, room * sizeof *layouts);
        table->layouts = layouts;
        table->layout_room = room;
    }
    table->layouts[table->layout_count++] = *layout;
    return LZT_OK;
}

static enum lzt_status intern_layout(struct walk *walk, const struct lzt_layout *layout)
{
    enum lzt_status status = grow_index(walk);
    if (status != LZT_OK)
        return status;
    size_t at = hash_layout(layout) & (walk->index_room - 1);
    for (; walk->index[at] != UINT32_MAX; at = (at + 1) & (walk->index_room - 1))
        if (memcmp(&walk->table->layouts[walk->index[at]], layout, sizeof *layout) == 0) {
            walk->layout = walk->index[at];
            return LZT_OK;
        }
    status = add_layout(walk, layout);
    if (status == LZT_OK)
        walk->index[at] = walk->layout = (uint32_t)(walk->table->layout_count - 1);
    return status;
}

/* ---- One IFD ------------------------------------------------------------------------------------------------------------ */

/* 1: like the IFD before in everything that the layout depends on. */
static int is_alike(const struct walk *walk, const struct lzt_directory *directory)
{
    const struct lzt_format format = walk->table->format;
    const size_t size = lzt_entry_size(format), head = size - lzt_offset_size(format);
    if (walk->previous_count != directory->count)
        return 0;
    for (uint32_t i = 0; i < directory->count; i++) {
        const uint8_t *entry = directory->entries + i * size, *before = walk->previous + i * size;
        if (memcmp(entry, before, head) != 0)
            return 0;
        if (memcmp(entry + head, before + head, size - head) != 0 && lzt_layout_depends_on(lzt_get16(entry, format.big_endian)))
            return 0;
    }
    return 1;
}

static enum lzt_status remember(struct walk *walk, const struct lzt_directory *directory)
{
    const size_t bytes = (size_t)directory->count * lzt_entry_size(walk->table->format);
    if (bytes > walk->previous_room) {
        free(walk->previous);
        walk->previous_room = 0;
        walk->previous = malloc(bytes);
        if (walk->previous == NULL)
            return lzt_fail_memory(walk->error, bytes);
        walk->previous_room = bytes;
    }
    memcpy(walk->previous, directory->entries, bytes);
    walk->previous_count = directory->count;
    return LZT_OK;
}

/* 1: most tags are of types that nobody knows. */
static int is_no_ifd(const struct lzt_tag *tags, uint32_t count)
{
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < count; i++)
        unknown += lzt_type_size(tags[i].type) == 0;
    return unknown > count / 2;
}

/* Look over the tags of an IFD that is unlike the one before. */
static void look_over(struct walk *walk, const struct lzt_tag *tags, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && tags[i].tag < tags[i - 1].tag)
            warn_once(walk, UNSORTED, "its tags are not in ascending order");
        if (i > 0 && tags[i].tag == tags[i - 1].tag)
            warn_once(walk, DUPLICATE, "a tag occurs twice; the first is used");
        if (tags[i].problem)
            warn_once(walk, UNREADABLE, "a tag has an unknown type or a value outside of the file; it is left out");
    }
}

/* The first entry of the one tag or, when there is none, of the other. */
static int64_t chunk_entry(const struct walk *walk, const struct lzt_tag *tags, uint32_t count, uint16_t number, uint16_t other)
{
    const struct lzt_tag *tag = lzt_find_tag(tags, count, number);
    if (tag == NULL)
        tag = lzt_find_tag(tags, count, other);
    if (tag == NULL)
        return MISSING;
    const int small = tag->type == LZT_SHORT || tag->type == LZT_LONG || tag->type == LZT_IFD;
    const int large = tag->type == LZT_LONG8 || tag->type == LZT_IFD8;
    return tag->count == 1 && (small || (large && walk->table->format.bigtiff)) ? tag - tags : ELSEWHERE;
}

/* IFDs that are alike have these in the same entries. What page.c chooses otherwise, by what the values are, is left to it. */
static void find_only_chunk(struct walk *walk, const struct lzt_tag *tags, uint32_t count, const struct lzt_layout *layout)
{
    const int tiled = layout->tiled;
    walk->data_entry = chunk_entry(walk, tags, count, tiled ? LZT_TAG_TILE_OFFSETS : LZT_TAG_STRIP_OFFSETS,
                                   tiled ? LZT_TAG_STRIP_OFFSETS : LZT_TAG_TILE_OFFSETS);
    walk->length_entry = chunk_entry(walk, tags, count, tiled ? LZT_TAG_TILE_COUNTS : LZT_TAG_STRIP_COUNTS,
                                     tiled ? LZT_TAG_STRIP_COUNTS : LZT_TAG_TILE_COUNTS);
    const int only = layout->grid_rows == 1 && layout->grid_columns == 1 && layout->planes == 1;
    if (!only || walk->data_entry < 0 || walk->length_entry == ELSEWHERE)
        walk->data_entry = walk->length_entry = MISSING;
}

/* Know the IFD of the page before, as if it had been walked just now. */
static enum lzt_status look_back(struct walk *walk, const struct lzt_directory *directory)
{
    const struct lzt_table *table = walk->table;
    enum lzt_status status = remember(walk, directory);
    if (status != LZT_OK)
        return status;
    struct lzt_tag *tags = malloc(directory->count * sizeof *tags);
    if (tags == NULL)
        return lzt_fail_memory(walk->error, directory->count * sizeof *tags);
    for (uint32_t i = 0; i < directory->count; i++)
        tags[i] = lzt_directory_tag(directory, table->format, i, table->size);
    find_only_chunk(walk, tags, directory->count, &table->layouts[walk->layout]);
    free(tags);
    return LZT_OK;
}

static enum lzt_status study(struct walk *walk, const struct lzt_directory *directory)
{
    struct lzt_table *table = walk->table;
    const uint32_t count = directory->count;
    struct lzt_layout layout;
    enum lzt_status status = remember(walk, directory);
    if (status != LZT_OK)
        return status;
    struct lzt_tag *tags = malloc(count * sizeof *tags);
    if (tags == NULL)
        return lzt_fail_memory(walk->error, count * sizeof *tags);
    for (uint32_t i = 0; i < count; i++)
        tags[i] = lzt_directory_tag(directory, table->format, i, table->size);
    if (is_no_ifd(tags, count)) {
        status = lzt_fail(walk->error, LZT_CORRUPT, "what lies at offset %" PRIu64 " is no IFD", directory->offset);
    } else {
        look_over(walk, tags, count);
        status = lzt_layout_read(&walk->peek, table->format, tags, count, table->options.max_chunk_bytes, &layout, walk->error);
    }
    if (status == LZT_OK)
        find_only_chunk(walk, tags, count, &layout);
    free(tags);
    return status == LZT_OK ? intern_layout(walk, &layout) : status;
}

static uint64_t number_in(const struct walk *walk, int64_t index)
{
    const struct lzt_format format = walk->table->format;
    if (index == MISSING)
        return 0;
    const uint8_t *entry = walk->previous + (size_t)index * lzt_entry_size(format);
    const uint8_t *value = entry + lzt_entry_size(format) - lzt_offset_size(format);
    switch (lzt_get16(entry + 2, format.big_endian)) {
    case LZT_SHORT:
        return lzt_get16(value, format.big_endian);
    case LZT_LONG:
    case LZT_IFD:
        return lzt_get32(value, format.big_endian);
    default:
        return lzt_get64(value, format.big_endian);
    }
}

static enum lzt_status add_row(struct walk *walk, const struct lzt_directory *directory)
{
    struct lzt_table *table = walk->table;
    enum lzt_status status = table->pages == table->room ? lzt_table_claim(table, 1, walk->error) : LZT_OK;
    if (status != LZT_OK)
        return status;
    table->rows[table->pages++] = (struct lzt_row){
        .ifd = directory->offset,
        .hash = directory->hash,
        .data = number_in(walk, walk->data_entry),
        .length = number_in(walk, walk->length_entry),
        .layout = walk->layout,
        .tags = directory->count,
    };
    return LZT_OK;
}

/* Each IFD, and each list of chunks, is in the file once: who reads more of them than there can be is led in circles. */
static enum lzt_status check_effort(const struct walk *walk)
{
    if (walk->bytes_read / 4 <= walk->table->size + (4 << 20))
        return LZT_OK;
    return lzt_fail(walk->error, LZT_LIMIT, "its IFDs overlap each other");
}

/* Read the IFD at offset and add its page; *next is its link. */
static enum lzt_status add_page(struct walk *walk, uint64_t offset, uint64_t *next)
{
    struct lzt_directory directory;
    struct lzt_table *table = walk->table;
    enum lzt_status status = lzt_directory_read(&walk->peek, table->format, offset, table->options.max_tags, &directory, walk->error);
    if (status != LZT_OK)
        return status;
    *next = directory.next;
    walk->bytes_read += (uint64_t)directory.count * lzt_entry_size(table->format);
    status = check_effort(walk);
    if (status != LZT_OK)
        return status;
    if (offset % 2 != 0)
        warn_once(walk, ODD_OFFSET, "its IFD lies at an odd offset");
    status = is_alike(walk, &directory) ? remember(walk, &directory) : study(walk, &directory);
    return status == LZT_OK ? add_row(walk, &directory) : status;
}

static enum lzt_status check_whole(struct walk *walk, uint64_t offset)
{
    const struct lzt_directory directory = {.offset = offset, .count = walk->previous_count, .entries = walk->previous};
    return lzt_whole_check(walk->table, &directory, &walk->peek, &walk->bytes_read, walk->error);
}

/* The same for a page that may still be written: LZT_CORRUPT, and nothing is added, unless it is whole. */
static enum lzt_status add_whole_page(struct walk *walk, uint64_t offset, uint64_t *next)
{
    struct lzt_table *table = walk->table;
    const uint64_t pages = table->pages;
    const size_t layouts = table->layout_count, warnings = table->warning_count;
    enum lzt_status status = add_page(walk, offset, next);
    if (status == LZT_OK)
        status = check_whole(walk, offset);
    if (status == LZT_OK)
        status = check_effort(walk);
    if (status != LZT_OK) {
        table->pages = pages;
        table->layout_count = layouts;
        table->warning_count = warnings;
    }
    return status;
}

/* ---- The walk ----------------------------------------------------------------------------------------------------------- */

static void open_walk(struct walk *walk, struct lzt_table *table, uint64_t growing, struct lzt_error *error)
{
    *walk = (struct walk){.table = table, .error = error, .data_entry = MISSING, .length_entry = MISSING, .growing = growing};
    lzt_peek_open(&walk->peek, table->source, table->size, FIRST_STRETCH);
}

static void close_walk(struct walk *walk)
{
    struct lzt_table *table = walk->table;
    if (table->pages < table->room) /* what was claimed in advance */
        lzt_rows_settle(table->shared, table->pages);
    if (table->pages > 0 && walk->growing == UINT64_MAX) { /* a file that grows will need it */
        lzt_rows_trim(&table->shared, table->pages);
        table->rows = lzt_rows_first(table->shared);
    }
    table->room = table->pages;
    lzt_peek_close(&walk->peek);
    free(walk->previous);
    lzt_visited_close(&walk->visited);
    free(walk->index);
}

static void end_chain(struct lzt_table *table, enum lzt_status status, const char *why)
{
    table->ended = status;
    lzt_table_warn(table, "the chain of pages ends after %" PRIu64 ": %s", table->pages, why);
    table->chain_end = table->warning_count;
}

/* What is wrong behind the first page ends the chain there: the pages before it are good. */
static enum lzt_status forgive(struct walk *walk, enum lzt_status status, const struct lzt_error *why)
{
    const int broken = status == LZT_CORRUPT || status == LZT_LIMIT;
    if (broken && walk->table->pages >= walk->growing)
        return LZT_OK; /* it may still come */
    if (!broken || walk->table->pages == 0)
        return status;
    end_chain(walk->table, status, why->text);
    return LZT_OK;
}

/* Frames that are not there may still come. */
static enum lzt_status add_frames(struct walk *walk)
{
    struct lzt_table *table = walk->table;
    const size_t warnings = table->warning_count;
    const int known = walk->growing > 1 && walk->growing != UINT64_MAX;
    enum lzt_status status = lzt_frames_add(table, &walk->peek, known, walk->error);
    if (walk->growing != UINT64_MAX)
        table->warning_count = warnings;
    return status;
}

static enum lzt_status follow_links(struct walk *walk, uint64_t offset)
{
    struct lzt_table *table = walk->table;
    while (offset != 0) {
        const uint64_t highest = table->highest;
        uint64_t next;
        int again;
        enum lzt_status status = lzt_visited_check(&walk->visited, table, offset, &again, walk->error);
        if (status != LZT_OK)
            return status;
        if (again) {
            end_chain(table, LZT_CORRUPT, "the next link leads back to an earlier page");
            return LZT_OK;
        }
        if (table->pages == table->options.max_pages) {
            end_chain(table, LZT_LIMIT, "that is the limit max_pages");
            return LZT_OK;
        }
        status = table->pages >= walk->growing ? add_whole_page(walk, offset, &next) : add_page(walk, offset, &next);
        if (status != LZT_OK) {
            table->highest = highest;
            return forgive(walk, status, walk->error);
        }
        walk->peek.stretch = lzt_ifd_stretch(offset, next);
        offset = next;
    }
    return table->pages == 1 ? add_frames(walk) : LZT_OK;
}

static enum lzt_status follow(struct walk *walk, uint64_t offset, struct lzt_error *error)
{
    struct lzt_error own;
    walk->error = &own;
    enum lzt_status status = follow_links(walk, offset);
    close_walk(walk);
    if (status != LZT_OK && error != NULL)
        *error = own;
    return status;
}

enum lzt_status lzt_walk_chain(struct lzt_table *table, uint64_t offset, uint64_t growing, struct lzt_error *error)
{
    struct walk walk;
    open_walk(&walk, table, growing, error);
    return follow(&walk, offset, error);
}

enum lzt_status lzt_walk_on(struct lzt_table *table, const struct lzt_directory *last, struct lzt_error *error)
{
    struct walk walk;
    open_walk(&walk, table, table->pages, error);
    walk.layout = table->rows[table->pages - 1].layout;
    walk.peek.stretch = lzt_ifd_stretch(last->offset, last->next);
    enum lzt_status status = last->next == 0 ? LZT_OK : look_back(&walk, last);
    if (status == LZT_OK)
        return follow(&walk, last->next, error);
    close_walk(&walk);
    return status;
}

/* A page for an offset that leads to no IFD, instead of the error that it was. To look there took its time, as an IFD would have. */
static enum lzt_status add_gap(struct walk *walk, uint64_t offset)
{
    const struct lzt_directory nothing = {.offset = offset};
    const struct lzt_layout layout = lzt_layout_of_nothing();
    walk->previous_count = 0; /* what comes next is not like it */
    walk->data_entry = walk->length_entry = MISSING;
    walk->bytes_read += lzt_entry_size(walk->table->format);
    enum lzt_status status = check_effort(walk);
    if (status == LZT_OK)
        status = intern_layout(walk, &layout);
    return status == LZT_OK ? add_row(walk, &nothing) : status;
}

enum lzt_status lzt_walk_list(struct lzt_table *table, const uint64_t *offsets, size_t count, struct lzt_error *error)
{
    struct walk walk;
    uint64_t next;
    enum lzt_status status = LZT_OK;
    open_walk(&walk, table, UINT64_MAX, error);
    for (size_t i = 0; i < count && status == LZT_OK; i++) {
        status = add_page(&walk, offsets[i], &next);
        if (table->options.lenient && (status == LZT_CORRUPT || status == LZT_LIMIT))
            status = add_gap(&walk, offsets[i]);
    }
    close_walk(&walk);
    return status;
}
