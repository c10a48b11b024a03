#include "gather.h"

#include <string.h>

#include "bytes.h"

int lzt_steps_are_dense(const struct lzt_steps *steps, size_t columns)
{
    return (steps->samples == 1 || steps->sample == (int64_t)steps->item_size) &&
           (columns == 1 || steps->column == (int64_t)steps->samples * (int64_t)steps->item_size);
}

/* The switch lets the compiler move each size in one go; places are computed from the first ones, since a pointer must not run beyond what it
 * points into. */
void lzt_copy_items(const uint8_t *source, int64_t from_stride, uint8_t *target, int64_t to_stride, size_t count, unsigned item_size)
{
#define COPY_EACH(size)                \
    for (size_t i = 0; i < count; i++) \
    memcpy(target + (int64_t)i * to_stride, source + (int64_t)i * from_stride, size)
    switch (item_size) {
    case 1:
        COPY_EACH(1);
        return;
    case 2:
        COPY_EACH(2);
        return;
    case 4:
        COPY_EACH(4);
        return;
    case 8:
        COPY_EACH(8);
        return;
    default:
        COPY_EACH(16);
    }
#undef COPY_EACH
}

void lzt_gather_row(const struct lzt_steps *steps, const uint8_t *from, size_t columns, uint8_t *items)
{
    const size_t pixel = (size_t)steps->samples * steps->item_size;
    if (lzt_steps_are_dense(steps, columns)) {
        memcpy(items, from, columns * pixel);
        return;
    }
    for (unsigned sample = 0; sample < steps->samples; sample++)
        lzt_copy_items(from + sample * steps->sample, steps->column, items + (size_t)sample * steps->item_size, (int64_t)pixel, columns,
                       steps->item_size);
}

/* Bytes to their highest bits, and these by one multiplication into the highest byte: each is moved to its place, and none of the 64 products
 * of a bit with a bit of the factor meets another one. */
static uint8_t pack8(const uint8_t *items)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    const uint64_t places = lzt_machine_is_big_endian() ? UINT64_C(0x0102040810204080) : UINT64_C(0x8040201008040201);
    uint64_t word;
    memcpy(&word, items, sizeof word);
    word = (((word & low) + low) | word) >> 7 & UINT64_C(0x0101010101010101);
    return (uint8_t)(word * places >> 56);
}

void lzt_pack_bits(const uint8_t *items, size_t count, uint8_t *packed)
{
    uint8_t rest[8] = {0};
    for (; count >= 8; count -= 8, items += 8)
        *packed++ = pack8(items);
    if (count > 0) {
        memcpy(rest, items, count);
        *packed = pack8(rest);
    }
}
