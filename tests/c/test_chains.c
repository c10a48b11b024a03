/* Files that carry both chains: which of them a writer believes that goes on. CHECKed by its becoming BigTIFF, or not, at 4 GiB. */
#include "appending.h"

enum { FIRST_BIG = 8 };

static struct lzt_form page_form(uint32_t chunk_rows)
{
    struct lzt_form form = made_form(5, 7, 1, 2);
    form.chunk_rows = chunk_rows;
    return form;
}

/* The file's pages as its BigTIFF chain has them: a copy of it with the header that it gets when it outgrows classic TIFF. */
static void check_big_chain(const struct growing *growing, int big_endian, uint64_t pages)
{
    struct tiff_builder tiff = bytes_of(growing, 1, big_endian);
    tiff_put(&tiff, 2, 2, 43);
    tiff_put(&tiff, 4, 2, 8);
    tiff_put(&tiff, 6, 2, 0);
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == pages && warning_count(&opened) == 0);
    for (uint64_t i = 0; i < pages; i++)
        check_made_page(&opened, i, i);
    close_all(&opened);
    tiff_free(&tiff);
}

/* Have the file be so long that the next page lies past 4 GiB, where only BigTIFF goes on; CHECK whether the writer takes that page. */
static void check_outgrows(struct growing *growing, int big_endian, uint64_t pages, int outgrows)
{
    struct lzt_error error;
    close_writer(growing);
    CHECK(truncate(growing->path, (off_t)UINT32_MAX - 50) == 0);
    resume(growing);
    form_as_before(growing);
    const enum lzt_status status = try_append(growing, pages, &error);
    check_status(status, outgrows ? LZT_OK : LZT_FULL, &error, outgrows ? "" : "4 GiB");
    CHECK(lzt_writer_is_bigtiff(growing->writer) == outgrows);
    if (outgrows)
        append(growing, pages + 1);
    struct opened opened = read_file(growing);
    CHECK(lzt_table_is_bigtiff(opened.table) == outgrows && lzt_table_is_big_endian(opened.table) == big_endian);
    CHECK(lzt_table_pages(opened.table) == pages + (outgrows ? 2 : 0) && warning_count(&opened) == 0);
    for (uint64_t i = 0; i < lzt_table_pages(opened.table); i++)
        check_made_page(&opened, i, i);
    close_all(&opened);
    if (pages > 0 || outgrows)
        check_by_libtiff(growing, pages + (outgrows ? 2 : 0));
}

/* The two links that lead to page number page, in the classic chain and in the other one. */
struct links {
    uint64_t classic, big;
};

static struct links links_to(const struct growing *growing, int big_endian, uint64_t page)
{
    struct opened classic = read_file(growing);
    struct tiff_builder tiff = bytes_of(growing, 1, big_endian);
    tiff_put(&tiff, 2, 2, 43);
    tiff_put(&tiff, 4, 4, big_endian ? UINT32_C(8) << 16 : 8);
    struct opened big = open_built(&tiff);
    const struct links links = {page == 0 ? 4 : link_at(classic.table, page - 1), page == 0 ? FIRST_BIG : link_at(big.table, page - 1)};
    close_all(&classic);
    close_all(&big);
    tiff_free(&tiff);
    return links;
}

static struct growing grown(int big_endian, uint32_t chunk_rows, uint64_t pages)
{
    const struct lzt_form form = page_form(chunk_rows);
    struct growing growing = begin(AUTO, big_endian, &form);
    for (uint64_t i = 0; i < pages; i++)
        append(&growing, i);
    check_big_chain(&growing, big_endian, pages);
    return growing;
}

static void go_on_with(struct growing *growing, uint32_t chunk_rows)
{
    const struct lzt_form form = page_form(chunk_rows);
    resume(growing);
    set_form(growing, &form);
}

/* ---- Both chains ---- */

