/* The batch: jobs are taken from one cursor by any number of readers, located, fetched together, and read one after the other. */
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "os.h"
#include "reader.h"
#include "source.h"

/* Jobs that a reader takes at a time, bytes that it fetches at a time, and bytes of headers that a small chunk may have. */
enum { MOST_JOBS = 64, FETCH = 4 << 20, SLACK = 1 << 20 };

struct lzt_batch {
    const struct lzt_table *table;
    const struct lzt_window *windows;
    const struct lzt_job *jobs;
    uint64_t job_count, claim;
    atomic_ullong next;   /* the first job that nobody has taken */
    atomic_ullong failed; /* the first job that failed; job_count: none */
    atomic_int cancel;
    atomic_flag error_lock;
    struct lzt_error error; /* of job number failed */
};

/* ---- One reader's share --------------------------------------------------------------------------------------------------- */

struct share {
    struct lzt_batch *batch;
    struct lzt_reader *reader;
    struct lzt_error *error;
    struct lzt_task tasks[MOST_JOBS];
};

/* Where chunk is, cut to what the file holds. offset 0: the file leaves the chunk out. */
static enum lzt_status locate_chunk(struct lzt_reader *reader, uint64_t chunk, uint64_t *offset, uint64_t *length,
                                    struct lzt_error *error)
{
    const struct lzt_layout *layout = reader->page.layout;
    uint64_t size;
    enum lzt_status status = lzt_page_chunk(&reader->page, chunk, offset, length, error);
    if (status != LZT_OK || (*offset == 0 && *length == 0))
        return status;
    status = lzt_table_check_size(reader->table, &size, error);
    if (status != LZT_OK)
        return status;
    if (*offset < 8 || *offset >= size || *length == 0)
        return lzt_fail(error, LZT_DECODE, "it is said to be %" PRIu64 " bytes at offset %" PRIu64 " of a file of %" PRIu64, *length, *offset,
                        size);
    *length = lzt_min64(*length, size - *offset);
    if (!layout->direct) /* no codec makes so much of so little: what is said beyond is not worth the memory */
        *length = lzt_min64(*length, 16 * lzt_stored_bytes(layout, layout->chunk_rows, layout->chunk_columns) + SLACK);
    return LZT_OK;
}

static enum lzt_status locate(struct share *share, struct lzt_task *task, const struct lzt_job *job)
{
    const struct lzt_layout *layout = share->reader->page.layout;
    *task = (struct lzt_task){.job = job, .window = &share->batch->windows[job->window], .place = lzt_chunk_place(layout, job->chunk)};
    task->wanted = job->target != NULL && lzt_window_cut(task->window, &task->place, &task->cut);
    return locate_chunk(share->reader, job->chunk, &task->offset, &task->length, share->error);
}

static enum lzt_status read_task(struct share *share, struct lzt_task *task)
{
    struct lzt_reader *reader = share->reader;
    const struct lzt_layout *layout = reader->page.layout;
    if (atomic_load_explicit(&share->batch->cancel, memory_order_relaxed))
        return lzt_fail(share->error, LZT_CANCELLED, "cancelled");
    if (task->offset == 0)
        return lzt_coded_read_sparse(reader, task, share->error);
    if (layout->direct)
        return lzt_direct_read(reader, task, share->error);
    return lzt_coded_read(reader, task, share->error);
}

/* Fetch the bytes of as many of the tasks as are to be fetched together; *count becomes how many those are. */
static enum lzt_status fetch(struct share *share, struct lzt_task *tasks, size_t *count)
{
    struct lzt_range ranges[MOST_JOBS];
    const struct lzt_layout *layout = share->reader->page.layout;
    uint64_t bytes = tasks[0].length;
    size_t some = 1;
    if (layout->direct)
        return LZT_OK;
    while (some < *count && bytes + tasks[some].length <= FETCH)
        bytes += tasks[some++].length;
    *count = some;
    uint8_t *input = lzt_room_take(&share->reader->input, bytes, share->error);
    if (input == NULL)
        return LZT_NO_MEMORY;
    for (size_t i = 0; i < some; i++) {
        ranges[i] = (struct lzt_range){tasks[i].offset, tasks[i].length, input};
        tasks[i].input = input;
        input += tasks[i].length;
    }
    return lzt_source_read(share->reader->table->source, ranges, some, share->error);
}

/* Locate the jobs from number first on; *count becomes how many of them there are before the first that fails. */
static enum lzt_status locate_all(struct share *share, uint64_t first, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        enum lzt_status status = locate(share, &share->tasks[i], &share->batch->jobs[first + i]);
        if (status != LZT_OK) {
            *count = i;
            return status;
        }
    }
    return LZT_OK;
}

