#include "checksum.h"

enum {
    MODULUS = 65521, /* the largest prime below 2^16 */
    COLUMNS = 32,
    ROWS = 22, /* 255 * (0 + 1 + ... + 21) is the last such sum that 16 bits hold */
};

struct adler {
    uint32_t a, b;
};

static void reduce(struct adler *sum)
{
    sum->a %= MODULUS;
    sum->b %= MODULUS;
}

/* Less than a block, which 32 bits hold without a division on the way. */
static void add_singles(struct adler *sum, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum->a += bytes[i];
        sum->b += sum->a;
    }
    reduce(sum);
}

/* ROWS x COLUMNS bytes. The sums run down the columns, side by side and within 16 bits, so that any compiler makes vectors of them.
 * A byte counts in b once for itself and once for every byte after it: COLUMNS times for every row below its own, and once for
 * every column from its own to the last. */
static void add_block(struct adler *sum, const uint8_t *bytes)
{
    uint16_t total[COLUMNS] = {0}, above[COLUMNS] = {0}; /* above: the sum, over all rows, of the total before that row */
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++) {
            above[column] = (uint16_t)(above[column] + total[column]);
            total[column] = (uint16_t)(total[column] + bytes[row * COLUMNS + column]);
        }
    sum->b += sum->a * (ROWS * COLUMNS);
    for (int column = 0; column < COLUMNS; column++) {
        sum->a += total[column];
        sum->b += (uint32_t)COLUMNS * above[column] + (uint32_t)(COLUMNS - column) * total[column];
    }
    reduce(sum);
}

uint32_t lzt_adler32(uint32_t adler, const uint8_t *bytes, size_t count)
{
    struct adler sum = {adler & 0xffff, adler >> 16};
    for (; count >= ROWS * COLUMNS; count -= ROWS * COLUMNS, bytes += ROWS * COLUMNS)
        add_block(&sum, bytes);
    add_singles(&sum, bytes, count);
    return sum.b << 16 | sum.a;
}
