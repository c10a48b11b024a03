/* Encoding chunks: whatever goes in comes out again, by our own way of reading and by libtiff's, from any place in memory. */
#include "forms.h"

static int smallest_difference_that_counts; /* of samples of 8 bits; 1: every one */

/* ---- Out again ---- */

static void check_items(const struct lzt_form *form, const uint8_t *items, const uint8_t *expected)
{
    if (smallest_difference_that_counts == 1) {
        CHECK(memcmp(items, expected, form_bytes(form)) == 0);
        return;
    }
    double sum = 0;
    for (size_t i = 0; i < form_bytes(form); i++) {
        CHECK(abs(items[i] - expected[i]) < smallest_difference_that_counts);
        sum += abs(items[i] - expected[i]);
    }
    CHECK(sum > 0 && sum / (double)form_bytes(form) < smallest_difference_that_counts / 6.0);
}

static void check_by_lazytiff(const struct lzt_form *form, const struct tiff_builder *tiff, const uint8_t *expected)
{
    struct opened opened = open_built(tiff);
    const struct lzt_layout *layout = layout_of(&opened, 0);
    CHECK(layout->kind == form->kind && layout->item_size == form->item_size && layout->samples == form->samples);
    CHECK(layout->compression == form->compression && layout->predictor == form->predictor);
    struct guarded pixels = read_pixels(&opened, 0);
    check_items(form, pixels.bytes, expected);
    guarded_free(&pixels);
    close_all(&opened);
}

static void check_by_libtiff(const struct lzt_form *form, const struct tiff_builder *tiff, const uint8_t *expected)
{
    const struct encoding encoding = {.compression = form->compression,
                                      .photometric = (uint16_t)form->photometric,
                                      .bits = form->kind == LZT_BOOL ? 1 : (uint16_t)(8 * form->item_size),
                                      .samples = (uint16_t)form->samples,
                                      .rows = form->rows,
                                      .columns = form->columns,
                                      .chunk_rows = form->chunk_rows,
                                      .tile_columns = form->chunk_columns};
    struct memory memory = {.file = *tiff};
    size_t size;
    uint8_t *items = decode_by_libtiff(&memory, &encoding, &size);
    CHECK(size == form_bytes(form));
    check_items(form, items, expected);
    free(items);
}

static void check_back(const struct lzt_form *form, int big_endian, const struct chunks *chunks, const uint8_t *expected)
{
    struct tiff_builder tiff = page_of_chunks(form, big_endian, chunks);
    check_by_lazytiff(form, &tiff, expected);
    check_by_libtiff(form, &tiff, expected);
    tiff_free(&tiff);
}

/* ---- Every form ---- */

/* From any place in memory and in either byte order the bytes are the same; but those of LERC, since libLerc's Huffman codes have some of
 * uninitialised memory in them, only mean the same. */
static void check_arrangement(struct lzt_encoder *encoder, const struct lzt_form *form, int orders, const struct lzt_pixels *pixels,
                              const uint8_t *items, const struct chunks expected[2])
{
    for (int big_endian = 0; big_endian < orders; big_endian++) {
        struct chunks chunks = encode_form(encoder, form, big_endian, pixels);
        if (form->compression == LZT_LERC)
            check_back(form, big_endian, &chunks, items);
        else
            check_same_chunks(&chunks, &expected[big_endian]);
        chunks_free(&chunks);
    }
}

static void check_arrangements(struct lzt_encoder *encoder, const struct lzt_form *form, int orders, const uint8_t *items,
                               const struct chunks expected[2])
{
    for (int arrangement = 0; arrangement < ARRANGEMENTS; arrangement++)
        for (int swapped = 0; swapped < (form->item_size > 1 ? 2 : 1); swapped++) {
            struct arranged arranged = arrange(form, items, arrangement, swapped);
            check_arrangement(encoder, form, orders, &arranged.pixels, items, expected);
            guarded_free(&arranged.memory);
        }
}

