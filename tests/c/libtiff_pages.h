/* libtiff_pages.h - pages that libtiff encodes in memory, what it decodes them to, and the same pages put together again with other
 * streams in them. */
#ifndef LIBTIFF_PAGES_H
#define LIBTIFF_PAGES_H

#include <tiffio.h>

#include "reading.h"

/* What libtiff is to encode; members that are 0 take the default, named first. */
struct encoding {
    const char *name;
    uint16_t compression, bits, samples, format; /* bits: 8, samples: 1, format: 1 */
    uint16_t photometric;                        /* 1; 0 is min-is-white with negative */
    uint16_t predictor;                          /* none is set */
    uint16_t planar, fill_order;                 /* 1; 1 */
    uint32_t rows, columns;                      /* 37; 50 */
    uint32_t chunk_rows, tile_columns;           /* 16; strips */
    struct {
        uint32_t tag;
        int value;
    } options[3]; /* the codec's own */
};

static inline struct encoding with_defaults(const struct encoding *given)
{
    struct encoding full = *given;
    uint16_t *const small[] = {&full.samples, &full.format, &full.photometric, &full.planar, &full.fill_order};
    for (size_t i = 0; i < 5; i++)
        *small[i] = *small[i] ? *small[i] : 1;
    full.bits = full.bits ? full.bits : 8;
    full.rows = full.rows ? full.rows : 37;
    full.columns = full.columns ? full.columns : 50;
    full.chunk_rows = full.chunk_rows ? full.chunk_rows : 16;
    return full;
}

/* 0: says why. libLerc's Huffman codes use uninitialised memory of its own, also when libtiff calls it for itself. */
static inline int can_encode(const struct encoding *encoding)
{
    const char *why = !TIFFIsCODECConfigured(encoding->compression)                               ? "this libtiff has no such codec"
                      : encoding->compression == COMPRESSION_LERC && is_under_valgrind() ? "not under valgrind"
                                                                                                  : NULL;
    if (why != NULL)
        printf("Compression %u: %s\n", encoding->compression, why);
    return why == NULL;
}

/* ---- A file in memory, for libtiff ---- */

struct memory {
    struct tiff_builder file;
    uint64_t position;
};

static inline tmsize_t memory_read(thandle_t context, void *buffer, tmsize_t length)
{
    struct memory *memory = context;
    const uint64_t left = memory->position < memory->file.size ? memory->file.size - memory->position : 0;
    const size_t count = (uint64_t)length < left ? (size_t)length : (size_t)left;
    if (count > 0)
        memcpy(buffer, memory->file.bytes + memory->position, count);
    memory->position += count;
    return (tmsize_t)count;
}

static inline tmsize_t memory_write(thandle_t context, void *buffer, tmsize_t length)
{
    struct memory *memory = context;
    const uint64_t end = memory->position + (uint64_t)length;
    if (end > memory->file.size)
        tiff_reserve(&memory->file, end - memory->file.size);
    memcpy(memory->file.bytes + memory->position, buffer, (size_t)length);
    memory->position = end;
    return length;
}

static inline toff_t memory_seek(thandle_t context, toff_t offset, int whence)
{
    struct memory *memory = context;
    return memory->position = offset + (whence == SEEK_CUR ? memory->position : whence == SEEK_END ? memory->file.size : 0);
}

static inline int memory_close(thandle_t context) { return context == NULL; }
static inline toff_t memory_size(thandle_t context) { return ((struct memory *)context)->file.size; }

static inline TIFF *memory_open(struct memory *memory, const char *mode)
{
    memory->position = 0;
    TIFF *tiff = TIFFClientOpen("memory", mode, memory, memory_read, memory_write, memory_seek, memory_close, memory_size, NULL, NULL);
    CHECK(tiff != NULL);
    return tiff;
}

/* ---- Encode ---- */

/* Something between smooth and rough: runs of equal values, slopes, and a little noise. */
static inline uint32_t picture(uint32_t row, uint32_t column, uint32_t sample)
{
    const uint32_t noise = (row * 7919 + column * 104729 + sample * 31) % 5;
    return column % 16 < 5 ? 40 * sample : row * 3 + column * 2 + noise + 20 * sample;
}

