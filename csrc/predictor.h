/* predictor.h - undo the predictors of TIFF, one row at a time and in place. */
#ifndef LZT_PREDICTOR_H
#define LZT_PREDICTOR_H

#include <stddef.h>
#include <stdint.h>

/* Predictor 2, horizontal differencing (TIFF 6.0, section 14): pixels x samples items of item_size bytes (1, 2, 4 or 8) in this
 * machine's byte order; each item becomes the sum, modulo 2^(8 item_size), of itself and the items of its sample before it. */
void lzt_unpredict_horizontal(uint8_t *row, size_t pixels, unsigned samples, unsigned item_size);

/* Predictor 3, floating point (Adobe Photoshop TIFF Technical Note 3): bytes of items of item_size bytes (2, 3, 4 or 8), most
 * significant plane first, differenced as bytes at a distance of samples; becomes items in this machine's byte order.
 * scratch: room for as many bytes as the row has. */
void lzt_unpredict_float(uint8_t *row, size_t pixels, unsigned samples, unsigned item_size, uint8_t *scratch);

#endif
