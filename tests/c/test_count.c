/* Digits in the first page's description that count steps of pages, and descriptions that are changed: at every moment, and when calls fail. */
#include "appending.h"

#include "allocations.h"

#include <sys/syscall.h>
#include <sys/uio.h>

enum { INSIDE = 16, DIGITS = 8 };

static const char template[] = "ImageJ=\npad=\n\n\n\n00000000\nunit=none\n"; /* its digits at INSIDE */

/* ---- Calls that fail ---- */

static uint64_t calls, fails = UINT64_MAX;
static const char *watched; /* the file whose digits are looked at before each write */
static void look(void);

static int goes_wrong(void)
{
    look();
    errno = EIO;
    return calls++ >= fails;
}

/* These take the place of the C library's. */
ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset)
{
    return goes_wrong() ? -1 : (ssize_t)syscall(SYS_pwrite64, file, bytes, length, offset);
}

ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t offset)
{
    return goes_wrong() ? -1 : (ssize_t)syscall(SYS_pwritev, file, pieces, (long)count, (long)offset, 0L);
}

static uint64_t syncs;

int fdatasync(int file)
{
    syncs++;
    return goes_wrong() ? -1 : (int)syscall(SYS_fdatasync, file);
}

/* ---- What is there ---- */

/* The first page's description, to be freed, and where it is. */
static char *text_of(const struct opened *opened, uint64_t *offset)
{
    struct lzt_tag tags[64];
    size_t count;
    CHECK(lzt_tags_read(opened->table, 0, tags, 64, &count, NULL) == LZT_OK);
    for (size_t i = 0; i < count; i++) {
        if (tags[i].tag != 270)
            continue;
        char *text = malloc((size_t)tags[i].bytes);
        CHECK(text != NULL && lzt_tag_value(opened->table, &tags[i], text, NULL) == LZT_OK && text[tags[i].bytes - 1] == 0);
        *offset = tags[i].offset;
        return text;
    }
    CHECK(!"there is a description");
    return NULL;
}

/* The number that the digits are, which are aligned; *pages becomes how many there are. */
static uint64_t number_in(const struct growing *growing, uint64_t *pages)
{
    struct opened opened = read_file(growing);
    uint64_t offset, number = 0;
    *pages = lzt_table_pages(opened.table);
    char *text = text_of(&opened, &offset);
    CHECK(offset % DIGITS == 0);
    for (int i = 0; i < DIGITS; i++) {
        CHECK(text[INSIDE + i] >= '0' && text[INSIDE + i] <= '9');
        number = number * 10 + (uint64_t)(text[INSIDE + i] - '0');
    }
    free(text);
    close_all(&opened);
    return number;
}

static void check_number(const struct growing *growing, uint64_t expected)
{
    uint64_t pages;
    CHECK(number_in(growing, &pages) == expected);
}

/* At any moment there are as many pages as the digits claim, once there is one. */
static uint64_t watched_per, watched_least;

static void look(void)
{
    if (watched == NULL)
        return;
    struct growing growing = {.writer = NULL};
    strcpy(growing.path, watched);
    uint64_t pages;
    struct opened opened = read_file(&growing);
    pages = lzt_table_pages(opened.table);
    close_all(&opened);
    if (pages > 0) {
        const uint64_t number = number_in(&growing, &pages);
        CHECK(number == watched_least || number * watched_per <= pages);
    }
}

static void watch(const struct growing *growing, uint64_t per, uint64_t least)
{
    watched = growing != NULL ? growing->path : NULL;
    watched_per = per;
    watched_least = least;
}

/* ---- Counting ---- */

static enum lzt_status append_described(struct growing *growing, const char *text, struct lzt_error *error)
{
    const struct lzt_new_tag tag = {270, FIELD_ASCII, strlen(text) + 1, text};
    return try_tagged(growing, 0, &tag, 1, error);
}

static void set_counter(struct growing *growing, uint64_t per, uint64_t least)
{
    struct lzt_error error;
    check_status(lzt_writer_set_counter(growing->writer, INSIDE, per, least, &error), LZT_OK, &error, "");
}

