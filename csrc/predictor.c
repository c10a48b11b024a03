#include "predictor.h"

#include <string.h>

#include "bytes.h"

/* Vectors of 16 bytes, as far as this file needs them, where the processor surely has them. UP and DOWN move bytes to higher and
 * lower addresses and let zeros in; LAST copies the last 1, 2, 4 or 8 bytes to all places; LOW and HIGH interleave halves. */
#if defined(__SSE2__) || (defined(_M_X64) && !defined(_M_ARM64EC))
#include <emmintrin.h>
#define LZT_VECTORS 1
typedef __m128i vector;
#define ZERO() _mm_setzero_si128()
#define LOAD(bytes) _mm_loadu_si128((const __m128i *)(bytes))
#define STORE(bytes, v) _mm_storeu_si128((__m128i *)(bytes), v)
#define OR(a, b) _mm_or_si128(a, b)
#define ADD1(a, b) _mm_add_epi8(a, b)
#define ADD2(a, b) _mm_add_epi16(a, b)
#define ADD4(a, b) _mm_add_epi32(a, b)
#define UP(v, count) _mm_slli_si128(v, (count) < 16 ? (count) : 16)
#define DOWN(v, count) _mm_srli_si128(v, count)
#define LAST1(v) LAST2(_mm_unpackhi_epi8(v, v))
#define LAST2(v) LAST4(_mm_unpackhi_epi16(v, v))
#define LAST4(v) _mm_shuffle_epi32(v, 0xff)
#define LAST8(v) _mm_unpackhi_epi64(v, v)
#define LOW(a, b) _mm_unpacklo_epi8(a, b)
#define HIGH(a, b) _mm_unpackhi_epi8(a, b)
#elif defined(__aarch64__) && defined(__ARM_NEON) && defined(__GNUC__) && !defined(__AARCH64EB__)
#include <arm_neon.h>
#define LZT_VECTORS 1
typedef uint8x16_t vector;
#define AS2(v) vreinterpretq_u16_u8(v)
#define AS4(v) vreinterpretq_u32_u8(v)
#define AS8(v) vreinterpretq_u64_u8(v)
#define ZERO() vdupq_n_u8(0)
#define LOAD(bytes) vld1q_u8(bytes)
#define STORE(bytes, v) vst1q_u8(bytes, v)
#define OR(a, b) vorrq_u8(a, b)
#define ADD1(a, b) vaddq_u8(a, b)
#define ADD2(a, b) vreinterpretq_u8_u16(vaddq_u16(AS2(a), AS2(b)))
#define ADD4(a, b) vreinterpretq_u8_u32(vaddq_u32(AS4(a), AS4(b)))
#define UP(v, count) vextq_u8(ZERO(), v, (count) < 16 ? 16 - (count) : 0)
#define DOWN(v, count) vextq_u8(v, ZERO(), count)
#define LAST1(v) vdupq_laneq_u8(v, 15)
#define LAST2(v) vreinterpretq_u8_u16(vdupq_laneq_u16(AS2(v), 7))
#define LAST4(v) vreinterpretq_u8_u32(vdupq_laneq_u32(AS4(v), 3))
#define LAST8(v) vreinterpretq_u8_u64(vdupq_laneq_u64(AS8(v), 1))
#define LOW(a, b) vzip1q_u8(a, b)
#define HIGH(a, b) vzip2q_u8(a, b)
#else
#define LZT_VECTORS 0
#endif

#if LZT_VECTORS
/* 3 and 6 do not divide 16: the last whole pixel ends at byte 15 or 12. */
static inline vector last3(vector v)
{
    vector pixel = DOWN(UP(v, 1), 13);
    vector pair = OR(pixel, UP(pixel, 3));
    vector four = OR(pair, UP(pair, 6));
    return OR(four, UP(pair, 12));
}

static inline vector last6(vector v)
{
    vector pixel = DOWN(UP(v, 4), 10);
    return OR(pixel, UP(pixel, 6));
}

/* Sums vector by vector the pixels of pixel_size bytes; returns the place of the last pixel that is finished, 0 when there is none.
 * Within a vector it takes log2 steps: to each item add the one before, then the sum of two before, of four. The sum of all vectors
 * before is added apart, so that only one addition per vector waits for the vector before.
 * A step is the whole pixels of 16 bytes: the store may spill over bytes of the next pixel, which therefore are loaded earlier. */
