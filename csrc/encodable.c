/* Which forms of pages can be encoded: what TIFF, the codecs and the linked libtiff take. */
#include <inttypes.h>
#include <math.h>

#include "bytes.h"
#include "decode.h"
#include "encode.h"
#include "error.h"
#include "form.h"
#include "layout.h"

/* ---- Samples and chunks ---------------------------------------------------------------------------------------------------- */

static enum lzt_status check_samples(const struct lzt_form *form, struct lzt_error *error)
{
    if (lzt_sample_format(form->kind, form->item_size) == 0)
        return lzt_fail(error, LZT_USAGE, "there are no samples of kind %u with %u bytes", form->kind, form->item_size);
    if (form->rows == 0 || form->columns == 0 || form->samples == 0 || form->samples > UINT16_MAX)
        return lzt_fail(error, LZT_USAGE, "%" PRIu32 " x %" PRIu32 " pixels of %" PRIu32 " samples are no page", form->rows, form->columns,
                        form->samples);
    return LZT_OK;
}

/* TIFF 6.0, section 15: TileWidth and TileLength are multiples of 16. */
static enum lzt_status check_chunks(const struct lzt_form *form, struct lzt_error *error)
{
    const uint64_t columns = form->chunk_columns != 0 ? form->chunk_columns : form->columns;
    const uint64_t row = columns * form->samples * form->item_size; /* less than 2^53 */
    if (form->chunk_rows == 0)
        return lzt_fail(error, LZT_USAGE, "the chunks have no rows");
    if (form->chunk_columns != 0 && (form->chunk_rows % 16 != 0 || form->chunk_columns % 16 != 0))
        return lzt_fail(error, LZT_USAGE, "tiles of %" PRIu32 " x %" PRIu32 " pixels, where TIFF has multiples of 16", form->chunk_rows,
                        form->chunk_columns);
    if (form->chunk_columns != 0 && (form->chunk_rows >> 31 || form->chunk_columns >> 31))
        return lzt_fail(error, LZT_USAGE, "tiles of %" PRIu32 " x %" PRIu32 " pixels are too large", form->chunk_rows, form->chunk_columns);
    if (form->chunk_rows > INT64_MAX / 4 / row)
        return lzt_fail(error, LZT_USAGE, "chunks of %" PRIu32 " x %" PRIu64 " pixels are too large", form->chunk_rows, columns);
    return LZT_OK;
}

static int has_predictor(uint16_t compression)
{
    return compression == LZT_LZW || compression == LZT_DEFLATE || compression == LZT_LZMA || compression == LZT_ZSTD;
}

static enum lzt_status check_predictor(const struct lzt_form *form, struct lzt_error *error)
{
    if (form->predictor == 1)
        return LZT_OK;
    if (form->predictor != 2 && form->predictor != 3)
        return lzt_fail(error, LZT_USAGE, "predictor %u, where there are 1 (none), 2 (horizontal differencing) and 3 (floating point)",
                        form->predictor);
    if (!has_predictor(form->compression))
        return lzt_fail(error, LZT_USAGE, "predictors go with LZW, Deflate, LZMA and ZSTD, and not with Compression %u", form->compression);
    if (form->predictor == 2 && (form->kind == LZT_BOOL || form->kind == LZT_COMPLEX))
        return lzt_fail(error, LZT_USAGE, "predictor 2 is for integers and floating point numbers of 8, 16, 32 or 64 bits");
    if (form->predictor == 3 && form->kind != LZT_FLOAT)
        return lzt_fail(error, LZT_USAGE, "predictor 3 is for floating point numbers");
    return LZT_OK;
}

/* ---- Codecs ---------------------------------------------------------------------------------------------------------------- */

static int are_bytes(const struct lzt_form *form)
{
    return form->kind == LZT_UINT && form->item_size == 1;
}

static enum lzt_status check_size(const struct lzt_form *form, const char *codec, uint32_t most, struct lzt_error *error)
{
    const uint32_t rows = form->chunk_columns != 0 ? form->chunk_rows : lzt_min32(form->chunk_rows, form->rows);
    const uint32_t columns = form->chunk_columns != 0 ? form->chunk_columns : form->columns;
    if (rows <= most && columns <= most)
        return LZT_OK;
    return lzt_fail(error, LZT_USAGE, "chunks of %" PRIu32 " x %" PRIu32 " pixels, where %s has at most %" PRIu32 " x %" PRIu32, rows,
                    columns, codec, most, most);
}