static inline void put_picture(const struct encoding *encoding, uint8_t *row, uint32_t index, uint32_t value)
{
    const float real = (float)value / 16;
    const double wide = value / 16.0;
    const uint16_t middle = (uint16_t)(encoding->photometric == PHOTOMETRIC_LOGL || encoding->photometric == PHOTOMETRIC_LOGLUV ? 9000 + value
                                                                                                                                 : value * 97);
    if (encoding->bits == 1)
        row[index / 8] |= (uint8_t)((value / 16 & 1) << (7 - index % 8));
    else if (encoding->bits == 8)
        row[index] = (uint8_t)value;
    else if (encoding->bits == 16)
        memcpy(row + 2 * index, &middle, 2);
    else if (encoding->bits == 32)
        memcpy(row + 4 * index, encoding->format == 3 ? (const void *)&real : (const void *)&value, 4);
    else
        memcpy(row + 8 * index, &wide, 8);
}

static inline void set_tags(TIFF *tiff, const struct encoding *encoding)
{
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, encoding->columns);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, encoding->rows);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, encoding->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, encoding->samples);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, encoding->format);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, encoding->planar);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, encoding->photometric == UINT16_MAX ? 0 : encoding->photometric);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, encoding->fill_order);
    CHECK(TIFFSetField(tiff, TIFFTAG_COMPRESSION, encoding->compression) == 1);
    if (encoding->tile_columns > 0) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, encoding->tile_columns);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, encoding->chunk_rows);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, encoding->chunk_rows);
    }
    if (encoding->predictor > 0)
        TIFFSetField(tiff, TIFFTAG_PREDICTOR, encoding->predictor);
    if (encoding->samples == 4 && encoding->photometric == PHOTOMETRIC_RGB)
        TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, (uint16_t[]){EXTRASAMPLE_UNASSALPHA});
    if (encoding->compression == COMPRESSION_JPEG && encoding->photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    for (size_t i = 0; i < 3 && encoding->options[i].tag != 0; i++)
        CHECK(TIFFSetField(tiff, encoding->options[i].tag, encoding->options[i].value) == 1);
}

static inline void set_data_format(TIFF *tiff, const struct encoding *encoding)
{
    if (encoding->compression == COMPRESSION_SGILOG || encoding->compression == COMPRESSION_SGILOG24)
        TIFFSetField(tiff, TIFFTAG_SGILOGDATAFMT, SGILOGDATAFMT_16BIT);
    if (encoding->compression == COMPRESSION_PIXARLOG)
        TIFFSetField(tiff, TIFFTAG_PIXARLOGDATAFMT, encoding->bits == 8 ? PIXARLOGDATAFMT_8BIT : PIXARLOGDATAFMT_16BIT);
}

/* One chunk of the picture, handed to libtiff as scan lines or as a tile. */
static inline void write_chunk(TIFF *tiff, const struct encoding *encoding, uint32_t number, uint32_t plane, uint32_t top, uint32_t left)
{
    const uint32_t columns = encoding->tile_columns ? encoding->tile_columns : encoding->columns;
    const uint32_t samples = encoding->planar == 2 ? 1 : encoding->samples;
    const uint32_t down = encoding->rows - top, rows = encoding->tile_columns || down > encoding->chunk_rows ? encoding->chunk_rows : down;
    const size_t pitch = ((size_t)columns * samples * encoding->bits + 7) / 8;
    uint8_t *bytes = calloc(rows, pitch);
    CHECK(bytes != NULL);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < columns * samples; i++)
            put_picture(encoding, bytes + r * pitch, i, picture(top + r, left + i / samples, plane + i % samples));
    const tmsize_t size = (tmsize_t)(rows * pitch);
    CHECK((encoding->tile_columns ? TIFFWriteEncodedTile(tiff, number, bytes, size) : TIFFWriteEncodedStrip(tiff, number, bytes, size)) == size);
    free(bytes);
}

