/* Batches: shared by threads, cancelled, and failing: always the first failed job is reported, with its page and chunk. */
#include <pthread.h>
#include <time.h>

#include "encoding.h"
#include "reading.h"

enum { CHUNKS = 64, ROWS = 2 * CHUNKS, COLUMNS = 24, BYTES = 2 * ROWS * COLUMNS };

/* Two pages of 64 strips: 0 is coded, 1 is not. Chunk tables are at the returned places. */
struct file {
    struct tiff_builder tiff;
    struct tiff_page pages[2];
    size_t offsets[2], sizes[2];
};

static struct file make_file(void)
{
    struct file file = {.tiff = tiff_new(0, 1)};
    const struct tiff_image image = {.rows = ROWS, .columns = COLUMNS, .bits = 16, .compression = 8, .chunk_rows = 2};
    struct tiff_image plain = image;
    plain.compression = 1;
    file.pages[0] = tiff_add_coded(&file.tiff, &image, 2);
    file.pages[1] = tiff_add_image(&file.tiff, &plain);
    for (int i = 0; i < 2; i++) {
        file.offsets[i] = tiff_value_at(&file.tiff, file.pages[i], 273);
        file.sizes[i] = tiff_value_at(&file.tiff, file.pages[i], 279);
    }
    return file;
}

/* A batch of all chunks of both pages, chunk after chunk. */
struct whole {
    struct lzt_window windows[2];
    struct lzt_job jobs[2 * CHUNKS];
    uint8_t pixels[2][BYTES];
};

static struct lzt_batch *open_whole(struct whole *whole, const struct opened *opened)
{
    struct lzt_batch *batch;
    struct lzt_error error;
    memset(whole, 0xA5, sizeof *whole);
    for (size_t i = 0; i < 2 * CHUNKS; i++)
        whole->jobs[i] = (struct lzt_job){i / CHUNKS, i % CHUNKS, i / CHUNKS, whole->pixels[i / CHUNKS], NULL};
    for (size_t i = 0; i < 2; i++)
        whole->windows[i] = (struct lzt_window){{0, 1, ROWS}, {0, 1, COLUMNS}, {0, 1, 1}, 2 * COLUMNS, 2, 2};
    check_status(lzt_batch_open(opened->table, whole->windows, 2, whole->jobs, 2 * CHUNKS, &batch, &error), LZT_OK, &error, "");
    return batch;
}

static void check_whole(const struct whole *whole)
{
    for (size_t page = 0; page < 2; page++)
        for (uint32_t i = 0; i < ROWS * COLUMNS; i++) {
            const uint64_t value = tiff_sample(0, i / COLUMNS, i % COLUMNS, 0, 16);
            CHECK(whole->pixels[page][2 * i] == (value & 255) && whole->pixels[page][2 * i + 1] == value >> 8);
        }
}

/* ---- Threads ---- */

/* Closed until somebody opens it. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int is_open;
};

#define CLOSED_GATE {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->is_open = 1;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

static void pass_gate(struct gate *gate)
{
    const struct timespec late = {time(NULL) + 60, 0};
    pthread_mutex_lock(&gate->mutex);
    while (!gate->is_open)
        CHECK(pthread_cond_timedwait(&gate->changed, &gate->mutex, &late) == 0);
    pthread_mutex_unlock(&gate->mutex);
}

struct worker {
    pthread_t thread;
    struct lzt_batch *batch;
    struct lzt_reader *reader;
    uint32_t milliseconds;
    struct gate *done; /* to be opened at the end; may be NULL */
    enum lzt_status status;
    struct lzt_error error;
};

static void *run_worker(void *context)
{
    struct worker *worker = context;
    do
        worker->status = lzt_batch_run(worker->batch, worker->reader, worker->milliseconds, &worker->error);
    while (worker->status == LZT_AGAIN);
    if (worker->done != NULL)
        open_gate(worker->done);
    return NULL;
}

