/* Chunks that have to be decoded, unpacked or converted: from their bytes in the file to items, and from there into the caller's arrays. */
#include <math.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "oldjpeg.h"
#include "predictor.h"
#include "reader.h"

/* What becomes of a chunk on its way. */
struct way {
    uint32_t rows, columns; /* of the chunk as it is decoded: tiles are whole even at the page's edge */
    unsigned samples;       /* items of a pixel */
    unsigned item_size;
    uint64_t stored_pitch, stored_length; /* as the codec gives it */
    uint64_t pitch;                       /* bytes of a row of items */
    int converted;                        /* items differ from what the codec gives in more than byte order */
};

static struct way way_of(const struct lzt_layout *layout, const struct lzt_place *place)
{
    struct way way;
    way.rows = layout->tiled ? layout->chunk_rows : place->rows;
    way.columns = layout->chunk_columns;
    way.samples = place->samples;
    way.item_size = layout->item_size;
    way.stored_pitch = lzt_stored_row_bytes(layout, way.columns);
    way.stored_length = lzt_stored_bytes(layout, way.rows, way.columns);
    way.pitch = (uint64_t)way.columns * way.samples * way.item_size;
    way.converted = lzt_layout_converts(layout) || layout->kind == LZT_BOOL ||
                    (layout->bits != 8 * layout->item_size && layout->compression != LZT_SGILOG && layout->compression != LZT_SGILOG24);
    return way;
}

/* ---- From what the codec gives to items ----------------------------------------------------------------------------------- */

/* Predictors work on samples in this machine's byte order. */
static enum lzt_status unpredict(struct lzt_reader *reader, const struct way *way, uint8_t *stored, struct lzt_error *error)
{
    const struct lzt_layout *layout = reader->page.layout;
    const unsigned samples = layout->planar == 2 ? 1 : layout->stored_samples;
    lzt_items_swap(layout, stored, way->stored_length);
    if (layout->predictor == 1)
        return LZT_OK;
    uint8_t *scratch = lzt_room_take(&reader->scratch, way->stored_pitch, error);
    if (scratch == NULL)
        return LZT_NO_MEMORY;
    for (uint32_t i = 0; i < way->rows; i++, stored += way->stored_pitch)
        if (layout->predictor == 2)
            lzt_unpredict_horizontal(stored, way->columns, samples, layout->bits / 8u);
        else
            lzt_unpredict_float(stored, way->columns, samples, layout->bits / 8u, scratch);
    return LZT_OK;
}

static void convert_ycbcr(const struct lzt_page *page, const struct way *way, const uint8_t *stored, uint8_t *items)
{
    const unsigned across = page->layout->subsampling_across, down = page->layout->subsampling_down;
    const uint64_t clump_row = lzt_parts(way->columns, across) * (across * down + 2);
    struct lzt_ycbcr_table table;
    lzt_ycbcr_prepare(&page->ycbcr, &table);
    for (uint32_t i = 0; i < way->rows; i++)
        lzt_ycbcr_row(&table, stored + i / down * clump_row, way->columns, across, down, i % down, items + i * way->pitch);
}

static void convert(const struct lzt_page *page, const struct way *way, const uint8_t *stored, uint8_t *items)
{
    const struct lzt_layout *layout = page->layout;
    const size_t count = (size_t)way->columns * way->samples;
    if (lzt_layout_converts(layout)) {
        convert_ycbcr(page, way, stored, items);
        return;
    }
    for (uint32_t i = 0; i < way->rows; i++, stored += way->stored_pitch, items += way->pitch)
        if (layout->kind == LZT_FLOAT)
            lzt_widen_float24(stored, count, items);
        else
            lzt_unpack(stored, count, layout->bits, layout->kind == LZT_INT, items);
}

/* ---- From items into the caller's arrays ---------------------------------------------------------------------------------- */

/* Where the items of the whole chunk may be made so that they need not be moved; NULL: nowhere. */
static uint8_t *final_place(const struct lzt_task *task, const struct way *way)
{
    if (task->place.columns != way->columns || task->place.rows != way->rows)
        return NULL; /* a tile that the page's edge cuts */
    if (!task->wanted)
        return task->job->keep;
    const int contiguous = task->cut.rows.count == way->rows && task->cut.rows.step == 1 && task->cut.columns.count == way->columns &&
                           task->window->row_stride == (int64_t)way->pitch &&
                           lzt_cut_has_whole_pixels(&task->cut, task->window, way->samples, way->item_size);
    return contiguous ? lzt_cut_target(&task->cut, task->window, task->job->target) : task->job->keep;
}

