#include "samples.h"

#include <string.h>

#include "bytes.h"

/* Byte order. The bytes of a word change places the same way whichever end the machine puts first. */

static uint64_t swap_pairs(uint64_t word)
{
    const uint64_t low = UINT64_C(0x00ff00ff00ff00ff);
    return (word & low) << 8 | (word >> 8 & low);
}

static uint64_t swap_word(uint64_t word) /* compilers see one instruction in this */
{
    const uint64_t low = UINT64_C(0x0000ffff0000ffff);
    word = swap_pairs(word);
    word = (word & low) << 16 | (word >> 16 & low);
    return word << 32 | word >> 32;
}

static uint64_t swap_quads(uint64_t word)
{
    word = swap_word(word);
    return word << 32 | word >> 32;
}

static uint64_t reverse_bits_of_bytes(uint64_t word)
{
    word = (word & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4 | (word >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
    word = (word & UINT64_C(0x3333333333333333)) << 2 | (word >> 2 & UINT64_C(0x3333333333333333));
    return (word & UINT64_C(0x5555555555555555)) << 1 | (word >> 1 & UINT64_C(0x5555555555555555));
}

/* change, inlined, on each 8 bytes; zeros fill up the last. */
static inline void change_words(uint8_t *bytes, size_t size, uint64_t (*change)(uint64_t))
{
    uint64_t word;
    for (; size >= sizeof word; size -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        word = change(word);
        memcpy(bytes, &word, sizeof word);
    }
    if (size > 0) {
        word = 0;
        memcpy(&word, bytes, size);
        word = change(word);
        memcpy(bytes, &word, size);
    }
}

static void swap_triples(uint8_t *items, size_t count)
{
    for (; count > 0; count--, items += 3) {
        uint8_t first = items[0];
        items[0] = items[2];
        items[2] = first;
    }
}

void lzt_swap(uint8_t *items, size_t count, unsigned item_size)
{
    switch (item_size) {
    case 2: change_words(items, count * 2, swap_pairs); break;
    case 3: swap_triples(items, count); break;
    case 4: change_words(items, count * 4, swap_quads); break;
    case 8: change_words(items, count * 8, swap_word); break;
    }
}

void lzt_reverse_bits(uint8_t *bytes, size_t count)
{
    change_words(bytes, count, reverse_bits_of_bytes);
}

/* Unpacking. A window is 8 bytes, the first bit being the highest: wherever a sample of 31 bits begins, it ends within. */

static inline uint64_t window(const uint8_t *bytes) /* compilers see one load in this */
{
    uint64_t high = (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
    uint64_t low = (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 | (uint64_t)bytes[6] << 8 | bytes[7];
    return high << 32 | low;
}

static inline void put(uint8_t *items, size_t i, unsigned item_size, uint64_t value)
{
    uint16_t half = (uint16_t)value;
    uint32_t word = (uint32_t)value;
    switch (item_size) {
    case 1: items[i] = (uint8_t)value; break;
    case 2: memcpy(items + 2 * i, &half, 2); break;
    default: memcpy(items + 4 * i, &word, 4);
    }
}

/* The plain way, for any size: a window per sample. */
static inline void unpack_singly(const uint8_t *packed, size_t count, unsigned bits, unsigned item_size, uint8_t *items)
{
    uint64_t bit = 0;
    for (size_t i = 0; i < count; i++, bit += bits)
        put(items, i, item_size, window(packed + bit / 8) << bit % 8 >> (64 - bits));
}

/* A window for several samples, where these fill whole bytes. */
static inline void unpack_several(const uint8_t *packed, size_t count, unsigned bits, unsigned item_size, unsigned several,
                                  uint8_t *items)
{
    for (size_t i = 0; i < count; i += several, packed += several * bits / 8) {
        uint64_t word = window(packed);
        for (unsigned k = 0; k < several; k++)
            put(items, i + k, item_size, word << k * bits >> (64 - bits));
    }
}

/* Each bit to a byte: copy the byte eight times, keep in each copy another bit, and let an addition carry it to the top. */
static void unpack_bits(const uint8_t *packed, size_t count, uint8_t *items)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t places = lzt_machine_is_big_endian() ? UINT64_C(0x8040201008040201) : UINT64_C(0x0102040810204080);
    for (size_t i = 0; i < count; i += 8) {
        uint64_t word = (packed[i / 8] * ones & places) + 0x7f * ones;
        word = word >> 7 & ones;
        memcpy(items + i, &word, 8);
    }
}

/* count is a multiple of 8, and 7 bytes may be read beyond the last sample's. The sizes are constants wherever it pays. */
static void unpack_groups(const uint8_t *packed, size_t count, unsigned bits, unsigned item_size, uint8_t *items)
{
    switch (bits) {
    case 1: unpack_bits(packed, count, items); break;
    case 2: unpack_several(packed, count, 2, 1, 8, items); break;
    case 4: unpack_several(packed, count, 4, 1, 8, items); break;
    case 8: memcpy(items, packed, count); break;
    case 10: unpack_several(packed, count, 10, 2, 4, items); break;
    case 12: unpack_several(packed, count, 12, 2, 4, items); break;
    case 14: unpack_several(packed, count, 14, 2, 4, items); break;
    case 16: unpack_several(packed, count, 16, 2, 4, items); break;
    case 24: unpack_several(packed, count, 24, 4, 2, items); break;
    default: unpack_singly(packed, count, bits, item_size, items);
    }
}

/* Two's complement: the highest of bits bits counts negative. */
static void extend_sign(uint8_t *items, size_t count, unsigned bits, unsigned item_size)
{
    const uint32_t sign = UINT32_C(1) << (bits - 1);
    uint16_t half;
    uint32_t word;
    for (size_t i = 0; i < count; i++)
        switch (item_size) {
        case 1: items[i] = (uint8_t)((items[i] ^ sign) - sign); break;
        case 2:
            memcpy(&half, items + 2 * i, 2);
            put(items, i, 2, (half ^ sign) - sign);
            break;
        default:
            memcpy(&word, items + 4 * i, 4);
            put(items, i, 4, (word ^ sign) - sign);
        }
}

void lzt_unpack(const uint8_t *packed, size_t count, unsigned bits, int is_signed, uint8_t *items)
{
    unsigned item_size = bits <= 8 ? 1 : bits <= 16 ? 2 : 4;
    size_t size = count / 8 * bits + (count % 8 * bits + 7) / 8;
    /* Eight samples fill as many bytes as one has bits. The last ones, less than 8 bytes from the end, are unpacked from a copy. */
    size_t groups = size < 8 ? 0 : (size - 8) / bits;
    uint8_t rest[48] = {0}; /* up to 8 + 31 bytes, and room for the last window */
    memcpy(rest, packed + groups * bits, size - groups * bits);
    unpack_groups(packed, groups * 8, bits, item_size, items);
    unpack_singly(rest, count - groups * 8, bits, item_size, items + groups * 8 * item_size);
    if (is_signed)
        extend_sign(items, count, bits, item_size);
}

/* Widening from 24 bits. */

static inline uint32_t load24(const uint8_t *bytes)
{
    unsigned first = lzt_machine_is_big_endian() ? 16 : 0;
    return (uint32_t)bytes[0] << first | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << (16 - first);
}

/* 1 sign, 7 exponent and 16 fraction bits to binary32's 1, 8 and 23; bits all the way, lest a signalling NaN turns quiet. */
static uint32_t widen_float24(uint32_t stored)
{
    uint32_t sign = (stored & 0x800000) << 8, rest = stored & 0x7fffff, wide;
    if (rest >= 0x7f0000) /* infinite or no number: the largest exponent stays the largest */
        wide = (rest << 7) + ((255u - 127u) << 23);
    else if (rest >= 0x010000) /* the biases differ */
        wide = (rest << 7) + ((127u - 63u) << 23);
    else { /* subnormal: a multiple of 2^-78, normal in binary32 */
        float value = (float)rest * 0x1p-78f;
        memcpy(&wide, &value, 4);
    }
    return sign | wide;
}

void lzt_widen_float24(const uint8_t *stored, size_t count, uint8_t *items)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t wide = widen_float24(load24(stored + 3 * i));
        memcpy(items + 4 * i, &wide, 4);
    }
}
