/* Parcels: pages that are encoded by several threads, in parts, and not at all. */
#include <pthread.h>

#include "appending.h"

enum { THREADS = 4 };

struct job {
    struct lzt_parcel *parcel;
    uint32_t milliseconds;
    enum lzt_status status;
    struct lzt_error error;
    unsigned calls;
};

static void *work(void *argument)
{
    struct job *job = argument;
    do {
        job->status = lzt_parcel_encode(job->parcel, job->milliseconds, &job->error);
        job->calls++;
    } while (job->status == LZT_AGAIN);
    return NULL;
}

/* Encode by several threads; returns the worst status of them. */
static enum lzt_status encode_together(struct lzt_parcel *parcel, uint32_t milliseconds, struct lzt_error *error)
{
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    enum lzt_status worst = LZT_OK;
    for (size_t i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.parcel = parcel, .milliseconds = milliseconds};
        CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0 && jobs[i].calls > 0);
        if (jobs[i].status != LZT_OK) {
            CHECK(jobs[i].error.status == (int32_t)jobs[i].status && jobs[i].error.text[0] != 0);
            worst = jobs[i].status;
            *error = jobs[i].error;
        }
    }
    return worst;
}

struct page {
    uint8_t *items;
    struct lzt_pixels pixels;
};

static struct page make_page(const struct lzt_form *form, uint64_t seed)
{
    struct page page = {made_items(form, seed), strides_of(form, DENSE)};
    page.pixels.data = page.items;
    return page;
}

static struct lzt_parcel *open_parcel(const struct growing *growing, const struct page *page)
{
    struct lzt_parcel *parcel;
    struct lzt_error error;
    check_status(lzt_parcel_open(growing->writer, &page->pixels, &parcel, &error), LZT_OK, &error, "");
    return parcel;
}

static struct lzt_form coded_form(uint16_t compression, uint32_t chunk_rows, uint32_t chunk_columns)
{
    struct lzt_form form = made_form(200, 70, 1, 2);
    form.compression = compression;
    form.chunk_rows = chunk_rows;
    form.chunk_columns = chunk_columns;
    return form;
}

/* ---- What goes well ---- */

/* Pages are encoded while earlier ones wait to be written, and come in the order in which they are written. */
static void test_threads(int bigtiff, int big_endian, const struct lzt_form *form)
{
    enum { PAGES = 6 };
    struct growing growing = begin(bigtiff, big_endian, form);
    struct page pages[PAGES];
    struct lzt_parcel *parcels[PAGES];
    struct lzt_error error;
    CHECK(lzt_writer_encodes(growing.writer));
    for (uint64_t i = 0; i < PAGES; i++) {
        pages[i] = make_page(form, i);
        parcels[i] = open_parcel(&growing, &pages[i]);
        check_status(encode_together(parcels[i], (uint32_t)i % 2, &error), LZT_OK, &error, "");
        free(pages[i].items); /* what is encoded is a copy */
    }
    for (uint64_t i = 0; i < PAGES; i++) {
        check_status(lzt_writer_write(growing.writer, parcels[i], NULL, NULL, 0, &error), LZT_OK, &error, "");
        lzt_parcel_close(parcels[i]);
        if (i % 2)
            CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
    }
    check_made(&growing, PAGES);
    end(&growing);
}

/* By one thread that comes back after every millisecond, and by none other. */
static void test_slices(void)
{
    const struct lzt_form form = coded_form(LZT_DEFLATE, 1, 0);
    struct growing growing = begin(AUTO, 0, &form);
    struct page page = make_page(&form, 0);
    struct job job = {.parcel = open_parcel(&growing, &page), .milliseconds = 1};
    work(&job);
    CHECK(job.status == LZT_OK);
    CHECK(lzt_parcel_encode(job.parcel, 1, NULL) == LZT_OK); /* nothing is left to do */
    CHECK(lzt_writer_write(growing.writer, job.parcel, &page.pixels, NULL, 0, NULL) == LZT_OK);
    CHECK(lzt_writer_write(growing.writer, job.parcel, NULL, NULL, 0, NULL) == LZT_OK); /* a page may be written twice */
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK && lzt_writer_pages(growing.writer) == 2);
    check_by_libtiff(&growing, 2);
    lzt_parcel_close(job.parcel);
    free(page.items);
    end(&growing);
}

/* A parcel gives the bytes that one thread gives. */
static void test_same_bytes(void)
{
    const struct lzt_form form = coded_form(LZT_LZW, 16, 32);
    struct lzt_error error;
    struct growing alone = begin(CLASSIC, 0, &form), together = begin(CLASSIC, 0, &form);
    struct page page = make_page(&form, 0);
    struct lzt_parcel *parcel = open_parcel(&together, &page);
    append(&alone, 0);
    check_status(encode_together(parcel, 0, &error), LZT_OK, &error, "");
    CHECK(lzt_writer_write(together.writer, parcel, NULL, NULL, 0, NULL) == LZT_OK && lzt_writer_publish(together.writer, NULL) == LZT_OK);
    lzt_parcel_close(parcel);
    struct tiff_builder one = bytes_of(&alone, 0, 0), other = bytes_of(&together, 0, 0);
    CHECK(one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0);
    tiff_free(&one);
    tiff_free(&other);
    free(page.items);
    end(&alone);
    end(&together);
}

/* ---- What does not ---- */

