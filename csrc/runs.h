/* runs.h - the bytes of the file that hold pixels which are to be written in place. */
#ifndef LZT_RUNS_H
#define LZT_RUNS_H

#include "page.h"

/* Chunks of a page that lie one after the other. */
struct lzt_run {
    uint64_t start, end, page, chunk; /* chunk: the first */
};

struct lzt_runs {
    const struct lzt_table *table;
    struct lzt_run *runs;
    size_t count, room;
    uint64_t last_chunk;  /* of the last run */
    uint64_t bytes;       /* of all runs */
    uint64_t sparse;      /* chunks that the file leaves out */
    struct lzt_page page; /* the page that was added last */
};

/* Add every chunk of the page; start with a zeroed struct but for the table. LZT_NOT_MAPPABLE when it does not lie in the file. */
enum lzt_status lzt_runs_add(struct lzt_runs *runs, uint64_t page, struct lzt_error *error);
/* 1: the runs have more bytes than the file, so that some overlap: no need to add the rest. */
int lzt_runs_are_enough(const struct lzt_runs *runs);
/* After the last page, before lzt_runs_find. LZT_NOT_MAPPABLE when runs overlap each other. */
enum lzt_status lzt_runs_sort(struct lzt_runs *runs, struct lzt_error *error);
/* A run that has some of length bytes at offset, which must be in the file; NULL: none has. */
const struct lzt_run *lzt_runs_find(const struct lzt_runs *runs, uint64_t offset, uint64_t length);
/* LZT_NOT_MAPPABLE: the run's chunk that holds the byte at offset overlaps what is called name. */
enum lzt_status lzt_runs_fail(const struct lzt_runs *runs, const struct lzt_run *run, uint64_t offset, const char *name,
                              struct lzt_error *error);
void lzt_runs_close(struct lzt_runs *runs);

#endif
