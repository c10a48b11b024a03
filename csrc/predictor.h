/* predictor.h - the predictors of TIFF, applied and undone, one row at a time. */
#ifndef LZT_PREDICTOR_H
#define LZT_PREDICTOR_H

#include <stddef.h>
#include <stdint.h>

/* Undo, in place, predictor 2, horizontal differencing (TIFF 6.0, section 14): pixels x samples items of item_size bytes (1, 2, 4 or 8) in this
 * machine's byte order; each item becomes the sum, modulo 2^(8 item_size), of itself and the items of its sample before it. */
void lzt_unpredict_horizontal(uint8_t *row, size_t pixels, unsigned samples, unsigned item_size);

/* Undo, in place, predictor 3, floating point (Adobe Photoshop TIFF Technical Note 3): bytes of items of item_size bytes (2, 3, 4 or 8), most
 * significant plane first, differenced as bytes at a distance of samples; becomes items in this machine's byte order.
 * scratch: room for as many bytes as the row has. */
void lzt_unpredict_float(uint8_t *row, size_t pixels, unsigned samples, unsigned item_size, uint8_t *scratch);

/* Both the other way round, from items in this machine's byte order to the row as it is encoded, which must not overlap them.
 * scratch: room for as many bytes as the row has. */
void lzt_predict_horizontal(const uint8_t *items, size_t pixels, unsigned samples, unsigned item_size, uint8_t *row);
void lzt_predict_float(const uint8_t *items, size_t pixels, unsigned samples, unsigned item_size, uint8_t *row, uint8_t *scratch);

#endif
