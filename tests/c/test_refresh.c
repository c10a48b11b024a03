/* Tables of files that grow: each begins with the pages of the one before, and has those that are whole. */
#define _GNU_SOURCE /* F_OFD_SETLK; everything else is POSIX */
#include <fcntl.h>
#include <pthread.h>

#include "reading.h"

struct file {
    char path[32];
    int descriptor;
    struct lzt_source *source;
};

static void put_bytes(const struct file *file, const struct tiff_builder *tiff, size_t from, size_t to)
{
    CHECK(pwrite(file->descriptor, tiff->bytes + from, to - from, (off_t)from) == (ssize_t)(to - from));
}

static struct file make_file(const struct tiff_builder *tiff)
{
    struct file file = {.path = "test_refresh_XXXXXX"};
    file.descriptor = mkstemp(file.path);
    CHECK(file.descriptor >= 0);
    put_bytes(&file, tiff, 0, tiff->size);
    CHECK(lzt_source_open(file.path, &file.source, NULL) == LZT_OK);
    return file;
}

static void close_file(struct file *file)
{
    lzt_source_close(file->source);
    CHECK(close(file->descriptor) == 0 && unlink(file->path) == 0);
}

static struct lzt_table *open_table(const struct file *file)
{
    struct lzt_table *table;
    struct lzt_error error;
    check_status(lzt_table_open(file->source, NULL, &table, &error), LZT_OK, &error, "");
    return table;
}

static struct lzt_table *refresh(const struct lzt_table *table)
{
    struct lzt_table *newer;
    struct lzt_error error;
    check_status(lzt_table_refresh(table, &newer, &error), LZT_OK, &error, "");
    return newer;
}

/* CHECK that the table has to be opened again. */
static void check_changed(const struct lzt_table *table, const char *text)
{
    struct lzt_table *newer;
    struct lzt_error error;
    check_status(lzt_table_refresh(table, &newer, &error), LZT_CHANGED, &error, text);
    CHECK(newer == NULL && lzt_table_refresh(table, &newer, NULL) == LZT_CHANGED);
}

static struct tiff_page add(struct tiff_builder *tiff, uint64_t seed)
{
    return tiff_add_image(tiff, &(struct tiff_image){.rows = 3, .columns = 5, .bits = 16, .seed = seed});
}

/* CHECK that page number i of the table is the one that was made of seed i, for all of them. */
static void check_pages(const struct lzt_table *table, struct lzt_source *source, uint64_t pages)
{
    struct opened opened = {source, (struct lzt_table *)(uintptr_t)table, NULL};
    CHECK(lzt_table_pages(table) == pages);
    CHECK(lzt_reader_open(table, &opened.reader, NULL) == LZT_OK);
    for (uint64_t i = 0; i < pages; i++)
        check_made_page(&opened, i, i);
    lzt_reader_close(opened.reader);
}

/* ---- What comes ---- */

static void test_growth(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file);
    for (uint64_t pages = 0; pages < 20; pages++) {
        struct lzt_table *newer = refresh(table), *same = refresh(newer);
        check_pages(newer, file.source, pages);
        check_pages(same, file.source, pages);
        CHECK(pages == 0 || lzt_table_layouts(same) == 1);
        lzt_table_close(pages % 2 ? newer : table); /* either may be closed first */
        lzt_table_close(pages % 2 ? table : newer);
        table = same;
        const size_t size = tiff.size, link = tiff.link;
        add(&tiff, pages);
        put_bytes(&file, &tiff, size, tiff.size);
        put_bytes(&file, &tiff, link, link + tiff_word(&tiff));
    }
    lzt_table_close(table);
    close_file(&file);
    tiff_free(&tiff);
}