/* Run the batch by count readers, each in its thread. */
static void run_workers(const struct opened *opened, struct lzt_batch *batch, struct worker *workers, size_t count, uint32_t milliseconds)
{
    for (size_t i = 0; i < count; i++) {
        workers[i] = (struct worker){.batch = batch, .milliseconds = milliseconds};
        CHECK(lzt_reader_open(opened->table, &workers[i].reader, NULL) == LZT_OK);
        CHECK(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        lzt_reader_close(workers[i].reader);
    }
}

static void test_threads(void)
{
    static struct whole whole;
    struct file file = make_file();
    struct opened opened = open_built(&file.tiff);
    struct worker workers[3];
    for (uint32_t round = 0; round < 100; round++) {
        struct lzt_batch *batch = open_whole(&whole, &opened);
        run_workers(&opened, batch, workers, 1 + round % 3, round % 2);
        for (size_t i = 0; i < 1 + round % 3; i++)
            check_status(workers[i].status, LZT_OK, &workers[i].error, "");
        check_whole(&whole);
        CHECK(lzt_batch_run(batch, opened.reader, 0, NULL) == LZT_OK); /* nothing is left to do */
        lzt_batch_close(batch);
    }
    close_all(&opened);
    tiff_free(&file.tiff);
}

/* ---- Damage: the first failed job is reported, whoever meets it ---- */

/* The ways to damage a chunk, and what is said of it; a page that is not coded has no checksum. */
enum damage { FLIP, CUT, OUTSIDE, IN_HEADER, SIZE_BUT_NO_PLACE, PLACE_BUT_NO_SIZE, DAMAGES };
static const char *const said[DAMAGES] = {"do not decode", "", "bytes at offset", "bytes at offset", "bytes at offset", "bytes at offset"};

static void damage(struct file *file, size_t page, size_t chunk, enum damage kind)
{
    const size_t offset = file->offsets[page] + 4 * chunk, size = file->sizes[page] + 4 * chunk;
    const size_t last = tiff_get(&file->tiff, offset, 4) + tiff_get(&file->tiff, size, 4) - 1;
    switch (kind) {
    case FLIP: file->tiff.bytes[last] ^= 1; break;
    case CUT: tiff_put(&file->tiff, size, 4, tiff_get(&file->tiff, size, 4) - 1); break;
    case OUTSIDE: tiff_put(&file->tiff, offset, 4, file->tiff.size); break;
    case IN_HEADER: tiff_put(&file->tiff, offset, 4, 7); break;
    case SIZE_BUT_NO_PLACE: tiff_put(&file->tiff, offset, 4, 0); break;
    default: tiff_put(&file->tiff, size, 4, 0);
    }
}

static void check_damaged(const struct file *file, int64_t page, int64_t chunk, const char *text, size_t threads)
{
    static struct whole whole;
    struct opened opened = open_built(&file->tiff);
    struct worker workers[3];
    struct lzt_error error;
    struct lzt_batch *batch = open_whole(&whole, &opened);
    run_workers(&opened, batch, workers, threads, 0);
    size_t named = 0;
    for (size_t i = 0; i < threads; i++) {
        CHECK(workers[i].status == LZT_DECODE && workers[i].error.status == LZT_DECODE);
        named += workers[i].error.page == page && workers[i].error.chunk == chunk;
    }
    CHECK(named > 0); /* by whoever ended last */
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_DECODE, &error, text);
    CHECK(error.page == page && error.chunk == chunk);
    lzt_batch_close(batch);
    close_all(&opened);
}

static void test_damaged_chunks(void)
{
    for (int page = 0; page < 2; page++)
        for (enum damage kind = page == 0 ? FLIP : CUT; kind < (page == 0 ? DAMAGES : PLACE_BUT_NO_SIZE); kind++) {
            struct file file = make_file();
            damage(&file, (size_t)page, 37, kind);
            check_damaged(&file, page, 37, page == 1 && kind == CUT ? "it ends early: 95 of 96 bytes" : said[kind], 1);
            tiff_free(&file.tiff);
        }
}

