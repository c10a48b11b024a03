/* encoding.h - the simplest streams that a decoder accepts, and predictors as a writer applies them. */
#ifndef ENCODING_H
#define ENCODING_H

#include "check.h"
#include "checksum.h"
#include "tiff_builder.h"

/* Streams grow in a builder that is used as mere room for bytes. */
static inline struct tiff_chunk stream_of(struct tiff_builder *room) { return (struct tiff_chunk){room->bytes, room->size}; }

/* A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4). To be freed by the caller, as all streams here. */
static inline struct tiff_chunk deflate_stored(const uint8_t *bytes, size_t size)
{
    struct tiff_builder room = {.big_endian = 1};
    const uint32_t adler = lzt_adler32(1, bytes, size);
    tiff_append(&room, "\x78\x01", 2);
    for (size_t at = 0, length; at < size || at == 0; at += length) {
        length = size - at < 1000 ? size - at : 1000;
        const uint8_t head[] = {at + length == size, length & 255, length >> 8, ~length & 255, (~length >> 8) & 255};
        tiff_append(&room, head, 5);
        tiff_append(&room, bytes + at, length);
        if (size == 0)
            break;
    }
    tiff_put(&room, tiff_reserve(&room, 4), 4, adler);
    return stream_of(&room);
}

/* PackBits (TIFF 6.0, section 9): runs of literal bytes. */
static inline struct tiff_chunk packbits_literal(const uint8_t *bytes, size_t size)
{
    struct tiff_builder room = {.big_endian = 0};
    for (size_t at = 0, length; at < size; at += length) {
        length = size - at < 100 ? size - at : 100;
        const uint8_t head = (uint8_t)(length - 1);
        tiff_append(&room, &head, 1);
        tiff_append(&room, bytes + at, length);
    }
    return stream_of(&room);
}

/* Predictor 2 for one row of little- or big-endian samples. */
static inline void predict_horizontal(uint8_t *row, size_t pixels, size_t samples, size_t item, int big_endian)
{
    struct tiff_builder view = {.bytes = row, .size = pixels * samples * item, .big_endian = big_endian};
    for (size_t i = pixels * samples; i-- > samples;) {
        const uint64_t difference = tiff_get(&view, i * item, item) - tiff_get(&view, (i - samples) * item, item);
        tiff_put(&view, i * item, item, item == 8 ? difference : difference & ((UINT64_C(1) << 8 * item) - 1));
    }
}

/* Predictor 3 for one row of samples in the file's byte order: planes of bytes, the most significant first, then differences. */
static inline void predict_float(uint8_t *row, size_t pixels, size_t samples, size_t item, int big_endian)
{
    const size_t count = pixels * samples;
    uint8_t *planes = malloc(count * item);
    CHECK(planes != NULL);
    for (size_t i = 0; i < count * item; i++)
        planes[(big_endian ? i % item : item - 1 - i % item) * count + i / item] = row[i];
    for (size_t i = count * item; i-- > samples;)
        planes[i] -= planes[i - samples];
    memcpy(row, planes, count * item);
    free(planes);
}

/* What compression 1, 8 or 32773 and predictor 1, 2 or 3 make of a chunk of rows of so many pixels of samples of item bytes. */
static inline struct tiff_chunk encode_chunk(const struct tiff_chunk *plain, uint16_t compression, unsigned predictor, size_t pixels,
                                             size_t samples, size_t item, int big_endian)
{
    const size_t pitch = pixels * samples * item;
    struct tiff_builder room = {.bytes = NULL};
    tiff_append(&room, plain->bytes, plain->size);
    for (size_t row = 0; predictor > 1 && row < plain->size; row += pitch)
        (predictor == 2 ? predict_horizontal : predict_float)(room.bytes + row, pixels, samples, item, big_endian);
    if (compression == 1)
        return stream_of(&room);
    const struct tiff_chunk stream = (compression == 8 ? deflate_stored : packbits_literal)(room.bytes, room.size);
    tiff_free(&room);
    return stream;
}

/* Add the image with its made samples (of whole bytes) coded. */
static inline struct tiff_page tiff_add_coded(struct tiff_builder *tiff, const struct tiff_image *given, unsigned predictor)
{
    struct tiff_builder plain = tiff_new(0, tiff->big_endian);
    struct tiff_image image = *given;
    struct tiff_entry extra[8];
    size_t extra_count = 0;
    struct tiff_chunk chunks[64];
    image.compression = 1;
    struct tiff_page page = tiff_add_image(&plain, &image);
    const uint16_t offsets = image.chunk_columns ? 324 : 273;
    const size_t count = tiff_get(&plain, tiff_entry_at(&plain, page, offsets) + 4, 4), samples = image.planar == 2 ? 1 : image.samples;
    CHECK(count <= 64);
    for (size_t i = 0; i < count; i++) {
        const struct tiff_chunk stored = {plain.bytes + tiff_get(&plain, tiff_value_at(&plain, page, offsets) + 4 * i, 4),
                                          tiff_get(&plain, tiff_value_at(&plain, page, offsets + (image.chunk_columns ? 1 : 6)) + 4 * i, 4)};
        chunks[i] = encode_chunk(&stored, given->compression, predictor, image.chunk_columns ? image.chunk_columns : image.columns,
                                 samples ? samples : 1, (image.bits ? image.bits : 8) / 8, tiff->big_endian);
    }
    image.compression = given->compression;
    image.chunks = chunks;
    CHECK(given->extra_count < 8);
    for (size_t i = 0; i < given->extra_count; i++)
        tiff_insert(extra, &extra_count, given->extra[i]);
    if (predictor > 1)
        tiff_insert(extra, &extra_count, (struct tiff_entry){317, FIELD_SHORT, 1, NULL, predictor});
    image.extra = extra;
    image.extra_count = extra_count;
    page = tiff_add_image(tiff, &image);
    for (size_t i = 0; i < count; i++)
        free((void *)chunks[i].bytes);
    tiff_free(&plain);
    return page;
}

#endif
