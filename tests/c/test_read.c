/* Windows into pages: every kind of page, any steps, strides of either sign and any order, against a loop that anyone can check. */
#include "encoding.h"
#include "reading.h"

static const struct tiff_entry is_signed[] = {{339, FIELD_SHORT, 1, NULL, 2}}, is_float[] = {{339, FIELD_SHORT, 1, NULL, 3}};
static const struct tiff_entry is_complex[] = {{339, FIELD_SHORT, 1, NULL, 6}}, subsampled[] = {{530, FIELD_SHORT, 2, (uint16_t[]){2, 2}, 0}};

static const struct {
    struct tiff_image image;
    unsigned predictor; /* 0: not coded */
} pages[] = {
    {{.rows = 13, .columns = 17, .chunk_rows = 4}, 0},
    {{.rows = 9, .columns = 11, .samples = 3, .bits = 16, .chunk_rows = 5}, 0},
    {{.rows = 20, .columns = 21, .samples = 3, .bits = 32, .planar = 2, .chunk_rows = 16, .chunk_columns = 8}, 0},
    {{.rows = 9, .columns = 10, .samples = 2, .bits = 64, .chunk_rows = 5, .chunk_columns = 7}, 0},
    {{.rows = 12, .columns = 9000, .chunk_rows = 7}, 0},                  /* rows that are fetched one by one */
    {{.rows = 6, .columns = 5000, .samples = 2, .bits = 16, .planar = 2}, 0},
    {{.rows = 7, .columns = 6, .bits = 64, .extra = is_complex, .extra_count = 1}, 0},
    {{.rows = 11, .columns = 19, .bits = 1, .chunk_rows = 3}, 0},
    {{.rows = 11, .columns = 19, .samples = 3, .bits = 5, .chunk_rows = 4, .chunk_columns = 8}, 0},
    {{.rows = 11, .columns = 13, .samples = 2, .bits = 12, .planar = 2, .chunk_rows = 3, .extra = is_signed, .extra_count = 1}, 0},
    {{.rows = 5, .columns = 7, .samples = 2, .bits = 24}, 0},
    {{.rows = 17, .columns = 18, .compression = 32773, .chunk_rows = 5}, 1},
    {{.rows = 17, .columns = 18, .samples = 3, .bits = 16, .compression = 8, .chunk_rows = 6}, 2},
    {{.rows = 17, .columns = 18, .samples = 2, .bits = 32, .compression = 8, .chunk_rows = 6, .chunk_columns = 5}, 2},
    {{.rows = 10, .columns = 11, .samples = 2, .bits = 64, .compression = 8, .planar = 2, .chunk_rows = 3}, 2},
    {{.rows = 10, .columns = 11, .samples = 3, .bits = 32, .compression = 8, .extra = is_float, .extra_count = 1}, 3},
};
enum { MADE = sizeof pages / sizeof *pages, PAGES = MADE + 1 };

/* ---- The file, and what its pages hold ---- */

/* Clumps of 2 x 2 luma samples without colour: red, green and blue are as the luma. */
static void add_ycbcr(struct tiff_builder *tiff)
{
    enum { ROWS = 10, COLUMNS = 13, STRIP = 4, CLUMPS = 7, STRIPS = 3 };
    uint8_t bytes[STRIPS][STRIP / 2 * CLUMPS * 6];
    struct tiff_chunk chunks[STRIPS];
    for (uint32_t strip = 0; strip < STRIPS; strip++) {
        const uint32_t rows = strip == STRIPS - 1 ? 2 : STRIP;
        memset(bytes[strip], 128, sizeof bytes[strip]);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t c = 0; c < 2 * CLUMPS; c++)
                bytes[strip][(r / 2 * CLUMPS + c / 2) * 6 + r % 2 * 2 + c % 2] = (uint8_t)tiff_sample(0, strip * STRIP + r, c, 0, 8);
        chunks[strip] = (struct tiff_chunk){bytes[strip], rows / 2 * CLUMPS * 6};
    }
    tiff_add_image(tiff, &(struct tiff_image){.rows = ROWS, .columns = COLUMNS, .chunk_rows = STRIP, .samples = 3, .photometric = 6,
                                              .chunks = chunks, .extra = subsampled, .extra_count = 1});
}