/* Damage of two kinds at two places, near and far: what fails late does not hide what comes first. */
static void test_first_of_two(void)
{
    static const size_t firsts[] = {0, 10, 10, 30}, seconds[] = {63, 11, 40, 31};
    for (size_t i = 0; i < 4; i++)
        for (enum damage early = FLIP; early <= OUTSIDE; early++)
            for (enum damage late = FLIP; late <= OUTSIDE; late++)
                for (size_t threads = 1; threads <= 3; threads++) {
                    struct file file = make_file();
                    damage(&file, 0, firsts[i], early);
                    damage(&file, 0, seconds[i], late);
                    damage(&file, 1, firsts[i], CUT);
                    check_damaged(&file, 0, (int64_t)firsts[i], "", threads);
                    tiff_free(&file.tiff);
                }
}

/* ---- Cancelling, and sources that fail ---- */

struct tap {
    const struct tiff_builder *tiff;
    int calls, fail_at;        /* 0: never */
    struct gate *opens, *waits; /* at each call; NULL: none */
};

static int read_tapped(void *context, const struct lzt_range *ranges, size_t count)
{
    struct tap *tap = context;
    if (++tap->calls == tap->fail_at)
        return 77;
    if (tap->opens != NULL) {
        open_gate(tap->opens);
        pass_gate(tap->waits);
    }
    for (size_t i = 0; i < count; i++)
        memcpy(ranges[i].buffer, tap->tiff->bytes + ranges[i].offset, ranges[i].length);
    return 0;
}

static struct lzt_source *open_tap(struct tap *tap)
{
    struct lzt_source *source;
    CHECK(lzt_source_open_callback(read_tapped, tap, tap->tiff->size, &source, NULL) == LZT_OK);
    return source;
}

/* Cancelled while a reader is at work: it stops soon, says so, and serves the next batch. */
static void test_cancel(void)
{
    static struct whole whole;
    struct file file = make_file();
    struct tap tap = {.tiff = &file.tiff};
    struct gate reached = CLOSED_GATE, go_on = CLOSED_GATE;
    struct opened opened;
    struct lzt_error error;
    CHECK(try_source(&opened, open_tap(&tap), NULL, NULL) == LZT_OK);
    struct lzt_batch *batch = open_whole(&whole, &opened);
    struct worker worker = {.batch = batch, .reader = opened.reader};
    const int calls = tap.calls;
    CHECK(lzt_batch_begun(batch) == 0);
    tap.opens = &reached;
    tap.waits = &go_on;
    CHECK(pthread_create(&worker.thread, NULL, run_worker, &worker) == 0);
    pass_gate(&reached);
    lzt_batch_cancel(batch);
    open_gate(&go_on);
    CHECK(pthread_join(worker.thread, NULL) == 0);
    check_status(worker.status, LZT_CANCELLED, &worker.error, "cancelled");
    CHECK(tap.calls - calls < 8);
    CHECK(lzt_batch_begun(batch) > 0);
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_CANCELLED, &error, "cancelled");
    lzt_batch_close(batch);
    batch = open_whole(&whole, &opened);
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    check_whole(&whole);
    lzt_batch_close(batch);
    close_all(&opened);
    tiff_free(&file.tiff);
}

/* Two readers: one reads the jobs 0 to 2, and waits until the other has begun with 3 to 5, which waits until the first has failed. */
struct pair {
    const struct file *file;
    struct gate other_began, first_failed;
};

static int read_paired(void *context, const struct lzt_range *ranges, size_t count)
{
    struct pair *pair = context;
    if (ranges[0].offset == tiff_get(&pair->file->tiff, pair->file->offsets[0], 4))
        pass_gate(&pair->other_began);
    if (ranges[0].offset == tiff_get(&pair->file->tiff, pair->file->offsets[0] + 4 * 3, 4)) {
        open_gate(&pair->other_began);
        pass_gate(&pair->first_failed);
    }
    for (size_t i = 0; i < count; i++)
        memcpy(ranges[i].buffer, pair->file->tiff.bytes + ranges[i].offset, ranges[i].length);
    return 0;
}

