#include "decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <tiffio.h>

#include "bytes.h"
#include "checksum.h"
#include "error.h"
#include "layout.h"

#define OVERHEAD ((uint64_t)64 << 20)      /* bytes that a codec may take for itself */

/* One libtiff handle, on a TIFF file in memory that has no pixels. */
struct handle {
    TIFF *tiff;
    uint8_t *bytes;
    size_t length;
    uint64_t position;
    /* What libtiff said since say_nothing: its first complaint. */
    char complaint[160];
    int tall_jpeg_is_fine;   /* the warning that a JPEG strip has more rows than its strip is none */
    int is_old_jpeg;         /* whose decoder warns of every tag that the stream makes superfluous */
    int tried_without_eol;   /* libtiff found no EOL codes in a Group 3 stream, and went on without */
    int has_eols;            /* lines end with an EOL code, after which all is well again, whatever was before: Group 3 */
};

struct lzt_decoder {
    struct handle *handle;
    struct lzt_codec codec; /* of the handle; jpeg_tables is the decoder's own copy */
    uint8_t *jpeg_tables;
    int old_lzw; /* the handle has switched to LZW codes in the old bit order */
};

/* ---- libtiff's callbacks ------------------------------------------------------------------------------------------------- */

static tmsize_t read_bytes(thandle_t context, void *buffer, tmsize_t wanted)
{
    struct handle *handle = context;
    const uint64_t left = handle->position < handle->length ? handle->length - handle->position : 0;
    const size_t length = (size_t)lzt_min64(left, wanted > 0 ? (uint64_t)wanted : 0);
    if (length > 0)
        memcpy(buffer, handle->bytes + handle->position, length);
    handle->position += length;
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
    struct handle *handle = context;
    if (whence == SEEK_CUR)
        offset += handle->position;
    else if (whence == SEEK_END)
        offset += handle->length;
    handle->position = offset;
    return offset;
}

static int close_nothing(thandle_t context)
{
    (void)context;
    return 0;
}

static toff_t size_of(thandle_t context)
{
    return ((struct handle *)context)->length;
}

static void complain(struct handle *handle, const char *format, va_list arguments)
{
    if (handle->complaint[0] == 0)
        vsnprintf(handle->complaint, sizeof handle->complaint, format, arguments);
}

static int on_error(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments)
{
    (void)tiff;
    (void)module;
    complain(context, format, arguments);
    return 1;
}

/* A line of other than the page's width. Only lines that end with EOL codes can be so and leave the others right; and a line of no pixel at
 * all is the end mark before its time, behind which libtiff leaves the lines white. */
static int is_odd_line(const struct handle *handle, const char *text)
{
    const int is_odd = strstr(text, "Line length") != NULL || strstr(text, "Premature EOL") != NULL;
    return is_odd && handle->has_eols && !handle->tried_without_eol && strstr(text, "(got 0,") == NULL;
}

/* Warnings after which the pixels are still those that the bytes stand for. Anything else that libtiff warns of is damage. */
static int is_harmless(const struct handle *handle, const char *module, const char *text)
{
    static const char *const harmless[] = {
        "Discarding",          /* PackBits: a run goes on behind the last pixel */
        "Old-style LZW codes", /* which it decodes */
        "without EOL",         /* Group 3: likewise */
    };
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strstr(text, harmless[i]) != NULL)
            return 1;
    /* libjpeg tells only the first of a picture's warnings, so that even "extraneous bytes" may be all that is heard of missing pixels */
    return (handle->is_old_jpeg && strcmp(module, "LibJpeg") != 0) || is_odd_line(handle, text) || (handle->tall_jpeg_is_fine && strstr(text, "JPEG strip size exceeds") != NULL);
}

static int on_warning(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments)
{
    (void)tiff;
    struct handle *handle = context;
    char text[160]; /* libjpeg's texts come through "%s" */
    va_list copy;
    va_copy(copy, arguments);
    vsnprintf(text, sizeof text, format, copy);
    va_end(copy);
    handle->tried_without_eol |= strstr(text, "without EOL") != NULL;
    if (!is_harmless(handle, module != NULL ? module : "", text))
        complain(context, format, arguments);
    return 1;
}

/* ---- A handle ------------------------------------------------------------------------------------------------------------ */

static void close_handle(struct handle *handle)
{
    if (handle == NULL)
        return;
    if (handle->tiff != NULL)
        TIFFClose(handle->tiff);
    free(handle->bytes);
    free(handle);
}