static void check_form(struct lzt_encoder *encoder, const struct lzt_form *form)
{
    const int orders = form->compression == LZT_LERC && form->item_size > 1 ? 1 : 2;
    uint8_t *items = make_items(form);
    struct lzt_pixels pixels = strides_of(form, DENSE);
    struct chunks chunks[2];
    struct lzt_error error;
    pixels.data = items;
    check_status(lzt_encode_check(form, &error), LZT_OK, &error, "");
    for (int big_endian = 0; big_endian < orders; big_endian++) {
        chunks[big_endian] = encode_form(encoder, form, big_endian, &pixels);
        check_back(form, big_endian, &chunks[big_endian], items);
    }
    if (form->chunk_rows < form->rows)
        check_arrangements(encoder, form, orders, items, chunks);
    for (int big_endian = 0; big_endian < orders; big_endian++)
        chunks_free(&chunks[big_endian]);
    free(items);
}

/* In strips of which the last is shorter, in one strip, and in tiles that the page's edges cut. */
static void check_grids(struct lzt_encoder *encoder, struct lzt_form form)
{
    check_form(encoder, &form);
    form.chunk_columns = 32;
    check_form(encoder, &form);
    form.chunk_columns = 0;
    form.chunk_rows = form.rows;
    check_form(encoder, &form);
}

static int is_refused(const struct lzt_form *form) { return lzt_encode_check(form, NULL) != LZT_OK; }

/* Every codec, kind of sample, number of samples and predictor that go together. */
static void test_every_form(void)
{
    struct lzt_encoder encoder = {0};
    size_t count = 0;
    for (size_t codec = 0; codec < CODECS; codec++)
        for (size_t kind = 0; kind < KINDS; kind++)
            for (uint32_t samples = 1; samples < 5; samples++)
                for (uint16_t predictor = 1; predictor < 4; predictor++) {
                    struct lzt_form form = form_of(all_kinds[kind][0], all_kinds[kind][1], samples, all_codecs[codec]);
                    form.predictor = predictor;
                    form.level = form.compression == LZT_LZMA ? 0 : -1; /* others take it much memory and time */
                    const int is_dull = samples == 2 || (samples == 4 && form.item_size > 1);
                    if (is_dull || is_refused(&form) || (form.compression == LZT_LERC && is_under_valgrind()))
                        continue;
                    smallest_difference_that_counts = form.compression == LZT_JPEG ? 40 : 1;
                    check_grids(&encoder, form);
                    count++;
                }
    printf("%zu forms\n", count);
    lzt_encoder_close(&encoder);
    CHECK(count > 100);
}

/* RGB becomes YCbCr and RGB again, at half the resolution of its colours. */
static void test_jpeg_colours(void)
{
    struct lzt_encoder encoder = {0};
    struct lzt_form form = form_of(LZT_UINT, 1, 3, LZT_JPEG);
    smallest_difference_that_counts = 100;
    form.photometric = PHOTOMETRIC_YCBCR;
    check_grids(&encoder, form);
    smallest_difference_that_counts = 40;
    form.photometric = PHOTOMETRIC_RGB;
    check_grids(&encoder, form);
    lzt_encoder_close(&encoder);
}

/* Of lossy WebP too; its streams of 4 samples bring their transparency along. */
static void test_lossy_webp(void)
{
    struct lzt_encoder encoder = {0};
    for (uint32_t samples = 3; samples < 5; samples++) {
        struct lzt_form form = form_of(LZT_UINT, 1, samples, LZT_WEBP);
        struct lzt_pixels pixels = strides_of(&form, DENSE);
        uint8_t *items = malloc(form_bytes(&form));
        CHECK(items != NULL);
        for (size_t i = 0; i < form_bytes(&form); i++)
            items[i] = i % samples == 3 ? 255 : (uint8_t)(i / samples % FORM_COLUMNS * 3 + i / samples / FORM_COLUMNS * 2);
        pixels.data = items;
        form.level = 95;
        smallest_difference_that_counts = 16;
        if (!is_refused(&form)) {
            struct chunks chunks = encode_form(&encoder, &form, 0, &pixels);
            check_back(&form, 0, &chunks, items);
            chunks_free(&chunks);
        }
        free(items);
    }
    lzt_encoder_close(&encoder);
}