/* Rows are copied as often as they double, and only when a table goes on from which another one has gone on. */
static void test_sharing(void)
{
    enum { MANY = 2000 };
    struct tiff_builder tiff = tiff_new(0, 0);
    add(&tiff, 0);
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file), *first = refresh(table);
    unsigned copies = 0;
    for (uint64_t pages = 1; pages < MANY; pages++) {
        const size_t size = tiff.size;
        add(&tiff, pages);
        put_bytes(&file, &tiff, 0, size); /* with the link */
        put_bytes(&file, &tiff, size, tiff.size);
        struct lzt_table *newer = refresh(table);
        CHECK(lzt_table_pages(newer) == pages + 1);
        copies += lzt_table_rows(newer) != lzt_table_rows(table);
        lzt_table_close(table);
        table = newer;
    }
    CHECK(copies < 16);
    struct lzt_table *one = refresh(first), *other = refresh(first);
    CHECK(lzt_table_rows(one) != lzt_table_rows(other) && lzt_table_rows(one) != lzt_table_rows(table));
    check_pages(one, file.source, MANY);
    check_pages(other, file.source, MANY);
    CHECK(memcmp(lzt_table_rows(one), lzt_table_rows(table), MANY * sizeof(struct lzt_row)) == 0);
    lzt_table_close(table);
    lzt_table_close(one);
    check_pages(first, file.source, 1);
    lzt_table_close(first);
    check_pages(other, file.source, MANY);
    lzt_table_close(other);
    close_file(&file);
    tiff_free(&tiff);
}

struct race {
    const struct lzt_table *table;
    struct lzt_source *source;
    uint64_t pages;
};

static void *refresh_often(void *argument)
{
    const struct race *race = argument;
    struct lzt_table *table = refresh(race->table);
    for (int i = 0; i < 200; i++) {
        struct lzt_table *newer = refresh(i % 10 ? table : race->table);
        CHECK(lzt_table_pages(newer) == race->pages);
        lzt_table_close(table);
        table = newer;
    }
    check_pages(table, race->source, race->pages);
    lzt_table_close(table);
    return NULL;
}

static void test_threads(void)
{
    struct tiff_builder tiff = tiff_new(1, 0);
    add(&tiff, 0);
    struct file file = make_file(&tiff);
    struct lzt_table *first = open_table(&file);
    add(&tiff, 1);
    put_bytes(&file, &tiff, 0, tiff.size);
    struct lzt_table *table = refresh(first); /* its rows have room for more */
    for (uint64_t i = 2; i < 9; i++)
        add(&tiff, i);
    put_bytes(&file, &tiff, 0, tiff.size);
    struct race race = {table, file.source, 9};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, refresh_often, &race) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    check_pages(table, file.source, 2);
    lzt_table_close(table);
    lzt_table_close(first);
    close_file(&file);
    tiff_free(&tiff);
}

/* ---- What is not whole yet ---- */

static struct tiff_page add_strips(struct tiff_builder *tiff, uint64_t seed)
{
    return tiff_add_image(tiff, &(struct tiff_image){.rows = 5, .columns = 4, .chunk_rows = 2, .samples = 3, .bits = 16, .photometric = 2,
                                                     .seed = seed});
}

/* A page that is linked before it is written comes with its last byte, in whatever order its bytes are written; that of a file whose space was
 * taken beforehand too, so that zeros are where it will be. */
static void test_not_whole(int bigtiff, int ahead, struct tiff_page (*add_page)(struct tiff_builder *, uint64_t))
{
    struct tiff_builder tiff = tiff_new(bigtiff, 0);
    add_page(&tiff, 0);
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file), *newer;
    const size_t start = tiff.size;
    const struct tiff_page page = add_page(&tiff, 1);
    put_bytes(&file, &tiff, 0, start); /* the link */
    if (ahead) {
        const size_t pixels = page.ifd; /* the builder puts them before the IFD */
        CHECK(ftruncate(file.descriptor, (off_t)tiff.size) == 0);
        put_bytes(&file, &tiff, start, pixels);
        /* The last entry says of all others that they are there; what it says itself is not known to be whole before it is. */
        const size_t last = page.link - (bigtiff ? 20 : 12);
        for (size_t at = pixels; at <= last; at++) {
            newer = refresh(table);
            CHECK(lzt_table_pages(newer) == 1 && lzt_table_layouts(newer) == 1 && lzt_table_warning(newer, 0) == NULL);
            lzt_table_close(newer);
            put_bytes(&file, &tiff, at, at + 1);
        }
        put_bytes(&file, &tiff, last, tiff.size);
    } else {
        for (size_t at = start; at < tiff.size; at++) {
            newer = refresh(table);
            CHECK(lzt_table_pages(newer) == 1 && lzt_table_layouts(newer) == 1 && lzt_table_warning(newer, 0) == NULL);
            lzt_table_close(newer);
            put_bytes(&file, &tiff, at, at + 1);
        }
    }
    newer = refresh(table);
    check_pages(newer, file.source, 2);
    lzt_table_close(newer);
    lzt_table_close(table);
    close_file(&file);
    tiff_free(&tiff);
}

