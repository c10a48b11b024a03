/* The rooms of decoding backwards: coded.c from items to what a codec gets, decode.c from there to bytes. */
#include "encode.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "form.h"
#include "gather.h"
#include "layout.h"
#include "libtiff.h"
#include "predictor.h"
#include "samples.h"

/* ---- What becomes of a chunk on its way ----------------------------------------------------------------------------------- */

struct way {
    uint32_t rows, columns;           /* of the chunk */
    uint32_t page_rows, page_columns; /* of these, the ones that the page has */
    const uint8_t *first;             /* the first pixel */
    int64_t row_stride;
    struct lzt_steps steps;
    size_t row_items, pitch; /* items of a row, and its bytes as the codec gets them */
    int converted;           /* these differ from the items in more than byte order */
    int swaps_items, swaps_row;
    int dense; /* the items of a row lie side by side in the caller's memory */
};

/* Codecs that know what a sample is take it in this machine's byte order. */
static int encodes_natively(uint16_t compression)
{
    return compression == LZT_JPEG || compression == LZT_LERC || compression == LZT_WEBP || compression == LZT_CCITT_G4;
}

/* Where the chunk is on the page, and how much of it. 0: the page has no such chunk. */
static int find_place(struct way *way, const struct lzt_form *form, const struct lzt_pixels *pixels, uint64_t chunk)
{
    way->columns = form->chunk_columns != 0 ? form->chunk_columns : form->columns;
    const uint64_t across = lzt_parts(form->columns, way->columns);
    const uint64_t top = chunk / across * form->chunk_rows, left = chunk % across * way->columns;
    if (chunk / across >= lzt_parts(form->rows, form->chunk_rows))
        return 0;
    way->page_rows = lzt_min32(form->chunk_rows, form->rows - (uint32_t)top);
    way->page_columns = lzt_min32(way->columns, form->columns - (uint32_t)left);
    way->rows = form->chunk_columns != 0 ? form->chunk_rows : way->page_rows;
    way->first = (const uint8_t *)pixels->data + (int64_t)top * pixels->row_stride + (int64_t)left * pixels->column_stride;
    way->row_stride = pixels->row_stride;
    way->steps = (struct lzt_steps){pixels->column_stride, pixels->sample_stride, form->samples, form->item_size};
    return 1;
}

/* Predictors work on samples in this machine's byte order, and predictor 3 leaves none. */
static void choose_order(struct way *way, const struct lzt_form *form, int big_endian, int swapped)
{
    const int other = big_endian != lzt_machine_is_big_endian();
    way->swaps_items = way->swaps_row = 0;
    if (form->item_size == 1)
        return;
    if (way->converted || encodes_natively(form->compression))
        way->swaps_items = swapped;
    else
        way->swaps_items = swapped != other;
    way->swaps_row = form->predictor == 2 && other;
}

static int find_way(struct way *way, const struct lzt_form *form, int big_endian, const struct lzt_pixels *pixels, uint64_t chunk)
{
    if (!find_place(way, form, pixels, chunk))
        return 0;
    way->row_items = (size_t)way->columns * form->samples;
    way->pitch = form->kind == LZT_BOOL ? way->row_items / 8 + (way->row_items % 8 != 0) : way->row_items * form->item_size;
    way->converted = form->kind == LZT_BOOL || form->predictor != 1;
    way->dense = way->page_columns == way->columns && lzt_steps_are_dense(&way->steps, way->columns);
    choose_order(way, form, big_endian, pixels->swapped != 0);
    return 1;
}

/* ---- From the caller's pixels to what the codec gets ---------------------------------------------------------------------- */

/* Complex numbers are two. */
static void swap(const struct lzt_form *form, uint8_t *items, size_t size)
{
    const unsigned item_size = form->kind == LZT_COMPLEX ? form->item_size / 2u : form->item_size;
    lzt_swap(items, size / item_size, item_size);
}

static void gather(const struct way *way, const struct lzt_form *form, const uint8_t *from, uint8_t *items)
{
    const size_t pixel = (size_t)form->samples * form->item_size;
    lzt_gather_row(&way->steps, from, way->page_columns, items);
    for (uint32_t column = way->page_columns; column < way->columns; column++)
        memcpy(items + column * pixel, items + (way->page_columns - 1) * pixel, pixel);
    if (way->swaps_items)
        swap(form, items, way->row_items * form->item_size);
}

