/* Items gathered and bits packed: against the plain way, with everything around them guarded. */
#include "check.h"
#include "gather.h"

static uint64_t random_state = 1;

static uint8_t random_byte(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint8_t)(random_state >> 56);
}

/* A row whose pixels and samples are that far apart, in memory that ends with its last byte; on the heap, so that a sanitizer sees what is
 * read before it too. */
static void check_row(size_t columns, const struct lzt_steps *steps)
{
    const int64_t column = (int64_t)(columns - 1) * steps->column, sample = (int64_t)(steps->samples - 1) * steps->sample;
    const int64_t before = (column < 0 ? -column : 0) + (sample < 0 ? -sample : 0);
    const size_t size = (size_t)(before + (column > 0 ? column : 0) + (sample > 0 ? sample : 0)) + steps->item_size;
    const size_t made = columns * steps->samples * steps->item_size;
    struct guarded items = guarded_new(made);
    uint8_t *memory = malloc(size);
    CHECK(memory != NULL);
    for (size_t i = 0; i < size; i++)
        memory[i] = random_byte();
    lzt_gather_row(steps, memory + before, columns, items.bytes);
    for (size_t i = 0; i < made; i++) {
        const size_t item = i / steps->item_size;
        const int64_t at = before + (int64_t)(item / steps->samples) * steps->column + (int64_t)(item % steps->samples) * steps->sample;
        CHECK(items.bytes[i] == memory[(size_t)at + i % steps->item_size]);
    }
    free(memory);
    guarded_free(&items);
}

static void test_rows(void)
{
    static const unsigned samples[] = {1, 2, 3, 4, 7};
    for (size_t columns = 1; columns < 20; columns++)
        for (unsigned k = 0; k < 5; k++)
            for (unsigned size = 1; size <= 16; size *= 2) {
                const int64_t item = size, pixel = item * samples[k];
                check_row(columns, &(struct lzt_steps){pixel, item, samples[k], size});
                check_row(columns, &(struct lzt_steps){-pixel, -item, samples[k], size});
                check_row(columns, &(struct lzt_steps){item, item * (int64_t)columns, samples[k], size});
                check_row(columns, &(struct lzt_steps){3 * pixel + 1, -item, samples[k], size});
                check_row(columns, &(struct lzt_steps){-pixel - 5, item + 3, samples[k], size});
                check_row(columns, &(struct lzt_steps){0, item, samples[k], size});
                check_row(columns, &(struct lzt_steps){0, 0, samples[k], size});
            }
}

/* Only rows that can be taken as they are count as dense: what is not there has no distance. */
static void test_dense(void)
{
    CHECK(lzt_steps_are_dense(&(struct lzt_steps){6, 2, 3, 2}, 5));
    CHECK(lzt_steps_are_dense(&(struct lzt_steps){2, 99, 1, 2}, 5));
    CHECK(lzt_steps_are_dense(&(struct lzt_steps){-99, 2, 3, 2}, 1));
    CHECK(!lzt_steps_are_dense(&(struct lzt_steps){7, 2, 3, 2}, 5));
    CHECK(!lzt_steps_are_dense(&(struct lzt_steps){6, -2, 3, 2}, 5));
    CHECK(!lzt_steps_are_dense(&(struct lzt_steps){0, 2, 1, 2}, 2));
}

static void check_bits(size_t count, int mostly)
{
    struct guarded items = guarded_new(count), packed = guarded_new((count + 7) / 8);
    for (size_t i = 0; i < count; i++)
        items.bytes[i] = random_byte() < mostly ? random_byte() : 0;
    lzt_pack_bits(items.bytes, count, packed.bytes);
    for (size_t i = 0; i < (count + 7) / 8 * 8; i++)
        CHECK((packed.bytes[i / 8] >> (7 - i % 8) & 1) == (i < count && items.bytes[i] != 0));
    guarded_free(&items);
    guarded_free(&packed);
}

/* Every pattern of eight, and every value of a byte. */
static void test_bits(void)
{
    for (unsigned pattern = 0; pattern < 256; pattern++) {
        uint8_t items[8], packed;
        for (unsigned i = 0; i < 8; i++)
            items[i] = (pattern >> (7 - i) & 1) ? (uint8_t)(pattern | 1u << i) : 0;
        lzt_pack_bits(items, 8, &packed);
        CHECK(packed == pattern);
        lzt_pack_bits((const uint8_t[]){0, (uint8_t)pattern}, 2, &packed);
        CHECK(packed == (pattern != 0 ? 0x40 : 0));
    }
    for (size_t count = 0; count < 70; count++)
        for (int mostly = 0; mostly <= 256; mostly += 64)
            check_bits(count, mostly);
}

int main(void)
{
    test_rows();
    test_dense();
    test_bits();
    return 0;
}