/* With options.whole a file is opened as far as it is whole; otherwise a page that lacks pixels is one. */
static void test_open_whole(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff.loose = 1;
    const struct lzt_options whole = {.size = sizeof whole, .whole = 1};
    const struct tiff_entry entries[] = {{256, FIELD_SHORT, 1, NULL, 4},   {257, FIELD_SHORT, 1, NULL, 1},  {258, FIELD_SHORT, 1, NULL, 8},
                                         {273, FIELD_LONG, 1, NULL, 1000}, {278, FIELD_SHORT, 1, NULL, 1}, {279, FIELD_LONG, 1, NULL, 4}};
    tiff_link(&tiff, tiff.link, tiff_add_page(&tiff, entries, 6).ifd);
    struct opened all = open_built(&tiff), some = open_with(&tiff, &whole);
    CHECK(lzt_table_pages(all.table) == 1 && lzt_table_pages(some.table) == 0 && lzt_table_warning(some.table, 0) == NULL);
    close_all(&all);
    close_all(&some);
    tiff_reserve(&tiff, 1004 - tiff.size);
    some = open_with(&tiff, &whole);
    CHECK(lzt_table_pages(some.table) == 1);
    close_all(&some);
    tiff_free(&tiff);
}

/* Chunks that a sparse file leaves out are not waited for; nor is the warning of a chain's end, once it has been given, lost or given again. */
static void test_sparse(void)
{
    static const struct tiff_chunk none[3] = {{NULL, 0}};
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page page = add_strips(&tiff, 0);
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file), *newer;
    page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 4, .chunk_rows = 2, .samples = 3, .bits = 16, .photometric = 2,
                                                      .chunks = none});
    for (size_t i = 0; i < 3; i++)
        tiff_put(&tiff, tiff_value_at(&tiff, page, 273) + 4 * i, 4, 0);
    tiff_link(&tiff, page.link, 100000);
    put_bytes(&file, &tiff, 0, tiff.size);
    newer = refresh(table);
    CHECK(lzt_table_pages(newer) == 2 && lzt_table_warning(newer, 0) == NULL);
    lzt_table_close(newer);
    lzt_table_close(table);
    table = open_table(&file);
    newer = refresh(table);
    CHECK(lzt_table_pages(newer) == 2 && strstr(lzt_table_warning(newer, 0), "ends after 2") && lzt_table_warning(newer, 1) == NULL);
    lzt_table_close(table);
    lzt_table_close(newer);
    close_file(&file);
    tiff_free(&tiff);
}

/* ---- What is another file ---- */

static void test_changed(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page pages[3];
    for (uint64_t i = 0; i < 3; i++)
        pages[i] = add(&tiff, i);
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file);
    static const struct {
        const char *bytes;
        size_t size;
    } headers[] = {{"MM\0*", 4}, {"XX", 2}, {"II+\0\4", 5}, {"II*\0\0\0\0\0", 8}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        CHECK(pwrite(file.descriptor, headers[i].bytes, headers[i].size, 0) > 0);
        check_changed(table, "open it again");
        put_bytes(&file, &tiff, 0, 8);
    }
    CHECK(pwrite(file.descriptor, "\7", 1, (off_t)tiff_value_at(&tiff, pages[2], 257)) == 1); /* the last page's rows */
    check_changed(table, "is no longer the one");
    put_bytes(&file, &tiff, 0, tiff.size);
    CHECK(pwrite(file.descriptor, "\0\0\0\0", 4, (off_t)pages[1].link) == 4); /* the last page is taken out */
    check_changed(table, "not there any more");
    put_bytes(&file, &tiff, 0, tiff.size);
    lzt_table_close(refresh(table));
    CHECK(ftruncate(file.descriptor, (off_t)tiff.size - 1) == 0);
    check_changed(table, "bytes when it was opened and has");
    lzt_table_close(table);
    close_file(&file);
    tiff_free(&tiff);
}