/* Read the tasks of the jobs from number first on. On failure *at is the job that failed. */
static enum lzt_status read_tasks(struct share *share, uint64_t first, size_t count, uint64_t *at)
{
    struct lzt_task *tasks = share->tasks;
    enum lzt_status status = LZT_OK;
    for (size_t i = 0, some; i < count && status == LZT_OK; i += some) {
        *at = first + i;
        some = count - i;
        status = fetch(share, tasks + i, &some);
        for (size_t k = i; k < i + some && status == LZT_OK; k++) {
            *at = first + k;
            status = read_task(share, &tasks[k]);
        }
    }
    if (status == LZT_OK)
        return lzt_direct_flush(share->reader, share->error);
    share->reader->pending_count = 0;
    return status;
}

/* Read the jobs first to last - 1, all of one page. On failure *at is the first that failed: a job that cannot be located fails only
 * after those before it were read. */
static enum lzt_status read_page_jobs(struct share *share, uint64_t first, uint64_t last, uint64_t *at)
{
    size_t count = (size_t)(last - first);
    *at = first;
    enum lzt_status status = lzt_page_open(&share->reader->page, share->batch->table, share->batch->jobs[first].page, share->error);
    if (status != LZT_OK)
        return status;
    const enum lzt_status located = locate_all(share, first, &count);
    const struct lzt_error why = *share->error;
    status = read_tasks(share, first, count, at);
    if (status != LZT_OK || located == LZT_OK)
        return status;
    *at = first + count;
    *share->error = why;
    return located;
}

/* Keep the failure of the earliest job: which of several damaged chunks is named does not depend on threads. */
static void note_failure(struct share *share, uint64_t at)
{
    struct lzt_batch *batch = share->batch;
    const struct lzt_job *job = &batch->jobs[at];
    lzt_fail_at(share->error, (enum lzt_status)share->error->status, (int64_t)job->page, (int64_t)job->chunk);
    while (atomic_flag_test_and_set_explicit(&batch->error_lock, memory_order_acquire))
        ;
    if (at < atomic_load(&batch->failed)) {
        batch->error = *share->error;
        atomic_store(&batch->failed, at);
    }
    atomic_flag_clear_explicit(&batch->error_lock, memory_order_release);
}

/* Take jobs and read them. 1: there may be more. */
static int work(struct share *share)
{
    struct lzt_batch *batch = share->batch;
    uint64_t first = atomic_fetch_add(&batch->next, batch->claim);
    if (first >= batch->job_count || first > atomic_load(&batch->failed))
        return 0;
    const uint64_t end = lzt_min64(first + batch->claim, batch->job_count);
    while (first < end) {
        uint64_t last = first + 1, at;
        while (last < end && batch->jobs[last].page == batch->jobs[first].page)
            last++;
        if (read_page_jobs(share, first, last, &at) != LZT_OK) {
            note_failure(share, at);
            return 0;
        }
        first = last;
    }
    return 1;
}

/* ---- The batch ------------------------------------------------------------------------------------------------------------ */

static int span_fits(const struct lzt_span *span, uint64_t length)
{
    return span->count > 0 && span->step > 0 && span->first + (uint64_t)span->step * (span->count - 1) < length;
}

static enum lzt_status check_job(const struct lzt_table *table, const struct lzt_job *job, const struct lzt_window *windows,
                                 size_t window_count, struct lzt_error *error)
{
    if (job->page >= table->pages || job->window >= window_count)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 ", window %" PRIu64 ": there is none", job->page, job->window);
    const struct lzt_layout *layout = &table->layouts[table->rows[job->page].layout];
    const struct lzt_window *window = &windows[job->window];
    enum lzt_status status = lzt_layout_problem(layout, error);
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)job->page, -1);
    if (job->chunk >= (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes || !span_fits(&window->rows, layout->rows) ||
        !span_fits(&window->columns, layout->columns) || !span_fits(&window->samples, layout->samples))
        return lzt_fail(error, LZT_USAGE, "chunk %" PRIu64 " of page %" PRIu64 ": it or its window is out of range", job->chunk, job->page);
    return LZT_OK;
}