static void refuse_parcel(struct growing *growing, const struct lzt_parcel *parcel, const char *text)
{
    struct lzt_error error;
    check_status(lzt_writer_write(growing->writer, parcel, NULL, NULL, 0, &error), LZT_USAGE, &error, text);
    CHECK(lzt_writer_write(growing->writer, parcel, NULL, NULL, 0, NULL) == LZT_USAGE);
}

static void test_usage(void)
{
    struct lzt_form form = coded_form(LZT_DEFLATE, 16, 0);
    struct lzt_error error;
    struct lzt_parcel *parcel;
    struct growing growing = begin(AUTO, 0, NULL), other = begin(AUTO, 0, &form);
    struct page page = make_page(&form, 0);
    check_status(lzt_parcel_open(growing.writer, &page.pixels, &parcel, &error), LZT_USAGE, &error, "was not said");
    CHECK(parcel == NULL && lzt_parcel_open(growing.writer, &page.pixels, &parcel, NULL) == LZT_USAGE);
    set_form(&growing, &form);
    check_status(lzt_parcel_open(growing.writer, &(struct lzt_pixels){NULL, 1, 1, 1, 0}, &parcel, &error), LZT_USAGE, &error, "no pixels");
    CHECK(lzt_parcel_open(growing.writer, NULL, &parcel, NULL) == LZT_USAGE && parcel == NULL);
    parcel = open_parcel(&growing, &page);
    refuse_parcel(&growing, parcel, "left to be encoded");
    check_status(encode_together(parcel, 0, &error), LZT_OK, &error, "");
    refuse_parcel(&other, parcel, "another writer's");
    form.chunk_rows = 1; /* of which there are more than the parcel has */
    set_form(&growing, &form);
    refuse_parcel(&growing, parcel, "an earlier form");
    lzt_parcel_close(parcel);
    append(&growing, 0);
    check_made(&growing, 1);
    free(page.items);
    end(&growing);
    end(&other);
}

/* A parcel is good for nothing more when it was cancelled, and the writer as good as before. */
static void test_cancel(void)
{
    const struct lzt_form form = coded_form(LZT_DEFLATE, 1, 0);
    struct lzt_error error;
    struct growing growing = begin(AUTO, 0, &form);
    struct page page = make_page(&form, 0);
    for (int early = 0; early < 20; early++) {
        struct lzt_parcel *parcel = open_parcel(&growing, &page);
        struct job jobs[2] = {{.parcel = parcel}, {.parcel = parcel, .milliseconds = 1}};
        pthread_t threads[2];
        if (early == 0)
            lzt_parcel_cancel(parcel);
        for (size_t i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
        lzt_parcel_cancel(parcel);
        for (size_t i = 0; i < 2; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0 && (jobs[i].status == LZT_OK || jobs[i].status == LZT_CANCELLED));
            CHECK(jobs[i].status == LZT_OK || jobs[i].error.status == LZT_CANCELLED);
        }
        if (early == 0) {
            check_status(lzt_parcel_encode(parcel, 0, &error), LZT_CANCELLED, &error, "cancelled");
            CHECK(lzt_parcel_encode(parcel, 0, NULL) == LZT_CANCELLED);
            refuse_parcel(&growing, parcel, "left to be encoded");
        }
        lzt_parcel_close(parcel);
    }
    append(&growing, 0);
    check_made(&growing, 1);
    free(page.items);
    end(&growing);
}

/* One chunk cannot be encoded: every thread is told why, or that another one was. */
static void test_failure(void)
{
    struct lzt_form form = coded_form(LZT_LERC, 16, 32); /* of 16 bits, and in the other byte order than this machine's */
    if (!lzt_codec_encodes(LZT_LERC)) {
        printf("failing chunks: this libtiff has no LERC\n");
        return;
    }
    struct lzt_error error;
    struct growing growing = begin(AUTO, 1, &form);
    struct page page = make_page(&form, 0);
    for (int i = 0; i < 20; i++) {
        struct lzt_parcel *parcel = open_parcel(&growing, &page);
        const enum lzt_status status = encode_together(parcel, 0, &error);
        CHECK(status == LZT_UNSUPPORTED || status == LZT_CANCELLED);
        check_status(lzt_parcel_encode(parcel, 0, &error), LZT_UNSUPPORTED, &error, "readers disagree");
        CHECK(lzt_parcel_encode(parcel, 0, NULL) == LZT_UNSUPPORTED);
        refuse_parcel(&growing, parcel, "left to be encoded");
        lzt_parcel_close(parcel);
    }
    check_status(try_append(&growing, 0, &error), LZT_UNSUPPORTED, &error, "readers disagree");
    form = coded_form(LZT_LZW, 16, 0);
    set_form(&growing, &form);
    append(&growing, 0);
    check_made(&growing, 1);
    free(page.items);
    end(&growing);
}

int main(void)
{
    static const int formats[] = {CLASSIC, BIG, AUTO};
    const struct lzt_form forms[] = {coded_form(LZT_DEFLATE, 7, 0), coded_form(LZT_LZW, 32, 16), coded_form(LZT_PACKBITS, 0, 0),
                                     coded_form(LZT_NONE, 16, 64), coded_form(LZT_DEFLATE, 1, 0)};
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++)
        for (size_t i = 0; i < 3; i++)
            test_threads(formats[i], (int)(i + form) % 2, &forms[form]);
    test_slices();
    test_same_bytes();
    test_usage();
    test_cancel();
    test_failure();
    return 0;
}
