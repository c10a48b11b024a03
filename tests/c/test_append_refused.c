/* Pages that cannot be appended: why, and the file stays as it is. */
#include "appending.h"

#include <limits.h>
#include <sys/wait.h>

/* ---- Arguments ---- */

static void test_usage(void)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_error error;
    struct lzt_pixels pixels = strides_of(&form, DENSE);
    struct growing growing = begin(AUTO, 0, NULL);
    uint8_t *items = made_items(&form, 0);
    check_status(lzt_writer_write(growing.writer, NULL, &pixels, NULL, 0, &error), LZT_USAGE, &error, "was not said");
    CHECK(lzt_writer_write(growing.writer, NULL, &pixels, NULL, 0, NULL) == LZT_USAGE);
    set_form(&growing, &form);
    check_status(lzt_writer_write(growing.writer, NULL, &pixels, NULL, 0, &error), LZT_USAGE, &error, "no pixels");
    check_status(lzt_writer_write(growing.writer, NULL, NULL, NULL, 0, &error), LZT_USAGE, &error, "no pixels");
    pixels.data = items;
    CHECK(lzt_writer_append(growing.writer, &pixels, NULL, 0, NULL, NULL) == LZT_OK);
    check_status(lzt_writer_append(growing.writer, &pixels, NULL, 1, NULL, &error), LZT_USAGE, &error, "1 tags at");
    check_status(lzt_writer_set_form(growing.writer, &form, &error), LZT_USAGE, &error, "said already");
    CHECK(lzt_writer_set_form(growing.writer, &form, NULL) == LZT_USAGE);
    struct lzt_form other;
    check_status(lzt_form_of_page(growing.table, 0, &other, &error), LZT_USAGE, &error, "page 0 of 0");
    CHECK(lzt_form_of_page(growing.table, 0, &other, NULL) == LZT_USAGE);
    check_made(&growing, 1);
    free(items);
    end(&growing);
}

/* A form may be said anew until a page was written, and one that is refused leaves none. */
static void test_forms_said_anew(void)
{
    struct lzt_form form = made_form(5, 7, 1, 2), wrong = made_form(5, 7, 1, 3);
    struct lzt_error error;
    struct growing growing = begin(AUTO, 0, &form);
    check_status(lzt_writer_set_form(growing.writer, &wrong, &error), LZT_USAGE, &error, "kind");
    check_status(try_append(&growing, 0, &error), LZT_USAGE, &error, "was not said");
    form = made_form(9, 4, 3, 1);
    set_form(&growing, &form);
    CHECK(lzt_writer_form(growing.writer)->rows == 9 && lzt_writer_form(growing.writer)->chunk_rows == 9);
    write_one(&growing, 0);
    CHECK(lzt_writer_set_form(growing.writer, &form, NULL) == LZT_USAGE); /* it waits, but it is there */
    append(&growing, 1);
    check_made(&growing, 2);
    end(&growing);
}

/* Members of struct lzt_form that an older program does not know take their default. */
static void test_older_forms(void)
{
    struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_error error;
    struct growing growing = begin(AUTO, 0, NULL);
    memset(&form.compression, 0xFF, sizeof form - offsetof(struct lzt_form, compression));
    form.size = offsetof(struct lzt_form, compression);
    set_form(&growing, &form);
    append(&growing, 0);
    check_made(&growing, 1);
    end(&growing);
    growing = begin(AUTO, 0, NULL);
    for (form.size = 0; form.size < offsetof(struct lzt_form, compression); form.size += 7)
        check_status(lzt_writer_set_form(growing.writer, &form, &error), LZT_USAGE, &error, "size");
    end(&growing);
}

/* ---- Sizes ---- */

