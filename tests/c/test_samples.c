/* Samples as stored to samples as read: against the plain way, bit by bit and byte by byte, between guards. */
#include "check.h"
#include "samples.h"

enum { MOST = 140 };

static uint64_t random_state = 1;

static uint32_t random_word(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

static struct guarded random_bytes(size_t size)
{
    struct guarded guarded = guarded_new(size);
    for (size_t i = 0; i < size; i++)
        guarded.bytes[i] = (uint8_t)random_word();
    return guarded;
}

static void check_swap(size_t count, unsigned item_size, size_t slack)
{
    size_t size = count * item_size;
    struct guarded items = random_bytes(size + slack), before = guarded_copy(items.bytes, size + slack);
    lzt_swap(items.bytes, count, item_size);
    for (size_t i = 0; i < size + slack; i++)
        CHECK(items.bytes[i] == before.bytes[i < size ? i / item_size * item_size + item_size - 1 - i % item_size : i]);
    guarded_free(&items);
    guarded_free(&before);
}

static void test_swap(void)
{
    static const unsigned sizes[] = {1, 2, 3, 4, 8};
    for (size_t count = 0; count <= 70; count++)
        for (size_t slack = 0; slack < 8; slack++)
            for (unsigned k = 0; k < 5; k++)
                check_swap(count, sizes[k], slack);
}

static void test_reverse_bits(void)
{
    for (size_t count = 0; count <= 300; count++) {
        struct guarded bytes = random_bytes(count + count % 5);
        for (size_t i = 0; i < count + count % 5; i++)
            bytes.bytes[i] = (uint8_t)i;
        lzt_reverse_bits(bytes.bytes, count);
        for (size_t i = 0; i < count; i++)
            for (int bit = 0; bit < 8; bit++)
                CHECK((bytes.bytes[i] >> bit & 1) == (int)(i >> (7 - bit) & 1));
        for (size_t i = count; i < count + count % 5; i++)
            CHECK(bytes.bytes[i] == (uint8_t)i);
        guarded_free(&bytes);
    }
}

/* The sample, bit by bit. */
static int64_t sample_at(const uint8_t *packed, size_t i, unsigned bits, int is_signed)
{
    int64_t value = 0;
    for (size_t bit = i * bits; bit < (i + 1) * bits; bit++)
        value = value * 2 + (packed[bit / 8] >> (7 - bit % 8) & 1);
    return is_signed && value >= (int64_t)1 << (bits - 1) ? value - ((int64_t)1 << bits) : value;
}

static int64_t item_at(const uint8_t *items, size_t i, unsigned bits, int is_signed)
{
    uint16_t two;
    uint32_t four;
    if (bits <= 8)
        return is_signed ? (int8_t)items[i] : items[i];
    if (bits <= 16) {
        memcpy(&two, items + 2 * i, 2);
        return is_signed ? (int16_t)two : two;
    }
    memcpy(&four, items + 4 * i, 4);
    return is_signed ? (int64_t)(int32_t)four : (int64_t)four;
}

/* misaligned: what comes before packed and after items, so that neither is aligned. */
static void check_unpack(size_t count, unsigned bits, int is_signed, size_t misaligned)
{
    size_t item_size = bits <= 8 ? 1 : bits <= 16 ? 2 : 4, size = count * item_size;
    struct guarded packed = random_bytes((count * bits + 7) / 8), items = guarded_new(size + misaligned);
    memset(items.bytes, 0xa5, size + misaligned);
    lzt_unpack(packed.bytes, count, bits, is_signed, items.bytes);
    for (size_t i = 0; i < count; i++)
        CHECK(item_at(items.bytes, i, bits, is_signed) == sample_at(packed.bytes, i, bits, is_signed));
    for (size_t i = 0; i < misaligned; i++)
        CHECK(items.bytes[size + i] == 0xa5);
    guarded_free(&packed);
    guarded_free(&items);
}

static void test_unpack(void)
{
    for (unsigned bits = 1; bits <= 31; bits++)
        for (int is_signed = 0; is_signed <= 1; is_signed++) {
            for (size_t count = 0; count <= MOST; count++)
                check_unpack(count, bits, is_signed, count % 4);
            check_unpack(10007, bits, is_signed, 0);
        }
}

/* A 24-bit value in this machine's byte order. */
static void store24(uint32_t value, uint8_t *stored)
{
    const uint16_t one = 1;
    uint8_t bytes[4];
    memcpy(bytes, &value, 4);
    memcpy(stored, bytes + (*(const uint8_t *)&one ? 0 : 1), 3);
}

/* The value of a float of 1 sign, 7 exponent and 16 fraction bits, finite: in double, by multiplication. */
static double float24_value(uint32_t bits)
{
    int exponent = (int)(bits >> 16 & 127), power = (exponent == 0 ? 1 : exponent) - 63 - 16;
    double value = (bits & 65535) + (exponent == 0 ? 0.0 : 65536.0);
    for (; power > 0; power--)
        value *= 2;
    for (; power < 0; power++)
        value /= 2;
    return bits >> 23 ? -value : value;
}

static void check_float24(uint32_t bits, float item)
{
    uint32_t wide;
    memcpy(&wide, &item, 4);
    CHECK(wide >> 31 == bits >> 23);
    if ((bits >> 16 & 127) < 127)
        CHECK((double)item == float24_value(bits));
    else if ((bits & 65535) == 0)
        CHECK((wide & 0x7fffffff) == 0x7f800000);
    else
        CHECK(item != item && (wide >> 7 & 65535) == (bits & 65535)); /* no number keeps its payload */
}

static void test_widen_every_24_bits(void)
{
    enum { ROW = 4096 };
    float float_items[ROW];
    struct guarded stored = guarded_new(3 * ROW);
    for (uint32_t first = 0; first < 1u << 24; first += ROW) {
        for (uint32_t i = 0; i < ROW; i++)
            store24(first + i, stored.bytes + 3 * i);
        lzt_widen_float24(stored.bytes, ROW, (uint8_t *)float_items);
        for (uint32_t i = 0; i < ROW; i++)
            check_float24(first + i, float_items[i]);
    }
    guarded_free(&stored);
}

static void test_widen_ends_with_the_last_byte(void)
{
    for (size_t count = 0; count <= 70; count++) {
        struct guarded stored = random_bytes(3 * count), items = guarded_new(4 * count);
        lzt_widen_float24(stored.bytes, count, items.bytes);
        guarded_free(&stored);
        guarded_free(&items);
    }
}

int main(void)
{
    test_swap();
    test_reverse_bits();
    test_unpack();
    test_widen_every_24_bits();
    test_widen_ends_with_the_last_byte();
    return 0;
}
