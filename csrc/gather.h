/* gather.h - items from wherever they are to other places, or to bits side by side. */
#ifndef LZT_GATHER_H
#define LZT_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* Where the items of a row are: bytes from one pixel, and one sample, to the next; negative ones too. */
struct lzt_steps {
    int64_t column, sample;
    unsigned samples, item_size; /* of a pixel; 1, 2, 4, 8 or 16 bytes */
};

/* 1: the row's items lie side by side already. */
int lzt_steps_are_dense(const struct lzt_steps *steps, size_t columns);

/* Copy count items from_stride bytes apart to places to_stride bytes apart. They do not overlap. */
void lzt_copy_items(const uint8_t *source, int64_t from_stride, uint8_t *target, int64_t to_stride, size_t count, unsigned item_size);

/* Copy the items of a row. They do not overlap the copy. */
void lzt_gather_row(const struct lzt_steps *steps, const uint8_t *from, size_t columns, uint8_t *items);

/* Make count bytes bits, most significant first, 1 for whatever is not 0; zeros fill up the last byte. No overlap. */
void lzt_pack_bits(const uint8_t *items, size_t count, uint8_t *packed);

#endif