/* ---- Levels ---- */

static size_t encoded_size(uint16_t compression, uint32_t samples, double level)
{
    struct lzt_encoder encoder = {0};
    struct lzt_form form = form_of(LZT_UINT, 1, samples, compression);
    form.level = level;
    uint8_t *items = make_items(&form);
    struct arranged arranged = arrange(&form, items, DENSE, 0);
    struct chunks chunks = encode_form(&encoder, &form, 0, &arranged.pixels);
    size_t size = 0;
    for (size_t i = 0; i < chunks.count; i++)
        size += chunks.all[i].size;
    if (compression != LZT_JPEG && compression != LZT_WEBP && compression != LZT_LERC) {
        smallest_difference_that_counts = 1;
        check_back(&form, 0, &chunks, items);
    }
    chunks_free(&chunks);
    guarded_free(&arranged.memory);
    free(items);
    lzt_encoder_close(&encoder);
    return size;
}

/* Higher levels mean smaller or better chunks; the default is the level that the header says. */
static void test_levels(void)
{
    CHECK(encoded_size(LZT_DEFLATE, 1, 0) > encoded_size(LZT_DEFLATE, 1, 1));
    CHECK(encoded_size(LZT_DEFLATE, 1, 1) > encoded_size(LZT_DEFLATE, 1, 12));
    CHECK(encoded_size(LZT_DEFLATE, 1, -1) == encoded_size(LZT_DEFLATE, 1, 4));
    CHECK(encoded_size(LZT_ZSTD, 1, 1) > encoded_size(LZT_ZSTD, 1, 22));
    CHECK(encoded_size(LZT_ZSTD, 1, -1) == encoded_size(LZT_ZSTD, 1, 3));
    CHECK(encoded_size(LZT_LZMA, 1, 0) >= encoded_size(LZT_LZMA, 1, 9));
    CHECK(encoded_size(LZT_LZMA, 1, -1) == encoded_size(LZT_LZMA, 1, 6));
    CHECK(encoded_size(LZT_JPEG, 1, 10) < encoded_size(LZT_JPEG, 1, 100));
    CHECK(encoded_size(LZT_JPEG, 1, -1) == encoded_size(LZT_JPEG, 1, 90));
    CHECK(encoded_size(LZT_WEBP, 3, 10) < encoded_size(LZT_WEBP, 3, 100));
    CHECK(encoded_size(LZT_WEBP, 3, 10) < encoded_size(LZT_WEBP, 3, -1));
    if (!is_under_valgrind())
        CHECK(encoded_size(LZT_LERC, 1, 10) < encoded_size(LZT_LERC, 1, -1));
}

/* LERC keeps its promise about the largest error, and uses it. */
static void test_lerc_error(void)
{
    const double most = 0.75;
    struct lzt_encoder encoder = {0};
    struct lzt_form form = form_of(LZT_FLOAT, 4, 1, LZT_LERC);
    form.level = most;
    if (is_under_valgrind())
        return;
    float *items = (float *)make_items(&form), worst = 0;
    struct lzt_pixels pixels = strides_of(&form, DENSE);
    pixels.data = items;
    struct chunks chunks = encode_form(&encoder, &form, 0, &pixels);
    struct tiff_builder tiff = page_of_chunks(&form, 0, &chunks);
    struct opened opened = open_built(&tiff);
    struct guarded read = read_pixels(&opened, 0);
    for (size_t i = 0; i < FORM_ROWS * FORM_COLUMNS; i++) {
        float item;
        memcpy(&item, read.bytes + 4 * i, sizeof item);
        const float difference = item > items[i] ? item - items[i] : items[i] - item;
        worst = difference > worst ? difference : worst;
    }
    CHECK(worst > 0 && (double)worst <= most);
    guarded_free(&read);
    close_all(&opened);
    tiff_free(&tiff);
    chunks_free(&chunks);
    free(items);
    lzt_encoder_close(&encoder);
}

