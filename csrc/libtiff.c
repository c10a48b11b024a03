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
    struct lzt_output *output; /* of the chunk that is being encoded */
    uint32_t strip, strips;    /* of a handle that encodes: the next one, and how many there are */
    int no_memory;             /* for the output */
    char complaint[160];
};

/* ---- libtiff's callbacks ------------------------------------------------------------------------------------------------- */

static tmsize_t read_bytes(thandle_t context, void *buffer, tmsize_t wanted)
{
    struct lzt_tiff *tiff = context;
    const uint64_t left = tiff->bytes != NULL && tiff->position < tiff->length ? tiff->length - tiff->position : 0;
    const size_t length = (size_t)lzt_min64(left, wanted > 0 ? (uint64_t)wanted : 0);
    if (length > 0)
        memcpy(buffer, tiff->bytes + tiff->position, length);
    tiff->position += length;
    return (tmsize_t)length;
}

static int make_room(struct lzt_output *output, size_t length)
{
    if (length <= output->room - output->length)
        return 1;
    if (length > SIZE_MAX / 4 || output->room > SIZE_MAX / 4)
        return 0;
    const size_t room = output->room / 2 * 3 > output->length + length ? output->room / 2 * 3 : output->length + length;
    uint8_t *bytes = realloc(output->bytes, room);
    if (bytes == NULL)
        return 0;
    output->bytes = bytes;
    output->room = room;
    return 1;
}

