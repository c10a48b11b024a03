/* A table of a growing file goes on where an older one ended. What makes that cheap is what it does not look at: of the pages that are known,
 * only the last two are read again, to see that they are still linked to each other. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "ifd.h"
#include "layout.h"
#include "source.h"
#include "walk.h"

enum { STRETCH = 1024 };

static enum lzt_status gone(struct lzt_error *error)
{
    return lzt_fail(error, LZT_CHANGED, "the pages that were there are not there any more; open it again");
}

/* ---- The new table ------------------------------------------------------------------------------------------------------ */

static enum lzt_status copy(void **copied, const void *bytes, size_t size, struct lzt_error *error)
{
    *copied = malloc(size + (size == 0));
    if (*copied == NULL)
        return lzt_fail_memory(error, size);
    if (size > 0)
        memcpy(*copied, bytes, size);
    return LZT_OK;
}

/* One without pages. */
static enum lzt_status begin(const struct lzt_table *table, struct lzt_table **newer, struct lzt_error *error)
{
    void *codecs = NULL;
    *newer = calloc(1, sizeof **newer);
    if (*newer == NULL)
        return lzt_fail_memory(error, sizeof **newer);
    (*newer)->source = table->source;
    (*newer)->options = table->options;
    (*newer)->format = table->format;
    (*newer)->listed = table->listed;
    enum lzt_status status = lzt_table_stamp(table, &(*newer)->size, &(*newer)->stamp, error);
    if (status == LZT_OK)
        status = copy(&codecs, table->codecs, table->options.codec_count * sizeof *table->codecs, error);
    (*newer)->codecs = codecs;
    return status;
}

/* Where the chain ended is none of the new table's business, unless it still ends there. */
static void take_warnings(struct lzt_table *newer, const struct lzt_table *table)
{
    for (size_t i = 0; i < table->warning_count; i++)
        if (i + 1 != table->chain_end)
            lzt_table_warn(newer, "%s", table->warnings[i]);
}

/* All of the table's pages. */
static enum lzt_status take_over(struct lzt_table *newer, const struct lzt_table *table, struct lzt_error *error)
{
    void *layouts;
    enum lzt_status status = copy(&layouts, table->layouts, table->layout_count * sizeof *table->layouts, error);
    if (status != LZT_OK)
        return status;
    newer->layouts = layouts;
    newer->layout_count = newer->layout_room = table->layout_count;
    newer->shared = lzt_rows_share(table->shared);
    newer->rows = table->rows;
    newer->pages = newer->room = table->pages;
    newer->frame_bytes = table->frame_bytes;
    newer->highest = table->highest;
    newer->stamped = newer->stamp != 0 && newer->stamp == table->stamp ? table->stamped : table->pages;
    take_warnings(newer, table);
    return LZT_OK;
}

/* ---- Going on ----------------------------------------------------------------------------------------------------------- */

/* The IFD of the table's last page; *linked: the header still leads to the first page, and the page before the last one to that. */
static enum lzt_status find_end(const struct lzt_table *table, struct lzt_peek *peek, uint64_t first, struct lzt_directory *last,
                                int *linked, struct lzt_error *error)
{
    const uint64_t pages = table->pages;
    *linked = first == table->rows[0].ifd;
    if (pages > 1) {
        enum lzt_status status = lzt_table_ifd(table, peek, pages - 2, last, error);
        if (status != LZT_OK)
            return status;
        *linked = *linked && last->next == table->rows[pages - 1].ifd;
    }
    return lzt_table_ifd(table, peek, pages - 1, last, error);
}

/* Walk on from the table's last page; *linked 0: that is not where the chain leads any more, and nothing is done. */
static enum lzt_status go_on(struct lzt_table *newer, const struct lzt_table *table, uint64_t first, int *linked, struct lzt_error *error)
{
    struct lzt_directory last;
    struct lzt_peek peek;
    lzt_peek_open(&peek, table->source, newer->size, STRETCH);
    enum lzt_status status = find_end(table, &peek, first, &last, linked, error);
    if (status == LZT_OK && *linked)
        status = take_over(newer, table, error);
    if (status == LZT_OK && *linked)
        status = lzt_walk_on(newer, &last, error);
    lzt_peek_close(&peek);
    if (status == LZT_OK && *linked && newer->pages == table->pages && table->chain_end != 0 && newer->chain_end == 0) {
        lzt_table_warn(newer, "%s", table->warnings[table->chain_end - 1]);
        newer->chain_end = newer->warning_count;
    }
    return status;
}

/* ---- Walking anew ------------------------------------------------------------------------------------------------------- */