/* What was published in the BigTIFF chain alone was not acknowledged: other pages take its place, in both chains. */
static void test_big_ahead(int big_endian, uint32_t chunk_rows, uint64_t pages, uint64_t ahead)
{
    struct growing growing = grown(big_endian, chunk_rows, pages);
    for (uint64_t i = 0; i < ahead; i++)
        write_one(&growing, 90 + i);
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
    const struct links links = links_to(&growing, big_endian, pages);
    close_writer(&growing);
    put_bytes(&growing, "\0\0\0", 4, (off_t)links.classic);
    check_made(&growing, pages);
    go_on_with(&growing, chunk_rows);
    append(&growing, pages);
    append(&growing, pages + 1);
    check_made(&growing, pages + 2);
    check_big_chain(&growing, big_endian, pages + 2);
    check_outgrows(&growing, big_endian, pages + 2, 1);
    end(&growing);
}

/* After a power failure the BigTIFF chain may lack the pages that were published last: it gets them again. */
static void test_big_behind(int big_endian, uint32_t chunk_rows, uint64_t pages, uint64_t behind)
{
    struct growing growing = grown(big_endian, chunk_rows, pages);
    for (uint64_t i = 0; i < behind; i++)
        write_one(&growing, pages + i);
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
    const struct links links = links_to(&growing, big_endian, pages);
    close_writer(&growing);
    put_bytes(&growing, "\0\0\0\0\0\0\0", 8, (off_t)links.big);
    check_made(&growing, pages + behind);
    go_on_with(&growing, chunk_rows);
    check_big_chain(&growing, big_endian, pages + behind);
    append(&growing, pages + behind);
    check_made(&growing, pages + behind + 1);
    check_big_chain(&growing, big_endian, pages + behind + 1);
    check_outgrows(&growing, big_endian, pages + behind + 1, 1);
    end(&growing);
}

/* ---- One chain ---- */

/* CHECK that the file goes on as a plain classic one. */
static void check_plain(struct growing *growing, int big_endian, uint64_t pages)
{
    go_on_with(growing, 0);
    append(growing, pages);
    append(growing, pages + 1);
    check_made(growing, pages + 2);
    check_outgrows(growing, big_endian, pages + 2, 0);
    end(growing);
}

/* Bytes 8 to 15 lead nowhere, into the header, to something that is no IFD, or to an IFD of the other kind. */
static void test_no_big_chain(int big_endian)
{
    const uint64_t targets[] = {1, 15, 16, 17, 100, 0x7FFFFFFF, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct growing growing = grown(big_endian, 0, 2);
        struct tiff_builder word = {.big_endian = big_endian};
        tiff_reserve(&word, 8);
        tiff_put(&word, 0, 8, targets[i]);
        close_writer(&growing);
        put_bytes(&growing, word.bytes, 8, FIRST_BIG);
        tiff_free(&word);
        check_plain(&growing, big_endian, 2);
    }
}

/* A page that another program appended is in the classic chain alone. */
static void test_appended_by_libtiff(uint64_t more)
{
    struct growing growing = grown(0, 0, 2);
    close_writer(&growing);
    for (uint64_t page = 2; page < 2 + more; page++) {
        const struct lzt_form form = page_form(0);
        TIFF *tiff = TIFFOpen(growing.path, "a");
        uint8_t *items = made_items(&form, page);
        CHECK(tiff != NULL);
        set_tags(tiff, &(struct encoding){.rows = 5, .columns = 7, .bits = 16, .samples = 1, .format = 1, .planar = 1, .photometric = 1, .fill_order = 1,
                                          .compression = 1, .chunk_rows = 5});
        CHECK(TIFFWriteEncodedStrip(tiff, 0, items, 70) == 70);
        TIFFClose(tiff);
        free(items);
    }
    check_plain(&growing, 0, 2 + more);
}

/* Pages that are others: the second chain has them in another order. */
static void test_other_pages(int big_endian)
{
    struct growing growing = grown(big_endian, 0, 3);
    const struct links second = links_to(&growing, big_endian, 1), third = links_to(&growing, big_endian, 2);
    struct tiff_builder tiff = bytes_of(&growing, 1, big_endian);
    const uint64_t page_three = tiff_get(&tiff, third.big, 8);
    tiff_put(&tiff, second.big, 8, page_three); /* leaves out the second one */
    close_writer(&growing);
    put_bytes(&growing, tiff.bytes, tiff.size, 0);
    tiff_free(&tiff);
    check_plain(&growing, big_endian, 3);
}