static struct tiff_builder make_file(int big_endian)
{
    struct tiff_builder tiff = tiff_new(big_endian, big_endian);
    for (size_t i = 0; i < MADE; i++)
        if (pages[i].predictor > 0)
            tiff_add_coded(&tiff, &pages[i].image, pages[i].predictor);
        else
            tiff_add_image(&tiff, &pages[i].image);
    add_ycbcr(&tiff);
    return tiff;
}

/* The item as it is read, on a little-endian machine. */
static void true_item(const struct opened *opened, uint64_t page, uint32_t row, uint32_t column, uint32_t sample, uint8_t item[8])
{
    const struct lzt_layout *layout = layout_of(opened, page);
    uint64_t value = tiff_sample(0, row, column, page == MADE ? 0 : sample, layout->bits);
    if (layout->kind == LZT_INT && value >> (layout->bits - 1))
        value |= ~UINT64_C(0) << layout->bits;
    if (layout->kind == LZT_COMPLEX && lzt_table_is_big_endian(opened->table))
        value = value << 32 | value >> 32; /* the first half comes first */
    if (layout->bits == 24 && !lzt_table_is_big_endian(opened->table)) /* read as packed, whatever the file's order is */
        value = (value & 255) << 16 | (value & 0xFF00) | value >> 16;
    for (unsigned i = 0; i < 8; i++)
        item[i] = (uint8_t)(value >> 8 * i);
}

/* ---- A request: a window of a page, into an array that ends at a guard page ---- */

struct request {
    uint64_t page;
    struct lzt_window window;
    struct guarded array;
    uint8_t *target, *expected;
    size_t size;
};

static struct lzt_span any_span(uint64_t *state, uint32_t length)
{
    struct lzt_span span = {0, 1, length};
    if (any_below(state, 3) > 0) {
        span.first = any_below(state, length);
        span.step = 1 + any_below(state, any_below(state, 2) ? 4 : length);
        span.count = 1 + any_below(state, (length - 1 - span.first) / span.step + 1);
    }
    return span;
}

/* Lay out the three axes in any order, some with gaps, some backward; returns the offset of the window's first pixel. */
static size_t lay_out(uint64_t *state, struct request *request, unsigned item)
{
    int64_t *const strides[] = {&request->window.row_stride, &request->window.column_stride, &request->window.sample_stride};
    const uint32_t counts[] = {request->window.rows.count, request->window.columns.count, request->window.samples.count};
    static const uint8_t orders[6][3] = {{2, 1, 0}, {2, 0, 1}, {1, 2, 0}, {1, 0, 2}, {0, 1, 2}, {0, 2, 1}};
    const uint8_t *order = orders[any_below(state, 2) ? 0 : any_below(state, 6)];
    size_t extent = item, first = 0;
    for (unsigned i = 0; i < 3; i++) {
        const size_t stride = extent + (any_below(state, 3) ? 0 : any_below(state, 20));
        const int backward = any_below(state, 4) == 0;
        extent += stride * (counts[order[i]] - 1);
        first += backward ? stride * (counts[order[i]] - 1) : 0;
        *strides[order[i]] = backward ? -(int64_t)stride : (int64_t)stride;
    }
    request->size = extent;
    return first;
}

static struct request any_request(uint64_t *state, const struct opened *opened)
{
    struct request request = {.page = any_below(state, PAGES)};
    const struct lzt_layout *layout = layout_of(opened, request.page);
    request.window.rows = any_span(state, layout->rows);
    request.window.columns = any_span(state, layout->columns);
    request.window.samples = any_span(state, layout->samples);
    const size_t first = lay_out(state, &request, layout->item_size);
    request.array = guarded_new(request.size);
    request.target = request.array.bytes + first;
    request.expected = malloc(request.size);
    CHECK(request.expected != NULL);
    memset(request.array.bytes, 0xA5, request.size);
    memset(request.expected, 0xA5, request.size);
    return request;
}

/* 1: the pixel and sample lie in that chunk. */
static int is_in_chunk(const struct lzt_layout *layout, uint64_t chunk, uint32_t row, uint32_t column, uint32_t sample)
{
    const uint32_t plane = layout->planes > 1 ? sample : 0;
    return chunk == ((uint64_t)plane * layout->grid_rows + row / layout->chunk_rows) * layout->grid_columns + column / layout->chunk_columns;
}