static inline struct memory encode(const struct encoding *given)
{
    const struct encoding encoding = with_defaults(given);
    struct memory memory = {.position = 0};
    TIFF *tiff = memory_open(&memory, "wm");
    set_tags(tiff, &encoding);
    set_data_format(tiff, &encoding);
    const uint32_t width = encoding.tile_columns ? encoding.tile_columns : encoding.columns;
    uint32_t number = 0;
    for (uint32_t plane = 0; plane < (encoding.planar == 2 ? encoding.samples : 1); plane++)
        for (uint32_t top = 0; top < encoding.rows; top += encoding.chunk_rows)
            for (uint32_t left = 0; left < encoding.columns; left += width)
                write_chunk(tiff, &encoding, number++, plane, top, left);
    TIFFClose(tiff);
    return memory;
}

/* ---- Decode, by libtiff ---- */

static inline void copy_items(const struct encoding *encoding, const uint8_t *chunk, size_t pitch, uint32_t plane, uint32_t top, uint32_t left,
                              uint8_t *items)
{
    const uint32_t columns = encoding->tile_columns ? encoding->tile_columns : encoding->columns;
    const uint32_t samples = encoding->planar == 2 ? 1 : encoding->samples;
    const size_t item = encoding->bits == 1 ? 1 : encoding->bits / 8u;
    for (uint32_t r = top; r < encoding->rows && r < top + encoding->chunk_rows; r++)
        for (uint32_t c = left; c < encoding->columns && c < left + columns; c++)
            for (uint32_t s = 0; s < samples; s++) {
                uint8_t *to = items + (((size_t)r * encoding->columns + c) * encoding->samples + plane + s) * item;
                const uint8_t *row = chunk + (r - top) * pitch;
                const size_t from = (size_t)(c - left) * samples + s;
                if (encoding->bits == 1)
                    *to = row[from / 8] >> (7 - from % 8) & 1;
                else
                    memcpy(to, row + from * item, item);
            }
}

/* The page's items as libtiff reads them, in C order; size bytes, to be freed. */
static inline uint8_t *decode_by_libtiff(struct memory *memory, const struct encoding *given, size_t *size)
{
    const struct encoding encoding = with_defaults(given);
    TIFF *tiff = memory_open(memory, "rmc"); /* c: leave a large strip as it is */
    set_data_format(tiff, &encoding);
    if (encoding.compression == COMPRESSION_JPEG && encoding.photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    const int tiled = encoding.tile_columns > 0;
    const uint32_t across = tiled ? (encoding.columns - 1) / encoding.tile_columns + 1 : 1, down = (encoding.rows - 1) / encoding.chunk_rows + 1;
    const tmsize_t room = tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff), pitch = tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff);
    *size = (size_t)encoding.rows * encoding.columns * encoding.samples * (encoding.bits == 1 ? 1 : encoding.bits / 8u);
    uint8_t *items = calloc(1, *size), *chunk = malloc((size_t)room);
    CHECK(items != NULL && chunk != NULL);
    for (uint32_t i = 0; i < across * down * (encoding.planar == 2 ? encoding.samples : 1); i++) {
        CHECK((tiled ? TIFFReadEncodedTile(tiff, i, chunk, room) : TIFFReadEncodedStrip(tiff, i, chunk, room)) > 0);
        copy_items(&encoding, chunk, (size_t)pitch, i / (across * down), i / across % down * encoding.chunk_rows,
                   i % across * encoding.tile_columns, items);
    }
    free(chunk);
    TIFFClose(tiff);
    return items;
}

/* ---- The page in parts: all tags but those of its chunks, and its chunks ---- */

enum { PART_TAGS = 40, PART_CHUNKS = 64 };

struct parts {
    struct memory memory; /* whose streams they are */
    struct tiff_entry entries[PART_TAGS];
    size_t entry_count;
    struct tiff_chunk chunks[PART_CHUNKS];
    size_t chunk_count;
    int tiled;
};

/* The number that entry is made of, read as a machine's own. */
static inline uint64_t entry_number(const struct tiff_entry *entry, size_t index)
{
    uint64_t value = 0; /* little-endian, as the machines that the tests run on */
    memcpy(&value, (const uint8_t *)entry->values + index * tiff_value_size(entry->type), tiff_value_size(entry->type));
    return value;
}

