/* Writers and memory: none is taken for a page that goes as it is; and wherever there is none, an error says so, and the file is as it was. */
#include "allocations.h"
#include "appending.h"

#include <time.h>

static uint64_t nanoseconds(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- None is taken ---- */

static void append_many(struct growing *growing, const struct lzt_pixels *pixels, uint64_t count)
{
    uint64_t page;
    for (uint64_t i = 0; i < count; i++)
        CHECK(lzt_writer_append(growing->writer, pixels, NULL, 0, &page, NULL) == LZT_OK);
}

/* From the third page on: the first brings the values that others point to, whose block is made when the second one comes. */
static void test_steady(int bigtiff, int arrangement)
{
    enum { WARM = 2, MANY = 1000 };
    static const uint16_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const struct lzt_new_tag tag = {65000, 3, 8, numbers};
    struct lzt_form form = made_form(31, 40, 3, 2);
    uint8_t *items = made_items(&form, 0);
    struct arranged arranged = arrange(&form, items, arrangement, 0);
    form.tags = &tag;
    form.tag_count = 1;
    form.chunk_rows = 10;
    struct growing growing = begin(bigtiff, 0, &form);
    append_many(&growing, &arranged.pixels, WARM);
    const uint64_t before = allocations;
    append_many(&growing, &arranged.pixels, MANY);
    CHECK(allocations == before);
    for (uint64_t i = 0; i < MANY; i++)
        CHECK(lzt_writer_write(growing.writer, NULL, &arranged.pixels, NULL, 0, NULL) == LZT_OK);
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK && allocations == before);
    CHECK(lzt_writer_pages(growing.writer) == WARM + 2 * MANY);
    guarded_free(&arranged.memory);
    free(items);
    end(&growing);
}

/* Among 20,000 pages the last ones take no longer than the first ones. The best of some counts, for others use this machine too. */
static void test_time(void)
{
    enum { ROUND = 500, ROUNDS = 40, SOME = 8 };
    const struct lzt_form form = made_form(16, 16, 1, 1);
    uint8_t *items = made_items(&form, 0);
    struct lzt_pixels pixels = strides_of(&form, DENSE);
    uint64_t first = UINT64_MAX, last = UINT64_MAX;
    struct growing growing = begin(AUTO, 0, &form);
    pixels.data = items;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint64_t start = nanoseconds();
        append_many(&growing, &pixels, ROUND);
        const uint64_t took = nanoseconds() - start;
        first = i < SOME && took < first ? took : first;
        last = i >= ROUNDS - SOME && took < last ? took : last;
    }
    printf("a page: %.2f us at first, %.2f us after 20,000 pages\n", first / 1e3 / ROUND, last / 1e3 / ROUND);
    CHECK(last < 3 * first);
    free(items);
    end(&growing);
}

/* ---- There is none ---- */

/* What is done, and goes wrong for want of memory. Everything it opens is in growing, for the caller to close. */
typedef enum lzt_status (*task)(struct growing *growing, struct lzt_error *error);

static const uint16_t shorts[] = {1, 2, 3, 4, 5};
static const struct lzt_new_tag own_tag = {65000, 3, 5, shorts};

static enum lzt_status append_one(struct growing *growing, struct lzt_error *error)
{
    return try_append(growing, lzt_writer_pages(growing->writer), error);
}

static enum lzt_status append_tagged(struct growing *growing, struct lzt_error *error)
{
    return try_tagged(growing, lzt_writer_pages(growing->writer), &own_tag, 1, error);
}

/* Give the task ever more memory, until it has enough: before that it fails for that reason, and the file of pages pages is as it was, unless it
 * can do without. The writer always takes the next page. */
static void starve(struct growing *growing, task task, uint64_t pages)
{
    uint64_t failed = 0;
    for (int all = 0; all < 2; all++) {
        int refused = 1;
        for (uint64_t given = 1; refused; given++) { /* 1: the page's items, which the test makes */
            struct lzt_error error;
            refuse_after(given, all);
            const enum lzt_status status = task(growing, &error);
            refused = refuse_no_more();
            check_status(status, refused && status != LZT_OK ? LZT_NO_MEMORY : LZT_OK, &error, "");
            failed += status != LZT_OK;
            pages += status == LZT_OK;
            check_made(growing, pages);
        }
        append(growing, pages);
        check_made(growing, ++pages);
    }
    CHECK(failed > 0);
}

