/* A chain of 1,100,000 pages, more than libtiff can count: all are found, in the time it takes to read them, and the last one is read. */
#include <time.h>

#include "reading.h"

enum { PAGES = 1100000, TAGS = 6 };

/* Page after page of one pixel, whose value is the page's number; small and made fast. */
static struct tiff_builder make_chain(int bigtiff, int backward)
{
    struct tiff_builder tiff = tiff_new(bigtiff, 0);
    const struct tiff_entry entries[TAGS] = {{256, FIELD_SHORT, 1, NULL, 1}, {257, FIELD_SHORT, 1, NULL, 1}, {258, FIELD_SHORT, 1, NULL, 32},
                                             {273, FIELD_LONG, 1, NULL, 0},  {278, FIELD_SHORT, 1, NULL, 1}, {279, FIELD_SHORT, 1, NULL, 4}};
    const size_t header = tiff.link;
    struct tiff_page page = tiff_add_page(&tiff, entries, TAGS);
    const size_t first = page.ifd, size = tiff.size - first + 4, offset = tiff_value_at(&tiff, page, 273) - first, link = page.link - first;
    tiff_reserve(&tiff, size * PAGES - (tiff.size - first));
    for (size_t i = PAGES; i-- > 0;) {
        const size_t ifd = first + i * size, next = backward ? (i == 0 ? 0 : ifd - size) : (i == PAGES - 1 ? 0 : ifd + size);
        memmove(tiff.bytes + ifd, tiff.bytes + first, size - 4);
        tiff_put(&tiff, ifd + offset, 4, ifd + size - 4);
        tiff_put(&tiff, ifd + size - 4, 4, backward ? PAGES - 1 - i : i);
        tiff_link(&tiff, ifd + link, next);
    }
    tiff_link(&tiff, header, backward ? first + (PAGES - 1) * size : first);
    return tiff;
}

static void check_last(const struct opened *opened)
{
    uint32_t pixel = 0;
    struct lzt_error error;
    CHECK(lzt_table_pages(opened->table) == PAGES && lzt_table_layouts(opened->table) == 1 && warning_count(opened) == 0);
    check_status(lzt_read_page(opened->reader, PAGES - 1, &pixel, 4, &error), LZT_OK, &error, "");
    CHECK(pixel == PAGES - 1);
    check_status(lzt_read_page(opened->reader, PAGES, &pixel, 4, &error), LZT_USAGE, &error, "page 1100000 of 1100000");
}

/* Processor time, which other programs on the machine do not lengthen. Sanitizers and valgrind do: with them it only must not grow with
 * the square of the pages. */
static void check_time(clock_t begin)
{
    double most = is_under_valgrind() ? 200 : 2;
#ifdef __SANITIZE_ADDRESS__
    most = 20;
#endif
    const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("%.2f s\n", seconds);
    CHECK(seconds < most);
}

static void test_chain(int bigtiff, int backward)
{
    struct tiff_builder tiff = make_chain(bigtiff, backward);
    const clock_t begin = clock();
    struct opened opened = open_built(&tiff);
    check_last(&opened);
    check_time(begin);
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_file(void)
{
    char path[] = "/tmp/lazytiff-XXXXXX";
    struct tiff_builder tiff = make_chain(0, 0);
    struct lzt_source *source;
    struct opened opened;
    struct lzt_error error;
    const int file = mkstemp(path);
    CHECK(file >= 0 && write(file, tiff.bytes, tiff.size) == (ssize_t)tiff.size && close(file) == 0);
    tiff_free(&tiff);
    const clock_t begin = clock();
    check_status(lzt_source_open(path, &source, &error), LZT_OK, &error, "");
    CHECK(unlink(path) == 0);
    check_status(try_source(&opened, source, NULL, &error), LZT_OK, &error, "");
    check_last(&opened);
    check_time(begin);
    close_all(&opened);
}

int main(void)
{
    test_chain(1, 0);
    test_chain(0, 1);
    test_file();
    return 0;
}