/* A chain that leads to a copy of the last IFD is another one, and tells of the same pages. */
static void test_linked_anew(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page before = add(&tiff, 0), last = add(&tiff, 1);
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file);
    const size_t bytes = last.link - last.ifd;
    tiff_align(&tiff);
    const size_t copy = tiff_reserve(&tiff, bytes + 4);
    memcpy(tiff.bytes + copy, tiff.bytes + last.ifd, bytes);
    tiff_link(&tiff, before.link, copy);
    tiff.link = copy + bytes;
    add(&tiff, 2);
    put_bytes(&file, &tiff, 0, tiff.size);
    struct lzt_table *newer = refresh(table);
    check_pages(newer, file.source, 3);
    CHECK(lzt_table_rows(newer)[1].ifd == copy);
    lzt_table_close(newer);
    lzt_table_close(table);
    close_file(&file);
    tiff_free(&tiff);
}

/* ---- A file that becomes BigTIFF ---- */

/* Give the page an IFD of BigTIFF beside its own, that says the same, and link to it; returns where its link is. */
static size_t add_big_ifd(struct tiff_builder *tiff, struct tiff_page page, size_t link)
{
    static const uint16_t tags[] = {256, 257, 258, 259, 262, 273, 277, 278, 279};
    enum { COUNT = sizeof tags / sizeof *tags };
    tiff_reserve(tiff, (8 - tiff->size % 8) % 8);
    const size_t ifd = tiff_reserve(tiff, 8 + COUNT * 20 + 8);
    tiff_put(tiff, ifd, 8, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const int wide = tags[i] == 273 || tags[i] == 279;
        const size_t entry = ifd + 8 + i * 20, type = tiff_get(tiff, tiff_entry_at(tiff, page, tags[i]) + 2, 2);
        tiff_put(tiff, entry, 2, tags[i]);
        tiff_put(tiff, entry + 2, 2, wide ? FIELD_LONG8 : type);
        tiff_put(tiff, entry + 4, 8, 1);
        tiff_put(tiff, entry + 12, wide ? 8 : tiff_value_size((uint16_t)type),
                 tiff_get(tiff, tiff_value_at(tiff, page, tags[i]), tiff_value_size((uint16_t)type)));
    }
    tiff_put(tiff, link, 8, ifd);
    return ifd + 8 + COUNT * 20;
}

static void test_promotion(int big_endian)
{
    struct tiff_builder tiff = tiff_new(0, big_endian);
    struct tiff_page pages[4];
    tiff_reserve(&tiff, 8); /* bytes 8 to 15: where the other chain begins */
    size_t link = 8;
    for (uint64_t i = 0; i < 3; i++) {
        pages[i] = add(&tiff, i);
        link = add_big_ifd(&tiff, pages[i], link);
    }
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file);
    tiff.loose = 1; /* the fourth page is of the other chain only */
    pages[3] = add(&tiff, 3);
    add_big_ifd(&tiff, pages[3], link);
    put_bytes(&file, &tiff, 8, tiff.size);
    struct lzt_table *same = refresh(table);
    check_pages(same, file.source, 3);
    tiff_put(&tiff, 2, 2, 43);
    tiff_put(&tiff, 4, 2, 8);
    tiff_put(&tiff, 6, 2, 0);
    put_bytes(&file, &tiff, 0, 8);
    struct lzt_table *newer = refresh(same), *newest = refresh(newer);
    CHECK(lzt_table_is_bigtiff(newest) && !lzt_table_is_bigtiff(table));
    check_pages(newest, file.source, 4);
    check_pages(table, file.source, 3); /* the old IFDs stay */
    lzt_table_close(newer);
    lzt_table_close(newest);
    lzt_table_close(same);
    tiff_put(&tiff, tiff_get(&tiff, 8, 8) + 8 + 5 * 20 + 12, 8, 16); /* page 0 is elsewhere, it says */
    put_bytes(&file, &tiff, 0, tiff.size);
    check_changed(table, "not there any more");
    lzt_table_close(table);
    close_file(&file);
    tiff_free(&tiff);
}