#define DEFINE_SUM(name, pixel_size, add, last)                                      \
    static size_t name(uint8_t *row, size_t size)                                    \
    {                                                                                \
        enum { step = 16 / (pixel_size) * (pixel_size) };                            \
        if (size < step + 16)                                                        \
            return 0;                                                                \
        size_t at = 0;                                                               \
        vector sum = LOAD(row), before = ZERO();                                     \
        for (; size - at >= step + 16; at += step) {                                 \
            vector next = LOAD(row + at + step);                                     \
            sum = add(sum, UP(sum, pixel_size));                                     \
            sum = 2 * (pixel_size) < 16 ? add(sum, UP(sum, 2 * (pixel_size))) : sum; \
            sum = 4 * (pixel_size) < 16 ? add(sum, UP(sum, 4 * (pixel_size))) : sum; \
            sum = 8 * (pixel_size) < 16 ? add(sum, UP(sum, 8 * (pixel_size))) : sum; \
            STORE(row + at, add(sum, before));                                       \
            before = add(before, last(sum));                                         \
            sum = next;                                                              \
        }                                                                            \
        STORE(row + at, sum);                                                        \
        return at - (pixel_size);                                                    \
    }

DEFINE_SUM(sum_1x1, 1, ADD1, LAST1)
DEFINE_SUM(sum_2x1, 2, ADD1, LAST2)
DEFINE_SUM(sum_3x1, 3, ADD1, last3)
DEFINE_SUM(sum_4x1, 4, ADD1, LAST4)
DEFINE_SUM(sum_1x2, 2, ADD2, LAST2)
DEFINE_SUM(sum_2x2, 4, ADD2, LAST4)
DEFINE_SUM(sum_3x2, 6, ADD2, last6)
DEFINE_SUM(sum_4x2, 8, ADD2, LAST8)
DEFINE_SUM(sum_1x4, 4, ADD4, LAST4)
DEFINE_SUM(sum_2x4, 8, ADD4, LAST8)

static size_t sum_vectors(uint8_t *row, size_t size, unsigned samples, unsigned item_size)
{
    switch (samples < 5 ? 10 * samples + item_size : 0) { /* no table of functions: those need relocation */
    case 11: return sum_1x1(row, size);
    case 21: return sum_2x1(row, size);
    case 31: return sum_3x1(row, size);
    case 41: return sum_4x1(row, size);
    case 12: return sum_1x2(row, size);
    case 22: return sum_2x2(row, size);
    case 32: return sum_3x2(row, size);
    case 42: return sum_4x2(row, size);
    case 14: return sum_1x4(row, size);
    case 24: return sum_2x4(row, size);
    default: return 0;
    }
}

/* Makes items from planes, 16 at a time; returns how many. Each round interleaves the planes of the lower half with those of the
 * upper half, byte by byte; log2 rounds make items, whose lowest byte is the last plane's: vectors mean little-endian here. */
static inline size_t interleave(const uint8_t *planes, size_t count, unsigned item_size, uint8_t *items)
{
    size_t done = 0;
    for (; count - done >= 16; done += 16) {
        vector plane[8], mixed[8];
        for (unsigned i = 0; i < item_size; i++)
            plane[i] = LOAD(planes + (item_size - 1 - i) * count + done);
        for (unsigned round = item_size; round > 1; round /= 2) {
            for (unsigned i = 0; i < item_size / 2; i++) {
                mixed[2 * i] = LOW(plane[i], plane[i + item_size / 2]);
                mixed[2 * i + 1] = HIGH(plane[i], plane[i + item_size / 2]);
            }
            memcpy(plane, mixed, item_size * sizeof *plane);
        }
        for (unsigned i = 0; i < item_size; i++)
            STORE(items + done * item_size + 16 * i, plane[i]);
    }
    return done;
}

static size_t interleave_vectors(const uint8_t *planes, size_t count, unsigned item_size, uint8_t *items)
{
    switch (item_size) { /* a constant size in each case: the compiler unrolls all loops but the outermost */
    case 2: return interleave(planes, count, 2, items);
    case 4: return interleave(planes, count, 4, items);
    case 8: return interleave(planes, count, 8, items);
    default: return 0;
    }
}
#else
static size_t sum_vectors(uint8_t *row, size_t size, unsigned samples, unsigned item_size)
{
    (void)row, (void)size, (void)samples, (void)item_size;
    return 0;
}

static size_t interleave_vectors(const uint8_t *planes, size_t count, unsigned item_size, uint8_t *items)
{
    (void)planes, (void)count, (void)item_size, (void)items;
    return 0;
}
#endif

/* Sample by sample, so that the sum stays in a register: `item[i] += item[i - samples]` waits for memory, and where the compiler made
 * vectors of it (GCC 12 at -O3, three samples of 16 bits), it was ten times slower. */
