/* peek.h - look at small pieces of a source here and there, reading a stretch of it at a time. */
#ifndef LZT_PEEK_H
#define LZT_PEEK_H

#include "lazytiff.h"

struct lzt_peek {
    struct lzt_source *source;
    uint64_t size;  /* of the source: nothing beyond is asked for */
    size_t stretch; /* bytes to read at a time; may be changed between calls */
    uint64_t start; /* the bytes at hand: length bytes of the source, from start on */
    size_t length, room;
    uint8_t *bytes;
};

void lzt_peek_open(struct lzt_peek *peek, struct lzt_source *source, uint64_t size, size_t stretch);
void lzt_peek_close(struct lzt_peek *peek);
/* Point bytes at length bytes of the source, until the next call. Outside of the source: LZT_CORRUPT. */
enum lzt_status lzt_peek_at(struct lzt_peek *peek, uint64_t offset, size_t length, const uint8_t **bytes,
                            struct lzt_error *error);

#endif