/* The later job fails last, and what it says does not replace what the first one said. */
static void test_late_failure(void)
{
    static struct whole whole;
    struct file file = make_file();
    damage(&file, 0, 1, FLIP);
    damage(&file, 0, 4, CUT);
    struct pair pair = {&file, CLOSED_GATE, CLOSED_GATE};
    struct opened opened;
    struct lzt_source *source;
    struct lzt_batch *batch;
    struct worker workers[2];
    CHECK(lzt_source_open_callback(read_paired, &pair, file.tiff.size, &source, NULL) == LZT_OK);
    CHECK(try_source(&opened, source, NULL, NULL) == LZT_OK);
    lzt_batch_close(open_whole(&whole, &opened));
    CHECK(lzt_batch_open(opened.table, whole.windows, 1, whole.jobs, CHUNKS, &batch, NULL) == LZT_OK);
    for (size_t i = 0; i < 2; i++) {
        workers[i] = (struct worker){.batch = batch, .done = &pair.first_failed};
        CHECK(lzt_reader_open(opened.table, &workers[i].reader, NULL) == LZT_OK);
        CHECK(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0);
    }
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        check_status(workers[i].status, LZT_DECODE, &workers[i].error, "");
        CHECK(workers[i].error.page == 0 && workers[i].error.chunk == 1);
        lzt_reader_close(workers[i].reader);
    }
    lzt_batch_close(batch);
    close_all(&opened);
    tiff_free(&file.tiff);
}

/* Each call in turn fails: when the table is opened, when tags or pixels are read. */
static void test_failing_callback(void)
{
    static struct whole whole;
    struct file file = make_file();
    struct tap tap = {.tiff = &file.tiff, .fail_at = 1};
    struct opened opened;
    struct lzt_error error;
    struct lzt_tag tags[20];
    size_t count;
    while (try_source(&opened, open_tap(&tap), NULL, &error) != LZT_OK) {
        check_status((enum lzt_status)error.status, LZT_CALLBACK, &error, "read_ranges failed and returned 77");
        tap.calls = 0;
        tap.fail_at++;
    }
    CHECK(tap.fail_at > 2 && tap.fail_at < 10); /* the header and some IFDs */
    tap.fail_at = tap.calls + 1;
    check_status(lzt_tags_read(opened.table, 1, tags, 20, &count, &error), LZT_CALLBACK, &error, "returned 77");
    for (int at = 1, status = -1; status != LZT_OK; at++) {
        struct lzt_batch *batch = open_whole(&whole, &opened);
        lzt_reader_close(opened.reader); /* a new one has looked at no page */
        CHECK(lzt_reader_open(opened.table, &opened.reader, NULL) == LZT_OK);
        tap.fail_at = tap.calls + at;
        memset(&error, 0x77, sizeof error);
        status = lzt_batch_run(batch, opened.reader, 0, &error);
        if (status == LZT_OK) {
            const struct lzt_error untouched = error;
            CHECK(at > 10 && untouched.page == 0x7777777777777777);
            check_whole(&whole);
        } else {
            check_status((enum lzt_status)status, LZT_CALLBACK, &error, "returned 77");
            CHECK(error.page >= 0 && error.page < 2 && error.chunk >= -1 && error.chunk < CHUNKS); /* -1: the page itself */
        }
        lzt_batch_close(batch);
    }
    close_all(&opened);
    tiff_free(&file.tiff);
}

/* ---- A file that shrinks ---- */

