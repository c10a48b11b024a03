/* Forms of pages that cannot be encoded are refused in words, before anything is encoded. */
#include <math.h>

#include "forms.h"

static void check_refused(const struct lzt_form *form, enum lzt_status status, const char *text)
{
    struct lzt_error error;
    check_status(lzt_encode_check(form, &error), status, &error, text);
    CHECK(lzt_encode_check(form, NULL) == status);
}

#define REFUSE(status, text, compression, kind, item_size, samples, ...)                                  \
    do {                                                                                                  \
        struct lzt_form form = form_of(kind, item_size, samples, compression);                            \
        __VA_ARGS__;                                                                                      \
        check_refused(&form, status, text);                                                               \
    } while (0)

static void test_no_page(void)
{
    REFUSE(LZT_USAGE, "no samples of kind 2 with 3 bytes", LZT_NONE, LZT_UINT, 3, 1, );
    REFUSE(LZT_USAGE, "no samples of kind 1 with 2 bytes", LZT_NONE, LZT_BOOL, 2, 1, );
    REFUSE(LZT_USAGE, "no samples of kind 4 with 1 bytes", LZT_NONE, LZT_FLOAT, 1, 1, );
    REFUSE(LZT_USAGE, "no samples of kind 5 with 4 bytes", LZT_NONE, LZT_COMPLEX, 4, 1, );
    REFUSE(LZT_USAGE, "no samples of kind 0", LZT_NONE, 0, 1, 1, );
    REFUSE(LZT_USAGE, "no samples of kind 6", LZT_NONE, 6, 1, 1, );
    REFUSE(LZT_USAGE, "with 0 bytes", LZT_NONE, LZT_UINT, 0, 1, );
    REFUSE(LZT_USAGE, "no page", LZT_NONE, LZT_UINT, 1, 1, form.rows = 0);
    REFUSE(LZT_USAGE, "no page", LZT_NONE, LZT_UINT, 1, 1, form.columns = 0);
    REFUSE(LZT_USAGE, "no page", LZT_NONE, LZT_UINT, 1, 0, );
    REFUSE(LZT_USAGE, "no page", LZT_NONE, LZT_UINT, 1, 65536, );
}

static void test_chunks(void)
{
    REFUSE(LZT_USAGE, "no rows", LZT_NONE, LZT_UINT, 1, 1, form.chunk_rows = 0);
    REFUSE(LZT_USAGE, "multiples of 16", LZT_NONE, LZT_UINT, 1, 1, form.chunk_columns = 24);
    REFUSE(LZT_USAGE, "multiples of 16", LZT_NONE, LZT_UINT, 1, 1, form.chunk_columns = 16, form.chunk_rows = 17);
    REFUSE(LZT_USAGE, "too large", LZT_NONE, LZT_UINT, 1, 1, form.chunk_columns = UINT32_C(1) << 31);
    REFUSE(LZT_USAGE, "too large", LZT_NONE, LZT_COMPLEX, 16, 65535, form.rows = form.columns = form.chunk_rows = UINT32_MAX);
}

static void test_predictors(void)
{
    REFUSE(LZT_USAGE, "predictor 4", LZT_LZW, LZT_UINT, 1, 1, form.predictor = 4);
    REFUSE(LZT_USAGE, "predictor 0", LZT_LZW, LZT_UINT, 1, 1, form.predictor = 0);
    REFUSE(LZT_USAGE, "predictor 2 is", LZT_LZW, LZT_BOOL, 1, 1, form.predictor = 2);
    REFUSE(LZT_USAGE, "predictor 2 is", LZT_DEFLATE, LZT_COMPLEX, 8, 1, form.predictor = 2);
    REFUSE(LZT_USAGE, "predictor 3 is", LZT_ZSTD, LZT_UINT, 4, 1, form.predictor = 3);
    REFUSE(LZT_USAGE, "predictor 3 is", LZT_LZMA, LZT_COMPLEX, 16, 1, form.predictor = 3);
    static const uint16_t others[] = {LZT_NONE, LZT_CCITT_G4, LZT_JPEG, LZT_PACKBITS, LZT_LERC, LZT_WEBP};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        REFUSE(LZT_USAGE, "predictors go with", others[i], LZT_UINT, 1, 3, form.predictor = 2);
}

