#include "walk.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "frames.h"
#include "layout.h"

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
    /* Offsets that were visited: kept only from the first link backward on, since no cycle can do without one. */
    uint64_t *visited;
    uint64_t visited_count, visited_room, highest;
    /* Indexes of layouts by their hash. */
    uint32_t *index;
    size_t index_room;
    unsigned warned;
    uint64_t bytes_read; /* of all IFDs so far */
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
    if (table->pages == table->room) {
        const uint64_t room = table->room == 0 ? 4 : table->room + table->room / 2;
        struct lzt_row *rows = realloc(table->rows, (size_t)room * sizeof *rows);
        if (rows == NULL)
            return lzt_fail_memory(walk->error, room * sizeof *rows);
        table->rows = rows;
        table->room = room;
    }
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
    if (walk->bytes_read / 4 > table->size + (4 << 20))
        return lzt_fail(walk->error, LZT_LIMIT, "its IFDs overlap each other");
    if (offset % 2 != 0)
        warn_once(walk, ODD_OFFSET, "its IFD lies at an odd offset");
    status = is_alike(walk, &directory) ? remember(walk, &directory) : study(walk, &directory);
    return status == LZT_OK ? add_row(walk, &directory) : status;
}

/* ---- Cycles ------------------------------------------------------------------------------------------------------------- */

/* Put offset among those visited; 1 when it was there. */
static int visit(uint64_t *visited, uint64_t room, uint64_t offset)
{
    uint64_t at = (offset * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (room - 1);
    for (; visited[at] != 0; at = (at + 1) & (room - 1))
        if (visited[at] == offset)
            return 1;
    visited[at] = offset;
    return 0;
}

static enum lzt_status grow_visited(struct walk *walk)
{
    const struct lzt_table *table = walk->table;
    uint64_t room = walk->visited_room == 0 ? 64 : walk->visited_room;
    while (room < 2 * (table->pages + 2))
        room *= 2;
    if (room == walk->visited_room)
        return LZT_OK;
    uint64_t *visited = calloc((size_t)room, sizeof *visited);
    if (visited == NULL)
        return lzt_fail_memory(walk->error, room * sizeof *visited);
    for (uint64_t i = 0; i < table->pages; i++)
        visit(visited, room, table->rows[i].ifd);
    free(walk->visited);
    walk->visited = visited;
    walk->visited_room = room;
    return LZT_OK;
}

/* *again: the IFD at offset is already among the pages. */
static enum lzt_status check_cycle(struct walk *walk, uint64_t offset, int *again)
{
    *again = 0;
    if (offset > walk->highest && walk->visited == NULL) {
        walk->highest = offset;
        return LZT_OK;
    }
    enum lzt_status status = grow_visited(walk);
    if (status == LZT_OK)
        *again = visit(walk->visited, walk->visited_room, offset);
    return status;
}

/* ---- The walk ----------------------------------------------------------------------------------------------------------- */

static void open_walk(struct walk *walk, struct lzt_table *table, struct lzt_error *error)
{
    *walk = (struct walk){.table = table, .error = error, .data_entry = MISSING, .length_entry = MISSING};
    lzt_peek_open(&walk->peek, table->source, table->size, FIRST_STRETCH);
}

/* Give back the room that was taken in advance. */
static void close_walk(struct walk *walk)
{
    struct lzt_table *table = walk->table;
    if (table->pages > 0 && table->pages < table->room) {
        struct lzt_row *rows = realloc(table->rows, (size_t)table->pages * sizeof *rows);
        if (rows != NULL) {
            table->rows = rows;
            table->room = table->pages;
        }
    }
    lzt_peek_close(&walk->peek);
    free(walk->previous);
    free(walk->visited);
    free(walk->index);
}

static void end_chain(struct lzt_table *table, const char *why)
{
    lzt_table_warn(table, "the chain of pages ends after %" PRIu64 ": %s", table->pages, why);
}

/* What is wrong behind the first page ends the chain there: the pages before it are good. */
static enum lzt_status forgive(struct walk *walk, enum lzt_status status, const struct lzt_error *why)
{
    const int broken = status == LZT_CORRUPT || status == LZT_LIMIT;
    if (!broken || walk->table->pages == 0)
        return status;
    end_chain(walk->table, why->text);
    return LZT_OK;
}

static enum lzt_status follow(struct walk *walk, uint64_t offset)
{
    struct lzt_table *table = walk->table;
    while (offset != 0) {
        uint64_t next;
        int again;
        enum lzt_status status = check_cycle(walk, offset, &again);
        if (status != LZT_OK)
            return status;
        if (again) {
            end_chain(table, "the next link leads back to an earlier page");
            return LZT_OK;
        }
        if (table->pages == table->options.max_pages) {
            end_chain(table, "that is the limit max_pages");
            return LZT_OK;
        }
        status = add_page(walk, offset, &next);
        if (status != LZT_OK)
            return forgive(walk, status, walk->error);
        walk->peek.stretch = lzt_ifd_stretch(offset, next);
        offset = next;
    }
    return table->pages == 1 ? lzt_frames_add(table, &walk->peek, walk->error) : LZT_OK;
}

enum lzt_status lzt_walk_chain(struct lzt_table *table, uint64_t offset, struct lzt_error *error)
{
    struct walk walk;
    struct lzt_error own;
    open_walk(&walk, table, &own);
    enum lzt_status status = follow(&walk, offset);
    close_walk(&walk);
    if (status != LZT_OK && error != NULL)
        *error = own;
    return status;
}

enum lzt_status lzt_walk_list(struct lzt_table *table, const uint64_t *offsets, size_t count, struct lzt_error *error)
{
    struct walk walk;
    uint64_t next;
    enum lzt_status status = LZT_OK;
    open_walk(&walk, table, error);
    for (size_t i = 0; i < count && status == LZT_OK; i++)
        status = add_page(&walk, offsets[i], &next);
    close_walk(&walk);
    return status;
}
