#include "ycbcr.h"

/* The formulas are those of TIFF 6.0, sections 20 (ReferenceBlackWhite) and 21 (YCbCrCoefficients). How they are rounded and where
 * they are cut off is libtiff's way (its TIFFYCbCrToRGBInit and TIFFYCbCrtoRGB), so that no reader sees other pixels: floats of 32
 * bits up to the tables, then integers with 16 fraction bits. Right shifts of negative numbers must round down, as every compiler
 * does. */
enum { FRACTION_BITS = 16, HALF = 1 << (FRACTION_BITS - 1), LIMIT = 128 * 32 };

/* Held within low and high; no number becomes low. */
static double clamp(double value, double low, double high)
{
    return !(value >= low) ? low : value > high ? high : value;
}

static int32_t fixed_point(float coefficient)
{
    return (int32_t)(clamp(coefficient, 0, 2) * (1 << FRACTION_BITS) + 0.5);
}

/* Section 20: a code from black to white becomes 0 to range. The black level loses its fraction, and the result too. */
static int32_t from_code(int code, float black, float white, float range)
{
    int64_t base = (int64_t)clamp(black, INT32_MIN, INT32_MAX);
    float span = white - black;
    float value = (float)(code - base) * range / (span != 0 ? span : 1);
    return (int32_t)clamp(value, -LIMIT, LIMIT);
}

void lzt_ycbcr_prepare(const struct lzt_ycbcr *ycbcr, struct lzt_ycbcr_table *table)
{
    const float red = ycbcr->luma[0], green = ycbcr->luma[1], blue = ycbcr->luma[2];
    const float *reference = ycbcr->reference;
    const float red_span = 2 - 2 * red, blue_span = 2 - 2 * blue;
    /* No green: libtiff refuses such files; here nothing is divided by 0. */
    const int32_t red_of_cr = fixed_point(red_span), green_of_cr = green != 0 ? fixed_point(red * red_span / green) : 0;
    const int32_t blue_of_cb = fixed_point(blue_span), green_of_cb = green != 0 ? fixed_point(blue * blue_span / green) : 0;
    for (int code = 0; code < 256; code++) {
        int32_t cb = from_code(code - 128, reference[2] - 128, reference[3] - 128, 127);
        int32_t cr = from_code(code - 128, reference[4] - 128, reference[5] - 128, 127);
        table->luma[code] = from_code(code, reference[0], reference[1], 255);
        table->red_of_cr[code] = (red_of_cr * cr + HALF) >> FRACTION_BITS;
        table->blue_of_cb[code] = (blue_of_cb * cb + HALF) >> FRACTION_BITS;
        table->green_of_cr[code] = -green_of_cr * cr;
        table->green_of_cb[code] = -green_of_cb * cb + HALF; /* the two are added before they are rounded */
    }
}

static inline uint8_t to_byte(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* across: a constant where it pays. */
static inline void convert_row(const struct lzt_ycbcr_table *table, const uint8_t *clumps, size_t columns, unsigned across,
                               unsigned down, unsigned line, uint8_t *rgb)
{
    for (; columns > 0; clumps += across * down + 2) {
        const uint8_t *luma = clumps + across * line, *chroma = clumps + across * down;
        const int32_t red = table->red_of_cr[chroma[1]], blue = table->blue_of_cb[chroma[0]];
        const int32_t green = (table->green_of_cb[chroma[0]] + table->green_of_cr[chroma[1]]) >> FRACTION_BITS;
        for (unsigned i = 0; i < across && columns > 0; i++, columns--, rgb += 3) {
            int32_t y = table->luma[luma[i]];
            rgb[0] = to_byte(y + red);
            rgb[1] = to_byte(y + green);
            rgb[2] = to_byte(y + blue);
        }
    }
}

void lzt_ycbcr_row(const struct lzt_ycbcr_table *table, const uint8_t *clumps, size_t columns, unsigned across, unsigned down,
                   unsigned line, uint8_t *rgb)
{
    switch (across) {
    case 1: convert_row(table, clumps, columns, 1, down, line, rgb); break;
    case 2: convert_row(table, clumps, columns, 2, down, line, rgb); break;
    default: convert_row(table, clumps, columns, across, down, line, rgb);
    }
}
