/* tiff_builder.h - TIFF files in memory for the C tests: right ones and, with tiff_put, wrong ones.
 *
 *     struct tiff_builder tiff = tiff_new(0, 1); // classic, big-endian
 *     struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 7, .bits = 16});
 *     tiff_put(&tiff, tiff_entry_at(&tiff, page, 257) + 4, 4, 1000000); // a lie: ImageLength has a million values
 *     use(tiff.bytes, tiff.size);
 *     tiff_free(&tiff);
 *
 * Places in the file are numbers, which stay right when more is added and the bytes move. What cannot be built ends the test. */
#ifndef TIFF_BUILDER_H
#define TIFF_BUILDER_H

#include "check.h"

/* Field types; libtiff has their names with TIFF_. */
enum { FIELD_BYTE = 1, FIELD_ASCII, FIELD_SHORT, FIELD_LONG, FIELD_RATIONAL, FIELD_SBYTE, FIELD_UNDEFINED, FIELD_SSHORT };
enum { FIELD_SLONG = 9, FIELD_SRATIONAL, FIELD_FLOAT, FIELD_DOUBLE, FIELD_IFD, FIELD_LONG8 = 16, FIELD_SLONG8, FIELD_IFD8 };

struct tiff_builder {
    uint8_t *bytes;
    size_t size, room;
    int bigtiff, big_endian;
    int loose;   /* 1: do not link to the pages that are added; tiff_link does it then, in any order or not at all */
    size_t link; /* where the next page is linked from: 4 (BigTIFF: 8), in the header, at first */
};

struct tiff_page {
    size_t ifd, link; /* where the IFD is, and where its link to the next one is */
};

struct tiff_entry {
    uint16_t tag, type;
    uint64_t count;
    const void *values; /* in this machine's byte order; NULL: value stands in the entry */
    uint64_t value;     /* the only value or, when count values do not fit in an entry, where they are: perhaps a lie */
};

struct tiff_chunk {
    const void *bytes;
    size_t size;
};

struct tiff_image { /* members that are 0 take the default, named first */
    uint32_t rows, columns;
    uint32_t chunk_rows, chunk_columns; /* one strip for all; chunk_rows alone: of a strip; both: of a tile */
    uint16_t samples, bits;             /* 1; 8 */
    uint16_t compression, photometric;  /* 1, none; 1, min-is-black */
    uint16_t planar;                    /* 1, the samples of a pixel together; 2, apart */
    uint64_t seed;                      /* of tiff_sample */
    const struct tiff_chunk *chunks;    /* NULL: uncompressed, made of tiff_sample; otherwise all chunks, as stored */
    const struct tiff_entry *extra;     /* more tags; they replace those made here */
    size_t extra_count;
};

static inline size_t tiff_word(const struct tiff_builder *tiff) { return tiff->bigtiff ? 8 : 4; }

/* size zeros at the end of the file; returns where they are. */
static inline size_t tiff_reserve(struct tiff_builder *tiff, size_t size)
{
    const size_t place = tiff->size;
    if (size > tiff->room - place) {
        tiff->room = (place + size) * 2;
        tiff->bytes = realloc(tiff->bytes, tiff->room);
        CHECK(tiff->bytes != NULL);
    }
    if (size > 0)
        memset(tiff->bytes + place, 0, size);
    tiff->size += size;
    return place;
}

/* IFDs and values begin at even offsets. */
static inline void tiff_align(struct tiff_builder *tiff) { tiff_reserve(tiff, tiff->size % 2); }

static inline size_t tiff_append(struct tiff_builder *tiff, const void *bytes, size_t size)
{
    const size_t place = tiff_reserve(tiff, size);
    if (size > 0)
        memcpy(tiff->bytes + place, bytes, size);
    return place;
}

/* A number of size bytes in the file's byte order. */
static inline void tiff_put(struct tiff_builder *tiff, size_t place, size_t size, uint64_t value)
{
    CHECK(size <= 8 && place <= tiff->size && size <= tiff->size - place);
    CHECK(size == 8 || value >> 8 * size == 0);
    for (size_t i = 0; i < size; i++)
        tiff->bytes[place + (tiff->big_endian ? size - 1 - i : i)] = (uint8_t)(value >> 8 * i);
}

static inline uint64_t tiff_get(const struct tiff_builder *tiff, size_t place, size_t size)
{
    uint64_t value = 0;
    CHECK(size <= 8 && place <= tiff->size && size <= tiff->size - place);
    for (size_t i = 0; i < size; i++)
        value = value << 8 | tiff->bytes[place + (tiff->big_endian ? i : size - 1 - i)];
    return value;
}

static inline struct tiff_builder tiff_new(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = {.bigtiff = bigtiff, .big_endian = big_endian, .link = bigtiff ? 8 : 4};
    tiff_append(&tiff, big_endian ? "MM" : "II", 2);
    tiff_reserve(&tiff, bigtiff ? 14 : 6);
    tiff_put(&tiff, 2, 2, bigtiff ? 43 : 42);
    if (bigtiff)
        tiff_put(&tiff, 4, 2, 8); /* the size of offsets */
    return tiff;
}