/* spare: room for two rows of items. */
static void make_row(const struct way *way, const struct lzt_form *form, const uint8_t *from, uint8_t *row, uint8_t *spare)
{
    uint8_t *const items = way->converted ? spare : row;
    if (!way->converted || !way->dense || way->swaps_items) {
        gather(way, form, from, items);
        from = items;
    }
    if (form->kind == LZT_BOOL)
        lzt_pack_bits(from, way->row_items, row);
    else if (form->predictor == 2)
        lzt_predict_horizontal(from, way->columns, form->samples, form->item_size, row);
    else if (form->predictor == 3)
        lzt_predict_float(from, way->columns, form->samples, form->item_size, row, spare + way->row_items * form->item_size);
    if (way->swaps_row)
        swap(form, row, way->pitch);
}

static void make_rows(const struct way *way, const struct lzt_form *form, uint8_t *rows, uint8_t *spare)
{
    for (uint32_t i = 0; i < way->page_rows; i++)
        make_row(way, form, way->first + (int64_t)i * way->row_stride, rows + i * way->pitch, spare);
    for (uint32_t i = way->page_rows; i < way->rows; i++)
        memcpy(rows + i * way->pitch, rows + (way->page_rows - 1) * way->pitch, way->pitch);
}

/* 1: the codec can read them where they are. */
static int are_ready(const struct way *way)
{
    return !way->converted && !way->swaps_items && way->dense && way->page_rows == way->rows &&
           (way->rows == 1 || way->row_stride == (int64_t)way->pitch);
}

static enum lzt_status take_room(uint8_t **bytes, size_t *room, uint64_t size, struct lzt_error *error)
{
    if (size <= *room)
        return LZT_OK;
    free(*bytes); /* what it holds is of no use any more */
    *room = 0;
    *bytes = size <= PTRDIFF_MAX ? malloc((size_t)size) : NULL;
    if (*bytes == NULL)
        return lzt_fail_memory(error, size);
    *room = (size_t)size;
    return LZT_OK;
}

/* ---- From there to bytes --------------------------------------------------------------------------------------------------- */

/* What a level of each codec is, which numbers it may be, and the one where the form has none. */
static const struct level {
    uint16_t compression;
    int whole;
    double least, most, usual;
    const char *name;
} levels[] = {
    {LZT_DEFLATE, 1, 0, 12, 4, "the effort of Deflate"}, {LZT_ZSTD, 1, 1, 22, 3, "the effort of ZSTD"},
    {LZT_LZMA, 1, 0, 9, 6, "the effort of LZMA"},        {LZT_JPEG, 1, 1, 100, 90, "the quality of JPEG"},
    {LZT_WEBP, 1, 1, 100, -1, "the quality of WebP"},    {LZT_LERC, 0, 0, 1e300, 0, "the largest error of LERC"},
};

static const struct level *level_of(uint16_t compression)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (levels[i].compression == compression)
            return &levels[i];
    return NULL;
}

enum lzt_status lzt_level_check(const struct lzt_form *form, struct lzt_error *error)
{
    const struct level *known = level_of(form->compression);
    if (form->level == -1)
        return LZT_OK;
    if (known == NULL)
        return lzt_fail(error, LZT_USAGE, "level %g, where Compression %u has none", form->level, form->compression);
    if (!(form->level >= known->least && form->level <= known->most))
        return known->whole ? lzt_fail(error, LZT_USAGE, "level %g, where %s is %g to %g", form->level, known->name, known->least, known->most)
                            : lzt_fail(error, LZT_USAGE, "level %g, where %s is a number from 0 on", form->level, known->name);
    if (known->whole && form->level != (int)form->level)
        return lzt_fail(error, LZT_USAGE, "level %g, where %s is a whole number", form->level, known->name);
    return LZT_OK;
}

/* Of the codecs that are written only JPEG looks at PhotometricInterpretation. Three samples that are no YCbCr are RGB to it, whatever the page
 * calls them: its streams have other component numbers then, by which decoders tell that nothing is to be converted. */
static uint16_t photometric_of(const struct lzt_form *form)
{
    if (form->compression != LZT_JPEG || form->samples != 3)
        return 1;
    return form->photometric == LZT_PHOTOMETRIC_YCBCR ? LZT_PHOTOMETRIC_YCBCR : LZT_PHOTOMETRIC_RGB;
}

