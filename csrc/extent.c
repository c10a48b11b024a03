/* Where pixels are that are stored as they are read: what it takes to address them in a mapped file. */
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "page.h"

/* ---- Layouts -------------------------------------------------------------------------------------------------------------- */

static const char *codec_name(uint16_t compression)
{
    switch (compression) {
    case LZT_CCITT_RLE:
    case LZT_CCITT_G3:
    case LZT_CCITT_G4:
    case LZT_CCITT_RLEW:
        return "CCITT";
    case LZT_LZW:
        return "LZW";
    case LZT_OLD_JPEG:
    case LZT_JPEG:
        return "JPEG";
    case LZT_DEFLATE:
    case LZT_DEFLATE_OLD:
        return "Deflate";
    case LZT_PACKBITS:
        return "PackBits";
    case LZT_JBIG:
        return "JBIG";
    case LZT_LERC:
        return "LERC";
    case LZT_LZMA:
        return "LZMA";
    case LZT_ZSTD:
        return "ZSTD";
    case LZT_WEBP:
        return "WebP";
    default:
        return NULL;
    }
}

/* Why pixels of this layout are not in the file as they are in memory. */
static enum lzt_status check_layout(const struct lzt_table *table, uint64_t page, struct lzt_error *error)
{
    const struct lzt_layout *layout = &table->layouts[table->rows[page].layout];
    const char *name = codec_name(layout->compression);
    enum lzt_status status = lzt_layout_problem(layout, error);
    if (status == LZT_OK && layout->direct && !lzt_table_allows(table, layout->compression))
        status = lzt_fail(error, LZT_UNSUPPORTED, "Compression %u is not among the allowed codecs", layout->compression);
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)page, -1);
    if (layout->direct)
        return LZT_OK;
    if (name != NULL)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 " is %s-compressed", page, name);
    if (layout->compression != LZT_NONE)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 " is compressed (Compression %u)", page, layout->compression);
    if (lzt_layout_converts(layout))
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 ": YCbCr pixels are converted to RGB", page);
    if (layout->bits == 8u * layout->item_size)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 ": the bits of its bytes are stored in reverse order (FillOrder 2)", page);
    return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 ": %u-bit samples are packed", page, layout->bits);
}

/* ---- Chunks --------------------------------------------------------------------------------------------------------------- */

static enum lzt_status check_chunk(const struct lzt_table *table, const struct lzt_layout *layout, uint64_t page, uint64_t chunk,
                                   uint64_t offset, uint64_t length, struct lzt_error *error)
{
    const uint64_t whole = lzt_page_plain_bytes(layout, chunk);
    if (offset == 0 && length == 0)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 ", chunk %" PRIu64 ": the file leaves it out", page, chunk);
    if (length < whole)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 ", chunk %" PRIu64 " ends early: %" PRIu64 " of %" PRIu64 " bytes are there",
                        page, chunk, length, whole);
    if (offset < 8 || offset > table->size || whole > table->size - offset)
        return lzt_fail(error, LZT_NOT_MAPPABLE,
                        "page %" PRIu64 ", chunk %" PRIu64 ": its %" PRIu64 " bytes at offset %" PRIu64 " are not all in the file, which has %" PRIu64,
                        page, chunk, whole, offset, table->size);
    return LZT_OK;
}

static enum lzt_status find_chunk(struct lzt_page *page, uint64_t chunk, uint64_t *offset, struct lzt_error *error)
{
    uint64_t length;
    enum lzt_status status = lzt_page_chunk(page, chunk, offset, &length, error);
    if (status == LZT_CORRUPT) /* its text names no page, and nothing is corrupt for who reads only other pages */
        return lzt_fail(error, LZT_NOT_MAPPABLE, "page %" PRIu64 ": it says of too few chunks where they are", page->number);
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)page->number, (int64_t)chunk);
    return check_chunk(page->table, page->layout, page->number, chunk, *offset, length, error);
}

