#include "page.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "source.h"

enum { PAGE_STRETCH = 4096 };

struct opening {
    struct lzt_page *page;
    struct lzt_peek peek;
    const struct lzt_tag *tags;
    size_t count;
    struct lzt_error *error;
};

static const struct lzt_tag *find(const struct opening *opening, uint16_t number)
{
    const struct lzt_tag *tag = lzt_find_tag(opening->tags, opening->count, number);
    return tag == NULL || tag->problem ? NULL : tag;
}

/* A tag that may be missing or unreadable: then the value stays what it was. */
static enum lzt_status read_number(struct opening *opening, uint16_t number, uint64_t index, uint32_t *value)
{
    uint64_t wide;
    int fits;
    const struct lzt_tag *tag = find(opening, number);
    if (tag == NULL)
        return LZT_OK;
    enum lzt_status status =
        lzt_tag_number(&opening->peek, opening->page->table->format, tag, index, &wide, &fits, opening->error);
    if (status == LZT_OK && fits && wide <= UINT32_MAX)
        *value = (uint32_t)wide;
    return status;
}

/* The tag's bytes as they are in the file, in *bytes (NULL: there is no such tag, or it is longer than limit). */
static enum lzt_status read_bytes(struct opening *opening, uint16_t number, uint64_t limit, const uint8_t **bytes, uint64_t *length)
{
    const struct lzt_tag *tag = find(opening, number);
    *bytes = NULL;
    *length = 0;
    if (tag == NULL || tag->bytes > limit)
        return LZT_OK;
    *length = tag->bytes;
    return lzt_peek_at(&opening->peek, tag->offset, (size_t)tag->bytes, bytes, opening->error);
}

/* Value number index of a tag of fractions, which some writers store as whole numbers. */
static enum lzt_status read_fraction(struct opening *opening, const struct lzt_tag *tag, uint64_t index, float *value)
{
    const int is_signed = tag->type == LZT_SRATIONAL, big_endian = opening->page->table->format.big_endian;
    const uint8_t *bytes;
    uint32_t whole = 0;
    enum lzt_status status;
    if (tag->type != LZT_RATIONAL && !is_signed) {
        status = read_number(opening, tag->tag, index, &whole);
        *value = (float)whole;
        return status;
    }
    status = lzt_peek_at(&opening->peek, tag->offset + 8 * index, 8, &bytes, opening->error);
    if (status != LZT_OK)
        return status;
    const uint32_t above = lzt_get32(bytes, big_endian), below = lzt_get32(bytes + 4, big_endian);
    if (below == 0)
        *value = 0;
    else
        *value = (float)(is_signed ? (double)(int32_t)above / (int32_t)below : (double)above / below);
    return LZT_OK;
}

static enum lzt_status read_fractions(struct opening *opening, uint16_t number, float *values, uint64_t count)
{
    const struct lzt_tag *tag = find(opening, number);
    enum lzt_status status = LZT_OK;
    if (tag == NULL || tag->count < count)
        return LZT_OK;
    for (uint64_t i = 0; i < count && status == LZT_OK; i++)
        status = read_fraction(opening, tag, i, &values[i]);
    return status;
}

/* Defaults: TIFF 6.0, sections 20 and 21 (CCIR Recommendation 601-1). */
static enum lzt_status read_ycbcr(struct opening *opening)
{
    opening->page->ycbcr = (struct lzt_ycbcr){{0.299f, 0.587f, 0.114f}, {0, 255, 128, 255, 128, 255}};
    if (!lzt_layout_converts(opening->page->layout))
        return LZT_OK;
    enum lzt_status status = read_fractions(opening, LZT_TAG_YCBCR_COEFFICIENTS, opening->page->ycbcr.luma, 3);
    if (status == LZT_OK)
        status = read_fractions(opening, LZT_TAG_REFERENCE_BLACK_WHITE, opening->page->ycbcr.reference, 6);
    return status;
}

static enum lzt_status read_jpeg_tables(struct opening *opening)
{
    struct lzt_page *page = opening->page;
    const uint8_t *bytes;
    uint64_t length;
    if (page->layout->compression != LZT_JPEG)
        return LZT_OK;
    enum lzt_status status = read_bytes(opening, LZT_TAG_JPEG_TABLES, 1 << 20, &bytes, &length);
    if (status != LZT_OK || length == 0)
        return status;
    page->jpeg_tables = malloc((size_t)length);
    if (page->jpeg_tables == NULL)
        return lzt_fail_memory(opening->error, length);
    memcpy(page->jpeg_tables, bytes, (size_t)length);
    page->jpeg_tables_length = (uint32_t)length;
    return LZT_OK;
}