/* A page that begins the stack, and those that follow, one by one and several at a time; then by another writer. */
static void test_counts(int bigtiff, int big_endian, uint64_t per, uint16_t compression)
{
    struct lzt_form form = made_form(9, 7, 1, 2);
    form.compression = compression;
    struct growing growing = begin(bigtiff, big_endian, &form);
    struct lzt_error error;
    set_counter(&growing, per, 0);
    watch(&growing, per, 0);
    check_status(append_described(&growing, template, &error), LZT_OK, &error, "");
    check_number(&growing, 1 / per);
    for (uint64_t i = 1; i < 11; i++) {
        append(&growing, i);
        check_number(&growing, (i + 1) / per);
    }
    for (uint64_t i = 11; i < 15; i++)
        write_one(&growing, i);
    check_number(&growing, 11 / per);
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
    check_number(&growing, 15 / per);
    watch(NULL, 1, 0);
    resume(&growing);
    form_as_before(&growing);
    append(&growing, 15); /* which nobody has told to count */
    check_number(&growing, 15 / per);
    watch(&growing, per, 0);
    set_counter(&growing, per, 0);
    check_number(&growing, 16 / per);
    append(&growing, 16);
    check_number(&growing, 17 / per);
    watch(NULL, 1, 0);
    check_made(&growing, 17);
    end(&growing);
}

/* What is counted too high, by a file that was cut, is set right; the least number stays; and what outgrows the digits stays. */
static void test_numbers(void)
{
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, &form);
    struct lzt_error error;
    set_counter(&growing, 5, 0);
    check_status(append_described(&growing, template, &error), LZT_OK, &error, "");
    set_counter(&growing, 5, 7);
    check_number(&growing, 7);
    append(&growing, 1);
    check_number(&growing, 7);
    set_counter(&growing, 5, 99999999);
    check_number(&growing, 99999999);
    set_counter(&growing, 1, 1);
    check_number(&growing, 2);
    check_made(&growing, 2);
    end(&growing);
}

/* Of a steady append no memory is asked for, and of a durable one the digits are waited for, too, when they change. */
static void test_cost(void)
{
    enum { MANY = 100 };
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, &form);
    struct lzt_error error;
    set_counter(&growing, 2, 0);
    check_status(append_described(&growing, template, &error), LZT_OK, &error, "");
    append(&growing, 1);
    append(&growing, 2);
    uint8_t *items = made_items(&form, 3);
    struct lzt_pixels pixels = strides_of(&form, DENSE);
    pixels.data = items;
    const uint64_t before = allocations, written = calls;
    for (uint64_t i = 0; i < MANY; i++)
        CHECK(lzt_writer_append(growing.writer, &pixels, NULL, 0, NULL, NULL) == LZT_OK);
    CHECK(allocations == before && calls - written == MANY * 3 + MANY / 2);
    free(items);
    close_writer(&growing);
    resume(&growing);
    lzt_writer_close(growing.writer);
    CHECK(lzt_writer_open(growing.table, 1, &growing.writer, NULL) == LZT_OK);
    form_as_before(&growing);
    set_counter(&growing, 2, 0);
    const uint64_t synced = syncs;
    append(&growing, 0);
    CHECK(syncs - synced == 3);
    append(&growing, 0);
    CHECK(syncs - synced == 5);
    CHECK(lzt_writer_flush(growing.writer, NULL) == LZT_OK && syncs - synced == 6);
    end(&growing);
}

/* What has no digits there is not written to. */
static void test_refused(void)
{
    static const char *const texts[] = {"ImageJ=\n", "ImageJ=\npad=\n\n\n0000000", "ImageJ=\npad=\n\n\n\n0000000x\n", "ImageJ=\npad=\n\n\n\n00000001\n"};
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct lzt_error error;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct growing growing = begin(i % 2 ? AUTO : BIG, 0, &form);
        CHECK(lzt_writer_set_counter(growing.writer, INSIDE, 0, 0, NULL) == LZT_USAGE);
        CHECK(lzt_writer_set_counter(growing.writer, INSIDE + 4, 1, 0, NULL) == LZT_USAGE);
        CHECK(lzt_writer_set_counter(growing.writer, UINT64_MAX - 7, 1, 0, NULL) == LZT_USAGE);
        CHECK(lzt_writer_set_counter(growing.writer, INSIDE, 1, 100000000, NULL) == LZT_USAGE);
        set_counter(&growing, 1, 0);
        check_status(append_described(&growing, texts[i], &error), LZT_USAGE, &error, "has no eight digits at byte 16");
        check_status(try_append(&growing, 0, &error), LZT_USAGE, &error, "has no eight digits");
        check_made(&growing, 0);
        check_status(append_described(&growing, template, &error), LZT_OK, &error, "");
        write_one(&growing, 1);
        check_status(lzt_writer_set_counter(growing.writer, INSIDE, 1, 0, &error), LZT_USAGE, &error, "pages wait");
        CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
        check_number(&growing, 2);
        check_status(lzt_writer_set_counter(growing.writer, 24, 1, 0, &error), LZT_USAGE, &error, "has no eight digits at byte 24");
        check_status(lzt_writer_set_counter(growing.writer, 1 << 20, 1, 0, &error), LZT_USAGE, &error, "");
        append(&growing, 2);
        check_number(&growing, 3); /* as before */
        end(&growing);
    }
}