#define DEFINE_SUM_SAMPLES(type)                                                                \
    static void sum_samples_##type(uint8_t *row, size_t size, size_t pixel_size)                \
    {                                                                                           \
        for (size_t sample = 0; sample < pixel_size && sample < size; sample += sizeof(type)) { \
            type sum = 0, item;                                                                 \
            for (size_t at = sample; at < size; at += pixel_size) {                             \
                memcpy(&item, row + at, sizeof item);                                           \
                sum = (type)(sum + item);                                                       \
                memcpy(row + at, &sum, sizeof sum);                                             \
            }                                                                                   \
        }                                                                                       \
    }

DEFINE_SUM_SAMPLES(uint8_t)
DEFINE_SUM_SAMPLES(uint16_t)
DEFINE_SUM_SAMPLES(uint32_t)
DEFINE_SUM_SAMPLES(uint64_t)

void lzt_unpredict_horizontal(uint8_t *row, size_t pixels, unsigned samples, unsigned item_size)
{
    size_t pixel_size = (size_t)samples * item_size, size = pixels * pixel_size;
    /* The last pixel that is finished is, for what is left, the first of a row: sums start there. */
    size_t done = sum_vectors(row, size, samples, item_size);
    switch (item_size) {
    case 1: sum_samples_uint8_t(row + done, size - done, pixel_size); break;
    case 2: sum_samples_uint16_t(row + done, size - done, pixel_size); break;
    case 4: sum_samples_uint32_t(row + done, size - done, pixel_size); break;
    case 8: sum_samples_uint64_t(row + done, size - done, pixel_size); break;
    }
}

void lzt_unpredict_float(uint8_t *row, size_t pixels, unsigned samples, unsigned item_size, uint8_t *scratch)
{
    size_t count = pixels * samples;
    lzt_unpredict_horizontal(row, pixels * item_size, samples, 1);
    memcpy(scratch, row, count * item_size);
    size_t done = interleave_vectors(scratch, count, item_size, row);
    for (unsigned plane = 0; plane < item_size; plane++) {
        const uint8_t *bytes = scratch + plane * count;
        unsigned place = lzt_machine_is_big_endian() ? plane : item_size - 1 - plane;
        for (size_t i = done; i < count; i++)
            row[i * item_size + place] = bytes[i];
    }
}

/* ---- Applying them --------------------------------------------------------------------------------------------------------- */

/* Compilers make vectors of this: no item waits for another one. */
#define DEFINE_DIFFERENCES(type)                                                                                               \
    static void differences_##type(const uint8_t *restrict items, size_t count, size_t samples, uint8_t *restrict row)         \
    {                                                                                                                          \
        for (size_t i = samples; i < count; i++) {                                                                             \
            type item, before;                                                                                                 \
            memcpy(&item, items + i * sizeof item, sizeof item);                                                               \
            memcpy(&before, items + (i - samples) * sizeof before, sizeof before);                                             \
            item = (type)(item - before);                                                                                      \
            memcpy(row + i * sizeof item, &item, sizeof item);                                                                 \
        }                                                                                                                      \
    }

DEFINE_DIFFERENCES(uint8_t)
DEFINE_DIFFERENCES(uint16_t)
DEFINE_DIFFERENCES(uint32_t)
DEFINE_DIFFERENCES(uint64_t)

void lzt_predict_horizontal(const uint8_t *items, size_t pixels, unsigned samples, unsigned item_size, uint8_t *row)
{
    const size_t count = pixels * samples;
    memcpy(row, items, (count < samples ? count : samples) * item_size);
    switch (item_size) {
    case 1: differences_uint8_t(items, count, samples, row); break;
    case 2: differences_uint16_t(items, count, samples, row); break;
    case 4: differences_uint32_t(items, count, samples, row); break;
    case 8: differences_uint64_t(items, count, samples, row); break;
    }
}

/* Each item's bytes to their planes, the most significant first. */
static inline void split(const uint8_t *restrict items, size_t count, unsigned item_size, uint8_t *restrict planes)
{
    for (unsigned plane = 0; plane < item_size; plane++) {
        const unsigned place = lzt_machine_is_big_endian() ? plane : item_size - 1 - plane;
        for (size_t i = 0; i < count; i++)
            planes[plane * count + i] = items[i * item_size + place];
    }
}

void lzt_predict_float(const uint8_t *items, size_t pixels, unsigned samples, unsigned item_size, uint8_t *row, uint8_t *scratch)
{
    const size_t count = pixels * samples;
    switch (item_size) { /* a constant size in each case, so that compilers make vectors of it */
    case 2: split(items, count, 2, scratch); break;
    case 4: split(items, count, 4, scratch); break;
    case 8: split(items, count, 8, scratch); break;
    default: split(items, count, item_size, scratch);
    }
    lzt_predict_horizontal(scratch, pixels * item_size, samples, 1, row);
}