/* GDAL_NODATA is a number in decimal (GDAL, GeoTIFF driver); chunks that a sparse file leaves out have that value. */
static enum lzt_status read_nodata(struct opening *opening)
{
    const uint8_t *bytes;
    uint64_t length;
    char text[64] = {0}, *end;
    enum lzt_status status = read_bytes(opening, LZT_TAG_GDAL_NODATA, sizeof text - 1, &bytes, &length);
    if (status != LZT_OK || bytes == NULL)
        return status;
    memcpy(text, bytes, (size_t)length);
    opening->page->nodata = strtod(text, &end);
    if (*end == '.') { /* the program has chosen a locale whose decimal point is another one */
        *end = ',';
        opening->page->nodata = strtod(text, NULL);
    }
    return LZT_OK;
}

static enum lzt_status read_extra_samples(struct opening *opening)
{
    struct lzt_page *page = opening->page;
    const struct lzt_tag *tag = find(opening, LZT_TAG_EXTRA_SAMPLES);
    if (tag == NULL)
        return LZT_OK;
    page->extra_sample_count = (uint16_t)lzt_min64(lzt_min64(tag->count, LZT_MAX_EXTRA_SAMPLES), page->layout->stored_samples - 1u);
    for (uint16_t i = 0; i < page->extra_sample_count; i++) {
        uint32_t value = 0;
        enum lzt_status status = read_number(opening, LZT_TAG_EXTRA_SAMPLES, i, &value);
        if (status != LZT_OK)
            return status;
        page->extra_samples[i] = value <= 2 ? (uint16_t)value : 0;
    }
    return LZT_OK;
}

static enum lzt_status read_codec_tags(struct opening *opening)
{
    struct lzt_page *page = opening->page;
    enum lzt_status status = read_number(opening, LZT_TAG_T4_OPTIONS, 0, &page->t4_options);
    if (status == LZT_OK)
        status = read_number(opening, LZT_TAG_T6_OPTIONS, 0, &page->t6_options);
    for (uint64_t i = 0; i < 2 && status == LZT_OK; i++)
        status = read_number(opening, LZT_TAG_LERC_PARAMETERS, i, &page->lerc_parameters[i]);
    if (status == LZT_OK)
        status = read_jpeg_tables(opening);
    if (status == LZT_OK)
        status = read_extra_samples(opening);
    return status;
}

static void find_chunks(const struct opening *opening)
{
    struct lzt_page *page = opening->page;
    const int tiled = page->layout->tiled;
    const struct lzt_tag *offsets = find(opening, tiled ? LZT_TAG_TILE_OFFSETS : LZT_TAG_STRIP_OFFSETS);
    const struct lzt_tag *lengths = find(opening, tiled ? LZT_TAG_TILE_COUNTS : LZT_TAG_STRIP_COUNTS);
    /* Some writers use the strips' tags for tiles and the other way round; libtiff reads those too. */
    if (offsets == NULL)
        offsets = find(opening, tiled ? LZT_TAG_STRIP_OFFSETS : LZT_TAG_TILE_OFFSETS);
    if (lengths == NULL)
        lengths = find(opening, tiled ? LZT_TAG_STRIP_COUNTS : LZT_TAG_TILE_COUNTS);
    if (offsets != NULL)
        page->offsets.tag = *offsets;
    if (lengths != NULL)
        page->lengths.tag = *lengths;
}

static enum lzt_status read_page(struct opening *opening)
{
    struct lzt_page *page = opening->page;
    enum lzt_status status = lzt_layout_problem(page->layout, opening->error);
    if (status != LZT_OK)
        return status;
    if (!lzt_table_allows(page->table, page->layout->compression) || !lzt_codec_available(page->layout->compression))
        return lzt_fail(opening->error, LZT_UNSUPPORTED, "Compression %u %s", page->layout->compression,
                        lzt_codec_available(page->layout->compression) ? "is not among the allowed codecs (codecs=\"all\" adds the legacy ones)"
                                                                       : "is nothing that the linked libtiff can decode");
    find_chunks(opening);
    status = read_ycbcr(opening);
    if (status == LZT_OK)
        status = read_nodata(opening);
    if (status == LZT_OK && page->layout->compression != LZT_NONE)
        status = read_codec_tags(opening);
    return status;
}

enum lzt_status lzt_page_open(struct lzt_page *page, const struct lzt_table *table, uint64_t number, struct lzt_error *error)
{
    struct opening opening = {.page = page, .error = error};
    struct lzt_tag *tags;
    if (page->table == table && (page->number == number || (table->frame_bytes != 0 && number < table->pages))) {
        page->number = number; /* frames have everything in common but their place */
        return LZT_OK;
    }
    lzt_page_close(page);
    lzt_peek_open(&opening.peek, table->source, table->size, PAGE_STRETCH);
    enum lzt_status status = lzt_table_tags(table, &opening.peek, number, &tags, &opening.count, error);
    if (status == LZT_OK) {
        opening.tags = tags;
        page->table = table;
        page->number = number;
        page->layout = &table->layouts[table->rows[number].layout];
        status = read_page(&opening);
        free(tags);
    }
    lzt_peek_close(&opening.peek);
    if (status != LZT_OK)
        lzt_page_close(page);
    return lzt_fail_at(error, status, (int64_t)number, -1);
}