static void test_appending(int bigtiff, uint16_t compression, uint32_t chunk_columns, task task)
{
    struct lzt_form form = made_form(40, 30, 1, 2);
    form.compression = compression;
    form.chunk_rows = 16;
    form.chunk_columns = chunk_columns;
    struct growing growing = begin(bigtiff, 1, &form); /* big-endian: nothing goes as it is */
    starve(&growing, task, 0);
    end(&growing);
}

/* A form whose tags find no memory leaves no form; the next one is as good as any. */
static void test_forms(void)
{
    struct lzt_form form = made_form(5, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, NULL);
    form.compression = LZT_DEFLATE;
    form.tags = &own_tag;
    form.tag_count = 1;
    int refused = 1;
    for (uint64_t given = 0; refused; given++) {
        struct lzt_error error;
        refuse_after(given, 0);
        const enum lzt_status status = lzt_writer_set_form(growing.writer, &form, &error);
        refused = refuse_no_more();
        /* the codec is tried, and one that has no memory for that is one that is not there */
        CHECK(refused ? status == LZT_NO_MEMORY || status == LZT_UNSUPPORTED : status == LZT_OK);
        if (refused)
            check_status(try_append(&growing, 0, &error), LZT_USAGE, &error, "was not said");
    }
    append(&growing, 0);
    check_made(&growing, 1);
    end(&growing);
}

/* A writer that is not opened leaves nothing open, and the file as it was. */
static void test_opening(const struct tiff_builder *tiff, uint64_t pages)
{
    struct growing growing = go_on(tiff);
    unsigned failed = 0;
    int refused = 1;
    for (uint64_t given = 0; refused; given++) {
        struct lzt_error error;
        close_writer(&growing);
        refuse_after(given, 0);
        const enum lzt_status status = try_resume(&growing, NULL, &error);
        refused = refuse_no_more();
        check_status(status, refused && status != LZT_OK ? LZT_NO_MEMORY : LZT_OK, &error, "");
        failed += status != LZT_OK;
        struct tiff_builder after = bytes_of(&growing, 0, 0);
        CHECK(after.size == tiff->size && memcmp(after.bytes, tiff->bytes, tiff->size) == 0);
        tiff_free(&after);
    }
    CHECK(failed > 3); /* source, table and writer, at least */
    form_as_before(&growing);
    starve(&growing, append_one, pages);
    end(&growing);
}

/* Of our own file, in which both chains are looked through. */
static void test_resuming(int bigtiff)
{
    const struct lzt_form form = made_form(20, 30, 1, 2);
    struct growing growing = begin(bigtiff, 1, &form);
    append(&growing, 0);
    append(&growing, 1);
    struct tiff_builder tiff = bytes_of(&growing, bigtiff == BIG, 0);
    end(&growing);
    test_opening(&tiff, 2);
    tiff_free(&tiff);
}

/* Of a file whose last links lie across a line, so that IFDs are copied. */
static void test_crooked(void)
{
    struct tiff_builder tiff = tiff_new(0, 1);
    for (uint64_t i = 0; i < 3; i++)
        add_at_line(&tiff, &(struct tiff_image){.rows = 5, .columns = 21, .seed = i}, 62);
    test_opening(&tiff, 3);
    tiff_free(&tiff);
}

int main(void)
{
    static const int formats[] = {CLASSIC, BIG, AUTO};
    for (size_t i = 0; i < 3; i++) {
        test_steady(formats[i], DENSE);
        test_steady(formats[i], ROW_GAPS);
        test_appending(formats[i], LZT_NONE, 0, append_one);
        test_appending(formats[i], LZT_NONE, 0, append_tagged);
        test_appending(formats[i], LZT_LZW, 0, append_one);
        test_appending(formats[i], LZT_DEFLATE, 16, append_tagged);
        test_resuming(formats[i]);
    }
    test_time();
    test_forms();
    test_crooked();
    return 0;
}
