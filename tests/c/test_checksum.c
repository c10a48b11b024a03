/* Adler-32: against RFC 1950's definition, byte by byte, for every small size and where sums grow largest. */
#include "check.h"
#include "checksum.h"

static uint32_t plain_adler32(uint32_t adler, const uint8_t *bytes, size_t count)
{
    uint64_t a = adler % 65536, b = adler / 65536;
    for (size_t i = 0; i < count; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return (uint32_t)(b * 65536 + a);
}

/* All sizes, ending at the guard, so that all alignments occur. */
static void check_sizes(const uint8_t *bytes, size_t most, uint32_t start)
{
    struct guarded guarded = guarded_copy(bytes, most);
    for (size_t size = 0; size <= most; size++) {
        const uint8_t *tail = guarded.bytes + most - size;
        CHECK(lzt_adler32(start, tail, size) == plain_adler32(start, tail, size));
    }
    guarded_free(&guarded);
}

static void test_known(void)
{
    CHECK(lzt_adler32(1, (const uint8_t *)"", 0) == 1);
    CHECK(lzt_adler32(1, (const uint8_t *)"Wikipedia", 9) == 0x11e60398);
}

static void test_every_small_size(void)
{
    static uint8_t bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i * 2654435761u >> 13);
    check_sizes(bytes, sizeof bytes, 1);
    memset(bytes, 255, sizeof bytes);
    check_sizes(bytes, sizeof bytes, 1);
    check_sizes(bytes, sizeof bytes, 65520u << 16 | 65520u);
}

static void test_largest_sums(void)
{
    const size_t size = (size_t)1 << 20;
    struct guarded guarded = guarded_new(size);
    memset(guarded.bytes, 255, size);
    for (size_t less = 0; less < 6000; less += 37) {
        const uint8_t *tail = guarded.bytes + less;
        CHECK(lzt_adler32(0xfff0fff0, tail, size - less) == plain_adler32(0xfff0fff0, tail, size - less));
    }
    guarded_free(&guarded);
}

static void test_goes_on_from_any_split(void)
{
    uint8_t bytes[2000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + i / 256);
    uint32_t whole = plain_adler32(1, bytes, sizeof bytes);
    for (size_t split = 0; split <= sizeof bytes; split++)
        CHECK(lzt_adler32(lzt_adler32(1, bytes, split), bytes + split, sizeof bytes - split) == whole);
}

int main(void)
{
    test_known();
    test_every_small_size();
    test_largest_sums();
    test_goes_on_from_any_split();
    return 0;
}
