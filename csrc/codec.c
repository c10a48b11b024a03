#include "codec.h"

#include <stdlib.h>

#include "bytes.h"
#include "layout.h"

/* Only these codecs look at PhotometricInterpretation; the tiny TIFF says min-is-black of the others, which asks for no further tags. */
static uint16_t photometric_for(const struct lzt_layout *layout)
{
    const int counts = layout->compression == LZT_SGILOG || layout->compression == LZT_SGILOG24 ||
                       (layout->compression == LZT_JPEG && layout->photometric == LZT_PHOTOMETRIC_YCBCR && layout->planar == 1);
    return counts ? layout->photometric : 1;
}

static int has_fill_order(uint16_t compression)
{
    return compression == LZT_JBIG || compression == LZT_JPEG; /* they turn bits around by themselves, or never */
}

struct lzt_codec lzt_codec_of(const struct lzt_page *page, uint32_t rows)
{
    const struct lzt_layout *layout = page->layout;
    struct lzt_codec codec;
    memset(&codec, 0, sizeof codec);
    codec.rows = rows;
    codec.columns = layout->chunk_columns;
    codec.samples = layout->planar == 2 ? 1 : layout->stored_samples;
    codec.bits = layout->bits;
    codec.sample_format = layout->sample_format;
    codec.compression = layout->compression;
    codec.photometric = photometric_for(layout);
    codec.fill_order = has_fill_order(layout->compression) ? layout->fill_order : 1;
    codec.subsampling_across = layout->subsampling_across;
    codec.subsampling_down = layout->subsampling_down;
    codec.extra_sample_count = codec.samples == 1 ? 0 : page->extra_sample_count;
    memcpy(codec.extra_samples, page->extra_samples, codec.extra_sample_count * sizeof *codec.extra_samples);
    codec.t4_options = page->t4_options;
    codec.t6_options = page->t6_options;
    memcpy(codec.lerc_parameters, page->lerc_parameters, sizeof codec.lerc_parameters);
    codec.jpeg_tables = page->jpeg_tables;
    codec.jpeg_tables_length = page->jpeg_tables_length;
    return codec;
}

int lzt_codec_equal(const struct lzt_codec *a, const struct lzt_codec *b)
{
    struct lzt_codec left = *a, right = *b;
    left.jpeg_tables = right.jpeg_tables = NULL;
    return memcmp(&left, &right, sizeof left) == 0 &&
           (a->jpeg_tables_length == 0 || memcmp(a->jpeg_tables, b->jpeg_tables, a->jpeg_tables_length) == 0);
}

/* ---- The tiny TIFF ------------------------------------------------------------------------------------------------------- */

struct tiny {
    uint8_t *bytes;
    size_t entry, value; /* where the next entry, and the next value that does not fit into one, go */
    unsigned count;
};

static void put16(uint8_t *bytes, size_t value)
{
    const uint16_t number = (uint16_t)value;
    memcpy(bytes, &number, sizeof number);
}

static void put32(uint8_t *bytes, size_t value)
{
    const uint32_t number = (uint32_t)value;
    memcpy(bytes, &number, sizeof number);
}

/* Write one entry; returns where its value goes, which the caller fills in. */
static uint8_t *put_tag(struct tiny *tiny, uint16_t tag, uint16_t type, uint32_t count)
{
    uint8_t *entry = tiny->bytes + tiny->entry;
    const size_t bytes = (size_t)count * lzt_type_size(type);
    put16(entry, tag);
    put16(entry + 2, type);
    put32(entry + 4, count);
    tiny->entry += 12;
    tiny->count++;
    if (bytes <= 4)
        return entry + 8;
    put32(entry + 8, tiny->value);
    uint8_t *value = tiny->bytes + tiny->value;
    tiny->value += bytes + bytes % 2;
    return value;
}

static void put_long(struct tiny *tiny, uint16_t tag, uint32_t value)
{
    put32(put_tag(tiny, tag, LZT_LONG, 1), value);
}

