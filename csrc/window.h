/* window.h - which pixels of a chunk are wanted, and where they go. */
#ifndef LZT_WINDOW_H
#define LZT_WINDOW_H

#include "lazytiff.h"

/* The part of a page that a chunk holds; what a tile has beyond the page's edge is not counted. */
struct lzt_place {
    uint32_t row, rows, column, columns, sample, samples;
};

struct lzt_place lzt_chunk_place(const struct lzt_layout *layout, uint64_t chunk);

/* Along one axis, the wanted pixels that a chunk holds: positions within the chunk, the first being number index of the window. */
struct lzt_overlap {
    uint32_t first, step, count, index;
};

struct lzt_cut {
    struct lzt_overlap rows, columns, samples;
};

/* What the window wants of that place. 1: something; 0: nothing. */
int lzt_window_cut(const struct lzt_window *window, const struct lzt_place *place, struct lzt_cut *cut);

/* The window that wants all of that place, into an array of rows x columns x samples items. */
struct lzt_window lzt_window_of(const struct lzt_place *place, unsigned item_size);

/* Where the cut's first pixel goes. */
uint8_t *lzt_cut_target(const struct lzt_cut *cut, const struct lzt_window *window, uint8_t *target);

/* 1: pixels next to each other in a row of the chunk, samples items each, are so in the target too. */
int lzt_cut_has_whole_pixels(const struct lzt_cut *cut, const struct lzt_window *window, unsigned samples, unsigned item_size);

/* Copy the cut. items: the chunk's samples; pitch: bytes from row to row; samples: items of a pixel in the chunk. */
void lzt_window_copy(const struct lzt_cut *cut, const struct lzt_window *window, const uint8_t *items, uint64_t pitch, unsigned samples,
                     unsigned item_size, uint8_t *target);

#endif