static void hand_over(const struct lzt_task *task, const struct way *way, const uint8_t *items)
{
    uint8_t *const keep = task->job->keep;
    const struct lzt_window whole = lzt_window_of(&task->place, way->item_size);
    struct lzt_cut cut;
    if (keep != NULL && keep != items && lzt_window_cut(&whole, &task->place, &cut))
        lzt_window_copy(&cut, &whole, items, way->pitch, way->samples, way->item_size, keep);
    if (task->wanted && lzt_cut_target(&task->cut, task->window, task->job->target) != items)
        lzt_window_copy(&task->cut, task->window, items, way->pitch, way->samples, way->item_size, task->job->target);
}

static enum lzt_status finish(struct lzt_reader *reader, const struct lzt_task *task, const struct way *way, uint8_t *stored,
                              uint8_t *items, struct lzt_error *error)
{
    enum lzt_status status = unpredict(reader, way, stored, error);
    if (status != LZT_OK)
        return status;
    if (way->converted)
        convert(&reader->page, way, stored, items);
    hand_over(task, way, items);
    return LZT_OK;
}

/* ---- A chunk -------------------------------------------------------------------------------------------------------------- */

static enum lzt_status decode(struct lzt_reader *reader, const struct way *way, uint8_t *input, uint64_t length, uint8_t *stored,
                              struct lzt_error *error)
{
    const struct lzt_layout *layout = reader->page.layout;
    const struct lzt_codec codec = lzt_codec_of(&reader->page, way->rows);
    if (layout->fill_order == 2 && codec.fill_order == 1)
        lzt_reverse_bits(input, (size_t)length);
    const struct lzt_stream stream = {input, (size_t)length, stored, (size_t)way->stored_length,
                                      lzt_stored_bytes(layout, layout->chunk_rows, layout->chunk_columns)};
    if (layout->compression != LZT_NONE)
        return lzt_decode(reader->decoder, &codec, &stream, error);
    if (length < way->stored_length)
        return lzt_fail(error, LZT_DECODE, "it ends early: %llu of %llu bytes are there", (unsigned long long)length,
                        (unsigned long long)way->stored_length);
    memcpy(stored, input, (size_t)way->stored_length);
    return LZT_OK;
}

/* Old-style JPEG is decoded out of the whole file, of which the reader keeps a copy for the page's other chunks. */
static enum lzt_status decode_old_jpeg(struct lzt_reader *reader, const struct way *way, uint64_t chunk, uint8_t *stored,
                                       struct lzt_error *error)
{
    struct lzt_page *page = &reader->page;
    if (page->old_jpeg == NULL) {
        enum lzt_status status = lzt_old_jpeg_tiff(page, &page->old_jpeg, &page->old_jpeg_length, error);
        if (status != LZT_OK)
            return status;
    }
    return lzt_decode_old_jpeg(page->old_jpeg, page->old_jpeg_length, page->layout, chunk, stored, (size_t)way->stored_length, error);
}

/* Room for the items, and for the stored samples when those differ. */
static enum lzt_status find_room(struct lzt_reader *reader, const struct lzt_task *task, const struct way *way, uint8_t **stored,
                                 uint8_t **items, struct lzt_error *error)
{
    *items = final_place(task, way);
    if (*items == NULL)
        *items = lzt_room_take(&reader->items, way->rows * way->pitch, error);
    if (*items == NULL)
        return LZT_NO_MEMORY;
    *stored = way->converted ? lzt_room_take(&reader->stored, way->stored_length, error) : *items;
    return *stored == NULL ? LZT_NO_MEMORY : LZT_OK;
}