enum lzt_status lzt_batch_open(const struct lzt_table *table, const struct lzt_window *windows, size_t window_count,
                               const struct lzt_job *jobs, size_t job_count, struct lzt_batch **batch, struct lzt_error *error)
{
    *batch = NULL;
    uint64_t size;
    enum lzt_status status = lzt_table_check_size(table, &size, error);
    for (size_t i = 0; i < job_count && status == LZT_OK; i++)
        status = check_job(table, &jobs[i], windows, window_count, error);
    if (status != LZT_OK)
        return status;
    *batch = calloc(1, sizeof **batch);
    if (*batch == NULL)
        return lzt_fail_memory(error, sizeof **batch);
    **batch = (struct lzt_batch){.table = table, .windows = windows, .jobs = jobs, .job_count = job_count};
    /* Large enough for fetching together, small enough that all readers end at about the same time. */
    (*batch)->claim = lzt_min64(job_count / 32 + 1, MOST_JOBS);
    atomic_init(&(*batch)->next, 0);
    atomic_init(&(*batch)->failed, job_count);
    atomic_init(&(*batch)->cancel, 0);
    atomic_flag_clear(&(*batch)->error_lock);
    return LZT_OK;
}

static enum lzt_status result(struct lzt_batch *batch, struct lzt_error *error)
{
    if (atomic_load(&batch->cancel))
        return lzt_fail(error, LZT_CANCELLED, "cancelled");
    if (atomic_load(&batch->failed) == batch->job_count)
        return LZT_OK;
    while (atomic_flag_test_and_set_explicit(&batch->error_lock, memory_order_acquire))
        ;
    const struct lzt_error first = batch->error;
    atomic_flag_clear_explicit(&batch->error_lock, memory_order_release);
    if (error != NULL)
        *error = first;
    return (enum lzt_status)first.status;
}

enum lzt_status lzt_batch_run(struct lzt_batch *batch, struct lzt_reader *reader, uint32_t milliseconds, struct lzt_error *error)
{
    enum { KEPT_ROOM = 4 << 20 };
    struct lzt_error own;
    struct share share = {.batch = batch, .reader = reader, .error = &own};
    const uint64_t begin = milliseconds == 0 ? 0 : lzt_milliseconds();
    int left = 1, late = 0;
    if (reader->table != batch->table)
        return lzt_fail(error, LZT_USAGE, "the reader is of another table than the batch");
    reader->cancel = &batch->cancel;
    while (left && !late && !atomic_load(&batch->cancel)) {
        left = work(&share);
        late = milliseconds != 0 && lzt_milliseconds() - begin >= milliseconds;
    }
    reader->cancel = NULL;
    lzt_reader_trim(reader, KEPT_ROOM);
    const enum lzt_status status = result(batch, error);
    return status == LZT_OK && left ? LZT_AGAIN : status;
}

void lzt_batch_cancel(struct lzt_batch *batch)
{
    atomic_store(&batch->cancel, 1);
}

uint64_t lzt_batch_begun(const struct lzt_batch *batch)
{
    return lzt_min64(atomic_load_explicit(&batch->next, memory_order_relaxed), batch->job_count);
}

void lzt_batch_close(struct lzt_batch *batch)
{
    free(batch);
}

/* ---- A page at once ------------------------------------------------------------------------------------------------------- */

static enum lzt_status read_all(struct lzt_reader *reader, const struct lzt_window *window, const struct lzt_job *jobs, size_t count,
                                struct lzt_error *error)
{
    struct lzt_batch *batch;
    enum lzt_status status = lzt_batch_open(reader->table, window, 1, jobs, count, &batch, error);
    if (status == LZT_OK)
        status = lzt_batch_run(batch, reader, 0, error);
    lzt_batch_close(batch);
    return status;
}

enum lzt_status lzt_read_page(struct lzt_reader *reader, uint64_t page, void *pixels, uint64_t bytes, struct lzt_error *error)
{
    const struct lzt_table *table = reader->table;
    if (page >= table->pages)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, page, table->pages);
    const struct lzt_layout *layout = &table->layouts[table->rows[page].layout];
    enum lzt_status status = lzt_layout_problem(layout, error);
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)page, -1);
    const struct lzt_place whole = {0, layout->rows, 0, layout->columns, 0, layout->samples};
    const struct lzt_window window = lzt_window_of(&whole, layout->item_size);
    const uint64_t count = (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
    if (bytes < (uint64_t)window.row_stride * layout->rows)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 " does not fit into %" PRIu64 " bytes", page, bytes);
    struct lzt_job *jobs = count < SIZE_MAX / sizeof *jobs ? malloc((size_t)count * sizeof *jobs) : NULL;
    if (jobs == NULL)
        return lzt_fail_memory(error, count * sizeof *jobs);
    for (uint64_t i = 0; i < count; i++)
        jobs[i] = (struct lzt_job){page, i, 0, pixels, NULL};
    status = read_all(reader, &window, jobs, (size_t)count, error);
    free(jobs);
    return status;
}
