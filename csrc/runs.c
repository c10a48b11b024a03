#include "runs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"

static const struct lzt_layout *layout_of(const struct lzt_runs *runs, uint64_t page)
{
    return &runs->table->layouts[runs->table->rows[page].layout];
}

/* ---- Adding ------------------------------------------------------------------------------------------------------------- */

static enum lzt_status add_run(struct lzt_runs *runs, const struct lzt_run *run, struct lzt_error *error)
{
    struct lzt_run *last = runs->count > 0 ? &runs->runs[runs->count - 1] : NULL;
    const int continues = last != NULL && last->page == run->page && last->end == run->start && runs->last_chunk + 1 == run->chunk;
    runs->last_chunk = run->chunk;
    runs->bytes += run->end - run->start;
    if (continues) {
        last->end = run->end;
        return LZT_OK;
    }
    if (runs->count == runs->room) {
        const size_t room = runs->room == 0 ? 16 : 2 * runs->room;
        struct lzt_run *grown = realloc(runs->runs, room * sizeof *grown);
        if (grown == NULL)
            return lzt_fail_memory(error, room * sizeof *grown);
        runs->runs = grown;
        runs->room = room;
    }
    runs->runs[runs->count++] = *run;
    return LZT_OK;
}

/* What a mapping addresses: all bytes of the chunk's pixels, whatever length the file states. */
static enum lzt_status add_chunk(struct lzt_runs *runs, uint64_t page, uint64_t chunk, struct lzt_error *error)
{
    const uint64_t size = runs->table->size, bytes = lzt_page_plain_bytes(layout_of(runs, page), chunk);
    uint64_t offset = runs->table->rows[page].data, length = 0;
    enum lzt_status status = offset == 0 ? lzt_page_chunk(&runs->page, chunk, &offset, &length, error) : LZT_OK;
    if (status != LZT_OK)
        return status;
    if (offset == 0 && length == 0) {
        if (++runs->sparse > size) /* pages that share such a table could have any number of them */
            return lzt_fail(error, LZT_LIMIT, "it leaves out more chunks than it has bytes");
        return LZT_OK;
    }
    if (offset > size || bytes > size - offset)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "its %" PRIu64 " bytes at offset %" PRIu64 " are not all in the file, which has %" PRIu64,
                        bytes, offset, size);
    return add_run(runs, &(struct lzt_run){offset, offset + bytes, page, chunk}, error);
}

enum lzt_status lzt_runs_add(struct lzt_runs *runs, uint64_t page, struct lzt_error *error)
{
    const struct lzt_layout *layout = layout_of(runs, page);
    enum lzt_status status = lzt_layout_problem(layout, error);
    if (status == LZT_OK && !layout->direct)
        status = lzt_fail(error, LZT_NOT_MAPPABLE, "its pixels are not stored as they are read");
    if (status == LZT_OK && runs->table->rows[page].data == 0)
        status = lzt_page_open(&runs->page, runs->table, page, error);
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)page, -1);
    const uint64_t chunks = (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
    for (uint64_t chunk = 0; chunk < chunks && !lzt_runs_are_enough(runs); chunk++) {
        status = add_chunk(runs, page, chunk, error);
        if (status != LZT_OK)
            return lzt_fail_at(error, status, (int64_t)page, (int64_t)chunk);
    }
    return LZT_OK;
}

int lzt_runs_are_enough(const struct lzt_runs *runs)
{
    return runs->bytes > runs->table->size;
}

void lzt_runs_close(struct lzt_runs *runs)
{
    lzt_page_close(&runs->page);
    free(runs->runs);
}

/* ---- Comparing ---------------------------------------------------------------------------------------------------------- */

/* The run's chunk that holds the byte at offset. */
static uint64_t chunk_at(const struct lzt_runs *runs, const struct lzt_run *run, uint64_t offset)
{
    const struct lzt_layout *layout = layout_of(runs, run->page);
    uint64_t chunk = run->chunk, end = run->start + lzt_page_plain_bytes(layout, chunk);
    while (end <= offset)
        end += lzt_page_plain_bytes(layout, ++chunk);
    return chunk;
}

enum lzt_status lzt_runs_fail(const struct lzt_runs *runs, const struct lzt_run *run, uint64_t offset, const char *name,
                              struct lzt_error *error)
{
    lzt_fail(error, LZT_NOT_MAPPABLE, "its bytes overlap %s: writing to it would change both", name);
    return lzt_fail_at(error, LZT_NOT_MAPPABLE, (int64_t)run->page, (int64_t)chunk_at(runs, run, offset));
}

static int is_before(const struct lzt_run *run, const struct lzt_run *other)
{
    return run->page < other->page || (run->page == other->page && run->chunk < other->chunk);
}

static int in_order(const void *left, const void *right)
{
    const struct lzt_run *a = left, *b = right;
    if (a->start == b->start)
        return is_before(a, b) ? -1 : is_before(b, a);
    return a->start < b->start ? -1 : 1;
}

/* The error is about the later one of two chunks, in the order of pages. */
static enum lzt_status fail_pair(const struct lzt_runs *runs, const struct lzt_run *run, const struct lzt_run *other, uint64_t offset,
                                 struct lzt_error *error)
{
    char name[80];
    if (is_before(run, other))
        return fail_pair(runs, other, run, offset, error);
    snprintf(name, sizeof name, "those of page %" PRIu64 ", chunk %" PRIu64, other->page, chunk_at(runs, other, offset));
    return lzt_runs_fail(runs, run, offset, name, error);
}

enum lzt_status lzt_runs_sort(struct lzt_runs *runs, struct lzt_error *error)
{
    if (runs->count > 1)
        qsort(runs->runs, runs->count, sizeof *runs->runs, in_order);
    for (size_t i = 1; i < runs->count; i++)
        if (runs->runs[i].start < runs->runs[i - 1].end)
            return fail_pair(runs, &runs->runs[i], &runs->runs[i - 1], runs->runs[i].start, error);
    return LZT_OK;
}

const struct lzt_run *lzt_runs_find(const struct lzt_runs *runs, uint64_t offset, uint64_t length)
{
    size_t below = 0, above = runs->count; /* runs before below start before the end of the bytes, those from above on do not */
    while (below < above) {
        const size_t middle = below + (above - below) / 2;
        if (runs->runs[middle].start < offset + length)
            below = middle + 1;
        else
            above = middle;
    }
    return below > 0 && runs->runs[below - 1].end > offset ? &runs->runs[below - 1] : NULL;
}