static void test_codecs(void)
{
    REFUSE(LZT_USAGE, "CCITT Group 4", LZT_CCITT_G4, LZT_UINT, 1, 1, );
    REFUSE(LZT_USAGE, "CCITT Group 4", LZT_CCITT_G4, LZT_BOOL, 1, 3, );
    REFUSE(LZT_USAGE, "JPEG is", LZT_JPEG, LZT_UINT, 2, 1, );
    REFUSE(LZT_USAGE, "JPEG is", LZT_JPEG, LZT_INT, 1, 1, );
    REFUSE(LZT_USAGE, "JPEG is", LZT_JPEG, LZT_BOOL, 1, 1, );
    REFUSE(LZT_USAGE, "JPEG is", LZT_JPEG, LZT_UINT, 1, 2, );
    REFUSE(LZT_USAGE, "JPEG is", LZT_JPEG, LZT_UINT, 1, 5, );
    REFUSE(LZT_USAGE, "JPEG strips of 8 rows", LZT_JPEG, LZT_UINT, 1, 1, form.chunk_rows = 8);
    REFUSE(LZT_USAGE, "at most 65500", LZT_JPEG, LZT_UINT, 1, 1, form.columns = 65501);
    REFUSE(LZT_USAGE, "at most 65500", LZT_JPEG, LZT_UINT, 1, 1, form.rows = form.chunk_rows = 65501);
    REFUSE(LZT_OK, "", LZT_JPEG, LZT_UINT, 1, 1, form.rows = 65501, form.columns = 65500);
    REFUSE(LZT_OK, "", LZT_JPEG, LZT_UINT, 1, 1, form.rows = form.columns = 70000, form.chunk_columns = 16);
    REFUSE(LZT_USAGE, "YCbCr", LZT_JPEG, LZT_UINT, 1, 1, form.photometric = PHOTOMETRIC_YCBCR);
    REFUSE(LZT_USAGE, "YCbCr", LZT_JPEG, LZT_UINT, 1, 4, form.photometric = PHOTOMETRIC_YCBCR);
    REFUSE(LZT_USAGE, "YCbCr", LZT_DEFLATE, LZT_UINT, 1, 3, form.photometric = PHOTOMETRIC_YCBCR);
    REFUSE(LZT_USAGE, "WebP is", LZT_WEBP, LZT_UINT, 1, 1, );
    REFUSE(LZT_USAGE, "WebP is", LZT_WEBP, LZT_UINT, 2, 3, );
    REFUSE(LZT_USAGE, "at most 16383", LZT_WEBP, LZT_UINT, 1, 3, form.columns = 16384);
    static const uint16_t not_for_lerc[][2] = {{LZT_BOOL, 1}, {LZT_UINT, 8}, {LZT_INT, 8}, {LZT_FLOAT, 2}, {LZT_COMPLEX, 8}, {LZT_COMPLEX, 16}};
    for (size_t i = 0; i < sizeof not_for_lerc / sizeof *not_for_lerc; i++)
        REFUSE(LZT_USAGE, "LERC is", LZT_LERC, not_for_lerc[i][0], not_for_lerc[i][1], 1, );
}