void lzt_page_close(struct lzt_page *page)
{
    free(page->jpeg_tables);
    free(page->old_jpeg);
    page->old_jpeg = NULL;
    page->table = NULL;
    page->layout = NULL;
    page->jpeg_tables = NULL;
    page->jpeg_tables_length = 0;
    page->t4_options = page->t6_options = 0;
    page->lerc_parameters[0] = page->lerc_parameters[1] = 0;
    page->extra_sample_count = 0;
    page->nodata = 0;
    page->offsets.tag.count = page->lengths.tag.count = 0;
    page->offsets.length = page->lengths.length = 0;
}

/* ---- Chunks ------------------------------------------------------------------------------------------------------------- */

/* Bring the stretch of the list that holds index into memory. */
static enum lzt_status fetch(const struct lzt_table *table, struct lzt_list *list, uint64_t index, struct lzt_error *error)
{
    uint8_t bytes[8 * LZT_LIST_ROOM];
    const unsigned size = lzt_type_size(list->tag.type);
    const int big_endian = table->format.big_endian;
    const uint64_t start = index - index % LZT_LIST_ROOM;
    const uint64_t length = lzt_min64(list->tag.count - start, LZT_LIST_ROOM);
    const struct lzt_range range = {list->tag.offset + start * size, length * size, bytes};
    enum lzt_status status = lzt_source_read(table->source, &range, 1, error);
    if (status != LZT_OK)
        return status;
    list->length = 0;
    for (uint64_t i = 0; i < length; i++) {
        const uint8_t *at = bytes + i * size;
        list->numbers[i] = size == 2   ? lzt_get16(at, big_endian)
                           : size == 4 ? lzt_get32(at, big_endian)
                           : size == 8 ? lzt_get64(at, big_endian)
                                       : at[0];
    }
    list->start = start;
    list->length = length;
    return LZT_OK;
}

static int holds_numbers(const struct lzt_tag *tag)
{
    return tag->type == LZT_BYTE || tag->type == LZT_SHORT || tag->type == LZT_LONG || tag->type == LZT_IFD || tag->type == LZT_LONG8 ||
           tag->type == LZT_IFD8;
}

static enum lzt_status look_up(struct lzt_page *page, struct lzt_list *list, uint64_t index, uint64_t *number, struct lzt_error *error)
{
    if (index < list->start || index - list->start >= list->length) {
        enum lzt_status status = fetch(page->table, list, index, error);
        if (status != LZT_OK)
            return status;
    }
    *number = list->numbers[index - list->start];
    return LZT_OK;
}

/* Strips at the lower edge are shorter, tiles never. */
uint64_t lzt_page_plain_bytes(const struct lzt_layout *layout, uint64_t chunk)
{
    uint32_t rows = layout->chunk_rows;
    const uint64_t row = chunk / layout->grid_columns % layout->grid_rows;
    if (!layout->tiled && row == layout->grid_rows - 1)
        rows = layout->rows - (uint32_t)row * layout->chunk_rows;
    return lzt_stored_bytes(layout, rows, layout->chunk_columns);
}

enum lzt_status lzt_page_chunk(struct lzt_page *page, uint64_t chunk, uint64_t *offset, uint64_t *length, struct lzt_error *error)
{
    if (chunk >= page->offsets.tag.count || !holds_numbers(&page->offsets.tag))
        return lzt_fail(error, LZT_CORRUPT, "the page says of %" PRIu64 " chunks where they are", page->offsets.tag.count);
    enum lzt_status status = look_up(page, &page->offsets, chunk, offset, error);
    if (status != LZT_OK)
        return status;
    *length = 0;
    if (chunk < page->lengths.tag.count && holds_numbers(&page->lengths.tag))
        status = look_up(page, &page->lengths, chunk, length, error);
    else if (page->layout->compression != LZT_NONE)
        return lzt_fail(error, LZT_CORRUPT, "the page says of %" PRIu64 " chunks how long they are", page->lengths.tag.count);
    /* Early writers left the lengths of uncompressed chunks out, or 0. */
    if (status == LZT_OK && *length == 0 && *offset != 0 && page->layout->compression == LZT_NONE)
        *length = lzt_page_plain_bytes(page->layout, chunk);
    if (*offset != 0)
        *offset += page->number * page->table->frame_bytes;
    return status;
}