static inline struct parts take_apart(struct memory memory)
{
    struct parts parts = {.memory = memory};
    struct opened opened = open_built(&memory.file);
    struct lzt_tag tags[PART_TAGS];
    struct tiff_entry offsets = {0}, sizes = {0};
    size_t count;
    CHECK(lzt_tags_read(opened.table, 0, tags, PART_TAGS, &count, NULL) == LZT_OK && count < PART_TAGS);
    for (size_t i = 0; i < count; i++) {
        void *values = malloc(tags[i].bytes + 1);
        CHECK(values != NULL && lzt_tag_value(opened.table, &tags[i], values, NULL) == LZT_OK);
        const struct tiff_entry entry = {tags[i].tag, tags[i].type, tags[i].count, values, 0};
        if (entry.tag == 273 || entry.tag == 324)
            offsets = entry;
        else if (entry.tag == 279 || entry.tag == 325)
            sizes = entry;
        else
            parts.entries[parts.entry_count++] = entry;
    }
    parts.tiled = offsets.tag == 324;
    parts.chunk_count = offsets.count;
    CHECK(offsets.count == sizes.count && offsets.count <= PART_CHUNKS);
    for (size_t i = 0; i < offsets.count; i++)
        parts.chunks[i] = (struct tiff_chunk){memory.file.bytes + entry_number(&offsets, i), entry_number(&sizes, i)};
    free((void *)offsets.values);
    free((void *)sizes.values);
    close_all(&opened);
    return parts;
}

static inline void parts_free(struct parts *parts)
{
    for (size_t i = 0; i < parts->entry_count; i++)
        free((void *)parts->entries[i].values);
    tiff_free(&parts->memory.file);
}

static inline struct tiff_builder put_together(const struct parts *parts)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_entry entries[PART_TAGS + 2];
    uint32_t offsets[PART_CHUNKS], sizes[PART_CHUNKS];
    size_t count = parts->entry_count;
    memcpy(entries, parts->entries, count * sizeof *entries);
    for (size_t i = 0; i < parts->chunk_count; i++) {
        offsets[i] = (uint32_t)tiff_append(&tiff, parts->chunks[i].bytes, parts->chunks[i].size);
        sizes[i] = (uint32_t)parts->chunks[i].size;
    }
    tiff_insert(entries, &count, (struct tiff_entry){parts->tiled ? 324 : 273, FIELD_LONG, parts->chunk_count, offsets, 0});
    tiff_insert(entries, &count, (struct tiff_entry){parts->tiled ? 325 : 279, FIELD_LONG, parts->chunk_count, sizes, 0});
    tiff_add_page(&tiff, entries, count);
    return tiff;
}

/* ---- Read by lazytiff ---- */

/* Read the page over one poison and over another: the status is the same and so, on success, are the pixels, which are left in pixels. */
static inline enum lzt_status read_parts(const struct parts *parts, uint8_t *pixels, size_t size, struct lzt_error *error)
{
    static const uint16_t codecs[] = {1,     2,     3,     4,     5,     7,     8,     32771, 32773, 32809,
                                      32909, 32946, 34661, 34676, 34677, 34887, 34925, 50000, 50001};
    const struct lzt_options options = {.size = sizeof options, .codecs = codecs, .codec_count = sizeof codecs / sizeof *codecs};
    struct tiff_builder tiff = put_together(parts);
    struct opened opened = open_with(&tiff, &options);
    struct guarded again = guarded_new(size);
    memset(again.bytes, 0x5A, size);
    memset(pixels, 0xA5, size);
    CHECK(page_bytes(layout_of(&opened, 0)) == size);
    const enum lzt_status status = lzt_read_page(opened.reader, 0, again.bytes, size, error);
    CHECK(lzt_read_page(opened.reader, 0, pixels, size, error) == status);
    CHECK(status != LZT_OK || memcmp(pixels, again.bytes, size) == 0);
    guarded_free(&again);
    close_all(&opened);
    tiff_free(&tiff);
    return status;
}

#endif