/* What comes while no chunk is being encoded is the header, which nobody needs. */
static tmsize_t write_bytes(thandle_t context, void *buffer, tmsize_t length)
{
    struct lzt_tiff *tiff = context;
    struct lzt_output *output = tiff->output;
    if (output == NULL || length <= 0)
        return length;
    if (!make_room(output, (size_t)length)) {
        tiff->no_memory = 1;
        return 0;
    }
    memcpy(output->bytes + output->length, buffer, (size_t)length);
    output->length += (size_t)length;
    return length;
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
        "too coarse",          /* JPEG of a low quality: only the simplest decoders cannot read it */
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

/* mode: r, read, or w8, write a BigTIFF file, which no chunk is too large for; m: no mapping; c: leave strips as they are. most: bytes that
 * libtiff may allocate at a time; 0: any number. */
static enum lzt_status open_handle(struct lzt_tiff *tiff, const char *mode, uint64_t most, struct lzt_error *error)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return lzt_fail_memory(error, 0);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, tiff);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, tiff);
    tiff->handle = TIFFClientOpenExt("chunk", mode, tiff, read_bytes, write_bytes, seek_to, close_nothing, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (tiff->handle != NULL)
        return LZT_OK;
    return lzt_fail(error, mode[0] == 'r' ? LZT_DECODE : LZT_UNSUPPORTED, "libtiff cannot begin: %s", tiff->complaint);
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
    enum lzt_status status = open_handle(tiff, "rmc", most_memory(codec), error);
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
    enum lzt_status status = open_handle(*tiff, "rmc", lzt_min64(16 * chunk_bytes + OVERHEAD, PTRDIFF_MAX), error);
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
    if (tiff->handle != NULL) {
        TIFFSetMode(tiff->handle, 0); /* O_RDONLY: one that encodes has no directory to write */
        TIFFClose(tiff->handle);
    }
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

/* ---- Encoding ------------------------------------------------------------------------------------------------------------- */

/* Chunks of a handle: each becomes a strip of its own, since a strip that is written again is compared with what it was. libtiff wants the
 * rows of a JPEG strip to be multiples of 8 unless it is the only one. */
static uint32_t count_strips(const struct lzt_codec *codec)
{
    enum { STRIPS = 64 };
    return codec->compression == LZT_JPEG ? 1 : lzt_min32(STRIPS, UINT32_MAX / codec->rows);
}

static int set_picture(TIFF *handle, const struct lzt_codec *codec, uint32_t strips)
{
    return TIFFSetField(handle, TIFFTAG_IMAGEWIDTH, codec->columns) && TIFFSetField(handle, TIFFTAG_IMAGELENGTH, codec->rows * strips) &&
           TIFFSetField(handle, TIFFTAG_ROWSPERSTRIP, codec->rows) && TIFFSetField(handle, TIFFTAG_BITSPERSAMPLE, codec->bits) &&
           TIFFSetField(handle, TIFFTAG_SAMPLESPERPIXEL, codec->samples) &&
           TIFFSetField(handle, TIFFTAG_SAMPLEFORMAT, codec->sample_format) &&
           TIFFSetField(handle, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) && TIFFSetField(handle, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB) &&
           TIFFSetField(handle, TIFFTAG_PHOTOMETRIC, codec->photometric) && TIFFSetField(handle, TIFFTAG_COMPRESSION, codec->compression);
}

/* Streams bring their tables along: JPEGTables would have to be the same for all pages of all writers of a file. */
static int set_jpeg(TIFF *handle, const struct lzt_codec *codec, double level)
{
    if (codec->photometric == LZT_PHOTOMETRIC_YCBCR &&
        (!TIFFSetField(handle, TIFFTAG_YCBCRSUBSAMPLING, codec->subsampling_across, codec->subsampling_down) ||
         !TIFFSetField(handle, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB)))
        return 0;
    return TIFFSetField(handle, TIFFTAG_JPEGTABLESMODE, 0) && TIFFSetField(handle, TIFFTAG_JPEGQUALITY, (int)level);
}

/* Lossless is the default of versions that know TIFFTAG_WEBP_LOSSLESS_EXACT; older ones change the colours of transparent pixels. */
static int set_webp(TIFF *handle, const struct lzt_codec *codec, double level)
{
    enum { LOSSLESS_EXACT = 65571 };
    if (level >= 0)
        return TIFFSetField(handle, TIFFTAG_WEBP_LEVEL, (int)level);
    return TIFFSetField(handle, TIFFTAG_WEBP_LOSSLESS, 1) &&
           (codec->samples < 4 || TIFFFindField(handle, LOSSLESS_EXACT, TIFF_ANY) != NULL);
}

static int set_level(TIFF *handle, const struct lzt_codec *codec, double level)
{
    switch (codec->compression) {
    case LZT_DEFLATE: return TIFFSetField(handle, TIFFTAG_ZIPQUALITY, (int)level);
    case LZT_ZSTD: return TIFFSetField(handle, TIFFTAG_ZSTD_LEVEL, (int)level);
    case LZT_LZMA: return TIFFSetField(handle, TIFFTAG_LZMAPRESET, (int)level);
    case LZT_JPEG: return set_jpeg(handle, codec, level);
    case LZT_LERC: return TIFFSetField(handle, TIFFTAG_LERC_MAXZERROR, level);
    case LZT_WEBP: return set_webp(handle, codec, level);
    default: return 1;
    }
}

static enum lzt_status fail_encoding(const struct lzt_tiff *tiff, struct lzt_error *error)
{
    return lzt_fail(error, LZT_UNSUPPORTED, "libtiff does not encode this: %s",
                    tiff->complaint[0] != 0 ? tiff->complaint : "it says no more");
}

static enum lzt_status begin_encoding(struct lzt_tiff *tiff, const struct lzt_codec *codec, double level, struct lzt_error *error)
{
    enum { HEADER = 16 };
    tiff->strips = count_strips(codec);
    enum lzt_status status = open_handle(tiff, "w8m", 0, error);
    tiff->length = HEADER; /* where every strip begins, as far as libtiff knows */
    if (status == LZT_OK && !(set_picture(tiff->handle, codec, tiff->strips) && set_level(tiff->handle, codec, level) &&
                              tiff->complaint[0] == 0))
        status = fail_encoding(tiff, error);
    return status;
}

enum lzt_status lzt_tiff_open_encoding(const struct lzt_codec *codec, double level, struct lzt_tiff **tiff, struct lzt_error *error)
{
    *tiff = calloc(1, sizeof **tiff);
    if (*tiff == NULL)
        return lzt_fail_memory(error, sizeof **tiff);
    enum lzt_status status = begin_encoding(*tiff, codec, level, error);
    if (status != LZT_OK) {
        lzt_tiff_close(*tiff);
        *tiff = NULL;
    }
    return status;
}

int lzt_tiff_is_spent(const struct lzt_tiff *tiff)
{
    return tiff->strip == tiff->strips;
}

/* The input is only read: libtiff changes it where it has to swap bytes or reverse bits, which it has not to here. */
enum lzt_status lzt_tiff_encode(struct lzt_tiff *tiff, const uint8_t *input, size_t length, struct lzt_output *output,
                                struct lzt_error *error)
{
    output->length = 0;
    tiff->output = output;
    tiff->complaint[0] = 0;
    tiff->no_memory = 0;
    const tmsize_t done = TIFFWriteEncodedStrip(tiff->handle, tiff->strip++, (void *)input, (tmsize_t)length);
    tiff->output = NULL;
    if (tiff->no_memory)
        return lzt_fail_memory(error, output->length);
    return done == (tmsize_t)length && tiff->complaint[0] == 0 ? LZT_OK : fail_encoding(tiff, error);
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