static inline void tiff_free(struct tiff_builder *tiff)
{
    free(tiff->bytes);
    *tiff = (struct tiff_builder){0};
}

static inline size_t tiff_value_size(uint16_t type)
{
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

static inline int tiff_fits(const struct tiff_builder *tiff, uint16_t type, uint64_t count)
{
    return tiff_value_size(type) == 0 || count <= tiff_word(tiff) / tiff_value_size(type);
}

static inline void tiff_put_values(struct tiff_builder *tiff, size_t place, const struct tiff_entry *entry)
{
    const uint16_t one = 1;
    const int same_order = *(const uint8_t *)&one == !tiff->big_endian, fraction = entry->type == 5 || entry->type == 10;
    const size_t size = tiff_value_size(entry->type), unit = fraction ? 4 : size;
    for (size_t i = 0; i < entry->count * size; i++)
        tiff->bytes[place + i] = ((const uint8_t *)entry->values)[same_order ? i : i + unit - 1 - 2 * (i % unit)];
}

static inline void tiff_put_entry(struct tiff_builder *tiff, size_t place, const struct tiff_entry *entry)
{
    const size_t word = tiff_word(tiff), size = tiff_value_size(entry->type), field = place + 4 + word;
    const int fits = tiff_fits(tiff, entry->type, entry->count);
    tiff_put(tiff, place, 2, entry->tag);
    tiff_put(tiff, place + 2, 2, entry->type);
    tiff_put(tiff, place + 4, word, entry->count);
    if (entry->values == NULL) {
        tiff_put(tiff, field, fits && size > 0 && size < word ? size : word, entry->value);
    } else if (fits) {
        tiff_put_values(tiff, field, entry);
    } else {
        tiff_align(tiff);
        const size_t outside = tiff_reserve(tiff, entry->count * size);
        tiff_put(tiff, field, word, outside);
        tiff_put_values(tiff, outside, entry);
    }
}

/* Link from a place (page.link, or the header's) to an IFD, or to anything else. */
static inline void tiff_link(struct tiff_builder *tiff, size_t link, uint64_t ifd) { tiff_put(tiff, link, tiff_word(tiff), ifd); }

/* Entries as they are given, so in the order of their tags if the file is to be right; their values follow the IFD. */
static inline struct tiff_page tiff_add_page(struct tiff_builder *tiff, const struct tiff_entry *entries, size_t count)
{
    const size_t head = tiff->bigtiff ? 8 : 2, entry = tiff->bigtiff ? 20 : 12;
    tiff_align(tiff);
    struct tiff_page page = {.ifd = tiff_reserve(tiff, head + count * entry + tiff_word(tiff))};
    page.link = page.ifd + head + count * entry;
    tiff_put(tiff, page.ifd, head, count);
    for (size_t i = 0; i < count; i++)
        tiff_put_entry(tiff, page.ifd + head + i * entry, &entries[i]);
    if (!tiff->loose) {
        tiff_link(tiff, tiff->link, page.ifd);
        tiff->link = page.link;
    }
    return page;
}

/* Where the page's entry for tag is: 2 bytes of tag, 2 of type, 4 (BigTIFF: 8) of count, 4 (8) of values or offset. */
static inline size_t tiff_entry_at(const struct tiff_builder *tiff, struct tiff_page page, uint16_t tag)
{
    size_t place = page.ifd + (tiff->bigtiff ? 8 : 2);
    while (place < page.link && tiff_get(tiff, place, 2) != tag)
        place += tiff->bigtiff ? 20 : 12;
    CHECK(place < page.link);
    return place;
}

/* Where the first value of tag is. */
static inline size_t tiff_value_at(const struct tiff_builder *tiff, struct tiff_page page, uint16_t tag)
{
    const size_t word = tiff_word(tiff), place = tiff_entry_at(tiff, page, tag), field = place + 4 + word;
    const int fits = tiff_fits(tiff, (uint16_t)tiff_get(tiff, place + 2, 2), tiff_get(tiff, place + 4, word));
    return fits ? field : (size_t)tiff_get(tiff, field, word);
}

/* The value of a sample that is made here: it looks random, but is always the same. */
static inline uint64_t tiff_sample(uint64_t seed, uint32_t row, uint32_t column, uint32_t sample, unsigned bits)
{
    uint64_t value = (seed + 1) * 0x9E3779B97F4A7C15 ^ ((uint64_t)row << 40 ^ (uint64_t)column << 8 ^ sample);
    value = (value ^ value >> 31) * 0xBF58476D1CE4E5B9;
    return (value ^ value >> 29) >> (64 - bits);
}

/* Samples that do not fill bytes are packed from the high bit on, in either byte order. */
static inline void tiff_put_sample(struct tiff_builder *tiff, size_t row, size_t bit, unsigned bits, uint64_t value)
{
    if (bits % 8 == 0)
        tiff_put(tiff, row + bit / 8, bits / 8, value);
    else
        for (unsigned i = bits; i-- > 0; bit++)
            tiff->bytes[row + bit / 8] |= (uint8_t)((value >> i & 1) << (7 - bit % 8));
}

/* One chunk whose first pixel is (top, left). In a tile, what lies outside of the image is made in the same way. */
static inline void tiff_make_chunk(struct tiff_builder *tiff, const struct tiff_image *image, uint32_t plane, uint32_t top,
                                   uint32_t left)
{
    const uint32_t columns = image->chunk_columns ? image->chunk_columns : image->columns;
    const uint32_t samples = image->planar == 2 ? 1 : image->samples;
    const int cut = !image->chunk_columns && image->chunk_rows > image->rows - top;
    const uint32_t end = cut ? image->rows : top + image->chunk_rows;
    for (uint32_t r = top; r < end; r++) {
        const size_t row = tiff_reserve(tiff, ((size_t)columns * samples * image->bits + 7) / 8);
        for (uint32_t i = 0; i < columns * samples; i++) {
            uint64_t value = tiff_sample(image->seed, r, left + i / samples, plane + i % samples, image->bits);
            tiff_put_sample(tiff, row, (size_t)i * image->bits, image->bits, value);
        }
    }
}

/* A table of offsets and one of sizes, then the chunks; returns where the tables are. */
static inline size_t tiff_put_chunks(struct tiff_builder *tiff, const struct tiff_image *image, uint32_t *count)
{
    const uint32_t width = image->chunk_columns ? image->chunk_columns : image->columns, height = image->chunk_rows;
    const uint32_t across = (image->columns - 1) / width + 1, cells = ((image->rows - 1) / height + 1) * across;
    const size_t word = tiff_word(tiff);
    *count = cells * (image->planar == 2 ? image->samples : 1);
    tiff_align(tiff);
    const size_t tables = tiff_reserve(tiff, 2 * *count * word);
    for (uint32_t i = 0; i < *count; i++) {
        const size_t place = tiff->size;
        if (image->chunks != NULL)
            tiff_append(tiff, image->chunks[i].bytes, image->chunks[i].size);
        else
            tiff_make_chunk(tiff, image, i / cells, i % cells / across * height, i % cells % across * width);
        tiff_put(tiff, tables + i * word, word, place);
        tiff_put(tiff, tables + (*count + i) * word, word, tiff->size - place);
    }
    return tables;
}

/* Keep the order of tags; a later entry replaces an earlier one with its tag. */
static inline void tiff_insert(struct tiff_entry *entries, size_t *count, struct tiff_entry entry)
{
    size_t i = 0;
    while (i < *count && entries[i].tag < entry.tag)
        i++;
    if (i == *count || entries[i].tag != entry.tag)
        memmove(entries + i + 1, entries + i, ((*count)++ - i) * sizeof *entries);
    entries[i] = entry;
}

static inline struct tiff_page tiff_add_image(struct tiff_builder *tiff, const struct tiff_image *given)
{
    struct tiff_image image = *given;
    uint16_t *const members[] = {&image.samples, &image.compression, &image.photometric, &image.planar};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        *members[i] = *members[i] ? *members[i] : 1;
    image.bits = image.bits ? image.bits : 8;
    image.chunk_rows = image.chunk_rows ? image.chunk_rows : image.rows;
    CHECK(image.rows > 0 && image.columns > 0 && image.samples <= 256 && image.bits <= 64 && image.extra_count <= 48);
    uint16_t bits[256];
    for (size_t i = 0; i < image.samples; i++)
        bits[i] = image.bits;
    uint32_t chunks;
    const size_t tables = tiff_put_chunks(tiff, &image, &chunks), word = tiff_word(tiff), sizes = tables + chunks * word;
    const uint16_t tiled = image.chunk_columns > 0, offset = tiff->bigtiff ? FIELD_LONG8 : FIELD_LONG;
    const struct tiff_entry own[] = {
        {256, FIELD_LONG, 1, NULL, image.columns},
        {257, FIELD_LONG, 1, NULL, image.rows},
        {258, FIELD_SHORT, image.samples, bits, 0},
        {259, FIELD_SHORT, 1, NULL, image.compression},
        {262, FIELD_SHORT, 1, NULL, image.photometric},
        {277, FIELD_SHORT, 1, NULL, image.samples},
        {284, FIELD_SHORT, 1, NULL, image.planar},
        {tiled ? 324 : 273, offset, chunks, NULL, chunks == 1 ? tiff_get(tiff, tables, word) : tables},
        {tiled ? 325 : 279, offset, chunks, NULL, chunks == 1 ? tiff_get(tiff, sizes, word) : sizes},
        {tiled ? 323 : 278, FIELD_LONG, 1, NULL, image.chunk_rows},
        {322, FIELD_LONG, 1, NULL, image.chunk_columns}, /* the last: left out for strips */
    };
    struct tiff_entry entries[64];
    size_t count = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own - !tiled; i++)
        tiff_insert(entries, &count, own[i]);
    for (size_t i = 0; i < image.extra_count; i++)
        tiff_insert(entries, &count, image.extra[i]);
    return tiff_add_page(tiff, entries, count);
}

#endif