static void test_levels(void)
{
    REFUSE(LZT_USAGE, "effort of Deflate is 0 to 12", LZT_DEFLATE, LZT_UINT, 1, 1, form.level = 13);
    REFUSE(LZT_USAGE, "effort of ZSTD is 1 to 22", LZT_ZSTD, LZT_UINT, 1, 1, form.level = 0);
    REFUSE(LZT_USAGE, "effort of LZMA is 0 to 9", LZT_LZMA, LZT_UINT, 1, 1, form.level = 10);
    REFUSE(LZT_USAGE, "quality of JPEG is 1 to 100", LZT_JPEG, LZT_UINT, 1, 1, form.level = 101);
    REFUSE(LZT_USAGE, "quality of WebP is 1 to 100", LZT_WEBP, LZT_UINT, 1, 3, form.level = 0);
    REFUSE(LZT_USAGE, "largest error of LERC", LZT_LERC, LZT_UINT, 1, 1, form.level = -0.5);
    REFUSE(LZT_USAGE, "largest error of LERC", LZT_LERC, LZT_UINT, 1, 1, form.level = INFINITY);
    REFUSE(LZT_USAGE, "effort of ZSTD is 1 to 22", LZT_ZSTD, LZT_UINT, 1, 1, form.level = -2);
    REFUSE(LZT_USAGE, "effort of ZSTD is 1 to 22", LZT_ZSTD, LZT_UINT, 1, 1, form.level = NAN);
    REFUSE(LZT_USAGE, "whole number", LZT_ZSTD, LZT_UINT, 1, 1, form.level = 2.5);
    static const uint16_t without[] = {LZT_NONE, LZT_LZW, LZT_PACKBITS};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        REFUSE(LZT_USAGE, "has none", without[i], LZT_UINT, 1, 1, form.level = 1);
}

static void test_other_codecs(void)
{
    static const uint16_t others[] = {0,        LZT_CCITT_RLE,   LZT_CCITT_G3, LZT_OLD_JPEG, LZT_NEXT,
                                      LZT_JBIG, LZT_DEFLATE_OLD, LZT_PIXARLOG, LZT_SGILOG,   65535};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        REFUSE(LZT_UNSUPPORTED, "no pages are written with Compression", others[i], LZT_UINT, 1, 1, );
        CHECK(!lzt_codec_encodes(others[i]));
    }
}

/* libtiff has each codec or has it not. */
static void test_codecs_of_libtiff(void)
{
    struct lzt_error error;
    CHECK(lzt_codec_encodes(LZT_NONE) && lzt_codec_encodes(LZT_LZW) && lzt_codec_encodes(LZT_PACKBITS));
    for (size_t i = 0; i < CODECS; i++) {
        const uint16_t codec = all_codecs[i];
        const struct lzt_form form = form_of(codec == LZT_CCITT_G4 ? LZT_BOOL : LZT_UINT, 1, codec == LZT_WEBP ? 3 : 1, codec);
        CHECK(!lzt_codec_encodes(all_codecs[i]) || lzt_codec_available(all_codecs[i]));
        check_status(lzt_encode_check(&form, &error), lzt_codec_encodes(all_codecs[i]) ? LZT_OK : LZT_UNSUPPORTED, &error, "does not encode");
    }
}

/* Lossless WebP keeps the colours of transparent pixels or is refused; the lossy one makes no promise. */
static void test_transparent_pixels(void)
{
    static const uint8_t pixel[] = {200, 100, 50, 0};
    const struct lzt_pixels pixels = {pixel, 0, 0, 1, 0};
    struct lzt_form form = form_of(LZT_UINT, 1, 4, LZT_WEBP);
    struct lzt_error error;
    if (!lzt_codec_encodes(LZT_WEBP))
        return;
    form.level = 90;
    CHECK(lzt_encode_check(&form, NULL) == LZT_OK);
    form.level = -1;
    if (lzt_encode_check(&form, &error) != LZT_OK) {
        check_status(error.status, LZT_UNSUPPORTED, &error, "colours of transparent pixels");
        return;
    }
    struct lzt_encoder encoder = {0};
    struct chunks chunks = encode_form(&encoder, &form, 0, &pixels);
    struct tiff_builder tiff = page_of_chunks(&form, 0, &chunks);
    struct opened opened = open_built(&tiff);
    struct guarded read = read_pixels(&opened, 0);
    for (size_t i = 0; i < form_bytes(&form); i++)
        CHECK(read.bytes[i] == pixel[i % 4]);
    guarded_free(&read);
    close_all(&opened);
    tiff_free(&tiff);
    chunks_free(&chunks);
    lzt_encoder_close(&encoder);
}