/* Descriptions of files that others made: none, one that is no text, one beyond the file, one that is not aligned. */
static void test_foreign(void)
{
    const struct tiff_entry entries[] = {
        {.tag = 270, .type = FIELD_BYTE, .count = sizeof template, .values = template},
        {.tag = 270, .type = FIELD_ASCII, .count = sizeof template, .values = template},
    };
    for (int kind = 0; kind < 5; kind++) {
        struct tiff_builder tiff = tiff_new(kind % 2, kind / 2 % 2);
        const struct tiff_image image = {.rows = 5, .columns = 21, .extra = entries + (kind > 1), .extra_count = kind > 0};
        const struct tiff_page page = tiff_add_image(&tiff, &image);
        if (kind > 1) {
            const size_t field = tiff_entry_at(&tiff, page, 270) + 4 + tiff_word(&tiff);
            const uint64_t place = tiff_get(&tiff, field, tiff_word(&tiff));
            tiff_put(&tiff, field, tiff_word(&tiff), kind == 2 ? UINT32_MAX - 7 : kind == 3 ? tiff.size / 8 * 8 : place / 8 * 8 + 9);
        }
        struct growing growing = go_on(&tiff);
        struct lzt_error error;
        check_status(lzt_writer_set_counter(growing.writer, INSIDE, 1, 0, &error), LZT_USAGE, &error, "has no eight digits");
        struct tiff_builder after = bytes_of(&growing, kind % 2, 0);
        CHECK(after.size == tiff.size && memcmp(after.bytes, tiff.bytes, tiff.size) == 0);
        tiff_free(&after);
        tiff_free(&tiff);
        end(&growing);
    }
}

/* ---- Another description ---- */

static const char other[] = "ImageJ=\nanother\n00000003\n";

static void redescribe(struct growing *growing)
{
    struct lzt_error error;
    check_status(lzt_writer_redescribe(growing->writer, other, sizeof other, &error), LZT_OK, &error, "");
}

static void check_described(const struct growing *growing, const char *text)
{
    struct opened opened = read_file(growing);
    uint64_t offset;
    char *found = text_of(&opened, &offset);
    CHECK(strcmp(found, text) == 0);
    free(found);
    close_all(&opened);
}

/* Of a file of pages pages, with a description or without; whoever has it open, refreshes. */
static void test_redescribe(int bigtiff, int big_endian, uint64_t pages, int described)
{
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct growing growing = begin(bigtiff, big_endian, &form);
    struct lzt_error error;
    CHECK(lzt_writer_redescribe(growing.writer, other, sizeof other, NULL) == LZT_USAGE);
    for (uint64_t i = 0; i < pages; i++)
        i == 0 && described ? (void)append_described(&growing, template, &error) : append(&growing, i);
    resume(&growing);
    form_as_before(&growing);
    struct opened before = read_file(&growing);
    struct lzt_table *newer;
    redescribe(&growing);
    check_described(&growing, other);
    check_made(&growing, pages);
    if (described) {
        CHECK(lzt_table_refresh(before.table, &newer, &error) == LZT_OK && lzt_table_pages(newer) == pages);
        lzt_table_close(newer);
    }
    set_counter(&growing, 1, 0);
    append(&growing, pages);
    check_number(&growing, pages + 1);
    CHECK(lzt_table_verify(before.table, (uint64_t[]){0}, 1, NULL) == LZT_OK);
    check_status(lzt_table_refresh(before.table, &newer, &error), LZT_OK, &error, "");
    CHECK(lzt_table_pages(newer) == pages + 1 && lzt_table_rows(newer)[0].ifd != lzt_table_rows(before.table)[0].ifd);
    lzt_table_close(newer);
    close_all(&before);
    check_made(&growing, pages + 1);
    resume(&growing);
    form_as_before(&growing);
    CHECK(lzt_writer_is_bigtiff(growing.writer) == (bigtiff == BIG));
    redescribe(&growing);
    set_counter(&growing, 1, 0);
    append(&growing, pages + 1);
    check_number(&growing, pages + 2);
    check_made(&growing, pages + 2);
    CHECK(lzt_writer_redescribe(growing.writer, other, sizeof other - 1, NULL) == LZT_USAGE);
    CHECK(lzt_writer_redescribe(growing.writer, "short", 6, NULL) == LZT_USAGE && lzt_writer_redescribe(growing.writer, NULL, 60, NULL) == LZT_USAGE);
    end(&growing);
}