/* Rows: TIFF Technical Note 2 (TTN2) wants whole blocks in all strips but the last, which have up to 16 rows where YCbCr is subsampled.
 * Sizes: JPEG_MAX_DIMENSION of libjpeg. */
static enum lzt_status check_jpeg(const struct lzt_form *form, struct lzt_error *error)
{
    enum { MOST = 65500 };
    if (!are_bytes(form) || (form->samples != 1 && form->samples != 3 && form->samples != 4))
        return lzt_fail(error, LZT_USAGE, "JPEG is for 1, 3 or 4 unsigned samples of 8 bits a pixel");
    if (form->chunk_rows < form->rows && form->chunk_rows % 16 != 0)
        return lzt_fail(error, LZT_USAGE, "JPEG strips of %" PRIu32 " rows, where all but the last have a multiple of 16", form->chunk_rows);
    return check_size(form, "JPEG", MOST, error);
}

/* WebP container specification, "Extended file format", and RFC 6386, section 9.1: sizes have 14 bits. */
static enum lzt_status check_webp(const struct lzt_form *form, struct lzt_error *error)
{
    enum { MOST = 16383 };
    if (!are_bytes(form) || (form->samples != 3 && form->samples != 4))
        return lzt_fail(error, LZT_USAGE, "WebP is for 3 or 4 unsigned samples of 8 bits a pixel");
    return check_size(form, "WebP", MOST, error);
}

/* libtiff, tif_lerc.c, GetLercDataType. */
static enum lzt_status check_lerc(const struct lzt_form *form, struct lzt_error *error)
{
    const unsigned size = form->item_size;
    const int is_integer = (form->kind == LZT_UINT || form->kind == LZT_INT) && size <= 4;
    if (is_integer || (form->kind == LZT_FLOAT && size >= 4))
        return LZT_OK;
    return lzt_fail(error, LZT_USAGE, "LERC is for integers of 8, 16 or 32 bits and floating point numbers of 32 or 64");
}

static enum lzt_status check_codec(const struct lzt_form *form, struct lzt_error *error)
{
    if (form->photometric == LZT_PHOTOMETRIC_YCBCR && (form->compression != LZT_JPEG || form->samples != 3))
        return lzt_fail(error, LZT_USAGE, "YCbCr is made of RGB by JPEG alone, of 3 samples a pixel");
    switch (form->compression) {
    case LZT_JPEG:
        return check_jpeg(form, error);
    case LZT_WEBP:
        return check_webp(form, error);
    case LZT_LERC:
        return check_lerc(form, error);
    case LZT_CCITT_G4:
        if (form->kind != LZT_BOOL || form->samples != 1)
            return lzt_fail(error, LZT_USAGE, "CCITT Group 4 is for 1 bit a pixel, one sample of kind bool");
        return LZT_OK;
    default:
        return LZT_OK;
    }
}

/* ---- Codecs that the linked libtiff has ------------------------------------------------------------------------------------ */

/* The smallest page of each codec that can be written. 0: it cannot. */
static int simplest_form(uint16_t compression, struct lzt_form *form)
{
    *form = (struct lzt_form){.size = sizeof *form,
                              .rows = 16,
                              .columns = 16,
                              .samples = compression == LZT_WEBP ? 3 : 1,
                              .kind = compression == LZT_CCITT_G4 ? LZT_BOOL : LZT_UINT,
                              .item_size = 1,
                              .compression = compression,
                              .predictor = 1,
                              .chunk_rows = 16,
                              .photometric = 1,
                              .level = compression == LZT_LZMA ? 0 : -1}; /* LZMA takes memory by its level */
    switch (compression) {
    case LZT_NONE:
    case LZT_CCITT_G4:
    case LZT_LZW:
    case LZT_JPEG:
    case LZT_DEFLATE:
    case LZT_PACKBITS:
    case LZT_LERC:
    case LZT_LZMA:
    case LZT_ZSTD:
    case LZT_WEBP:
        return 1;
    default:
        return 0;
    }
}

/* TIFFIsCODECConfigured says also of a codec that can only decode that it is there. */
static int can_encode(const struct lzt_form *form)
{
    static const uint8_t bytes[16 * 16 * 4];
    const struct lzt_pixels pixels = {bytes, 16 * (int64_t)form->samples, form->samples, 1, 0};
    struct lzt_encoder encoder = {0};
    const int can = lzt_encode_chunk(&encoder, form, lzt_machine_is_big_endian(), &pixels, 0, NULL) == LZT_OK && encoder.length > 0;
    lzt_encoder_close(&encoder);
    return can;
}