/* most: bytes that libtiff may allocate at a time. */
static TIFF *open_tiff(struct handle *handle, uint64_t most)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, handle);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, handle);
    /* r: read; m: no mapping; c: leave strips as they are */
    TIFF *tiff = TIFFClientOpenExt("chunk", "rmc", handle, read_bytes, write_nothing, seek_to, close_nothing, size_of, NULL, NULL,
                                   options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

/* In which form a codec that knows several is to give its samples. */
static void set_output(TIFF *tiff, const struct lzt_codec *codec)
{
    if (codec->compression == LZT_JPEG && codec->photometric == LZT_PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    if (codec->compression == LZT_SGILOG || codec->compression == LZT_SGILOG24)
        TIFFSetField(tiff, TIFFTAG_SGILOGDATAFMT, SGILOGDATAFMT_16BIT);
    if (codec->compression == LZT_PIXARLOG)
        TIFFSetField(tiff, TIFFTAG_PIXARLOGDATAFMT,
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

static struct handle *open_handle(const struct lzt_codec *codec, struct lzt_error *error)
{
    struct handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL || (handle->bytes = lzt_codec_tiff(codec, &handle->length)) == NULL) {
        free(handle);
        lzt_fail_memory(error, sizeof *handle);
        return NULL;
    }
    handle->has_eols = codec->compression == LZT_CCITT_G3;
    handle->tiff = open_tiff(handle, most_memory(codec));
    if (handle->tiff == NULL) {
        lzt_fail(error, LZT_DECODE, "libtiff cannot begin: %s", handle->complaint);
        close_handle(handle);
        return NULL;
    }
    set_output(handle->tiff, codec);
    return handle;
}

/* ---- The decoder: a handle that is kept for the next chunk of the same codec ---------------------------------------------- */

enum lzt_status lzt_decoder_open(struct lzt_decoder **decoder, struct lzt_error *error)
{
    *decoder = calloc(1, sizeof **decoder);
    return *decoder != NULL ? LZT_OK : lzt_fail_memory(error, sizeof **decoder);
}

static void forget(struct lzt_decoder *decoder)
{
    close_handle(decoder->handle);
    free(decoder->jpeg_tables);
    memset(decoder, 0, sizeof *decoder);
}

void lzt_decoder_close(struct lzt_decoder *decoder)
{
    if (decoder == NULL)
        return;
    forget(decoder);
    free(decoder);
}

static enum lzt_status prepare(struct lzt_decoder *decoder, const struct lzt_codec *codec, struct lzt_error *error)
{
    if (decoder->handle != NULL && lzt_codec_equal(&decoder->codec, codec))
        return LZT_OK;
    forget(decoder);
    if (codec->jpeg_tables_length > 0) {
        decoder->jpeg_tables = malloc(codec->jpeg_tables_length);
        if (decoder->jpeg_tables == NULL)
            return lzt_fail_memory(error, codec->jpeg_tables_length);
        memcpy(decoder->jpeg_tables, codec->jpeg_tables, codec->jpeg_tables_length);
    }
    decoder->codec = *codec;
    decoder->codec.jpeg_tables = decoder->jpeg_tables;
    decoder->handle = open_handle(codec, error);
    return decoder->handle != NULL ? LZT_OK : (enum lzt_status)(error != NULL ? error->status : LZT_DECODE);
}

/* Decode with the prepared handle; 1: libtiff is content. What it complained of is in the handle. */
static int run(struct lzt_decoder *decoder, uint8_t *input, size_t length, uint8_t *output, size_t output_length)
{
    struct handle *handle = decoder->handle;
    handle->complaint[0] = 0;
    memset(output, 0, output_length); /* so that nothing but what was decoded can ever be seen */
    const int done = TIFFReadFromUserBuffer(handle->tiff, 0, input, (tmsize_t)length, output, (tmsize_t)output_length);
    return done == 1 && handle->complaint[0] == 0;
}

static enum lzt_status fail(struct lzt_decoder *decoder, struct lzt_error *error)
{
    char text[sizeof decoder->handle->complaint];
    memcpy(text, decoder->handle->complaint, sizeof text);
    forget(decoder); /* who knows in what state it is */
    return lzt_fail(error, LZT_DECODE, "its bytes do not decode: %s", text[0] != 0 ? text : "libtiff does not say why");
}

static enum lzt_status decode_plainly(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                      uint8_t *output, size_t output_length, struct lzt_error *error)
{
    enum lzt_status status = prepare(decoder, codec, error);
    if (status == LZT_OK && !run(decoder, input, length, output, output_length))
        status = fail(decoder, error);
    return status;
}

/* ---- Streams that carry a checksum behind their last byte ----------------------------------------------------------------- */

/* How many bytes of a larger chunk the stream did not fill, from libtiff's complaint; 0 when it complained of something else. libtiff
 * says this only after zlib or liblzma came to the end of the stream and found its checksum right. */
static uint64_t bytes_short(const struct handle *handle)
{
    const char *text = strstr(handle->complaint, "(short ");
    if (strstr(handle->complaint, "Not enough data") == NULL || text == NULL)
        return 0;
    return strtoull(text + strlen("(short "), NULL, 10);
}

/* Decode into room, which is larger than the chunk. *ended: the stream came to its end there, behind the chunk's last byte. LZT_OK
 * without that: the stream filled the room. */
static enum lzt_status decode_beyond(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                     uint8_t *room, uint64_t size, uint64_t chunk_size, int *ended, struct lzt_error *error)
{
    struct lzt_codec larger = *codec;
    larger.rows = (uint32_t)lzt_min64(size, INT32_MAX); /* the codec sees bytes, not rows: enough that it cannot be too few */
    enum lzt_status status = prepare(decoder, &larger, error);
    if (status != LZT_OK)
        return status;
    if (larger.compression != LZT_LZMA)
        TIFFSetField(decoder->handle->tiff, TIFFTAG_DEFLATE_SUBCODEC, DEFLATE_SUBCODEC_ZLIB);
    const int full = run(decoder, input, length, room, (size_t)size);
    const uint64_t missing = full ? 0 : bytes_short(decoder->handle);
    *ended = missing > 0 && missing <= size - chunk_size;
    if (!full && !*ended)
        return fail(decoder, error);
    forget(decoder); /* it is of no use for a chunk of the usual size */
    return LZT_OK;
}

/* Decode into ever more room until the stream ends in it; the chunk's own bytes are the first. Needed because a decoder that stops when
 * its output is full never sees the checksum. Streams may be longer than their chunk, but a bomb is none of any use. */
static enum lzt_status decode_to_end(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                     uint8_t *output, size_t output_length, struct lzt_error *error)
{
    const uint64_t most = lzt_max64(2 * (uint64_t)output_length, OVERHEAD);
    uint64_t size = 0;
    int ended = 0;
    while (size < most) {
        size = size == 0 ? (uint64_t)output_length + 1 : lzt_min64(2 * size, most);
        uint8_t *room = malloc((size_t)size);
        if (room == NULL)
            return lzt_fail_memory(error, size);
        enum lzt_status status = decode_beyond(decoder, codec, input, length, room, size, output_length, &ended, error);
        if (ended)
            memcpy(output, room, output_length);
        free(room);
        if (ended || status != LZT_OK)
            return status;
    }
    return lzt_fail(error, LZT_LIMIT, "its bytes decode to more than %" PRIu64 ", the chunk has %zu", most, output_length);
}

/* A zlib stream ends with the Adler-32 of what it decodes to (RFC 1950). libtiff with libdeflate accepts a stream that is longer than the
 * chunk without looking at it, and leaves the rest of the chunk as it happens to be. */
static enum lzt_status decode_deflate(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                      uint8_t *output, size_t output_length, struct lzt_error *error)
{
    enum lzt_status status = decode_plainly(decoder, codec, input, length, output, output_length, error);
    if (status != LZT_OK)
        return status;
    if (length >= 4 && lzt_adler32(1, output, output_length) == lzt_get32(input + length - 4, 1))
        return LZT_OK;
    return decode_to_end(decoder, codec, input, length, output, output_length, error);
}

/* ---- Codecs with state or with headers of their own ----------------------------------------------------------------------- */

/* The first LZW streams had their codes in the other bit order (libtiff, tif_lzw.c); a handle that met one stays so. */
static enum lzt_status decode_lzw(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                  uint8_t *output, size_t output_length, struct lzt_error *error)
{
    const int old_lzw = length >= 2 && input[0] == 0 && (input[1] & 1) != 0;
    if (decoder->old_lzw != old_lzw)
        forget(decoder);
    enum lzt_status status = decode_plainly(decoder, codec, input, length, output, output_length, error);
    if (status == LZT_OK)
        decoder->old_lzw = old_lzw;
    return status;
}

static enum lzt_status check_frame(const struct lzt_jpeg_frame *frame, const struct lzt_codec *codec, int last,
                                   struct lzt_error *error)
{
    if (frame->columns != codec->columns || frame->rows < codec->rows || (frame->rows > codec->rows && !last))
        return lzt_fail(error, LZT_DECODE, "its JPEG stream holds %u x %u pixels, the chunk has %u x %u", frame->rows, frame->columns,
                        codec->rows, codec->columns);
    if (frame->components != codec->samples)
        return lzt_fail(error, LZT_DECODE, "its JPEG stream has %u components, the page %u samples", frame->components, codec->samples);
    if (frame->bits != codec->bits)
        return lzt_fail(error, LZT_DECODE, "its JPEG stream has %u bits a sample, the page %u", frame->bits, codec->bits);
    if (frame->bits == 12 && codec->columns % 2 != 0 && codec->samples % 2 != 0) /* tif_jpeg.c, JPEGDecode: packed by twos; 4.7.2 too */
        return lzt_fail(error, LZT_UNSUPPORTED, "libtiff leaves out the last sample of JPEG rows of 12 bits and odd length");
    return LZT_OK;
}

/* Tables that a stream brings stay in the handle, and libjpeg would use them for the next stream that has none. */
static enum lzt_status decode_jpeg(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length, int last,
                                   uint8_t *output, size_t output_length, struct lzt_error *error)
{
    struct lzt_jpeg_frame frame;
    struct lzt_codec exact = *codec;
    if (!lzt_jpeg_scan(input, length, &frame))
        return lzt_fail(error, LZT_DECODE, "its JPEG stream has no frame header");
    enum lzt_status status = check_frame(&frame, codec, last, error);
    if (status != LZT_OK)
        return status;
    exact.subsampling_across = (uint16_t)frame.across; /* what the stream says counts, not the tag */
    exact.subsampling_down = (uint16_t)frame.down;
    if (frame.has_tables)
        forget(decoder);
    status = prepare(decoder, &exact, error);
    if (status != LZT_OK)
        return status;
    decoder->handle->tall_jpeg_is_fine = frame.rows > codec->rows;
    if (!run(decoder, input, length, output, output_length))
        return fail(decoder, error);
    if (frame.has_tables)
        forget(decoder);
    return LZT_OK;
}

static enum lzt_status decode_webp(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                   uint8_t *output, size_t output_length, struct lzt_error *error)
{
    uint32_t rows, columns;
    if (!lzt_webp_scan(input, length, &rows, &columns))
        return lzt_fail(error, LZT_DECODE, "its bytes are no WebP stream");
    if (columns != codec->columns || rows != codec->rows)
        return lzt_fail(error, LZT_DECODE, "its WebP stream holds %u x %u pixels, the chunk has %u x %u", rows, columns, codec->rows,
                        codec->columns);
    return decode_plainly(decoder, codec, input, length, output, output_length, error);
}

/* libjbig believes the header: it aborts the process when there is no memory for so large a picture, and libtiff then looks at nothing but
 * the number of bytes. So a picture whose height is only told behind its pixels (ITU-T T.82, 6.2.6.2) is not read. */
static enum lzt_status decode_jbig(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                   uint8_t *output, size_t output_length, struct lzt_error *error)
{
    uint32_t rows, columns;
    if (!lzt_jbig_scan(input, length, codec->fill_order == 1, &rows, &columns)) /* libtiff turns the bits around unless FillOrder is 2 */
        return lzt_fail(error, LZT_DECODE, "its bytes are no JBIG stream of one plane");
    if (columns != codec->columns || rows != codec->rows)
        return lzt_fail(error, LZT_DECODE, "its JBIG stream holds %u x %u pixels, the chunk has %u x %u", rows, columns, codec->rows,
                        codec->columns);
    return decode_plainly(decoder, codec, input, length, output, output_length, error);
}

/* libtiff 4.5 leaves the pixels of a run that ends its row as they were (tif_thunder.c, ThunderDecode). So the last pixel of each run is
 * told by a code of its own: a difference of 0, and two skipped ones. */
static enum lzt_status decode_thunderscan(struct lzt_decoder *decoder, const struct lzt_codec *codec, const uint8_t *input, size_t length,
                                          uint8_t *output, size_t output_length, struct lzt_error *error)
{
    enum { CODES = 0xC0, SAME_ONCE = 0x4A };
    uint8_t *longer = malloc(2 * length);
    size_t count = 0;
    if (longer == NULL)
        return lzt_fail_memory(error, 2 * length);
    for (size_t i = 0; i < length; i++) {
        const int is_run = (input[i] & CODES) == 0 && input[i] > 0;
        if (!is_run || input[i] > 1)
            longer[count++] = (uint8_t)(input[i] - is_run);
        if (is_run)
            longer[count++] = SAME_ONCE;
    }
    enum lzt_status status = decode_plainly(decoder, codec, longer, count, output, output_length, error);
    free(longer);
    return status;
}

/* Lines of Group 3 begin with an EOL code (ITU-T T.4, 4.1.2), perhaps behind fill bits, but some writers leave it out, and libtiff before
 * 4.7 then skips lines without a word. */
static enum lzt_status decode_group3(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length,
                                     uint8_t *output, size_t output_length, struct lzt_error *error)
{
    const int begins_with_eol = length >= 2 && input[0] == 0 && (input[1] & 0xE0) == 0;
    enum lzt_status status = prepare(decoder, codec, error);
    if (status != LZT_OK)
        return status;
    decoder->handle->tried_without_eol = 0;
    const int done = run(decoder, input, length, output, output_length);
    const int without_eol = decoder->handle->tried_without_eol;
    if (!begins_with_eol && !without_eol) {
        forget(decoder);
        return lzt_fail(error, LZT_UNSUPPORTED, "its Group 3 lines have no EOL codes, which libtiff %.5s does not understand",
                        lzt_libtiff_version());
    }
    if (!done)
        return fail(decoder, error);
    if (without_eol)
        forget(decoder); /* it stays in that mode, and would not say so again */
    return LZT_OK;
}

enum lzt_status lzt_decode_old_jpeg(uint8_t *tiff, size_t tiff_length, const struct lzt_layout *layout, uint64_t chunk, uint8_t *output,
                                    size_t output_length, struct lzt_error *error)
{
    struct handle handle = {.bytes = tiff, .length = tiff_length, .is_old_jpeg = 1};
    uint16_t across = 1, down = 1;
    handle.tiff = open_tiff(&handle, 16 * (uint64_t)output_length + OVERHEAD);
    if (handle.tiff == NULL)
        return lzt_fail(error, LZT_DECODE, "libtiff cannot begin: %s", handle.complaint);
    memset(output, 0, output_length);
    const uint32_t number = (uint32_t)chunk;
    const tmsize_t got = layout->tiled ? TIFFReadEncodedTile(handle.tiff, number, output, (tmsize_t)output_length)
                                       : TIFFReadEncodedStrip(handle.tiff, number, output, (tmsize_t)output_length);
    TIFFGetFieldDefaulted(handle.tiff, TIFFTAG_YCBCRSUBSAMPLING, &across, &down);
    TIFFClose(handle.tiff);
    if (got != (tmsize_t)output_length || handle.complaint[0] != 0)
        return lzt_fail(error, LZT_DECODE, "its bytes do not decode: %s", handle.complaint[0] != 0 ? handle.complaint : "they end early");
    if (layout->photometric == LZT_PHOTOMETRIC_YCBCR && (across != layout->subsampling_across || down != layout->subsampling_down))
        return lzt_fail(error, LZT_UNSUPPORTED, "YCbCrSubSampling is not that of its JPEG stream, %u x %u", across, down);
    return LZT_OK;
}

enum lzt_status lzt_decode(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length, int last,
                           uint8_t *output, size_t output_length, struct lzt_error *error)
{
    if (length == 0 || output_length == 0)
        return lzt_fail(error, LZT_DECODE, "it has no bytes");
    switch (codec->compression) {
    case LZT_DEFLATE:
    case LZT_DEFLATE_OLD:
        return decode_deflate(decoder, codec, input, length, output, output_length, error);
    case LZT_LZMA:
        return decode_to_end(decoder, codec, input, length, output, output_length, error);
    case LZT_CCITT_G3:
        return decode_group3(decoder, codec, input, length, output, output_length, error);
    case LZT_LZW:
        return decode_lzw(decoder, codec, input, length, output, output_length, error);
    case LZT_JPEG:
        return decode_jpeg(decoder, codec, input, length, last, output, output_length, error);
    case LZT_WEBP:
        return decode_webp(decoder, codec, input, length, output, output_length, error);
    case LZT_JBIG:
        return decode_jbig(decoder, codec, input, length, output, output_length, error);
    case LZT_THUNDERSCAN:
        return decode_thunderscan(decoder, codec, input, length, output, output_length, error);
    default:
        return decode_plainly(decoder, codec, input, length, output, output_length, error);
    }
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