static struct lzt_codec codec_of(const struct lzt_form *form, const struct way *way)
{
    struct lzt_codec codec;
    memset(&codec, 0, sizeof codec);
    codec.rows = way->rows;
    codec.columns = way->columns;
    codec.samples = (uint16_t)form->samples;
    codec.bits = lzt_form_bits(form);
    codec.sample_format = lzt_sample_format(form->kind, form->item_size);
    codec.compression = form->compression;
    codec.photometric = photometric_of(form);
    codec.fill_order = 1;
    codec.subsampling_across = codec.subsampling_down = codec.photometric == LZT_PHOTOMETRIC_YCBCR ? 2 : 1;
    return codec;
}

static void forget(struct lzt_encoder *encoder)
{
    lzt_tiff_close(encoder->tiff);
    encoder->tiff = NULL;
}

/* Have a handle for that codec. */
static enum lzt_status prepare(struct lzt_encoder *encoder, const struct lzt_form *form, const struct way *way, struct lzt_error *error)
{
    const struct lzt_codec codec = codec_of(form, way);
    const struct level *known = level_of(form->compression);
    const double level = known != NULL && form->level == -1 ? known->usual : form->level;
    if (encoder->tiff != NULL && !lzt_tiff_is_spent(encoder->tiff) && lzt_codec_equal(&encoder->codec, &codec) && encoder->level == level)
        return LZT_OK;
    forget(encoder);
    encoder->codec = codec;
    encoder->level = level;
    return lzt_tiff_open_encoding(&codec, level, &encoder->tiff, error);
}

static enum lzt_status compress(struct lzt_encoder *encoder, const uint8_t *rows, size_t length, struct lzt_error *error)
{
    struct lzt_output output = {encoder->bytes, 0, encoder->room};
    const enum lzt_status status = lzt_tiff_encode(encoder->tiff, rows, length, &output, error);
    encoder->bytes = output.bytes;
    encoder->room = output.room;
    encoder->length = status == LZT_OK ? output.length : 0;
    if (status != LZT_OK)
        forget(encoder); /* who knows in what state it is */
    return status;
}

/* ---- A chunk --------------------------------------------------------------------------------------------------------------- */

static enum lzt_status encode_plainly(struct lzt_encoder *encoder, const struct lzt_form *form, const struct way *way, uint64_t spare,
                                      struct lzt_error *error)
{
    enum lzt_status status = take_room(&encoder->bytes, &encoder->room, (uint64_t)way->rows * way->pitch, error);
    if (status == LZT_OK)
        status = take_room(&encoder->scratch, &encoder->scratch_room, spare, error);
    if (status != LZT_OK)
        return status;
    make_rows(way, form, encoder->bytes, encoder->scratch);
    encoder->length = way->rows * way->pitch;
    return LZT_OK;
}

/* LERC streams have a byte order of their own; libtiff 4.5 nevertheless exchanges that of what it decodes when the file's is not the
 * machine's. */
static int is_ambiguous(const struct lzt_form *form, int big_endian)
{
    return form->compression == LZT_LERC && form->item_size > 1 && big_endian != lzt_machine_is_big_endian();
}

enum lzt_status lzt_encode_chunk(struct lzt_encoder *encoder, const struct lzt_form *form, int big_endian, const struct lzt_pixels *pixels,
                                 uint64_t chunk, struct lzt_error *error)
{
    struct way way;
    encoder->length = 0;
    if (!find_way(&way, form, big_endian, pixels, chunk))
        return lzt_fail(error, LZT_USAGE, "chunk %" PRIu64 ": the page has fewer", chunk);
    if (is_ambiguous(form, big_endian))
        return lzt_fail(error, LZT_UNSUPPORTED, "readers disagree about LERC samples of more than 8 bits in files of this byte order");
    const uint64_t spare = way.converted ? 2 * (uint64_t)way.row_items * form->item_size : 0, length = (uint64_t)way.rows * way.pitch;
    if (form->compression == LZT_NONE)
        return encode_plainly(encoder, form, &way, spare, error);
    enum lzt_status status = prepare(encoder, form, &way, error);
    if (status != LZT_OK)
        return status;
    if (are_ready(&way))
        return compress(encoder, way.first, (size_t)length, error);
    status = take_room(&encoder->scratch, &encoder->scratch_room, length + spare, error);
    if (status != LZT_OK)
        return status;
    make_rows(&way, form, encoder->scratch, encoder->scratch + length);
    return compress(encoder, encoder->scratch, (size_t)length, error);
}

void lzt_encoder_close(struct lzt_encoder *encoder)
{
    forget(encoder);
    free(encoder->bytes);
    free(encoder->scratch);
    memset(encoder, 0, sizeof *encoder);
}