/* What a job has to write. */
static void expect(const struct opened *opened, struct request *request, const struct lzt_job *job)
{
    const struct lzt_layout *layout = layout_of(opened, request->page);
    const struct lzt_window *window = &request->window;
    for (uint32_t r = 0; r < window->rows.count && job->target != NULL; r++)
        for (uint32_t c = 0; c < window->columns.count; c++)
            for (uint32_t s = 0; s < window->samples.count; s++) {
                const uint32_t row = window->rows.first + r * window->rows.step, column = window->columns.first + c * window->columns.step;
                const uint32_t sample = window->samples.first + s * window->samples.step;
                uint8_t item[8];
                if (!is_in_chunk(layout, job->chunk, row, column, sample))
                    continue;
                true_item(opened, request->page, row, column, sample, item);
                memcpy(request->expected + (request->target - request->array.bytes) + r * window->row_stride + c * window->column_stride +
                           s * window->sample_stride,
                       item, layout->item_size);
            }
}

/* CHECK what was kept of a chunk: all pixels of the page in it, in C order, and nothing behind them. */
static void check_kept(const struct opened *opened, const struct lzt_job *job, size_t size)
{
    const struct lzt_layout *layout = layout_of(opened, job->page);
    size_t at = 0;
    for (uint32_t row = 0; row < layout->rows; row++)
        for (uint32_t column = 0; column < layout->columns; column++)
            for (uint32_t sample = 0; sample < layout->samples; sample++) {
                uint8_t item[8];
                if (!is_in_chunk(layout, job->chunk, row, column, sample))
                    continue;
                true_item(opened, job->page, row, column, sample, item);
                CHECK(at + layout->item_size <= size && memcmp(job->keep + at, item, layout->item_size) == 0);
                at += layout->item_size;
            }
    CHECK(at == size);
}

static size_t keep_size(const struct lzt_layout *layout, uint64_t chunk)
{
    const uint64_t cell = chunk % ((uint64_t)layout->grid_rows * layout->grid_columns);
    const uint32_t top = (uint32_t)(cell / layout->grid_columns) * layout->chunk_rows, down = layout->rows - top;
    const uint32_t left = (uint32_t)(cell % layout->grid_columns) * layout->chunk_columns, across = layout->columns - left;
    return (size_t)(down < layout->chunk_rows ? down : layout->chunk_rows) *
           (across < layout->chunk_columns ? across : layout->chunk_columns) * (layout->planes > 1 ? 1 : layout->samples) * layout->item_size;
}

/* ---- Batches of requests ---- */

enum { REQUESTS = 4, JOBS = 400 };

struct work {
    struct request requests[REQUESTS];
    struct lzt_window windows[REQUESTS];
    struct lzt_job jobs[JOBS];
    struct guarded kept[JOBS];
    size_t count;
};

/* Any chunk may be wanted for its window, be kept, or both, in any order. */
static void plan(uint64_t *state, const struct opened *opened, struct work *work)
{
    *work = (struct work){.count = 0};
    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct request *request = &work->requests[i];
        *request = any_request(state, opened);
        work->windows[i] = request->window;
        const struct lzt_layout *layout = layout_of(opened, request->page);
        for (uint64_t chunk = 0; chunk < chunk_count(layout); chunk++) {
            const uint32_t use = any_below(state, 6);
            const size_t at = work->count++, other = any_below(state, (uint32_t)at + 1);
            CHECK(work->count <= JOBS);
            work->kept[at] = use < 2 ? guarded_new(keep_size(layout, chunk)) : (struct guarded){NULL, NULL, 0};
            work->jobs[at] = work->jobs[other];
            work->jobs[other] = (struct lzt_job){request->page, chunk, i, use == 0 ? NULL : request->target, work->kept[at].bytes};
            expect(opened, request, &work->jobs[other]);
        }
    }
}

static void check_work(const struct opened *opened, struct work *work)
{
    for (size_t i = 0; i < work->count; i++)
        if (work->jobs[i].keep != NULL)
            check_kept(opened, &work->jobs[i], keep_size(layout_of(opened, work->jobs[i].page), work->jobs[i].chunk));
    for (size_t i = 0; i < work->count; i++)
        if (work->kept[i].bytes != NULL)
            guarded_free(&work->kept[i]);
    for (size_t i = 0; i < REQUESTS; i++) {
        CHECK(memcmp(work->requests[i].array.bytes, work->requests[i].expected, work->requests[i].size) == 0);
        guarded_free(&work->requests[i].array);
        free(work->requests[i].expected);
    }
}

