/* ycbcr.h - from YCbCr to RGB, to the very pixels that libtiff gives. */
#ifndef LZT_YCBCR_H
#define LZT_YCBCR_H

#include <stddef.h>
#include <stdint.h>

/* YCbCr to RGB by TIFF 6.0, sections 20 and 21: luma is YCbCrCoefficients, reference is ReferenceBlackWhite. */
struct lzt_ycbcr {
    float luma[3];
    float reference[6];
};

/* What lzt_ycbcr_row needs, worked out once for a page. */
struct lzt_ycbcr_table {
    int32_t luma[256];
    int32_t red_of_cr[256], blue_of_cb[256];
    int32_t green_of_cr[256], green_of_cb[256]; /* scaled by 2^16 */
};

/* Takes any floats, also infinite ones and no numbers: such files have strange colours, nothing worse. */
void lzt_ycbcr_prepare(const struct lzt_ycbcr *ycbcr, struct lzt_ycbcr_table *table);

/* One row of columns pixels from a row of clumps: each clump is across x down luma samples, row by row, then Cb, then Cr (TIFF 6.0,
 * section 21). line: which of the clump's down rows is wanted. across, down: at least 1. rgb: 3 bytes a pixel. Reads no clump beyond
 * those the columns need. */
void lzt_ycbcr_row(const struct lzt_ycbcr_table *table, const uint8_t *clumps, size_t columns, unsigned across, unsigned down,
                   unsigned line, uint8_t *rgb);

#endif