/* The pages that the BigTIFF chain lacks are believed only where they are the same, and where their chain comes to an end. */
static void test_others_behind(int big_endian, int broken_link)
{
    struct growing growing = grown(big_endian, 0, 3);
    const struct links second = links_to(&growing, big_endian, 1), after = links_to(&growing, big_endian, 3);
    struct tiff_builder tiff = bytes_of(&growing, 1, big_endian);
    const struct tiff_page page = {tiff_get(&tiff, second.big, 8), SIZE_MAX};
    if (broken_link)
        tiff_put(&tiff, after.big, 8, 0x7FFFFFFF);
    else
        tiff_put(&tiff, tiff_value_at(&tiff, page, 273), 8, 64);
    tiff_put(&tiff, second.big, 8, 0);
    close_writer(&growing);
    put_bytes(&growing, tiff.bytes, tiff.size, 0);
    resume(&growing);
    struct tiff_builder resumed = bytes_of(&growing, 1, big_endian);
    CHECK(resumed.size == tiff.size && memcmp(resumed.bytes, tiff.bytes, tiff.size) == 0);
    tiff_free(&resumed);
    tiff_free(&tiff);
    check_plain(&growing, big_endian, 3);
}

/* Files of other programs have anything in these bytes, zeros among them. */
static void test_foreign(int big_endian, uint64_t pages)
{
    struct tiff_builder tiff = tiff_new(0, big_endian);
    tiff_reserve(&tiff, 64);
    for (uint64_t i = 0; i < pages; i++)
        tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 7, .bits = 16, .seed = i});
    struct growing growing = go_on(&tiff);
    tiff_free(&tiff);
    check_plain(&growing, big_endian, pages);
}

/* A new classic file, and one that shall be no more than that. */
static void test_new(int big_endian)
{
    const struct lzt_form form = page_form(0);
    struct growing growing = begin(CLASSIC, big_endian, &form);
    append(&growing, 0);
    close_writer(&growing);
    check_plain(&growing, big_endian, 1);
    growing = begin(AUTO, big_endian, NULL);
    go_on_with(&growing, 0); /* without pages, it has both chains nevertheless */
    append(&growing, 0);
    check_big_chain(&growing, big_endian, 1);
    check_outgrows(&growing, big_endian, 1, 1);
    resume(&growing); /* a BigTIFF file as any other */
    form_as_before(&growing);
    append(&growing, 3);
    CHECK(lzt_writer_pages(growing.writer) == 4 && lzt_writer_is_bigtiff(growing.writer));
    end(&growing);
}

/* Pages that wait become part of a BigTIFF file together, by one write. */
static void test_batch_past_border(int big_endian)
{
    const struct lzt_form form = page_form(0);
    struct growing growing = grown(big_endian, 0, 2);
    close_writer(&growing);
    CHECK(truncate(growing.path, (off_t)UINT32_MAX - 1500) == 0);
    resume(&growing);
    set_form(&growing, &form);
    for (uint64_t i = 2; i < 8; i++)
        write_one(&growing, i); /* some before the border, some behind it */
    CHECK(!lzt_writer_is_bigtiff(growing.writer));
    struct opened opened = read_file(&growing);
    struct lzt_table *newer;
    CHECK(lzt_table_pages(opened.table) == 2 && !lzt_table_is_bigtiff(opened.table));
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK && lzt_writer_is_bigtiff(growing.writer));
    CHECK(lzt_table_refresh(opened.table, &newer, NULL) == LZT_OK && lzt_table_pages(newer) == 8 && lzt_table_is_bigtiff(newer));
    lzt_table_close(newer);
    close_all(&opened);
    check_made(&growing, 8);
    end(&growing);
}

int main(void)
{
    TIFFSetWarningHandler(NULL);
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        for (uint64_t pages = 0; pages < 3; pages++)
            for (uint64_t more = 1; more < 4; more++) {
                test_big_ahead(big_endian, more == 2 ? 2 : 0, pages, more);
                test_big_behind(big_endian, more == 2 ? 2 : 0, pages, more);
            }
        test_no_big_chain(big_endian);
        test_other_pages(big_endian);
        test_others_behind(big_endian, 0);
        test_others_behind(big_endian, 1);
        test_foreign(big_endian, 1);
        test_foreign(big_endian, 2);
        test_new(big_endian);
        test_batch_past_border(big_endian);
    }
    test_appended_by_libtiff(1);
    test_appended_by_libtiff(2);
    return 0;
}
