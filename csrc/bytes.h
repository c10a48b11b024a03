/* bytes.h - numbers at any address, in either byte order. */
#ifndef LZT_BYTES_H
#define LZT_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t lzt_get16(const uint8_t *bytes, int big_endian)
{
    return big_endian ? (uint16_t)(bytes[0] << 8 | bytes[1]) : (uint16_t)(bytes[1] << 8 | bytes[0]);
}

static inline uint32_t lzt_get32(const uint8_t *bytes, int big_endian)
{
    uint32_t high = lzt_get16(bytes + (big_endian ? 0 : 2), big_endian);
    return high << 16 | lzt_get16(bytes + (big_endian ? 2 : 0), big_endian);
}

static inline uint64_t lzt_get64(const uint8_t *bytes, int big_endian)
{
    uint64_t high = lzt_get32(bytes + (big_endian ? 0 : 4), big_endian);
    return high << 32 | lzt_get32(bytes + (big_endian ? 4 : 0), big_endian);
}

/* The lowest size bytes of value. */
static inline void lzt_put(uint8_t *bytes, unsigned size, uint64_t value, int big_endian)
{
    for (unsigned i = 0; i < size; i++)
        bytes[big_endian ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

static inline int lzt_machine_is_big_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

static inline uint32_t lzt_min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint64_t lzt_min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t lzt_max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The number of parts of part that cover whole. */
static inline uint64_t lzt_parts(uint64_t whole, uint64_t part)
{
    return whole / part + (whole % part != 0);
}

static inline uint64_t lzt_round_up(uint64_t value, uint64_t unit)
{
    return lzt_parts(value, unit) * unit;
}

#endif
