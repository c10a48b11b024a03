/* Each codec in its own way: what libtiff alone would take for right, leave out, or carry over from one chunk to the next. */
#include "decode.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "checksum.h"
#include "error.h"
#include "layout.h"
#include "libtiff.h"

/* Bytes that are decoded of a stream in search of its end, when the chunk has no more. */
#define LONGEST_STREAM ((uint64_t)64 << 20)

struct lzt_decoder {
    struct lzt_tiff *tiff;  /* of the last chunk's codec, kept for the next one */
    struct lzt_codec codec; /* jpeg_tables is the decoder's own copy */
    uint8_t *jpeg_tables;
    int old_lzw; /* the handle has switched to LZW codes in the old bit order */
};

enum lzt_status lzt_decoder_open(struct lzt_decoder **decoder, struct lzt_error *error)
{
    *decoder = calloc(1, sizeof **decoder);
    return *decoder != NULL ? LZT_OK : lzt_fail_memory(error, sizeof **decoder);
}

static void forget(struct lzt_decoder *decoder)
{
    lzt_tiff_close(decoder->tiff);
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

/* Have a handle for that codec. */
static enum lzt_status prepare(struct lzt_decoder *decoder, const struct lzt_codec *codec, struct lzt_error *error)
{
    if (decoder->tiff != NULL && lzt_codec_equal(&decoder->codec, codec))
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
    return lzt_tiff_open(codec, &decoder->tiff, error);
}

static enum lzt_status fail(struct lzt_decoder *decoder, struct lzt_error *error)
{
    const char *complaint = lzt_tiff_complaint(decoder->tiff);
    lzt_fail(error, LZT_DECODE, "its bytes do not decode: %s", complaint[0] != 0 ? complaint : "libtiff does not say why");
    forget(decoder); /* who knows in what state it is */
    return LZT_DECODE;
}

static enum lzt_status decode_plainly(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                                      struct lzt_error *error)
{
    enum lzt_status status = prepare(decoder, codec, error);
    if (status == LZT_OK && !lzt_tiff_decode(decoder->tiff, stream->input, stream->length, stream->output, stream->output_length))
        status = fail(decoder, error);
    return status;
}

/* ---- Streams that carry a checksum behind their last byte ----------------------------------------------------------------- */

/* How many bytes of a larger chunk the stream did not fill, from libtiff's complaint; 0 when it complained of something else. libtiff
 * says this only after zlib or liblzma came to the end of the stream and found its checksum right. */
static uint64_t bytes_short(const char *complaint)
{
    const char *text = strstr(complaint, "(short ");
    if (strstr(complaint, "Not enough data") == NULL || text == NULL)
        return 0;
    return strtoull(text + strlen("(short "), NULL, 10);
}

/* Decode into room, which is larger than the chunk. *ended: the stream came to its end there, behind the chunk's last byte. LZT_OK
 * without that: the stream filled the room. */
static enum lzt_status decode_beyond(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                                     uint8_t *room, uint64_t size, int *ended, struct lzt_error *error)
{
    struct lzt_codec larger = *codec;
    const uint64_t row = stream->output_length / codec->rows;
    larger.rows = (uint32_t)lzt_min64(size / (row + (row == 0)) + 1, INT32_MAX);
    enum lzt_status status = prepare(decoder, &larger, error);
    if (status != LZT_OK)
        return status;
    if (larger.compression != LZT_LZMA)
        lzt_tiff_use_zlib(decoder->tiff);
    const int full = lzt_tiff_decode(decoder->tiff, stream->input, stream->length, room, (size_t)size);
    const uint64_t missing = full ? 0 : bytes_short(lzt_tiff_complaint(decoder->tiff));
    *ended = missing > 0 && missing <= size - stream->output_length;
    if (!full && !*ended)
        return fail(decoder, error);
    forget(decoder); /* it is of no use for a chunk of the usual size */
    return LZT_OK;
}

/* Decode into ever more room until the stream ends in it; the chunk's own bytes are the first. Needed because a decoder that stops when
 * its output is full never sees the checksum. Streams may be longer than their chunk, but a bomb is of no use to anybody. */
static enum lzt_status decode_to_end(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                                     struct lzt_error *error)
{
    const uint64_t most = lzt_max64(lzt_max64(2 * (uint64_t)stream->output_length, stream->full_length + 1), LONGEST_STREAM);
    uint64_t size = 0;
    int ended = 0;
    while (size < most) {
        size = size == 0 ? (uint64_t)stream->output_length + 1 : lzt_min64(2 * size, most);
        uint8_t *room = size < SIZE_MAX ? malloc((size_t)size) : NULL;
        if (room == NULL)
            return lzt_fail_memory(error, size);
        enum lzt_status status = decode_beyond(decoder, codec, stream, room, size, &ended, error);
        if (ended)
            memcpy(stream->output, room, stream->output_length);
        free(room);
        if (ended || status != LZT_OK)
            return status;
    }
    return lzt_fail(error, LZT_LIMIT, "its bytes decode to more than %" PRIu64 ", the chunk has %" PRIu64, most,
                    (uint64_t)stream->output_length);
}

/* A zlib stream ends with the Adler-32 of what it decodes to (RFC 1950). libtiff with libdeflate accepts a stream that is longer than the
 * chunk without looking at it, and leaves the rest of the chunk as it happens to be. */
static enum lzt_status decode_deflate(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    enum lzt_status status = decode_plainly(decoder, codec, stream, error);
    if (status != LZT_OK)
        return status;
    if (stream->length >= 4 && lzt_adler32(1, stream->output, stream->output_length) == lzt_get32(stream->input + stream->length - 4, 1))
        return LZT_OK;
    return decode_to_end(decoder, codec, stream, error);
}

/* ---- Codecs with state or with headers of their own ----------------------------------------------------------------------- */

/* The first LZW streams had their codes in the other bit order (libtiff, tif_lzw.c); a handle that met one stays so. */
static enum lzt_status decode_lzw(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    const int old_lzw = stream->length >= 2 && stream->input[0] == 0 && (stream->input[1] & 1) != 0;
    if (decoder->old_lzw != old_lzw)
        forget(decoder);
    enum lzt_status status = decode_plainly(decoder, codec, stream, error);
    if (status == LZT_OK)
        decoder->old_lzw = old_lzw;
    return status;
}

/* A stream whose own header says another size than the chunk has. */
static enum lzt_status fail_size(const char *kind, uint32_t rows, uint32_t columns, const struct lzt_codec *codec, struct lzt_error *error)
{
    return lzt_fail(error, LZT_DECODE, "its %s stream holds %u x %u pixels, the chunk has %u x %u", kind, rows, columns, codec->rows,
                    codec->columns);
}

static enum lzt_status check_frame(const struct lzt_jpeg_frame *frame, const struct lzt_codec *codec, int may_be_taller,
                                   struct lzt_error *error)
{
    if (frame->columns != codec->columns || frame->rows < codec->rows || (frame->rows > codec->rows && !may_be_taller))
        return fail_size("JPEG", frame->rows, frame->columns, codec, error);
    if (frame->components != codec->samples)
        return lzt_fail(error, LZT_DECODE, "its JPEG stream has %u components, the page %u samples", frame->components, codec->samples);
    if (frame->bits != codec->bits)
        return lzt_fail(error, LZT_DECODE, "its JPEG stream has %u bits a sample, the page %u", frame->bits, codec->bits);
    if (frame->bits == 12 && codec->columns % 2 != 0 && codec->samples % 2 != 0) /* tif_jpeg.c, JPEGDecode: packed by twos; 4.7.2 too */
        return lzt_fail(error, LZT_UNSUPPORTED, "libtiff leaves out the last sample of JPEG rows of 12 bits and odd length");
    return LZT_OK;
}

/* Tables that a stream brings stay in the handle, and libjpeg would use them for the next stream that has none. */
static enum lzt_status decode_jpeg(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    struct lzt_jpeg_frame frame;
    struct lzt_codec exact = *codec;
    if (!lzt_jpeg_scan(stream->input, stream->length, &frame))
        return lzt_fail(error, LZT_DECODE, "its JPEG stream has no frame header");
    enum lzt_status status = check_frame(&frame, codec, stream->full_length > stream->output_length, error);
    if (status != LZT_OK)
        return status;
    exact.subsampling_across = (uint16_t)frame.across; /* what the stream says counts, not the tag */
    exact.subsampling_down = (uint16_t)frame.down;
    if (frame.has_tables)
        forget(decoder);
    status = prepare(decoder, &exact, error);
    if (status != LZT_OK)
        return status;
    lzt_tiff_allow_tall_jpeg(decoder->tiff, frame.rows > codec->rows);
    if (!lzt_tiff_decode(decoder->tiff, stream->input, stream->length, stream->output, stream->output_length))
        return fail(decoder, error);
    if (frame.has_tables)
        forget(decoder);
    return LZT_OK;
}

static enum lzt_status decode_webp(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    uint32_t rows, columns;
    if (!lzt_webp_scan(stream->input, stream->length, &rows, &columns))
        return lzt_fail(error, LZT_DECODE, "its bytes are no WebP stream");
    if (columns != codec->columns || rows != codec->rows)
        return fail_size("WebP", rows, columns, codec, error);
    return decode_plainly(decoder, codec, stream, error);
}

/* libjbig believes the header: it aborts the process when there is no memory for so large a picture, and libtiff then looks at nothing but
 * the number of bytes. So a picture whose height is only told behind its pixels (ITU-T T.82, 6.2.6.2) is not read. */
static enum lzt_status decode_jbig(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    uint32_t rows, columns;
    /* libtiff turns the bits around unless FillOrder is 2 */
    if (!lzt_jbig_scan(stream->input, stream->length, codec->fill_order == 1, &rows, &columns))
        return lzt_fail(error, LZT_DECODE, "its bytes are no JBIG stream of one plane");
    if (columns != codec->columns || rows != codec->rows)
        return fail_size("JBIG", rows, columns, codec, error);
    return decode_plainly(decoder, codec, stream, error);
}

/* libtiff 4.5 leaves the pixels of a run that ends its row as they were (tif_thunder.c, ThunderDecode). So the last pixel of each run is
 * told by a code of its own: a difference of 0, and two skipped ones. */
static enum lzt_status decode_thunderscan(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    enum { CODES = 0xC0, SAME_ONCE = 0x4A };
    uint8_t *longer = malloc(2 * stream->length);
    size_t count = 0;
    if (longer == NULL)
        return lzt_fail_memory(error, 2 * stream->length);
    for (size_t i = 0; i < stream->length; i++) {
        const int is_run = (stream->input[i] & CODES) == 0 && stream->input[i] > 0;
        if (!is_run || stream->input[i] > 1)
            longer[count++] = (uint8_t)(stream->input[i] - is_run);
        if (is_run)
            longer[count++] = SAME_ONCE;
    }
    struct lzt_stream recoded = *stream;
    recoded.input = longer;
    recoded.length = count;
    enum lzt_status status = decode_plainly(decoder, codec, &recoded, error);
    free(longer);
    return status;
}

/* Lines of Group 3 begin with an EOL code (ITU-T T.4, 4.1.2), perhaps behind fill bits, but some writers leave it out, and libtiff before
 * 4.7 then skips lines without a word. */
static enum lzt_status decode_group3(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                               struct lzt_error *error)
{
    const int begins_with_eol = stream->length >= 2 && stream->input[0] == 0 && (stream->input[1] & 0xE0) == 0;
    enum lzt_status status = decode_plainly(decoder, codec, stream, error);
    if (status != LZT_OK)
        return status;
    const int without_eol = lzt_tiff_went_without_eol(decoder->tiff);
    if (without_eol || !begins_with_eol)
        forget(decoder); /* it goes on without, and would not say so again */
    if (without_eol || begins_with_eol)
        return LZT_OK;
    return lzt_fail(error, LZT_UNSUPPORTED, "its Group 3 lines have no EOL codes, which libtiff %.5s does not understand",
                    lzt_libtiff_version());
}

enum lzt_status lzt_decode_old_jpeg(uint8_t *tiff_bytes, size_t tiff_length, const struct lzt_layout *layout, uint64_t chunk,
                                    uint8_t *output, size_t output_length, struct lzt_error *error)
{
    struct lzt_tiff *tiff;
    uint16_t across, down;
    enum lzt_status status = lzt_tiff_open_old_jpeg(tiff_bytes, tiff_length, output_length, &tiff, error);
    if (status != LZT_OK)
        return status;
    const int done = lzt_tiff_read_chunk(tiff, layout->tiled, (uint32_t)chunk, output, output_length);
    lzt_tiff_subsampling(tiff, &across, &down);
    if (!done) {
        const char *complaint = lzt_tiff_complaint(tiff);
        status = lzt_fail(error, LZT_DECODE, "its bytes do not decode: %s", complaint[0] != 0 ? complaint : "they end early");
    } else if (layout->photometric == LZT_PHOTOMETRIC_YCBCR && (across != layout->subsampling_across || down != layout->subsampling_down)) {
        status = lzt_fail(error, LZT_UNSUPPORTED, "YCbCrSubSampling is not that of its JPEG stream, %u x %u", across, down);
    }
    lzt_tiff_close(tiff);
    return status;
}

enum lzt_status lzt_decode(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                           struct lzt_error *error)
{
    if (stream->length == 0 || stream->output_length == 0)
        return lzt_fail(error, LZT_DECODE, "it has no bytes");
    switch (codec->compression) {
    case LZT_DEFLATE:
    case LZT_DEFLATE_OLD:
        return decode_deflate(decoder, codec, stream, error);
    case LZT_LZMA:
        return decode_to_end(decoder, codec, stream, error);
    case LZT_CCITT_G3:
        return decode_group3(decoder, codec, stream, error);
    case LZT_LZW:
        return decode_lzw(decoder, codec, stream, error);
    case LZT_JPEG:
        return decode_jpeg(decoder, codec, stream, error);
    case LZT_WEBP:
        return decode_webp(decoder, codec, stream, error);
    case LZT_JBIG:
        return decode_jbig(decoder, codec, stream, error);
    case LZT_THUNDERSCAN:
        return decode_thunderscan(decoder, codec, stream, error);
    default:
        return decode_plainly(decoder, codec, stream, error);
    }
}
