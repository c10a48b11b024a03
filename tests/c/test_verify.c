/* Whether the file is still the one that was opened. */
#include "reading.h"

static const struct tiff_image small = {.rows = 3, .columns = 5, .bits = 16};

struct counted {
    const uint8_t *bytes;
    uint64_t calls;
};

static int read_counted(void *context, const struct lzt_range *ranges, size_t count)
{
    struct counted *counted = context;
    counted->calls++;
    for (size_t i = 0; i < count; i++)
        memcpy(ranges[i].buffer, counted->bytes + ranges[i].offset, ranges[i].length);
    return 0;
}

/* Of what nobody writes to nothing is read again. */
static void test_same_stamp(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_add_image(&tiff, &small);
    struct counted counted = {tiff.bytes, 0};
    struct lzt_source *source;
    struct opened opened;
    struct lzt_error error;
    const uint64_t pages[] = {0, 1};
    CHECK(lzt_source_open_callback(read_counted, &counted, tiff.size, &source, NULL) == LZT_OK);
    CHECK(try_source(&opened, source, NULL, NULL) == LZT_OK);
    const uint64_t calls = counted.calls;
    check_status(lzt_table_verify(opened.table, pages, 1, &error), LZT_OK, &error, "");
    check_status(lzt_table_verify(opened.table, pages, 0, &error), LZT_OK, &error, "");
    check_status(lzt_table_verify(opened.table, pages, 2, &error), LZT_USAGE, &error, "page 1 of 1");
    CHECK(counted.calls == calls);
    close_all(&opened);
    tiff_free(&tiff);
}

struct file {
    char path[32];
    int descriptor;
    struct opened opened;
};

/* A file that was written to just now, so that its stamp tells nothing. */
static struct file make_file(const struct tiff_builder *tiff)
{
    struct file file = {.path = "test_verify_XXXXXX"};
    struct lzt_source *source;
    file.descriptor = mkstemp(file.path);
    CHECK(file.descriptor >= 0 && pwrite(file.descriptor, tiff->bytes, tiff->size, 0) == (ssize_t)tiff->size);
    CHECK(lzt_source_open(file.path, &source, NULL) == LZT_OK);
    CHECK(unlink(file.path) == 0);
    CHECK(try_source(&file.opened, source, NULL, NULL) == LZT_OK);
    return file;
}

static void close_file(struct file *file)
{
    close_all(&file->opened);
    CHECK(close(file->descriptor) == 0);
}

static void check_verify(const struct file *file, const uint64_t *pages, size_t count, int64_t page, const char *text)
{
    struct lzt_error error;
    check_status(lzt_table_verify(file->opened.table, pages, count, &error), text == NULL ? LZT_OK : LZT_CHANGED, &error, text);
    CHECK(text == NULL || error.page == page);
}

static void test_verify(int bigtiff, int big_endian)
{
    enum { COUNT = 300 };
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page made[COUNT];
    uint64_t forward[COUNT], backward[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        made[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 3, .columns = 5, .seed = i});
        tiff_reserve(&tiff, i % 100 == 50 ? 20000 : 0); /* near and far */
        forward[i] = backward[COUNT - 1 - i] = i;
    }
    struct file file = make_file(&tiff);
    check_verify(&file, forward, COUNT, -1, NULL);
    check_verify(&file, backward, COUNT, -1, NULL);
    const uint8_t other = 77; /* in the length of the strip */
    const size_t place = tiff_value_at(&tiff, made[COUNT - 2], 279);
    CHECK(pwrite(file.descriptor, &other, 1, (off_t)place) == 1);
    check_verify(&file, forward, COUNT, COUNT - 2, "is no longer the one that was there when it was opened");
    check_verify(&file, backward, COUNT, COUNT - 2, "is no longer the one");
    check_verify(&file, forward, COUNT - 2, -1, NULL); /* other pages are none the worse for it */
    CHECK(pwrite(file.descriptor, tiff.bytes + place, 1, (off_t)place) == 1);
    check_verify(&file, forward, COUNT, -1, NULL);
    CHECK(pwrite(file.descriptor, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", bigtiff ? 8 : 2, (off_t)made[7].ifd) > 0); /* so many tags */
    check_verify(&file, forward, COUNT, 7, "is no longer the one");
    CHECK(ftruncate(file.descriptor, (off_t)tiff.size - 1) == 0);
    check_verify(&file, forward, 1, -1, "bytes when it was opened and has");
    check_verify(&file, forward, 0, -1, "bytes when it was opened and has");
    close_file(&file);
    tiff_free(&tiff);
}

/* Growth is no change, and the link to the next page is not the page's. */
static void test_growth(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page page = tiff_add_image(&tiff, &small);
    struct file file = make_file(&tiff);
    const uint64_t pages[] = {0, 0, 1};
    struct lzt_error error;
    tiff_add_image(&tiff, &small);
    CHECK(tiff_get(&tiff, page.link, 4) != 0 && pwrite(file.descriptor, tiff.bytes, tiff.size, 0) == (ssize_t)tiff.size);
    check_verify(&file, pages, 2, -1, NULL);
    check_status(lzt_table_verify(file.opened.table, pages, 3, &error), LZT_USAGE, &error, "page 1 of 1");
    close_file(&file);
    tiff_free(&tiff);
}

/* The only IFD is read once for all frames, and the page that is named is the first of those that were asked for. */
static void test_frames(void)
{
    const char text[] = "ImageJ=\nimages=4\n";
    const struct tiff_entry description = {270, FIELD_ASCII, sizeof text, text, 0};
    struct tiff_image image = small;
    image.extra = &description;
    image.extra_count = 1;
    struct tiff_builder tiff = tiff_new(0, 1);
    struct tiff_page page = tiff_add_image(&tiff, &image);
    tiff_reserve(&tiff, 100);
    struct file file = make_file(&tiff);
    const uint64_t pages[] = {3, 0, 2};
    CHECK(lzt_table_pages(file.opened.table) == 4);
    check_verify(&file, pages, 3, -1, NULL);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 277), 2, 2);
    CHECK(pwrite(file.descriptor, tiff.bytes, tiff.size, 0) == (ssize_t)tiff.size);
    check_verify(&file, pages, 3, 3, "is no longer the one");
    close_file(&file);
    tiff_free(&tiff);
}

int main(void)
{
    for (int i = 0; i < 4; i++)
        test_verify(i / 2, i % 2);
    test_same_stamp();
    test_growth();
    test_frames();
    return 0;
}
