/* forms.h - what the C tests of encoding share: pages of every kind of sample, laid out in memory in every way, and encoded. */
#ifndef FORMS_H
#define FORMS_H

#include "encode.h"
#include "layout.h"
#include "libtiff_pages.h"

enum { FORM_ROWS = 37, FORM_COLUMNS = 50, MOST_CHUNKS = 64 };

static const uint16_t all_codecs[] = {LZT_NONE,     LZT_CCITT_G4, LZT_LZW,  LZT_JPEG, LZT_DEFLATE,
                                      LZT_PACKBITS, LZT_LERC,     LZT_LZMA, LZT_ZSTD, LZT_WEBP};
static const uint16_t all_kinds[][2] = {{LZT_BOOL, 1},  {LZT_UINT, 1},  {LZT_UINT, 2},  {LZT_UINT, 4},    {LZT_UINT, 8},
                                        {LZT_INT, 1},   {LZT_INT, 2},   {LZT_INT, 4},   {LZT_INT, 8},     {LZT_FLOAT, 2},
                                        {LZT_FLOAT, 4}, {LZT_FLOAT, 8}, {LZT_COMPLEX, 8}, {LZT_COMPLEX, 16}};
enum { CODECS = sizeof all_codecs / sizeof *all_codecs, KINDS = sizeof all_kinds / sizeof *all_kinds };

static inline struct lzt_form form_of(uint16_t kind, uint16_t item_size, uint32_t samples, uint16_t compression)
{
    return (struct lzt_form){.size = sizeof(struct lzt_form),
                             .rows = FORM_ROWS,
                             .columns = FORM_COLUMNS,
                             .samples = samples,
                             .kind = kind,
                             .item_size = item_size,
                             .compression = compression,
                             .predictor = 1,
                             .chunk_rows = 16,
                             .photometric = 1,
                             .level = -1};
}

static inline size_t form_bytes(const struct lzt_form *form) { return (size_t)form->rows * form->columns * form->samples * form->item_size; }

/* ---- Pixels ---- */

static inline void put_float(uint8_t *item, uint16_t size, uint32_t value)
{
    const uint16_t half = (uint16_t)(0x3c00 + value); /* 1 and up */
    const float single = (float)value / 16;
    const double wide = value / 3.0;
    memcpy(item, size == 2 ? (const void *)&half : size == 4 ? (const void *)&single : (const void *)&wide, size);
}

static inline void put_item(const struct lzt_form *form, uint8_t *item, uint32_t value)
{
    const uint64_t number = form->kind == LZT_INT ? (uint64_t)((int64_t)value - 150) : value * (form->item_size > 1 ? 97u : 1u);
    if (form->kind == LZT_BOOL)
        *item = value / 16 & 1;
    else if (form->kind == LZT_FLOAT)
        put_float(item, form->item_size, value);
    else if (form->kind == LZT_COMPLEX)
        for (unsigned part = 0; part < 2; part++)
            put_float(item + part * form->item_size / 2, form->item_size / 2, value + 7 * part);
    else
        memcpy(item, &number, form->item_size); /* little-endian, as the machines that the tests run on */
}

/* The page's items in C order. */
static inline uint8_t *make_items(const struct lzt_form *form)
{
    uint8_t *items = malloc(form_bytes(form)), *item = items;
    CHECK(items != NULL);
    for (uint32_t r = 0; r < form->rows; r++)
        for (uint32_t c = 0; c < form->columns; c++)
            for (uint32_t s = 0; s < form->samples; s++, item += form->item_size)
                put_item(form, item, picture(r, c, s));
    return items;
}

/* ---- Pixels, wherever they are ---- */

enum { DENSE, REVERSED, PLANES, TRANSPOSED, GAPS, ROW_GAPS, ARRANGEMENTS };

struct arranged {
    struct guarded memory; /* that can only be read, and ends with the last item */
    struct lzt_pixels pixels;
};

static inline struct lzt_pixels strides_of(const struct lzt_form *form, int arrangement)
{
    const int64_t item = form->item_size, rows = form->rows, columns = form->columns, samples = form->samples, pixel = item * samples;
    switch (arrangement) {
    case REVERSED: return (struct lzt_pixels){.row_stride = -columns * pixel, .column_stride = -pixel, .sample_stride = -item};
    case PLANES: return (struct lzt_pixels){.row_stride = columns * item, .column_stride = item, .sample_stride = rows * columns * item};
    case TRANSPOSED: return (struct lzt_pixels){.row_stride = pixel, .column_stride = rows * pixel, .sample_stride = item};
    case GAPS: return (struct lzt_pixels){.row_stride = columns * (2 * pixel + 1) + 5, .column_stride = 2 * pixel + 1, .sample_stride = item};
    case ROW_GAPS: return (struct lzt_pixels){.row_stride = columns * pixel + 3, .column_stride = pixel, .sample_stride = item};
    default: return (struct lzt_pixels){.row_stride = columns * pixel, .column_stride = pixel, .sample_stride = item};
    }
}

static inline void put_arranged(const struct lzt_form *form, const uint8_t *item, int swapped, uint8_t *to)
{
    const size_t size = form->item_size, unit = form->kind == LZT_COMPLEX ? size / 2 : size;
    for (size_t i = 0; i < size; i++)
        to[i] = item[swapped ? i - i % unit + unit - 1 - i % unit : i];
}