int lzt_codec_encodes(uint16_t compression)
{
    struct lzt_form form;
    return simplest_form(compression, &form) && can_encode(&form);
}

enum { NAN_ROWS = 16, NAN_COLUMNS = 16, NAN_SAMPLES = 2, NAN_ITEMS = NAN_ROWS * NAN_COLUMNS * NAN_SAMPLES };

/* 1: these two samples a pixel survive LERC. */
static int survive_lerc(const float *items)
{
    float back[NAN_ITEMS];
    int same = 0;
    const struct lzt_form form = {.size = sizeof form,
                                  .rows = NAN_ROWS,
                                  .columns = NAN_COLUMNS,
                                  .samples = NAN_SAMPLES,
                                  .kind = LZT_FLOAT,
                                  .item_size = sizeof *items,
                                  .compression = LZT_LERC,
                                  .predictor = 1,
                                  .chunk_rows = NAN_ROWS,
                                  .photometric = 1,
                                  .level = -1};
    const struct lzt_pixels pixels = {items, sizeof *items * NAN_SAMPLES * NAN_COLUMNS, sizeof *items * NAN_SAMPLES, sizeof *items, 0};
    struct lzt_encoder encoder = {0};
    struct lzt_decoder *decoder = NULL;
    if (lzt_encode_chunk(&encoder, &form, lzt_machine_is_big_endian(), &pixels, 0, NULL) == LZT_OK &&
        lzt_decoder_open(&decoder, NULL) == LZT_OK) {
        struct lzt_codec codec = encoder.codec;
        codec.lerc_parameters[0] = 4; /* LERC_VERSION_2_4, what libtiff writes */
        const struct lzt_stream stream = {encoder.bytes, encoder.length, (uint8_t *)back, sizeof back, sizeof back};
        same = lzt_decode(decoder, &codec, &stream, NULL) == LZT_OK;
    }
    for (size_t i = 0; same && i < NAN_ITEMS; i++)
        same = isnan(items[i]) ? isnan(back[i]) : items[i] == back[i];
    lzt_decoder_close(decoder);
    lzt_encoder_close(&encoder);
    return same;
}

/* LERC knows which pixels are missing, for all samples together or for each. libtiff 4.5 uses the first for NaN in pixels of several
 * samples, which then becomes the largest number, or nothing that can be decoded. */
static int lerc_keeps_nan(void)
{
    float some[NAN_ITEMS], all[NAN_ITEMS];
    for (size_t i = 0; i < NAN_ITEMS; i++) {
        some[i] = i % 6 == 0 ? NAN : (float)i;
        all[i] = NAN;
    }
    return survive_lerc(some) && survive_lerc(all);
}

/* What the codec as such can, but not in this libtiff. */
static enum lzt_status check_losses(const struct lzt_form *form, struct lzt_form simplest, struct lzt_error *error)
{
    simplest.samples = form->samples;
    simplest.level = form->level;
    if (form->compression == LZT_WEBP && !can_encode(&simplest))
        return lzt_fail(error, LZT_UNSUPPORTED, "lossless WebP of this libtiff, %.5s, changes the colours of transparent pixels",
                        lzt_libtiff_version());
    if (form->compression == LZT_LERC && form->kind == LZT_FLOAT && form->samples > 1 && !lerc_keeps_nan())
        return lzt_fail(error, LZT_UNSUPPORTED, "LERC of this libtiff, %.5s, loses NaN where a pixel has several samples",
                        lzt_libtiff_version());
    return LZT_OK;
}

static enum lzt_status check_compression(const struct lzt_form *form, struct lzt_error *error)
{
    struct lzt_form simplest;
    if (!simplest_form(form->compression, &simplest))
        return lzt_fail(error, LZT_UNSUPPORTED, "no pages are written with Compression %u", form->compression);
    if (!can_encode(&simplest))
        return lzt_fail(error, LZT_UNSUPPORTED, "this libtiff, %.5s, does not encode Compression %u", lzt_libtiff_version(),
                        form->compression);
    return check_losses(form, simplest, error);
}

enum lzt_status lzt_encode_check(const struct lzt_form *form, struct lzt_error *error)
{
    enum lzt_status status = check_samples(form, error);
    if (status == LZT_OK)
        status = check_chunks(form, error);
    if (status == LZT_OK)
        status = check_predictor(form, error);
    if (status == LZT_OK)
        status = check_codec(form, error);
    if (status == LZT_OK)
        status = lzt_level_check(form, error);
    if (status == LZT_OK)
        status = check_compression(form, error);
    return status;
}