/* CHECK that LERC gives back the numbers, and NaN for NaN. */
static void check_lerc_nan(const struct lzt_form *form, const float *items)
{
    struct lzt_encoder encoder = {0};
    struct lzt_pixels pixels = strides_of(form, DENSE);
    pixels.data = items;
    struct chunks chunks = encode_form(&encoder, form, 0, &pixels);
    struct tiff_builder tiff = page_of_chunks(form, 0, &chunks);
    struct opened opened = open_built(&tiff);
    struct guarded read = read_pixels(&opened, 0);
    for (size_t i = 0; i < form_bytes(form) / sizeof *items; i++) {
        float item;
        memcpy(&item, read.bytes + i * sizeof item, sizeof item);
        CHECK(isnan(items[i]) ? isnan(item) : item == items[i]);
    }
    guarded_free(&read);
    close_all(&opened);
    tiff_free(&tiff);
    chunks_free(&chunks);
    lzt_encoder_close(&encoder);
}

/* LERC keeps NaN: some, all but one, all; or the form is refused. */
static void test_lerc_nan(void)
{
    struct lzt_error error;
    for (uint32_t samples = 1; samples < 5; samples++) {
        const struct lzt_form form = form_of(LZT_FLOAT, 4, samples, LZT_LERC);
        if (!lzt_codec_encodes(LZT_LERC) || is_under_valgrind())
            return;
        if (lzt_encode_check(&form, &error) != LZT_OK) {
            check_status(error.status, LZT_UNSUPPORTED, &error, "loses NaN");
            CHECK(samples > 1);
            continue;
        }
        float *items = malloc(form_bytes(&form));
        CHECK(items != NULL);
        for (size_t every = 1; every < 6; every++) {
            for (size_t i = 0; i < form_bytes(&form) / sizeof *items; i++)
                items[i] = i % every == 0 ? NAN : (float)i;
            check_lerc_nan(&form, items);
        }
        free(items);
    }
}

/* What only turns out with a chunk: its number, and what libtiff has against it. */
static void test_chunks_refused(void)
{
    static const uint8_t pixel[8];
    const struct lzt_pixels pixels = {pixel, 0, 0, 0, 0};
    struct lzt_encoder encoder = {0};
    struct lzt_error error;
    struct lzt_form form = form_of(LZT_UINT, 1, 1, LZT_ZSTD);
    check_status(lzt_encode_chunk(&encoder, &form, 0, &pixels, 3, &error), LZT_USAGE, &error, "the page has fewer");
    check_status(lzt_encode_chunk(&encoder, &form, 0, &pixels, UINT64_MAX, &error), LZT_USAGE, &error, "the page has fewer");
    form = form_of(LZT_FLOAT, 4, 1, LZT_LERC);
    check_status(lzt_encode_chunk(&encoder, &form, 1, &pixels, 0, &error), LZT_UNSUPPORTED, &error, "readers disagree");
    form = form_of(LZT_UINT, 2, 1, LZT_WEBP); /* which lzt_encode_check refuses */
    check_status(lzt_encode_chunk(&encoder, &form, 0, &pixels, 0, &error), LZT_UNSUPPORTED, &error, "libtiff does not encode this: WEBP driver");
    CHECK(encoder.length == 0 && encoder.tiff == NULL);
    form = form_of(LZT_UINT, 1, 1, LZT_ZSTD); /* and then a right one */
    CHECK(lzt_encode_chunk(&encoder, &form, 0, &pixels, 2, &error) == LZT_OK && encoder.length > 0);
    lzt_encoder_close(&encoder);
}

int main(void)
{
    test_no_page();
    test_chunks();
    test_predictors();
    test_codecs();
    test_levels();
    test_other_codecs();
    test_codecs_of_libtiff();
    test_transparent_pixels();
    test_lerc_nan();
    test_chunks_refused();
    return 0;
}