/* Links across a line: the copy's is straight, and those of the other pages are still copied. */
static void test_crooked(uint64_t pages, uint64_t crooked)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    for (uint64_t i = 0; i < pages; i++)
        add_at_line(&tiff, &(struct tiff_image){.rows = 5, .columns = 21, .seed = i}, i + crooked < pages ? 0 : 62);
    struct growing growing = go_on(&tiff);
    form_as_before(&growing);
    redescribe(&growing);
    check_made(&growing, pages);
    set_counter(&growing, 1, 0);
    append(&growing, pages);
    append(&growing, pages + 1);
    check_number(&growing, pages + 2);
    check_made(&growing, pages + 2);
    resume(&growing);
    form_as_before(&growing);
    append(&growing, pages + 2);
    check_made(&growing, pages + 3);
    tiff_free(&tiff);
    end(&growing);
}

/* A first page whose IFD is elsewhere and says something else is another page, whatever its description. */
static void test_another_page(void)
{
    const struct tiff_entry entry = {.tag = 270, .type = FIELD_ASCII, .count = sizeof template, .values = template};
    struct tiff_builder tiff = tiff_new(0, 0);
    const struct tiff_image image = {.rows = 8, .columns = 21, .chunk_rows = 4, .extra = &entry, .extra_count = 1};
    tiff_add_image(&tiff, &image);
    struct growing growing = go_on(&tiff);
    form_as_before(&growing);
    struct opened before = read_file(&growing);
    struct lzt_table *newer;
    redescribe(&growing);
    struct opened opened = read_file(&growing);
    const uint64_t ifd = lzt_table_rows(opened.table)[0].ifd;
    close_all(&opened);
    for (uint64_t at = 2; at < 2 + 12 * (uint64_t)lzt_table_rows(before.table)[0].tags; at += 12) {
        struct tiff_builder now = bytes_of(&growing, 0, 0);
        const uint64_t tag = tiff_get(&now, (size_t)(ifd + at), 2);
        if (tag == 273 || tag == 279) {
            const uint8_t byte = (uint8_t)(now.bytes[ifd + at + 8] ^ 4);
            put_bytes(&growing, &byte, 1, (off_t)(ifd + at + 8));
            CHECK(lzt_table_refresh(before.table, &newer, NULL) == LZT_CHANGED);
            put_bytes(&growing, now.bytes + ifd + at + 8, 1, (off_t)(ifd + at + 8));
        }
        tiff_free(&now);
    }
    CHECK(lzt_table_refresh(before.table, &newer, NULL) == LZT_OK);
    lzt_table_close(newer);
    close_all(&before);
    tiff_free(&tiff);
    end(&growing);
}

/* ---- Failures ---- */

/* Every write and sync fails once: the writer is dead, and the text is the old one or the new one, with as many pages as were acknowledged. */
static void test_failures(int bigtiff, int changes)
{
    uint64_t made = 1;
    for (uint64_t call = 0; call < made; call++) {
        const struct lzt_form form = made_form(9, 7, 1, 2);
        struct growing growing = begin(bigtiff, 0, &form);
        struct lzt_error error;
        set_counter(&growing, 1, 0);
        check_status(append_described(&growing, template, &error), LZT_OK, &error, "");
        append(&growing, 1);
        resume(&growing);
        lzt_writer_close(growing.writer);
        CHECK(lzt_writer_open(growing.table, 1, &growing.writer, NULL) == LZT_OK);
        form_as_before(&growing);
        set_counter(&growing, 1, 0);
        calls = 0;
        fails = call;
        enum lzt_status status = changes ? lzt_writer_redescribe(growing.writer, other, sizeof other, &error) : try_append(&growing, 2, &error);
        made = calls + (status != LZT_OK);
        fails = UINT64_MAX;
        if (status != LZT_OK) {
            check_status(status, LZT_SYSTEM, &error, "");
            CHECK(lzt_writer_set_counter(growing.writer, INSIDE, 1, 0, NULL) == LZT_SYSTEM && lzt_writer_flush(growing.writer, NULL) == LZT_SYSTEM);
            CHECK(lzt_writer_redescribe(growing.writer, other, sizeof other, NULL) == LZT_SYSTEM);
        }
        uint64_t pages;
        const uint64_t number = number_in(&growing, &pages);
        CHECK(changes ? pages == 2 && (number == 2 || number == 3) : number <= pages && pages >= 2 && number + 1 >= pages);
        resume(&growing);
        form_as_before(&growing);
        set_counter(&growing, 1, 0);
        append(&growing, pages);
        check_number(&growing, pages + 1);
        check_made(&growing, pages + 1);
        end(&growing);
    }
    CHECK(made > 3);
}

