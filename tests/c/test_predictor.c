/* Predictors applied and undone: against sums and an encoder written the plain way, for every small row, at every alignment, between guards. */
#include "check.h"
#include "predictor.h"

enum { MARGIN = 16, LONG_ROW = 4000 };

static uint64_t random_state = 1;

static uint8_t random_byte(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint8_t)(random_state >> 56);
}

/* A row of size random bytes: MARGIN marked bytes before it, slack after it, then the guard. */
static struct guarded row_new(size_t size, size_t slack)
{
    struct guarded row = guarded_new(MARGIN + size + slack);
    memset(row.bytes, 0xa5, MARGIN + size + slack);
    for (size_t i = 0; i < size; i++)
        row.bytes[MARGIN + i] = random_byte();
    return row;
}

static void row_free(struct guarded *row, size_t size, size_t slack)
{
    for (size_t i = 0; i < MARGIN; i++)
        CHECK(row->bytes[i] == 0xa5);
    for (size_t i = 0; i < slack; i++)
        CHECK(row->bytes[MARGIN + size + i] == 0xa5);
    guarded_free(row);
}

/* Where in an item the byte is that would come as number plane with the most significant first. */
static size_t native_place(unsigned plane, unsigned item_size)
{
    const uint16_t one = 1;
    return *(const uint8_t *)&one ? item_size - 1 - plane : plane;
}

static uint64_t item_at(const uint8_t *row, size_t i, unsigned item_size)
{
    uint64_t item = 0;
    for (unsigned plane = 0; plane < item_size; plane++)
        item = item << 8 | row[i * item_size + native_place(plane, item_size)];
    return item;
}

/* Applying a predictor makes of size bytes of items what it was to be undone of, and leaves what is around it. */
static void check_applied(const uint8_t *items, const uint8_t *stored, size_t pixels, unsigned samples, unsigned item_size, int is_float)
{
    const size_t size = pixels * samples * item_size;
    struct guarded copy = guarded_copy(items, size), scratch = guarded_new(size), row = row_new(size, 0);
    if (is_float)
        lzt_predict_float(copy.bytes, pixels, samples, item_size, row.bytes + MARGIN, scratch.bytes);
    else
        lzt_predict_horizontal(copy.bytes, pixels, samples, item_size, row.bytes + MARGIN);
    CHECK(memcmp(row.bytes + MARGIN, stored, size) == 0 && memcmp(copy.bytes, items, size) == 0);
    row_free(&row, size, 0);
    guarded_free(&scratch);
    guarded_free(&copy);
}

/* Each decoded item minus the decoded one before it is the stored item; the first of each sample is as stored. */
static void check_horizontal(size_t pixels, unsigned samples, unsigned item_size, size_t slack)
{
    size_t count = pixels * samples, size = count * item_size;
    uint64_t modulus_mask = UINT64_MAX >> (64 - 8 * item_size);
    struct guarded row = row_new(size, slack), stored = guarded_copy(row.bytes + MARGIN, size);
    lzt_unpredict_horizontal(row.bytes + MARGIN, pixels, samples, item_size);
    for (size_t i = 0; i < count; i++) {
        uint64_t before = i < samples ? 0 : item_at(row.bytes + MARGIN, i - samples, item_size);
        uint64_t item = item_at(row.bytes + MARGIN, i, item_size);
        CHECK(((item - before) & modulus_mask) == item_at(stored.bytes, i, item_size));
    }
    check_applied(row.bytes + MARGIN, stored.bytes, pixels, samples, item_size, 0);
    row_free(&row, size, slack);
    guarded_free(&stored);
}

/* Technical Note 3's encoder: planes, most significant first, then differences from the last byte to the first. */
static void encode_float(const uint8_t *items, size_t count, unsigned samples, unsigned item_size, uint8_t *row)
{
    for (unsigned plane = 0; plane < item_size; plane++)
        for (size_t i = 0; i < count; i++)
            row[plane * count + i] = items[i * item_size + native_place(plane, item_size)];
    for (size_t i = count * item_size; i-- > samples;)
        row[i] = (uint8_t)(row[i] - row[i - samples]);
}

static void check_float(size_t pixels, unsigned samples, unsigned item_size, size_t slack)
{
    size_t count = pixels * samples, size = count * item_size;
    struct guarded row = row_new(size, slack), scratch = guarded_new(size), items = guarded_copy(row.bytes + MARGIN, size);
    encode_float(items.bytes, count, samples, item_size, row.bytes + MARGIN);
    check_applied(items.bytes, row.bytes + MARGIN, pixels, samples, item_size, 1);
    lzt_unpredict_float(row.bytes + MARGIN, pixels, samples, item_size, scratch.bytes);
    CHECK(memcmp(row.bytes + MARGIN, items.bytes, size) == 0);
    row_free(&row, size, slack);
    guarded_free(&scratch);
    guarded_free(&items);
}

static void test_every_small_row(void)
{
    static const unsigned float_sizes[] = {2, 3, 4, 8};
    for (size_t pixels = 0; pixels <= 70; pixels++)
        for (unsigned samples = 1; samples <= 9; samples++)
            for (unsigned k = 0; k < 4; k++) {
                check_horizontal(pixels, samples, 1u << k, 0);
                check_horizontal(pixels, samples, 1u << k, 1 + pixels % 7);
                check_float(pixels, samples, float_sizes[k], 0);
                check_float(pixels, samples, float_sizes[k], 1 + pixels % 7);
            }
}

static void test_long_rows(void)
{
    for (unsigned samples = 1; samples <= 40; samples += samples < 5 ? 1 : 7)
        for (unsigned size = 1; size <= 8; size *= 2) {
            check_horizontal(LONG_ROW + size, samples, size, 0);
            check_horizontal(LONG_ROW + size, samples, size, 3);
            check_float(LONG_ROW + size, samples, size == 1 ? 3 : size, size - 1);
        }
}

static void test_more_samples_than_pixels(void)
{
    check_horizontal(1, 1000, 2, 0);
    check_horizontal(2, 1000, 1, 1);
    check_float(1, 1000, 4, 0);
}

/* By hand: 1.0f, 2.0f, -1.0f are 3f800000, 40000000, bf800000. */
static void test_known_floats(void)
{
    const float floats[] = {1.0f, 2.0f, -1.0f};
    uint8_t row[] = {0x3f, 0x01, 0x7f, 0xc1, 0x80, 0x80, 0x80, 0, 0, 0, 0, 0}, scratch[sizeof row];
    lzt_unpredict_float(row, 3, 1, 4, scratch);
    CHECK(memcmp(row, floats, sizeof row) == 0);
}

static void test_known_integers(void)
{
    const uint16_t sums[] = {65535, 0, 2, 1};
    uint16_t row[] = {65535, 1, 2, 65535};
    lzt_unpredict_horizontal((uint8_t *)row, 4, 1, 2);
    CHECK(memcmp(row, sums, sizeof row) == 0);
    const uint8_t pixels[] = {1, 2, 3, 5, 7, 9};
    uint8_t rgb[] = {1, 2, 3, 4, 5, 6};
    lzt_unpredict_horizontal(rgb, 2, 3, 1);
    CHECK(memcmp(rgb, pixels, sizeof rgb) == 0);
}

int main(void)
{
    test_known_integers();
    test_known_floats();
    test_every_small_row();
    test_long_rows();
    test_more_samples_than_pixels();
    return 0;
}