/* Pages that nobody has memory or disk for: an error, of a writer that then takes one that is small. */
static void test_absurd_sizes(void)
{
    const uint32_t most = UINT32_MAX;
    const struct {
        uint32_t rows, columns, samples, item_size, chunk_rows, chunk_columns;
        enum lzt_status formed, appended;
    } cases[] = {
        {most, most, 65535, 8, 0, 0, LZT_LIMIT, LZT_OK},                 /* 2^83 bytes */
        {most, most, 1, 1, 0, 0, LZT_LIMIT, LZT_OK},                     /* 2^64 */
        {most, most, 1, 1, 16, 0, LZT_LIMIT, LZT_OK},                    /* the same in strips */
        {most, most / 8, 1, 1, 0, 0, LZT_OK, LZT_FULL},                  /* 2^61 */
        {most, 1, 65535, 8, 0, 0, LZT_OK, LZT_FULL},                     /* 2^51, one pixel wide */
        {1, most, 65535, 8, 0, 0, LZT_OK, LZT_FULL},
        {most, 1, 1, 1, 0, 0, LZT_OK, LZT_FULL},                         /* 2^32 - 1: does not fit behind its tags */
        {most, 1, 1, 1, 1, 0, LZT_OK, LZT_LIMIT},                        /* 2^32 - 1 strips */
        {most, most, 1, 1, 16, 16, LZT_LIMIT, LZT_OK},                   /* 2^56 tiles */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lzt_error error;
        uint8_t byte = 0;
        const struct lzt_pixels pixels = {.data = &byte}; /* never touched */
        struct lzt_form form = made_form(cases[i].rows, cases[i].columns, cases[i].samples, (uint16_t)cases[i].item_size);
        form.chunk_rows = cases[i].chunk_rows;
        form.chunk_columns = cases[i].chunk_columns;
        struct growing growing = begin(CLASSIC, 0, NULL);
        check_status(lzt_writer_set_form(growing.writer, &form, &error), cases[i].formed, &error, "");
        if (cases[i].formed == LZT_OK) {
            struct lzt_pixels dense = strides_of(&form, DENSE);
            dense.data = pixels.data;
            check_status(lzt_writer_write(growing.writer, NULL, &dense, NULL, 0, &error), cases[i].appended, &error, "");
            CHECK(lzt_writer_write(growing.writer, NULL, &dense, NULL, 0, NULL) == cases[i].appended);
        }
        form = made_form(5, 7, 1, 2);
        set_form(&growing, &form);
        append(&growing, 0);
        check_made(&growing, 1);
        end(&growing);
    }
}

/* As many samples a pixel as TIFF has: their three lists are longer than the pixels. */
static void test_many_samples(void)
{
    struct lzt_form form = made_form(1, 3, 65535, 1);
    struct growing growing = begin(AUTO, 1, &form);
    append(&growing, 0);
    append(&growing, 1);
    resume(&growing);
    form_as_before(&growing);
    append(&growing, 2);
    struct opened opened = read_file(&growing);
    CHECK(lzt_table_pages(opened.table) == 3 && layout_of(&opened, 2)->samples == 65535);
    for (uint64_t i = 0; i < 3; i++)
        check_made_page(&opened, i, i);
    close_all(&opened);
    form.samples = 65536;
    resume(&growing);
    CHECK(lzt_writer_set_form(growing.writer, &form, NULL) == LZT_USAGE);
    end(&growing);
}

/* At every distance below 4 GiB a classic file takes the page or is full, and is as it was then. */
static void test_full(int big_endian)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    int refused = 0, taken = 0;
    for (uint64_t slack = 0; slack < 600; slack += 7) {
        struct lzt_error error;
        uint64_t size = UINT32_MAX - slack, after;
        struct growing growing = begin(CLASSIC, big_endian, &form);
        append(&growing, 0);
        CHECK(truncate(growing.path, (off_t)size) == 0); /* as if much were in it that is no page */
        resume(&growing);
        form_as_before(&growing);
        enum lzt_status status = try_append(&growing, 1, &error);
        CHECK(lzt_source_size(growing.source, &after, NULL) == LZT_OK);
        if (status != LZT_OK) {
            check_status(status, LZT_FULL, &error, "4 GiB");
            CHECK(after == size && try_append(&growing, 1, NULL) == LZT_FULL);
        }
        refused += status != LZT_OK;
        taken += status == LZT_OK;
        CHECK(after <= UINT32_MAX && (status == LZT_OK || taken == 0));
        struct opened opened = read_file(&growing);
        CHECK(lzt_table_pages(opened.table) == (status == LZT_OK ? 2 : 1) && warning_count(&opened) == 0);
        for (uint64_t i = 0; i < lzt_table_pages(opened.table); i++)
            check_made_page(&opened, i, i);
        close_all(&opened);
        end(&growing);
    }
    CHECK(refused > 0 && taken > 0);
}

/* ---- Others ---- */