/* Without memory nothing changes. */
static void test_memory(void)
{
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, &form);
    struct lzt_error error;
    check_status(append_described(&growing, template, &error), LZT_OK, &error, "");
    int refused = 1;
    for (uint64_t i = 0; refused; i++) {
        refuse_after(i, 0);
        enum lzt_status status = lzt_writer_set_counter(growing.writer, INSIDE, 1, 0, &error);
        if (status == LZT_OK)
            status = lzt_writer_redescribe(growing.writer, other, sizeof other, &error);
        refused = refuse_no_more();
        check_status(status, refused ? LZT_NO_MEMORY : LZT_OK, &error, "");
        check_described(&growing, refused ? i == 0 ? template : "ImageJ=\npad=\n\n\n\n00000001\nunit=none\n" : other);
    }
    check_made(&growing, 1);
    end(&growing);
}

/* The copies end before 4 GiB in a classic file. */
static void test_full(void)
{
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct growing growing = begin(CLASSIC, 0, &form);
    struct lzt_error error;
    append(&growing, 0);
    CHECK(truncate(growing.path, ((off_t)1 << 32) - 60) == 0);
    resume(&growing);
    check_status(lzt_writer_redescribe(growing.writer, other, sizeof other, &error), LZT_FULL, &error, "4 GiB");
    struct stat about;
    CHECK(stat(growing.path, &about) == 0 && about.st_size == ((off_t)1 << 32) - 60);
    end(&growing);
}

/* A classic file that would become BigTIFF ends at 4 GiB when that is said, however often somebody goes on with it. */
static void test_stays_classic(uint64_t pages)
{
    const struct lzt_form form = made_form(9, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, &form);
    struct lzt_error error;
    for (uint64_t i = 0; i < pages; i++)
        append(&growing, i);
    check_status(lzt_writer_stay_classic(growing.writer, &error), LZT_OK, &error, "");
    append(&growing, pages);
    resume(&growing);
    form_as_before(&growing);
    check_made(&growing, pages + 1);
    CHECK(truncate(growing.path, ((off_t)1 << 32) - 60) == 0);
    for (int again = 0; again < 2; again++) {
        resume(&growing);
        form_as_before(&growing);
        check_status(try_append(&growing, pages + 1, &error), LZT_FULL, &error, "4 GiB");
        check_status(lzt_writer_stay_classic(growing.writer, &error), LZT_OK, &error, "");
    }
    end(&growing);
}

int main(void)
{
    for (int bigtiff = AUTO; bigtiff <= BIG; bigtiff++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            for (uint64_t per = 1; per < 4; per++)
                test_counts(bigtiff, big_endian, per, per == 2 ? 5 : 0);
            for (uint64_t pages = 1; pages < 4; pages++)
                test_redescribe(bigtiff, big_endian, pages, big_endian || pages == 1);
        }
    test_numbers();
    test_cost();
    test_refused();
    test_foreign();
    for (uint64_t pages = 1; pages < 4; pages++)
        for (uint64_t crooked = 1; crooked <= pages; crooked++)
            test_crooked(pages, crooked);
    test_another_page();
    for (int bigtiff = AUTO; bigtiff <= BIG; bigtiff++) {
        test_failures(bigtiff, 0);
        test_failures(bigtiff, 1);
    }
    test_memory();
    test_full();
    for (uint64_t pages = 0; pages < 3; pages++)
        test_stays_classic(pages);
    return 0;
}