/* Offsets of the page's chunks one after the other, and whether they lie at equal distances. */
static enum lzt_status measure(struct lzt_page *page, struct lzt_extent *extent, struct lzt_error *error)
{
    const struct lzt_layout *layout = page->layout;
    const uint64_t across = layout->grid_columns, plane = across * layout->grid_rows;
    const uint64_t count = plane * layout->planes;
    *extent = (struct lzt_extent){.regular = 1};
    for (uint64_t chunk = 0; chunk < count; chunk++) {
        uint64_t offset;
        enum lzt_status status = find_chunk(page, chunk, &offset, error);
        if (status != LZT_OK)
            return status;
        const uint64_t z = chunk / plane, y = chunk % plane / across, x = chunk % across;
        if (chunk == 0)
            extent->offset = offset;
        if (z == 0 && y == 0 && x == 1)
            extent->across = (int64_t)(offset - extent->offset);
        if (z == 0 && y == 1 && x == 0)
            extent->down = (int64_t)(offset - extent->offset);
        if (z == 1 && y == 0 && x == 0)
            extent->plane = (int64_t)(offset - extent->offset);
        const uint64_t expected = extent->offset + z * (uint64_t)extent->plane + y * (uint64_t)extent->down + x * (uint64_t)extent->across;
        if (offset != expected) /* modulo 2^64: exact, as all offsets are within the file */
            extent->regular = 0;
    }
    return LZT_OK;
}

static enum lzt_status find_extent(const struct lzt_table *table, struct lzt_page *opened, uint64_t page, struct lzt_extent *extent,
                                   struct lzt_error *error)
{
    if (page >= table->pages)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, page, table->pages);
    const struct lzt_row *row = &table->rows[page];
    const struct lzt_layout *layout = &table->layouts[row->layout];
    enum lzt_status status = check_layout(table, page, error);
    if (status != LZT_OK)
        return status;
    if (row->data != 0) { /* the walk has seen where its only chunk is */
        *extent = (struct lzt_extent){.offset = row->data, .regular = 1};
        return check_chunk(table, layout, page, 0, row->data, row->length == 0 ? UINT64_MAX : row->length, error);
    }
    status = lzt_page_open(opened, table, page, error);
    return status == LZT_OK ? measure(opened, extent, error) : status;
}

enum lzt_status lzt_table_extents(const struct lzt_table *table, const uint64_t *pages, size_t count, struct lzt_extent *extents,
                                  struct lzt_error *error)
{
    struct lzt_page *opened = calloc(1, sizeof *opened);
    enum lzt_status status = opened == NULL ? lzt_fail_memory(error, sizeof *opened) : LZT_OK;
    for (size_t i = 0; i < count && status == LZT_OK; i++)
        status = find_extent(table, opened, pages[i], &extents[i], error);
    if (opened != NULL)
        lzt_page_close(opened);
    free(opened);
    return status;
}

enum lzt_status lzt_table_chunks(const struct lzt_table *table, uint64_t page, uint64_t *offsets, uint64_t capacity,
                                 struct lzt_error *error)
{
    if (page >= table->pages)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, page, table->pages);
    const struct lzt_layout *layout = &table->layouts[table->rows[page].layout];
    const uint64_t count = (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
    if (capacity < count)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 " has %" PRIu64 " chunks, there is room for %" PRIu64, page, count, capacity);
    struct lzt_page *opened = calloc(1, sizeof *opened);
    enum lzt_status status = opened == NULL ? lzt_fail_memory(error, sizeof *opened) : check_layout(table, page, error);
    if (status == LZT_OK)
        status = lzt_page_open(opened, table, page, error);
    for (uint64_t chunk = 0; chunk < count && status == LZT_OK; chunk++)
        status = find_chunk(opened, chunk, &offsets[chunk], error);
    if (opened != NULL)
        lzt_page_close(opened);
    free(opened);
    return status;
}
