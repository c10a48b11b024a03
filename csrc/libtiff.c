#include "libtiff.h"

#include <stdio.h>
#include <stdlib.h>
#include <tiffio.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"

#define OVERHEAD ((uint64_t)64 << 20) /* bytes that a codec may take for itself */

struct lzt_tiff {
    TIFF *handle;
    uint8_t *bytes; /* of the file */
    size_t length;
    uint64_t position;
    int is_borrowed; /* the bytes are the caller's: an old-style JPEG TIFF */
    int allows_tall_jpeg, went_without_eol;
    char complaint[160];
};

/* ---- libtiff's callbacks ------------------------------------------------------------------------------------------------- */

static tmsize_t read_bytes(thandle_t context, void *buffer, tmsize_t wanted)
{
    struct lzt_tiff *tiff = context;
    const uint64_t left = tiff->position < tiff->length ? tiff->length - tiff->position : 0;
    const size_t length = (size_t)lzt_min64(left, wanted > 0 ? (uint64_t)wanted : 0);
    if (length > 0)
        memcpy(buffer, tiff->bytes + tiff->position, length);
    tiff->position += length;
    return (tmsize_t)length;
}

static tmsize_t write_nothing(thandle_t context, void *buffer, tmsize_t length)
{
    (void)context;
    (void)buffer;
    (void)length;
    return 0;
}

static toff_t seek_to(thandle_t context, toff_t offset, int whence)
{
    struct lzt_tiff *tiff = context;
    if (whence == SEEK_CUR)
        offset += tiff->position;
    else if (whence == SEEK_END)
        offset += tiff->length;
    tiff->position = offset;
    return offset;
}

static int close_nothing(thandle_t context)
{
    (void)context;
    return 0;
}

static toff_t size_of(thandle_t context)
{
    return ((struct lzt_tiff *)context)->length;
}

static void complain(struct lzt_tiff *tiff, const char *format, va_list arguments)
{
    if (tiff->complaint[0] == 0)
        vsnprintf(tiff->complaint, sizeof tiff->complaint, format, arguments);
}

static int on_error(TIFF *handle, void *context, const char *module, const char *format, va_list arguments)
{
    (void)handle;
    (void)module;
    complain(context, format, arguments);
    return 1;
}

/* Warnings after which the pixels are still those that the bytes stand for. Anything else that libtiff warns of is damage: it fills what it
 * cannot decode with white, and libjpeg tells only the first of a picture's warnings, so that even "extraneous bytes" may be all that is
 * heard of missing pixels. */
static int is_harmless(const struct lzt_tiff *tiff, const char *module, const char *text)
{
    static const char *const harmless[] = {
        "Discarding",          /* PackBits: a run goes on behind the last pixel */
        "Old-style LZW codes", /* which it decodes */
        "without EOL",         /* Group 3: likewise */
    };
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strstr(text, harmless[i]) != NULL)
            return 1;
    if (tiff->is_borrowed && strcmp(module, "LibJpeg") != 0)
        return 1; /* of every tag that an old-style JPEG stream makes superfluous */
    return tiff->allows_tall_jpeg && strstr(text, "JPEG strip size exceeds") != NULL;
}

static int on_warning(TIFF *handle, void *context, const char *module, const char *format, va_list arguments)
{
    (void)handle;
    struct lzt_tiff *tiff = context;
    char text[160]; /* libjpeg's texts come through "%s" */
    va_list copy;
    va_copy(copy, arguments);
    vsnprintf(text, sizeof text, format, copy);
    va_end(copy);
    tiff->went_without_eol |= strstr(text, "without EOL") != NULL;
    if (!is_harmless(tiff, module != NULL ? module : "", text))
        complain(tiff, format, arguments);
    return 1;
}

/* ---- Handles ------------------------------------------------------------------------------------------------------------- */

/* most: bytes that libtiff may allocate at a time. */
static enum lzt_status open_handle(struct lzt_tiff *tiff, uint64_t most, struct lzt_error *error)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return lzt_fail_memory(error, 0);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, tiff);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, tiff);
    /* r: read; m: no mapping; c: leave strips as they are */
    tiff->handle = TIFFClientOpenExt("chunk", "rmc", tiff, read_bytes, write_nothing, seek_to, close_nothing, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff->handle != NULL ? LZT_OK : lzt_fail(error, LZT_DECODE, "libtiff cannot begin: %s", tiff->complaint);
}

