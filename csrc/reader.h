/* reader.h - what one thread needs to read chunks, for the rooms that do it: direct.c, coded.c and read.c. */
#ifndef LZT_READER_H
#define LZT_READER_H

#include <stdatomic.h>

#include "decode.h"
#include "page.h"
#include "window.h"

/* Memory that grows when more is asked for and is not cleared. */
struct lzt_room {
    uint8_t *bytes;
    uint64_t size;
};

/* At least size bytes, whose contents are lost when the room grows; NULL: error says that there is no memory. */
uint8_t *lzt_room_take(struct lzt_room *room, uint64_t size, struct lzt_error *error);

enum { LZT_PENDING = 64 };

struct lzt_reader {
    const struct lzt_table *table;
    struct lzt_page page;
    struct lzt_decoder *decoder;
    const atomic_int *cancel; /* of the batch at work */
    struct lzt_room input;    /* bytes from the file */
    struct lzt_room stored;   /* samples as the codec gives them */
    struct lzt_room items;    /* samples as they are read */
    struct lzt_room scratch;  /* a row */
    /* Stretches of the file that go straight into the caller's arrays: fetched many at a time. */
    struct lzt_range pending[LZT_PENDING];
    size_t pending_count;
};

/* A chunk of the reader's page that is to be read, and what for. */
struct lzt_task {
    const struct lzt_job *job;
    const struct lzt_window *window;
    struct lzt_place place;
    struct lzt_cut cut;
    int wanted;              /* the window wants some of it */
    uint64_t offset, length; /* where its bytes are in the file */
    uint8_t *input;          /* its bytes, once they are in memory */
};

/* direct.c: chunks whose samples are stored as they are read. What is read is in the caller's arrays after the flush. */
enum lzt_status lzt_direct_read(struct lzt_reader *reader, const struct lzt_task *task, struct lzt_error *error);
enum lzt_status lzt_direct_flush(struct lzt_reader *reader, struct lzt_error *error);

/* coded.c: all other chunks; their bytes are at task->input, and are overwritten. */
enum lzt_status lzt_coded_read(struct lzt_reader *reader, const struct lzt_task *task, struct lzt_error *error);
/* A chunk that the file leaves out. */
enum lzt_status lzt_coded_read_sparse(struct lzt_reader *reader, const struct lzt_task *task, struct lzt_error *error);

/* Give back rooms that are larger than most. Those of a usual chunk are kept for the next one, but many readers may lie idle. */
void lzt_reader_trim(struct lzt_reader *reader, uint64_t most);

/* Exchange the byte order of items of the layout, when they are stored in the other one. */
void lzt_items_swap(const struct lzt_layout *layout, uint8_t *items, uint64_t bytes);

#endif
