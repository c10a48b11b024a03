/* samples.h - from samples as they are stored to samples as they are read. */
#ifndef LZT_SAMPLES_H
#define LZT_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "ycbcr.h"

/* Exchange the byte order of count items of item_size bytes (1, 2, 3, 4, 8; 1 does nothing), in place. */
void lzt_swap(uint8_t *items, size_t count, unsigned item_size);

/* Exchange the order of the bits in each byte (FillOrder 2), in place. */
void lzt_reverse_bits(uint8_t *bytes, size_t count);

/* Unpack count samples of 1 to 31 bits each, most significant bit first and without gaps, from packed into items: 1 byte each for
 * up to 8 bits, 2 for up to 16, 4 above. is_signed: extend the sign. Reads no byte beyond the (count * bits + 7) / 8 that hold them.
 * items and packed do not overlap. */
void lzt_unpack(const uint8_t *packed, size_t count, unsigned bits, int is_signed, uint8_t *items);

/* Widen count floating point numbers of 3 bytes, in this machine's byte order, of 1 sign, 7 exponent (bias 63) and 16 fraction bits
 * (Adobe Photoshop TIFF Technical Note 3) to binary32. No overlap. */
void lzt_widen_float24(const uint8_t *stored, size_t count, uint8_t *items);

#endif