/* ---- One thing at a time ---- */

/* What a tile has beyond the page are copies of its last column and row. */
static void test_edge_tiles(void)
{
    struct lzt_encoder encoder = {0};
    struct lzt_form form = form_of(LZT_UINT, 2, 3, LZT_NONE);
    form.chunk_columns = 32;
    uint8_t *items = make_items(&form);
    struct lzt_pixels pixels = strides_of(&form, DENSE);
    pixels.data = items;
    CHECK(lzt_encode_chunk(&encoder, &form, 1, &pixels, 5, NULL) == LZT_OK && encoder.length == 16 * 32 * 6);
    for (uint32_t r = 0; r < 16; r++)
        for (uint32_t c = 0; c < 32; c++)
            for (uint32_t i = 0; i < 6; i++) {
                const uint32_t row = 32 + r < FORM_ROWS ? 32 + r : FORM_ROWS - 1, column = 32 + c < FORM_COLUMNS ? 32 + c : FORM_COLUMNS - 1;
                CHECK(encoder.bytes[(r * 32 + c) * 6 + i] == items[(row * FORM_COLUMNS + column) * 6 + (i ^ 1)]);
            }
    free(items);
    lzt_encoder_close(&encoder);
}

/* Whatever is not 0 is true, most significant bit first, and rows begin at bytes. */
static void test_bits(void)
{
    struct lzt_encoder encoder = {0};
    struct lzt_form form = form_of(LZT_BOOL, 1, 1, LZT_NONE);
    const uint8_t items[2][11] = {{1, 0, 0, 2, 0, 0, 0, 255, 0, 128, 1}, {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}};
    const uint8_t expected[] = {0x91, 0x60, 0x00, 0x80};
    const struct lzt_pixels pixels = {items, 11, 1, 1, 0};
    form.rows = form.chunk_rows = 2;
    form.columns = 11;
    CHECK(lzt_encode_chunk(&encoder, &form, 0, &pixels, 0, NULL) == LZT_OK);
    CHECK(encoder.length == sizeof expected && memcmp(encoder.bytes, expected, sizeof expected) == 0);
    lzt_encoder_close(&encoder);
}

/* One row or one pixel may stand for all. */
static void test_strides_of_zero(void)
{
    struct lzt_encoder encoder = {0};
    for (size_t codec = 0; codec < CODECS; codec++) {
        struct lzt_form form = form_of(LZT_UINT, 1, 3, all_codecs[codec]);
        const uint8_t pixel[] = {10, 20, 30};
        const struct lzt_pixels pixels = {pixel, 0, 0, 1, 0};
        if (is_refused(&form) || form.compression == LZT_JPEG || (form.compression == LZT_LERC && is_under_valgrind()))
            continue;
        uint8_t *items = malloc(form_bytes(&form));
        CHECK(items != NULL);
        for (size_t i = 0; i < form_bytes(&form); i++)
            items[i] = pixel[i % 3];
        struct chunks chunks = encode_form(&encoder, &form, 0, &pixels);
        smallest_difference_that_counts = 1;
        check_back(&form, 0, &chunks, items);
        chunks_free(&chunks);
        free(items);
    }
    lzt_encoder_close(&encoder);
}