enum lzt_status lzt_coded_read(struct lzt_reader *reader, const struct lzt_task *task, struct lzt_error *error)
{
    const struct lzt_layout *layout = reader->page.layout;
    const struct way way = way_of(layout, &task->place);
    uint8_t *stored, *items;
    enum lzt_status status = find_room(reader, task, &way, &stored, &items, error);
    if (status == LZT_OK && layout->compression == LZT_OLD_JPEG)
        status = decode_old_jpeg(reader, &way, task->job->chunk, stored, error);
    else if (status == LZT_OK)
        status = decode(reader, &way, task->input, task->length, stored, error);
    return status == LZT_OK ? finish(reader, task, &way, stored, items, error) : status;
}

/* ---- Chunks that are not there -------------------------------------------------------------------------------------------- */

/* The number as an integer of the layout's type; 0 when it has no place there. */
static uint64_t whole_number(const struct lzt_layout *layout, double number)
{
    const int is_signed = layout->kind == LZT_INT;
    if (layout->item_size > 8)
        return 0; /* complex */
    const double end = (double)(UINT64_C(1) << (8 * layout->item_size - 1)) * (is_signed ? 1 : 2);
    if (number == end && layout->item_size == 8)
        return is_signed ? INT64_MAX : UINT64_MAX; /* the nearest double of the largest integer is one more */
    if (!(number >= (is_signed ? -end : 0) && number < end))
        return 0;
    return number < 0 ? (uint64_t)(int64_t)number : (uint64_t)number;
}

/* The number as an item of the layout's type, in its first item_size bytes; 0: there is no way to write it. */
static int make_item(const struct lzt_layout *layout, double number, uint8_t item[16])
{
    const uint64_t whole = whole_number(layout, number);
    const float single = (float)number;
    memset(item, 0, 16);
    if (layout->kind == LZT_BOOL)
        item[0] = whole != 0;
    else if (layout->kind == LZT_FLOAT && layout->item_size == 4)
        memcpy(item, &single, sizeof single);
    else if (layout->kind == LZT_FLOAT && layout->item_size == 8)
        memcpy(item, &number, sizeof number);
    else if (layout->kind == LZT_UINT || layout->kind == LZT_INT)
        memcpy(item, (const uint8_t *)&whole + (lzt_machine_is_big_endian() ? 8 - layout->item_size : 0), layout->item_size);
    else
        return number == 0;
    return 1;
}

/* Fill the cut with the row, of that many columns and all alike, again and again. */
static void fill(struct lzt_cut cut, const struct lzt_window *window, const uint8_t *row, uint32_t columns, const struct way *way,
                 uint8_t *target)
{
    uint32_t left = cut.columns.count;
    cut.columns.first = 0;
    cut.columns.step = 1;
    while (left > 0) {
        cut.columns.count = lzt_min32(left, columns);
        lzt_window_copy(&cut, window, row, 0, way->samples, way->item_size, target); /* pitch 0: every row is this one */
        cut.columns.index += cut.columns.count;
        left -= cut.columns.count;
    }
}

enum lzt_status lzt_coded_read_sparse(struct lzt_reader *reader, const struct lzt_task *task, struct lzt_error *error)
{
    enum { ROW = 64 << 10 }; /* bytes: the file may claim rows of any length */
    const struct lzt_layout *layout = reader->page.layout;
    const struct way way = way_of(layout, &task->place);
    const size_t pixel = (size_t)way.samples * way.item_size;
    const uint32_t columns = lzt_min32(task->place.columns, (uint32_t)(ROW / pixel) + 1);
    uint8_t item[16];
    uint8_t *row = lzt_room_take(&reader->scratch, columns * pixel, error);
    if (row == NULL)
        return LZT_NO_MEMORY;
    if (!make_item(layout, reader->page.nodata, item))
        return lzt_fail(error, LZT_UNSUPPORTED, "it is left out of the file, and its GDAL_NODATA has no such sample");
    for (size_t i = 0; i < columns * pixel; i += way.item_size)
        memcpy(row + i, item, way.item_size);
    if (task->job->keep != NULL) {
        struct lzt_cut cut;
        const struct lzt_window window = lzt_window_of(&task->place, way.item_size);
        lzt_window_cut(&window, &task->place, &cut);
        fill(cut, &window, row, columns, &way, task->job->keep);
    }
    if (task->wanted)
        fill(task->cut, task->window, row, columns, &way, task->job->target);
    return LZT_OK;
}