static void test_windows(int big_endian, int rounds)
{
    static struct work work;
    struct tiff_builder tiff = make_file(big_endian);
    struct guarded file = guarded_copy(tiff.bytes, tiff.size);
    struct opened opened;
    struct lzt_error error;
    uint64_t state = (uint64_t)big_endian;
    check_status(try_bytes(&opened, file.bytes, tiff.size, NULL, &error), LZT_OK, &error, "");
    CHECK(lzt_table_pages(opened.table) == PAGES && warning_count(&opened) == 0);
    while (rounds-- > 0) {
        struct lzt_batch *batch;
        plan(&state, &opened, &work);
        check_status(lzt_batch_open(opened.table, work.windows, REQUESTS, work.jobs, work.count, &batch, &error), LZT_OK, &error, "");
        check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
        lzt_batch_close(batch);
        check_work(&opened, &work);
    }
    close_all(&opened);
    guarded_free(&file);
    tiff_free(&tiff);
}

/* Whole pages, into memory that ends where they do; a byte less is too little. */
static void test_whole_pages(int big_endian)
{
    struct tiff_builder tiff = make_file(big_endian);
    struct opened opened = open_built(&tiff);
    for (uint64_t page = 0; page < PAGES; page++) {
        const struct lzt_layout *layout = layout_of(&opened, page);
        struct guarded pixels = read_pixels(&opened, page);
        const uint8_t *at = pixels.bytes;
        struct lzt_error error;
        for (uint32_t i = 0; i < layout->rows * layout->columns * layout->samples; i++, at += layout->item_size) {
            const uint32_t pixel = i / layout->samples;
            uint8_t item[8];
            true_item(&opened, page, pixel / layout->columns, pixel % layout->columns, i % layout->samples, item);
            CHECK(memcmp(at, item, layout->item_size) == 0);
        }
        check_status(lzt_read_page(opened.reader, page, pixels.bytes, page_bytes(layout) - 1, &error), LZT_USAGE, &error, "does not fit");
        guarded_free(&pixels);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

/* Of a large page, rows that are too many to be fetched at once: with what lies between the wanted pixels, without, and step by step. */
static void test_many_rows(void)
{
    enum { ROWS = 200, COLUMNS = 12000 };
    static const struct lzt_window windows[] = {{{0, 1, ROWS}, {1, 3, COLUMNS / 3}, {0, 1, 1}, COLUMNS / 3, 1, 1},
                                                {{1, 1, ROWS - 1}, {7000, 1, 20}, {0, 1, 1}, -20, 1, 1},
                                                {{0, 2, ROWS / 2}, {0, 1, 5000}, {0, 1, 1}, 5000, 1, 1}};
    static uint8_t pixels[ROWS * COLUMNS / 3];
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_add_image(&tiff, &(struct tiff_image){.rows = ROWS, .columns = COLUMNS});
    struct opened opened = open_built(&tiff);
    for (size_t i = 0; i < 3; i++) {
        const struct lzt_window *window = &windows[i];
        uint8_t *const first = pixels + (window->row_stride < 0 ? -window->row_stride * (window->rows.count - 1) : 0);
        const struct lzt_job job = {0, 0, i, first, NULL};
        struct lzt_batch *batch;
        struct lzt_error error;
        memset(pixels, 0xA5, sizeof pixels);
        check_status(lzt_batch_open(opened.table, windows, 3, &job, 1, &batch, &error), LZT_OK, &error, "");
        check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
        lzt_batch_close(batch);
        for (uint32_t r = 0; r < window->rows.count; r++)
            for (uint32_t c = 0; c < window->columns.count; c++)
                CHECK(first[r * window->row_stride + c] ==
                      tiff_sample(0, window->rows.first + r * window->rows.step, window->columns.first + c * window->columns.step, 0, 8));
    }
    close_all(&opened);
    tiff_free(&tiff);
}

int main(void)
{
    test_whole_pages(0);
    test_whole_pages(1);
    test_many_rows();
    test_windows(0, 200);
    test_windows(1, 200);
    return 0;
}