static void test_shrunk_file(void)
{
    static struct whole whole;
    char path[] = "/tmp/lazytiff-XXXXXX";
    struct file file = make_file();
    struct lzt_source *source;
    struct opened opened;
    struct lzt_error error;
    struct lzt_batch *late;
    const int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && write(descriptor, file.tiff.bytes, file.tiff.size) == (ssize_t)file.tiff.size);
    CHECK(lzt_source_open(path, &source, NULL) == LZT_OK && unlink(path) == 0);
    CHECK(try_source(&opened, source, NULL, NULL) == LZT_OK);
    struct lzt_batch *batch = open_whole(&whole, &opened);
    CHECK(ftruncate(descriptor, (off_t)tiff_get(&file.tiff, file.offsets[1] + 4 * 40, 4) + 1) == 0);
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_CHANGED, &error, "");
    CHECK(error.page == 0);
    check_status(lzt_batch_open(opened.table, whole.windows, 2, whole.jobs, 1, &late, &error), LZT_CHANGED, &error, "bytes when it was opened");
    lzt_batch_close(batch);
    CHECK(pwrite(descriptor, file.tiff.bytes, file.tiff.size, 0) == (ssize_t)file.tiff.size); /* it is whole again, and then grows */
    CHECK(pwrite(descriptor, "more", 4, (off_t)file.tiff.size) == 4);
    batch = open_whole(&whole, &opened);
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    check_whole(&whole);
    lzt_batch_close(batch);
    close_all(&opened);
    CHECK(close(descriptor) == 0);
    tiff_free(&file.tiff);
}

/* ---- Usage ---- */

static void check_refused(const struct opened *opened, struct lzt_job job, struct lzt_window window, const char *text)
{
    struct lzt_batch *batch = NULL;
    struct lzt_error error;
    check_status(lzt_batch_open(opened->table, &window, 1, &job, 1, &batch, &error), LZT_USAGE, &error, text);
    CHECK(batch == NULL && lzt_batch_open(opened->table, &window, 1, &job, 1, &batch, NULL) == LZT_USAGE);
}

static void test_usage(void)
{
    static uint8_t pixels[BYTES];
    struct file file = make_file();
    struct opened opened = open_built(&file.tiff), other = open_built(&file.tiff);
    const struct lzt_window window = {{0, 1, ROWS}, {0, 1, COLUMNS}, {0, 1, 1}, 2 * COLUMNS, 2, 2};
    const struct lzt_job job = {0, 0, 0, pixels, NULL};
    const struct lzt_job jobs[] = {{2, 0, 0, pixels, NULL}, {UINT64_MAX, 0, 0, pixels, NULL}, {0, CHUNKS, 0, pixels, NULL},
                                   {0, UINT64_MAX, 0, pixels, NULL}, {0, 0, 1, pixels, NULL}, {0, 0, UINT64_MAX, pixels, NULL}};
    const struct lzt_span spans[] = {{0, 0, 1}, {0, 1, 0}, {0, 1, ROWS + 1}, {ROWS, 1, 1}, {1, UINT32_MAX, 2}, {0, 2, UINT32_MAX},
                                     {UINT32_MAX, 1, 1}, {UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    struct lzt_batch *batch;
    struct lzt_error error;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        check_refused(&opened, jobs[i], window, "");
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        for (int axis = 0; axis < 3; axis++) {
            struct lzt_window odd = window;
            *(axis == 0 ? &odd.rows : axis == 1 ? &odd.columns : &odd.samples) = spans[i];
            check_refused(&opened, job, odd, "is out of range");
        }
    check_status(lzt_batch_open(opened.table, &window, 1, &job, 1, &batch, &error), LZT_OK, &error, "");
    check_status(lzt_batch_run(batch, other.reader, 0, &error), LZT_USAGE, &error, "another table");
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    lzt_batch_close(batch);
    check_status(lzt_batch_open(opened.table, NULL, 0, NULL, 0, &batch, &error), LZT_OK, &error, ""); /* nothing to do is done at once */
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    lzt_batch_close(batch);
    lzt_batch_close(NULL);
    close_all(&other);
    close_all(&opened);
    tiff_free(&file.tiff);
}

int main(void)
{
    test_threads();
    test_damaged_chunks();
    test_cancel();
    test_failing_callback();
    test_usage();
    test_first_of_two();
    test_late_failure();
    test_shrunk_file();
    return 0;
}