static void put_shorts(struct tiny *tiny, uint16_t tag, const uint16_t *values, uint16_t count)
{
    uint8_t *bytes = put_tag(tiny, tag, LZT_SHORT, count);
    for (uint16_t i = 0; i < count; i++)
        put16(bytes + 2 * (size_t)i, values[i]);
}

static void put_same(struct tiny *tiny, uint16_t tag, uint16_t value, uint16_t count)
{
    uint8_t *bytes = put_tag(tiny, tag, LZT_SHORT, count);
    for (uint16_t i = 0; i < count; i++)
        put16(bytes + 2 * (size_t)i, value);
}

/* In ascending order, as the format asks. */
static void put_tags(struct tiny *tiny, const struct lzt_codec *codec)
{
    const uint16_t subsampling[2] = {codec->subsampling_across, codec->subsampling_down};
    put_long(tiny, LZT_TAG_COLUMNS, codec->columns);
    put_long(tiny, LZT_TAG_ROWS, codec->rows);
    put_same(tiny, LZT_TAG_BITS, codec->bits, codec->samples);
    put_same(tiny, LZT_TAG_COMPRESSION, codec->compression, 1);
    put_same(tiny, LZT_TAG_PHOTOMETRIC, codec->photometric, 1);
    put_same(tiny, LZT_TAG_FILL_ORDER, codec->fill_order, 1);
    put_long(tiny, LZT_TAG_STRIP_OFFSETS, 8); /* never looked at */
    put_same(tiny, LZT_TAG_SAMPLES, codec->samples, 1);
    put_long(tiny, LZT_TAG_ROWS_PER_STRIP, codec->rows);
    put_long(tiny, LZT_TAG_STRIP_COUNTS, 8);
    put_same(tiny, LZT_TAG_PLANAR, 1, 1);
    if (codec->compression == LZT_CCITT_G3)
        put_long(tiny, LZT_TAG_T4_OPTIONS, codec->t4_options);
    if (codec->compression == LZT_CCITT_G4)
        put_long(tiny, LZT_TAG_T6_OPTIONS, codec->t6_options);
    if (codec->extra_sample_count > 0)
        put_shorts(tiny, LZT_TAG_EXTRA_SAMPLES, codec->extra_samples, codec->extra_sample_count);
    put_same(tiny, LZT_TAG_SAMPLE_FORMAT, codec->sample_format, codec->samples);
    if (codec->jpeg_tables_length > 0)
        memcpy(put_tag(tiny, LZT_TAG_JPEG_TABLES, LZT_UNDEFINED, codec->jpeg_tables_length), codec->jpeg_tables,
               codec->jpeg_tables_length);
    if (codec->photometric == LZT_PHOTOMETRIC_YCBCR)
        put_shorts(tiny, LZT_TAG_YCBCR_SUBSAMPLING, subsampling, 2);
    if (codec->compression == LZT_LERC) {
        uint8_t *parameters = put_tag(tiny, LZT_TAG_LERC_PARAMETERS, LZT_LONG, 2);
        put32(parameters, codec->lerc_parameters[0]);
        put32(parameters + 4, codec->lerc_parameters[1]);
    }
}

uint8_t *lzt_codec_tiff(const struct lzt_codec *codec, size_t *length)
{
    enum { HEADER = 8, MOST_TAGS = 20, ENTRIES = 2 + 12 * MOST_TAGS + 4 };
    const size_t room = HEADER + ENTRIES + 4 * (size_t)codec->samples + codec->jpeg_tables_length + 64;
    struct tiny tiny = {calloc(1, room), HEADER + 2, HEADER + ENTRIES, 0};
    if (tiny.bytes == NULL)
        return NULL;
    memcpy(tiny.bytes, lzt_machine_is_big_endian() ? "MM" : "II", 2);
    put16(tiny.bytes + 2, 42);
    put32(tiny.bytes + 4, HEADER);
    put_tags(&tiny, codec);
    put16(tiny.bytes + HEADER, tiny.count);
    *length = room;
    return tiny.bytes;
}

