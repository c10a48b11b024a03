/* extents.h - what the C tests of extents share: asking where a page's chunks are. */
#ifndef EXTENTS_H
#define EXTENTS_H

#include "reading.h"

static inline enum lzt_status try_extent(const struct opened *opened, uint64_t page, struct lzt_extent *extent, struct lzt_error *error)
{
    memset(extent, 0xA5, sizeof *extent);
    return lzt_table_extents(opened->table, &page, 1, extent, error);
}

static inline struct lzt_extent extent_of(const struct opened *opened, uint64_t page)
{
    struct lzt_extent extent;
    struct lzt_error error;
    check_status(try_extent(opened, page, &extent, &error), LZT_OK, &error, "");
    return extent;
}

/* Where each chunk of the page is; to be freed. */
static inline uint64_t *chunks_of(const struct opened *opened, uint64_t page)
{
    struct lzt_error error;
    const uint64_t count = chunk_count(layout_of(opened, page));
    uint64_t *offsets = calloc(count, sizeof *offsets);
    CHECK(offsets != NULL);
    check_status(lzt_table_chunks(opened->table, page, offsets, count, &error), LZT_OK, &error, "");
    return offsets;
}

/* CHECK that neither question is answered, and that both say the same of it. */
static inline struct lzt_error refuse(const struct opened *opened, uint64_t page, enum lzt_status expected, const char *text)
{
    struct lzt_extent extent;
    struct lzt_error error, other;
    const uint64_t count = chunk_count(layout_of(opened, page));
    uint64_t *offsets = calloc(count + 1, sizeof *offsets);
    CHECK(offsets != NULL);
    check_status(try_extent(opened, page, &extent, &error), expected, &error, text);
    check_status(lzt_table_chunks(opened->table, page, offsets, count, &other), expected, &other, error.text);
    CHECK(lzt_table_extents(opened->table, &page, 1, &extent, NULL) == expected);
    CHECK(lzt_table_chunks(opened->table, page, offsets, count, NULL) == expected);
    free(offsets);
    return error;
}

#endif