/* In which form a codec that knows several is to give its samples. */
static void set_output(TIFF *handle, const struct lzt_codec *codec)
{
    if (codec->compression == LZT_JPEG && codec->photometric == LZT_PHOTOMETRIC_YCBCR)
        TIFFSetField(handle, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    if (codec->compression == LZT_SGILOG || codec->compression == LZT_SGILOG24)
        TIFFSetField(handle, TIFFTAG_SGILOGDATAFMT, SGILOGDATAFMT_16BIT);
    if (codec->compression == LZT_PIXARLOG)
        TIFFSetField(handle, TIFFTAG_PIXARLOGDATAFMT,
                     codec->bits == 8    ? PIXARLOGDATAFMT_8BIT
                     : codec->bits == 16 ? PIXARLOGDATAFMT_16BIT
                                         : PIXARLOGDATAFMT_FLOAT);
}

/* What libtiff may allocate at a time. The runs of a CCITT row take 16 bytes a pixel, cleared: 8 GiB for a single row within the limits. */
static uint64_t most_memory(const struct lzt_codec *codec)
{
    const uint64_t items = lzt_min64((uint64_t)codec->rows * codec->columns * codec->samples, UINT64_C(1) << 31);
    return lzt_min64((codec->bits == 1 ? 1 : 16) * items + OVERHEAD, PTRDIFF_MAX);
}

static enum lzt_status open_codec(struct lzt_tiff *tiff, const struct lzt_codec *codec, struct lzt_error *error)
{
    tiff->bytes = lzt_codec_tiff(codec, &tiff->length);
    if (tiff->bytes == NULL)
        return lzt_fail_memory(error, sizeof *codec);
    enum lzt_status status = open_handle(tiff, most_memory(codec), error);
    if (status == LZT_OK)
        set_output(tiff->handle, codec);
    return status;
}

enum lzt_status lzt_tiff_open(const struct lzt_codec *codec, struct lzt_tiff **tiff, struct lzt_error *error)
{
    *tiff = calloc(1, sizeof **tiff);
    if (*tiff == NULL)
        return lzt_fail_memory(error, sizeof **tiff);
    enum lzt_status status = open_codec(*tiff, codec, error);
    if (status != LZT_OK) {
        lzt_tiff_close(*tiff);
        *tiff = NULL;
    }
    return status;
}

enum lzt_status lzt_tiff_open_old_jpeg(uint8_t *bytes, size_t length, uint64_t chunk_bytes, struct lzt_tiff **tiff, struct lzt_error *error)
{
    *tiff = calloc(1, sizeof **tiff);
    if (*tiff == NULL)
        return lzt_fail_memory(error, sizeof **tiff);
    **tiff = (struct lzt_tiff){.bytes = bytes, .length = length, .is_borrowed = 1};
    enum lzt_status status = open_handle(*tiff, lzt_min64(16 * chunk_bytes + OVERHEAD, PTRDIFF_MAX), error);
    if (status != LZT_OK) {
        lzt_tiff_close(*tiff);
        *tiff = NULL;
    }
    return status;
}

void lzt_tiff_close(struct lzt_tiff *tiff)
{
    if (tiff == NULL)
        return;
    if (tiff->handle != NULL)
        TIFFClose(tiff->handle);
    if (!tiff->is_borrowed)
        free(tiff->bytes);
    free(tiff);
}

/* ---- Decoding ------------------------------------------------------------------------------------------------------------- */

/* Cleared output: nothing but what was decoded can ever be seen. */
static void begin(struct lzt_tiff *tiff, uint8_t *output, size_t output_length)
{
    tiff->complaint[0] = 0;
    tiff->went_without_eol = 0;
    memset(output, 0, output_length);
}

int lzt_tiff_decode(struct lzt_tiff *tiff, uint8_t *input, size_t length, uint8_t *output, size_t output_length)
{
    begin(tiff, output, output_length);
    const int done = TIFFReadFromUserBuffer(tiff->handle, 0, input, (tmsize_t)length, output, (tmsize_t)output_length);
    return done == 1 && tiff->complaint[0] == 0;
}

int lzt_tiff_read_chunk(struct lzt_tiff *tiff, int tiled, uint32_t chunk, uint8_t *output, size_t output_length)
{
    begin(tiff, output, output_length);
    const tmsize_t got = tiled ? TIFFReadEncodedTile(tiff->handle, chunk, output, (tmsize_t)output_length)
                               : TIFFReadEncodedStrip(tiff->handle, chunk, output, (tmsize_t)output_length);
    return got == (tmsize_t)output_length && tiff->complaint[0] == 0;
}

const char *lzt_tiff_complaint(const struct lzt_tiff *tiff)
{
    return tiff->complaint;
}

int lzt_tiff_went_without_eol(const struct lzt_tiff *tiff)
{
    return tiff->went_without_eol;
}

void lzt_tiff_allow_tall_jpeg(struct lzt_tiff *tiff, int allowed)
{
    tiff->allows_tall_jpeg = allowed;
}

void lzt_tiff_use_zlib(struct lzt_tiff *tiff)
{
    TIFFSetField(tiff->handle, TIFFTAG_DEFLATE_SUBCODEC, DEFLATE_SUBCODEC_ZLIB);
}

void lzt_tiff_subsampling(struct lzt_tiff *tiff, uint16_t *across, uint16_t *down)
{
    *across = *down = 1;
    TIFFGetFieldDefaulted(tiff->handle, TIFFTAG_YCBCRSUBSAMPLING, across, down);
}

/* ---- About ---------------------------------------------------------------------------------------------------------------- */

int lzt_codec_available(uint16_t compression)
{
    return compression == LZT_NONE || TIFFIsCODECConfigured(compression) == 1;
}

/* TIFFGetVersion says "LIBTIFF, Version 4.5.0" and goes on with the copyright; the number is pointed at, and ends at the newline. */
const char *lzt_libtiff_version(void)
{
    const char *text = TIFFGetVersion();
    const char *number = strstr(text, "Version ");
    return number != NULL ? number + strlen("Version ") : text;
}