/* ---- Tables of another kind ---- */

/* Frames that share an IFD come all at once, when the file has them; a lone page may have IFDs behind it as well. */
static void test_frames(void)
{
    const char text[] = "ImageJ=\nimages=4\n";
    const struct tiff_entry description = {270, FIELD_ASCII, sizeof text, text, 0};
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 3, .columns = 5, .extra = &description, .extra_count = 1});
    tiff_put(&tiff, tiff_value_at(&tiff, page, 273), 4, tiff_reserve(&tiff, 15));
    struct file file = make_file(&tiff);
    struct lzt_table *table = open_table(&file), *newer = refresh(table);
    CHECK(lzt_table_pages(table) == 1 && lzt_table_warning(table, 0) != NULL && lzt_table_pages(newer) == 1);
    lzt_table_close(newer);
    tiff_reserve(&tiff, 45);
    put_bytes(&file, &tiff, 0, tiff.size);
    newer = refresh(table);
    struct lzt_table *newest = refresh(newer);
    CHECK(lzt_table_pages(newer) == 4 && lzt_table_pages(newest) == 4);
    CHECK(lzt_table_rows(newest)[3].data == lzt_table_rows(table)[0].data + 45);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 257), 2, 2);
    put_bytes(&file, &tiff, 0, tiff.size);
    check_changed(newest, "not there any more");
    lzt_table_close(table);
    lzt_table_close(newest);
    lzt_table_close(newer);
    close_file(&file);
    tiff_free(&tiff);
}

static void test_list(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    const uint64_t ifd = add(&tiff, 0).ifd;
    add(&tiff, 1);
    struct lzt_options options = {.size = sizeof options, .ifds = &ifd, .ifd_count = 1};
    struct opened opened = open_with(&tiff, &options);
    struct lzt_table *newer = refresh(opened.table);
    check_pages(newer, opened.source, 1);
    lzt_table_close(newer);
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- Who writes ---- */

static void check_writer(const struct file *file, int expected)
{
    struct lzt_error error;
    int held = 7;
    check_status(lzt_source_has_writer(file->source, &held, &error), LZT_OK, &error, "");
    CHECK(held == expected);
}

static void test_writer(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct file file = make_file(&tiff);
    struct opened opened = open_built(&tiff);
    struct lzt_error error;
    int held = 7;
    check_status(lzt_source_has_writer(opened.source, &held, &error), LZT_UNSUPPORTED, &error, "no file");
    CHECK(held == 0);
    check_writer(&file, 0);
#ifdef F_OFD_SETLK
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = INT64_MAX - 1, .l_len = 1};
    CHECK(fcntl(file.descriptor, F_OFD_SETLK, &lock) == 0); /* many may fill pixels */
    check_writer(&file, 0);
    lock.l_type = F_WRLCK;
    CHECK(fcntl(file.descriptor, F_OFD_SETLK, &lock) == 0);
    check_writer(&file, 1);
    lock.l_type = F_UNLCK;
    CHECK(fcntl(file.descriptor, F_OFD_SETLK, &lock) == 0);
    check_writer(&file, 0);
#endif
    close_all(&opened);
    close_file(&file);
    tiff_free(&tiff);
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        test_growth(i / 2, i % 2);
        test_not_whole(i / 2, i % 2, add);
        test_not_whole(i / 2, i % 2, add_strips);
    }
    test_sharing();
    test_threads();
    test_open_whole();
    test_sparse();
    test_changed();
    test_linked_anew();
    test_promotion(0);
    test_promotion(1);
    test_frames();
    test_list();
    test_writer();
    return 0;
}
