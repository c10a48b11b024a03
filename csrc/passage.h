/* passage.h - a page on its way into the file. */
#ifndef LZT_PASSAGE_H
#define LZT_PASSAGE_H

#include "writer.h"

struct lzt_passage {
    struct lzt_block *block;
    const struct lzt_parcel *parcel; /* NULL: pixels go as they are */
    const struct lzt_pixels *pixels;
    uint64_t start, first, end; /* of the block; of the pixels; behind them */
};

/* 1: pages of this form are not compressed, even if they are tiles or single bits. */
int lzt_is_plain(const struct lzt_form *form);
/* 1: pixels lie in memory as in the file, but perhaps with a distance between rows. */
int lzt_passage_is_direct(const struct lzt_writer *writer, const struct lzt_pixels *pixels);

/* Find the page's place at the writer's end, with a block of these entries that tells of it. A page that passes 4 GiB is in the BigTIFF chain
 * only, and so are all behind it; LZT_FULL where there is none. */
enum lzt_status lzt_passage_place(struct lzt_writer *writer, struct lzt_passage *passage, struct lzt_entries *entries, struct lzt_error *error);
/* Write the block and the pixels there. */
enum lzt_status lzt_passage_write(struct lzt_writer *writer, const struct lzt_passage *passage, struct lzt_error *error);

#endif