/* 1: two IFDs, whose peeks see them, have the same entries but for the description. */
static int say_the_same(const struct lzt_directory *old, const struct lzt_directory *now, struct lzt_format format)
{
    const unsigned size = lzt_entry_size(format);
    const uint8_t *a = old->entries, *b = now->entries;
    const uint8_t *const a_end = a + (size_t)old->count * size, *const b_end = b + (size_t)now->count * size;
    for (;; a += size, b += size) {
        a += a < a_end && lzt_get16(a, format.big_endian) == LZT_TAG_DESCRIPTION ? size : 0;
        b += b < b_end && lzt_get16(b, format.big_endian) == LZT_TAG_DESCRIPTION ? size : 0;
        if (a == a_end || b == b_end)
            return a == a_end && b == b_end;
        if (memcmp(a, b, size) != 0)
            return 0;
    }
}

/* *same: the first page's IFD is a copy of the old one, which is still there, with another description (lzt_writer_redescribe). */
static enum lzt_status look_at_first(const struct lzt_table *table, const struct lzt_table *newer, int *same, struct lzt_error *error)
{
    struct lzt_directory old, now;
    struct lzt_peek peeks[2];
    const struct lzt_format a = table->format, b = newer->format;
    *same = 0;
    if (a.bigtiff != b.bigtiff || table->rows[0].ifd == newer->rows[0].ifd)
        return LZT_OK;
    lzt_peek_open(&peeks[0], table->source, newer->size, STRETCH);
    lzt_peek_open(&peeks[1], table->source, newer->size, STRETCH);
    enum lzt_status status = lzt_table_ifd(table, &peeks[0], 0, &old, error);
    if (status == LZT_OK)
        status = lzt_table_ifd(newer, &peeks[1], 0, &now, error);
    if (status == LZT_OK)
        *same = say_the_same(&old, &now, a);
    lzt_peek_close(&peeks[0]);
    lzt_peek_close(&peeks[1]);
    return status;
}

static int is_same_page(const struct lzt_table *table, const struct lzt_table *newer, uint64_t page)
{
    const struct lzt_row *old = &table->rows[page], *row = &newer->rows[page];
    const struct lzt_layout *layouts = table->layouts;
    if (table->format.bigtiff == newer->format.bigtiff && old->hash != row->hash)
        return 0;
    return old->data == row->data && old->length == row->length &&
           memcmp(&layouts[old->layout], &newer->layouts[row->layout], sizeof *layouts) == 0;
}

/* A chain may be another one and still tell of the same pages: that of a file that became BigTIFF, and one that was linked anew. */
static enum lzt_status walk_anew(struct lzt_table *newer, const struct lzt_table *table, uint64_t first, struct lzt_error *error)
{
    const struct lzt_format before = table->format, now = newer->format;
    if (table->pages > 0 && (before.big_endian != now.big_endian || before.bigtiff > now.bigtiff))
        return gone(error);
    enum lzt_status status = lzt_walk_chain(newer, first, table->pages, error);
    if (status == LZT_CORRUPT || status == LZT_LIMIT || (status == LZT_OK && newer->pages < table->pages))
        return gone(error);
    for (uint64_t i = 0; i < table->pages && status == LZT_OK; i++) {
        int same = is_same_page(table, newer, i);
        if (!same && i == 0)
            status = look_at_first(table, newer, &same, error);
        if (status == LZT_OK && !same)
            status = gone(error);
    }
    return status;
}

static enum lzt_status look(struct lzt_table *newer, const struct lzt_table *table, struct lzt_error *error)
{
    uint64_t first;
    int linked = 0;
    enum lzt_status status = lzt_header_read(table->source, newer->size, &newer->format, &first, error);
    if (status == LZT_NOT_TIFF)
        return gone(error);
    const int same_format = newer->format.bigtiff == table->format.bigtiff && newer->format.big_endian == table->format.big_endian;
    if (status == LZT_OK && same_format && table->pages > 0 && table->frame_bytes == 0)
        status = go_on(newer, table, first, &linked, error);
    return status == LZT_OK && !linked ? walk_anew(newer, table, first, error) : status;
}

enum lzt_status lzt_table_refresh(const struct lzt_table *table, struct lzt_table **newer, struct lzt_error *error)
{
    enum lzt_status status = begin(table, newer, error);
    if (status == LZT_OK)
        status = table->listed ? take_over(*newer, table, error) : look(*newer, table, error);
    if (status != LZT_OK) {
        lzt_table_close(*newer);
        *newer = NULL;
    }
    return status;
}