static void test_locks(void)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_error error;
    struct lzt_source *source;
    struct growing growing = begin(AUTO, 0, &form);
    check_status(lzt_source_open_locked(growing.path, &source, &error), LZT_LOCKED, &error, "open for writing elsewhere");
    CHECK(source == NULL && lzt_source_open_locked(growing.path, &source, NULL) == LZT_LOCKED);
    append(&growing, 0);
    close_writer(&growing);
    CHECK(lzt_source_open_locked(growing.path, &source, NULL) == LZT_OK);
    lzt_source_close(source);
    end(&growing);
}

/* What a child of the writer's process is told; it leaves by _exit, for what it has is its parent's. */
static int is_refused_in_child(struct growing *growing)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_error error;
    uint8_t items[70] = {0};
    struct lzt_pixels pixels = strides_of(&form, DENSE);
    pixels.data = items;
    return lzt_writer_append(growing->writer, &pixels, NULL, 0, NULL, &error) == LZT_LOCKED && strstr(error.text, "forked") != NULL &&
           lzt_writer_write(growing->writer, NULL, &pixels, NULL, 0, NULL) == LZT_LOCKED &&
           lzt_writer_publish(growing->writer, NULL) == LZT_LOCKED && lzt_writer_set_form(growing->writer, &form, NULL) == LZT_LOCKED;
}

static void test_fork(void)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, &form);
    int result;
    append(&growing, 0);
    write_one(&growing, 1);
    const pid_t child = fork();
    if (child == 0) {
        const int refused = is_refused_in_child(&growing);
        close_writer(&growing); /* which is no business of the parent's */
        _exit(refused ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &result, 0) == child && WIFEXITED(result) && WEXITSTATUS(result) == 0);
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
    append(&growing, 2);
    check_made(&growing, 3);
    struct lzt_source *source;
    CHECK(lzt_source_open_locked(growing.path, &source, NULL) == LZT_LOCKED); /* still */
    end(&growing);
}

/* Somebody who does not ask for locks makes the file longer, or shorter. */
static void test_meddlers(void)
{
    for (int longer = 0; longer < 2; longer++) {
        const struct lzt_form form = made_form(5, 7, 1, 2);
        struct lzt_error error;
        struct stat about;
        struct growing growing = begin(AUTO, 0, &form);
        append(&growing, 0);
        append(&growing, 1);
        CHECK(stat(growing.path, &about) == 0 && truncate(growing.path, about.st_size + (longer ? 1 : -1)) == 0);
        usleep(20000); /* it is not asked at each of many appends in a row */
        check_status(try_append(&growing, 2, &error), LZT_CHANGED, &error, "somebody else");
        check_status(try_append(&growing, 2, &error), LZT_CHANGED, &error, "an earlier append");
        check_status(lzt_writer_publish(growing.writer, &error), LZT_CHANGED, &error, "opened again");
        CHECK(lzt_writer_set_form(growing.writer, &form, NULL) == LZT_CHANGED);
        end(&growing);
    }
}

/* ---- What has no end to go on from ---- */

/* CHECK that no writer is to be had of the file. */
static void refuse_writer(const struct tiff_builder *tiff, const struct lzt_options *options, enum lzt_status expected, const char *text)
{
    struct growing growing = {.writer = NULL};
    struct lzt_error error;
    choose_name(growing.path);
    FILE *file = fopen(growing.path, "wbx");
    CHECK(file != NULL && fwrite(tiff->bytes, 1, tiff->size, file) == tiff->size && fclose(file) == 0);
    check_status(try_resume(&growing, options, &error), expected, &error, text);
    CHECK(try_resume(&growing, options, NULL) == expected);
    struct tiff_builder after = bytes_of(&growing, 0, 0);
    CHECK(after.size == tiff->size && memcmp(after.bytes, tiff->bytes, tiff->size) == 0);
    tiff_free(&after);
    end(&growing);
}

static void test_hidden_pages(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page pages[5];
    for (uint64_t i = 0; i < 5; i++)
        pages[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 3, .columns = (uint32_t)(5 + i), .seed = i});
    refuse_writer(&tiff, &(struct lzt_options){.size = sizeof(struct lzt_options), .max_pages = 3}, LZT_LIMIT, "cut them off");
    refuse_writer(&tiff, &(struct lzt_options){.size = sizeof(struct lzt_options), .max_layouts = 3}, LZT_LIMIT, "cut them off");
    const uint64_t ifds[] = {pages[1].ifd};
    refuse_writer(&tiff, &(struct lzt_options){.size = sizeof(struct lzt_options), .ifds = ifds, .ifd_count = 1}, LZT_USAGE, "listed");
    tiff_free(&tiff);
}