/* ---- Chunks that say themselves what they hold -------------------------------------------------------------------------- */

static int is_frame_header(uint8_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static int read_frame(const uint8_t *segment, size_t length, struct lzt_jpeg_frame *frame)
{
    if (length < 8)
        return 0;
    frame->bits = segment[2];
    frame->rows = lzt_get16(segment + 3, 1);
    frame->columns = lzt_get16(segment + 5, 1);
    frame->components = segment[7];
    frame->across = frame->down = 1;
    if (length < 8 + 3 * (size_t)frame->components)
        return 0;
    if (frame->components >= 2) {
        const unsigned first = segment[9], other = segment[12];
        if (other >> 4 == 0 || (other & 15) == 0)
            return 0;
        frame->across = (first >> 4) / (other >> 4);
        frame->down = (first & 15) / (other & 15);
    }
    return 1;
}

/* 1: a marker of quantisation, Huffman or arithmetic tables is somewhere. libjpeg reads tables between scans and behind the last one too. */
static int has_table_marker(const uint8_t *bytes, size_t length)
{
    const uint8_t *at = bytes, *const end = bytes + length;
    while (end - at >= 2 && (at = memchr(at, 0xFF, (size_t)(end - at) - 1)) != NULL) {
        const uint8_t marker = *++at;
        if (marker == 0xDB || marker == 0xC4 || marker == 0xCC)
            return 1;
    }
    return 0;
}

int lzt_jpeg_scan(const uint8_t *bytes, size_t length, struct lzt_jpeg_frame *frame)
{
    int found = 0;
    memset(frame, 0, sizeof *frame);
    frame->has_tables = has_table_marker(bytes, length);
    for (size_t at = 2; at + 4 <= length;) {
        if (bytes[at] != 0xFF) {
            at++; /* between segments; libjpeg skips such bytes with a warning */
            continue;
        }
        const uint8_t marker = bytes[at + 1];
        if (marker == 0xFF) {
            at++; /* a fill byte */
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) /* the scan begins, or all is over */
            return found;
        const size_t segment = lzt_get16(bytes + at + 2, 1);
        if (segment < 2 || segment > length - at - 2)
            return 0;
        if (is_frame_header(marker))
            found = read_frame(bytes + at + 2, segment, frame);
        at += 2 + segment;
    }
    return 0;
}

static uint32_t get24(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
}

int lzt_webp_scan(const uint8_t *bytes, size_t length, uint32_t *rows, uint32_t *columns)
{
    if (length < 25 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WEBP", 4) != 0)
        return 0;
    const uint8_t *data = bytes + 20;
    if (memcmp(bytes + 12, "VP8X", 4) == 0 && length >= 30) {
        *columns = get24(data + 4) + 1;
        *rows = get24(data + 7) + 1;
        return 1;
    }
    if (memcmp(bytes + 12, "VP8L", 4) == 0 && data[0] == 0x2F) {
        const uint32_t sizes = lzt_get32(data + 1, 0);
        *columns = (sizes & 0x3FFF) + 1;
        *rows = (sizes >> 14 & 0x3FFF) + 1;
        return 1;
    }
    if (memcmp(bytes + 12, "VP8 ", 4) == 0 && length >= 30 && data[3] == 0x9D && data[4] == 0x01 && data[5] == 0x2A) {
        *columns = lzt_get16(data + 6, 0) & 0x3FFF;
        *rows = lzt_get16(data + 8, 0) & 0x3FFF;
        return 1;
    }
    return 0;
}

int lzt_jbig_scan(const uint8_t *bytes, size_t length, int reversed, uint32_t *rows, uint32_t *columns)
{
    uint8_t header[20];
    if (length < sizeof header)
        return 0;
    memcpy(header, bytes, sizeof header);
    if (reversed)
        lzt_reverse_bits(header, sizeof header);
    *columns = lzt_get32(header + 4, 1);
    *rows = lzt_get32(header + 8, 1);
    return header[2] == 1; /* planes */
}