/* Chunks that nothing makes smaller, larger than libtiff's own buffer. */
static void test_noise(void)
{
    struct lzt_encoder encoder = {0};
    uint64_t state = 1;
    for (size_t codec = 0; codec < CODECS; codec++) {
        struct lzt_form form = form_of(LZT_UINT, 1, 3, all_codecs[codec]);
        form.rows = form.chunk_rows = 211;
        form.columns = 307;
        if (is_refused(&form) || form.compression == LZT_JPEG || (form.compression == LZT_LERC && is_under_valgrind()))
            continue;
        uint8_t *items = malloc(form_bytes(&form));
        CHECK(items != NULL);
        for (size_t i = 0; i < form_bytes(&form); i++)
            items[i] = (uint8_t)any_below(&state, 256);
        struct lzt_pixels pixels = strides_of(&form, DENSE);
        pixels.data = items;
        struct chunks chunks = encode_form(&encoder, &form, 0, &pixels);
        CHECK(chunks.all[0].size > form_bytes(&form) * 99 / 100);
        smallest_difference_that_counts = 1;
        check_back(&form, 0, &chunks, items);
        chunks_free(&chunks);
        free(items);
    }
    lzt_encoder_close(&encoder);
}

static void check_kept(const struct lzt_form *form, uint8_t *items, int rounds)
{
    struct lzt_encoder kept = {0};
    struct lzt_pixels pixels = strides_of(form, DENSE);
    uint64_t state = 7;
    pixels.data = items;
    for (int i = 0; i < rounds; i++) {
        struct lzt_encoder fresh = {0};
        const uint32_t noisy = any_below(&state, (uint32_t)form_bytes(form));
        for (uint32_t at = 0; at < noisy; at++)
            items[at] = (uint8_t)any_below(&state, i % 3 == 0 ? 2 : 256);
        CHECK(lzt_encode_chunk(&kept, form, 0, &pixels, 0, NULL) == LZT_OK);
        CHECK(lzt_encode_chunk(&fresh, form, 0, &pixels, 0, NULL) == LZT_OK && kept.length == fresh.length);
        CHECK(form->compression == LZT_LERC || memcmp(kept.bytes, fresh.bytes, kept.length) == 0);
        lzt_encoder_close(&fresh);
    }
    lzt_encoder_close(&kept);
}

/* What an encoder has encoded before changes no byte of what comes next: 70 chunks and more, which is more than a handle of libtiff's takes. */
static void test_kept_encoder(void)
{
    for (size_t i = 0; i < CODECS; i++) {
        const uint16_t codec = all_codecs[i];
        struct lzt_form form = form_of(codec == LZT_CCITT_G4 ? LZT_BOOL : LZT_UINT, 1, codec == LZT_WEBP ? 3 : 1, codec);
        form.rows = form.chunk_rows = 32;
        form.columns = 40;
        if (is_refused(&form) || (codec == LZT_LERC && is_under_valgrind()))
            continue;
        uint8_t *items = make_items(&form);
        check_kept(&form, items, codec == LZT_LZMA || codec == LZT_WEBP ? 70 : 150);
        free(items);
    }
}

/* The bytes of a chunk may be taken from the encoder, which then makes new room. */
static void test_bytes_taken(void)
{
    struct lzt_encoder encoder = {0};
    for (int round = 0; round < 2; round++)
        for (size_t codec = 0; codec < 2; codec++) {
            struct lzt_form form = form_of(LZT_UINT, 1, 1, codec ? LZT_ZSTD : LZT_NONE);
            uint8_t *items = make_items(&form);
            struct lzt_pixels pixels = strides_of(&form, DENSE);
            pixels.data = items;
            CHECK(lzt_encode_chunk(&encoder, &form, 0, &pixels, 0, NULL) == LZT_OK);
            free(encoder.bytes);
            encoder.bytes = NULL;
            encoder.room = 0;
            free(items);
        }
    lzt_encoder_close(&encoder);
}

int main(void)
{
    TIFFSetWarningHandler(NULL); /* no tag says what the samples beyond the colours are */
    test_every_form();
    test_jpeg_colours();
    test_lossy_webp();
    test_levels();
    test_lerc_error();
    test_edge_tiles();
    test_bits();
    test_strides_of_zero();
    test_noise();
    test_kept_encoder();
    test_bytes_taken();
    return 0;
}