static inline struct arranged arrange(const struct lzt_form *form, const uint8_t *items, int arrangement, int swapped)
{
    struct arranged arranged = {.pixels = strides_of(form, arrangement)};
    struct lzt_pixels *const pixels = &arranged.pixels;
    const int64_t row = (form->rows - 1) * pixels->row_stride, column = (form->columns - 1) * pixels->column_stride,
                  sample = (form->samples - 1) * pixels->sample_stride, before = arrangement == REVERSED ? -(row + column + sample) : 0;
    arranged.memory = guarded_new((size_t)(before + (arrangement == REVERSED ? 0 : row + column + sample) + form->item_size));
    for (uint32_t r = 0; r < form->rows; r++)
        for (uint32_t c = 0; c < form->columns; c++)
            for (uint32_t s = 0; s < form->samples; s++, items += form->item_size)
                put_arranged(form, items, swapped,
                             arranged.memory.bytes + before + r * pixels->row_stride + c * pixels->column_stride + s * pixels->sample_stride);
    pixels->data = arranged.memory.bytes + before;
    pixels->swapped = (uint32_t)swapped;
    CHECK(mprotect(arranged.memory.map, arranged.memory.map_size - (size_t)sysconf(_SC_PAGESIZE), PROT_READ) == 0);
    return arranged;
}

/* ---- Chunks ---- */

struct chunks {
    struct tiff_chunk all[MOST_CHUNKS];
    size_t count;
};

static inline size_t chunks_of(const struct lzt_form *form)
{
    const uint32_t width = form->chunk_columns ? form->chunk_columns : form->columns;
    return (size_t)((form->rows - 1) / form->chunk_rows + 1) * ((form->columns - 1) / width + 1);
}

static inline struct chunks encode_form(struct lzt_encoder *encoder, const struct lzt_form *form, int big_endian,
                                        const struct lzt_pixels *pixels)
{
    struct chunks chunks = {.count = chunks_of(form)};
    struct lzt_error error;
    CHECK(chunks.count <= MOST_CHUNKS);
    for (size_t i = 0; i < chunks.count; i++) {
        check_status(lzt_encode_chunk(encoder, form, big_endian, pixels, i, &error), LZT_OK, &error, "");
        CHECK(encoder->length > 0 && encoder->length <= encoder->room);
        uint8_t *bytes = malloc(encoder->length);
        CHECK(bytes != NULL);
        memcpy(bytes, encoder->bytes, encoder->length);
        chunks.all[i] = (struct tiff_chunk){bytes, encoder->length};
    }
    return chunks;
}

static inline void chunks_free(struct chunks *chunks)
{
    for (size_t i = 0; i < chunks->count; i++)
        free((void *)chunks->all[i].bytes);
}

static inline void check_same_chunks(const struct chunks *a, const struct chunks *b)
{
    CHECK(a->count == b->count);
    for (size_t i = 0; i < a->count; i++)
        CHECK(a->all[i].size == b->all[i].size && memcmp(a->all[i].bytes, b->all[i].bytes, a->all[i].size) == 0);
}

/* A page of these chunks. */
static inline struct tiff_builder page_of_chunks(const struct lzt_form *form, int big_endian, const struct chunks *chunks)
{
    struct tiff_builder tiff = tiff_new(0, big_endian);
    static const uint16_t subsampling[] = {2, 2};
    static const uint32_t lerc[] = {LERC_VERSION_2_4, LERC_ADD_COMPRESSION_NONE};
    uint16_t bits[16], formats[16];
    struct tiff_entry extra[8];
    size_t count = 0;
    CHECK(form->samples <= 16);
    for (size_t i = 0; i < form->samples; i++) {
        bits[i] = form->kind == LZT_BOOL ? 1 : (uint16_t)(8 * form->item_size);
        formats[i] = form->kind == LZT_INT ? 2 : form->kind == LZT_FLOAT ? 3 : form->kind == LZT_COMPLEX ? 6 : 1;
    }
    tiff_insert(extra, &count, (struct tiff_entry){258, FIELD_SHORT, form->samples, bits, 0});
    tiff_insert(extra, &count, (struct tiff_entry){339, FIELD_SHORT, form->samples, formats, 0});
    if (form->predictor != 1)
        tiff_insert(extra, &count, (struct tiff_entry){317, FIELD_SHORT, 1, NULL, form->predictor});
    if (form->photometric == PHOTOMETRIC_YCBCR)
        tiff_insert(extra, &count, (struct tiff_entry){530, FIELD_SHORT, 2, subsampling, 0});
    if (form->compression == LZT_LERC)
        tiff_insert(extra, &count, (struct tiff_entry){50674, FIELD_LONG, 2, lerc, 0});
    tiff_add_image(&tiff, &(struct tiff_image){.rows = form->rows, .columns = form->columns, .chunk_rows = form->chunk_rows,
                                               .chunk_columns = form->chunk_columns, .samples = (uint16_t)form->samples,
                                               .compression = form->compression, .photometric = (uint16_t)form->photometric,
                                               .chunks = chunks->all, .extra = extra, .extra_count = count});
    return tiff;
}

#endif