static void test_frames_of_one_ifd(void)
{
    static const char description[] = "ImageJ=1.53t\nimages=3\nslices=3\n";
    static uint8_t frames[3 * 35];
    struct tiff_builder tiff = tiff_new(0, 0);
    const struct tiff_entry tag = {270, FIELD_ASCII, sizeof description, description, 0};
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 7, .extra = &tag, .extra_count = 1});
    const size_t place = tiff_append(&tiff, frames, sizeof frames);
    tiff_put(&tiff, tiff_value_at(&tiff, (struct tiff_page){tiff_get(&tiff, 4, 4), SIZE_MAX}, 273), 4, place);
    refuse_writer(&tiff, NULL, LZT_UNSUPPORTED, "share one IFD");
    tiff_free(&tiff);
}

static void test_bytes_in_memory(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_writer *writer;
    struct lzt_error error;
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 7});
    struct opened opened = open_built(&tiff);
    check_status(lzt_writer_open(opened.table, 0, &writer, &error), LZT_USAGE, &error, "only files");
    CHECK(writer == NULL && lzt_writer_open(opened.table, 0, &writer, NULL) == LZT_USAGE);
    check_status(lzt_source_publish(opened.source, 0, &error), LZT_USAGE, &error, "no file");
    close_all(&opened);
    tiff_free(&tiff);
    lzt_writer_close(NULL);
    lzt_parcel_close(NULL);
}

/* A table that does not know of pages that came since would cut them off. */
static void test_old_tables(void)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_error error;
    struct lzt_writer *second;
    struct growing growing = begin(BIG, 0, &form);
    append(&growing, 0);
    check_status(lzt_writer_open(growing.table, 0, &second, &error), LZT_CHANGED, &error, "refresh");
    struct lzt_table *newer;
    CHECK(second == NULL && lzt_table_refresh(growing.table, &newer, NULL) == LZT_OK);
    lzt_writer_close(growing.writer);
    lzt_table_close(growing.table);
    growing.table = newer;
    CHECK(lzt_writer_open(growing.table, 0, &growing.writer, NULL) == LZT_OK);
    set_form(&growing, &form);
    append(&growing, 1);
    check_made(&growing, 2);
    end(&growing);
}

static void test_new_files(void)
{
    struct lzt_error error;
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_source *source;
    struct growing growing = begin(AUTO, 0, &form);
    append(&growing, 0);
    struct lzt_file *file = lzt_source_file(growing.source);
    check_status(lzt_create_empty(file, 0, 0, &error), LZT_USAGE, &error, "bytes in the file already");
    check_status(lzt_create_empty(file, 2, 0, &error), LZT_USAGE, &error, "bigtiff is 2");
    CHECK(lzt_create_empty(NULL, 0, 0, NULL) == LZT_USAGE);
    check_status(lzt_source_create(growing.path, &source, &error), LZT_SYSTEM, &error, "");
    CHECK(error.os_errno == EEXIST && source == NULL);
    check_status(lzt_source_publish(growing.source, 0, &error), LZT_SYSTEM, &error, "");
    CHECK(error.os_errno == EEXIST);
    check_made(&growing, 1);
    resume(&growing);
    check_status(lzt_source_publish(growing.source, 1, &error), LZT_USAGE, &error, "none that was made here");
    end(&growing);
    choose_name(growing.path);
    CHECK(lzt_source_create(growing.path, &source, NULL) == LZT_OK);
    lzt_source_close(source); /* without a name */
    CHECK(access(growing.path, F_OK) != 0);
}

int main(void)
{
    test_usage();
    test_forms_said_anew();
    test_older_forms();
    test_absurd_sizes();
    test_many_samples();
    test_full(0);
    test_full(1);
    test_locks();
    test_fork();
    test_meddlers();
    test_hidden_pages();
    test_frames_of_one_ifd();
    test_bytes_in_memory();
    test_old_tables();
    test_new_files();
    return 0;
}
