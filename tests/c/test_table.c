/* The chain of pages: all that are there are found, and whatever is wrong with it ends it behind the last good page. */
#include "reading.h"

static const struct tiff_image small = {.rows = 3, .columns = 5, .bits = 16};

/* A page of one strip of 8-bit pixels in a row, with as few tags as possible: 6. */
static struct tiff_page add_row(struct tiff_builder *tiff, uint32_t columns)
{
    const size_t data = tiff_reserve(tiff, columns);
    const struct tiff_entry entries[] = {
        {256, FIELD_LONG, 1, NULL, columns}, {257, FIELD_SHORT, 1, NULL, 1},   {258, FIELD_SHORT, 1, NULL, 8},
        {273, FIELD_LONG, 1, NULL, data},    {278, FIELD_SHORT, 1, NULL, 1}, {279, FIELD_LONG, 1, NULL, columns},
    };
    return tiff_add_page(tiff, entries, 6);
}

static void add_rows(struct tiff_builder *tiff, struct tiff_page *pages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pages[i] = add_row(tiff, 4);
}

/* CHECK that the table holds these pages, all of them readable, and warns of the text (NULL: of nothing). */
static void check_pages(const struct tiff_builder *tiff, const struct lzt_options *options, const struct tiff_page *pages, size_t count,
                        const char *warning)
{
    struct opened opened = open_with(tiff, options);
    CHECK(lzt_table_pages(opened.table) == count);
    for (size_t i = 0; i < count; i++) {
        CHECK(lzt_table_rows(opened.table)[i].ifd == pages[i].ifd);
        struct guarded pixels = read_pixels(&opened, i);
        guarded_free(&pixels);
    }
    if (warning != NULL)
        check_warning(&opened, warning);
    CHECK(warning_count(&opened) == (warning != NULL)); /* and of nothing else */
    close_all(&opened);
}

static void check_refused(const void *bytes, size_t size, enum lzt_status expected, const char *text)
{
    struct opened opened;
    struct lzt_error error;
    struct guarded file = guarded_copy(bytes, size);
    check_status(try_bytes(&opened, file.bytes, size, NULL, &error), expected, &error, text);
    guarded_free(&file);
}

/* ---- What is right ---- */

static void test_stack(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[3];
    for (unsigned i = 0; i < 3; i++) {
        struct tiff_image image = small;
        image.seed = i;
        pages[i] = tiff_add_image(&tiff, &image);
    }
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_is_bigtiff(opened.table) == bigtiff && lzt_table_is_big_endian(opened.table) == big_endian);
    CHECK(lzt_table_pages(opened.table) == 3 && lzt_table_layouts(opened.table) == 1 && lzt_table_size(opened.table) == tiff.size);
    CHECK(lzt_table_warning(opened.table, 0) == NULL && lzt_table_layout(opened.table, 1) == NULL);
    for (unsigned i = 0; i < 3; i++) {
        const struct lzt_row *row = &lzt_table_rows(opened.table)[i];
        CHECK(row->ifd == pages[i].ifd && row->layout == 0 && row->tags == 10);
        CHECK(row->data == tiff_get(&tiff, tiff_value_at(&tiff, pages[i], 273), tiff_word(&tiff)));
        check_made_page(&opened, i, i);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

/* A writer that has not published a page yet. */
static void test_no_pages(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct lzt_error error;
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == 0 && lzt_table_layouts(opened.table) == 0 && warning_count(&opened) == 0);
    check_status(lzt_read_page(opened.reader, 0, NULL, 0, &error), LZT_USAGE, &error, "page 0 of 0");
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_no_tiff(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } files[] = {{"", 0}, {"II*\0\010\0\0", 7}, {"IM*\0\010\0\0\0", 8}, {"JJ*\0\010\0\0\0", 8}, {"II\0*\010\0\0\0", 8}, {"II)\0\010\0\0\0", 8},
                 {"II+\0\010\0\0\0\0\0\0\0\0\0\0", 15}, {"II+\0\004\0\0\0\0\0\0\0\0\0\0\0", 16}, {"MM\0+\0\010\0\1\0\0\0\0\0\0\0\0", 16}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_refused(files[i].bytes, files[i].size, LZT_NOT_TIFF, "header");
}

/* What is wrong with the first page is an error. */
static void test_bad_first(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    tiff_link(&tiff, tiff.link, 10000);
    check_refused(tiff.bytes, tiff.size, LZT_CORRUPT, "lies outside of the file");
    tiff_link(&tiff, tiff.link, tiff.size - 1);
    check_refused(tiff.bytes, tiff.size, LZT_CORRUPT, "lies outside of the file");
    tiff_link(&tiff, tiff.link, tiff_reserve(&tiff, 64));
    check_refused(tiff.bytes, tiff.size, LZT_CORRUPT, "has no tags");
    tiff_put(&tiff, tiff_get(&tiff, tiff.link, tiff_word(&tiff)), bigtiff ? 8 : 2, 100);
    check_refused(tiff.bytes, tiff.size, LZT_CORRUPT, "with 100 tags is cut off");
    tiff_put(&tiff, tiff_get(&tiff, tiff.link, tiff_word(&tiff)), bigtiff ? 8 : 2, 4097);
    check_refused(tiff.bytes, tiff.size, LZT_LIMIT, "claims 4097 tags; the limit is 4096");
    tiff_free(&tiff);
}

/* ---- How the file is read ---- */

struct counted {
    const struct tiff_builder *tiff;
    uint64_t calls, bytes;
};

static int read_counted(void *context, const struct lzt_range *ranges, size_t count)
{
    struct counted *counted = context;
    counted->calls++;
    for (size_t i = 0; i < count; i++) {
        memcpy(ranges[i].buffer, counted->tiff->bytes + ranges[i].offset, ranges[i].length);
        counted->bytes += ranges[i].length;
    }
    return 0;
}

static struct counted walk_counted(const struct tiff_builder *tiff, uint64_t pages)
{
    struct counted counted = {tiff, 0, 0};
    struct lzt_source *source;
    struct opened opened;
    CHECK(lzt_source_open_callback(read_counted, &counted, tiff->size, &source, NULL) == LZT_OK);
    CHECK(try_source(&opened, source, NULL, NULL) == LZT_OK && lzt_table_pages(opened.table) == pages);
    close_all(&opened);
    return counted;
}

/* Near pages are read hundreds at a time; of far ones only a few KiB each, not what lies between them. */
static void test_spacing(void)
{
    struct tiff_builder near = tiff_new(1, 0), far = tiff_new(0, 0);
    for (unsigned i = 0; i < 10000; i++)
        add_row(&near, 4);
    struct counted counted = walk_counted(&near, 10000);
    CHECK(counted.calls <= near.size / 200000 + 4 && counted.bytes <= near.size + near.size / 10);
    for (unsigned i = 0; i < 50; i++)
        add_row(&far, 100000);
    counted = walk_counted(&far, 50);
    CHECK(counted.calls <= 55 && counted.bytes <= 55 * 4096);
    tiff_free(&near);
    tiff_free(&far);
}

/* ---- Layouts ---- */

/* Whether two pages' layouts are equal does not depend on where the values of BitsPerSample are. */
static void test_equal_layouts(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    for (uint32_t i = 0; i < 6; i++)
        tiff_add_image(&tiff, &(struct tiff_image){.rows = 2, .columns = 3, .samples = 3, .photometric = 2, .bits = i % 3 == 2 ? 16 : 8});
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == 6 && lzt_table_layouts(opened.table) == 2);
    for (uint32_t i = 0; i < 6; i++) {
        CHECK(lzt_table_rows(opened.table)[i].layout == (i % 3 == 2));
        check_made_page(&opened, i, 0);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_many_layouts(void)
{
    const struct lzt_options two = {.size = sizeof two, .max_layouts = 2};
    struct tiff_builder tiff = tiff_new(0, 1);
    struct tiff_page pages[300];
    for (uint32_t i = 0; i < 300; i++)
        pages[i] = add_row(&tiff, 1 + i % 100);
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == 300 && lzt_table_layouts(opened.table) == 100 && warning_count(&opened) == 0);
    for (uint32_t i = 0; i < 300; i++)
        CHECK(lzt_table_rows(opened.table)[i].layout == i % 100 && layout_of(&opened, i)->columns == 1 + i % 100);
    close_all(&opened);
    check_pages(&tiff, &two, pages, 2, "ends after 2: its pages have more than 2 different layouts, the limit max_layouts");
    tiff_free(&tiff);
}

/* ---- Cycles and links ---- */

static void test_cycles(int bigtiff, int big_endian)
{
    enum { COUNT = 110 };
    static const size_t froms[] = {0, 1, 1, COUNT - 1, COUNT - 1, COUNT - 1, 105}, tos[] = {0, 1, 0, 0, 100, COUNT - 1, 104};
    struct tiff_page pages[COUNT];
    for (size_t i = 0; i < sizeof froms / sizeof *froms; i++) {
        struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
        add_rows(&tiff, pages, COUNT);
        tiff_link(&tiff, pages[froms[i]].link, pages[tos[i]].ifd);
        check_pages(&tiff, NULL, pages, froms[i] + 1, "leads back to an earlier page");
        tiff_free(&tiff);
    }
}

/* Links may lead anywhere as long as no page comes twice: here backward, and then in leaps of 7 to both sides. */
static void test_unordered(int bigtiff, int big_endian)
{
    enum { COUNT = 1000 };
    struct tiff_page pages[COUNT], backward[COUNT], leaps[COUNT];
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    const size_t header = tiff.link;
    tiff.loose = 1;
    add_rows(&tiff, pages, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        backward[i] = pages[COUNT - 1 - i];
        leaps[i] = pages[i * 7 % COUNT];
    }
    const struct tiff_page *orders[] = {backward, leaps};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < COUNT; i++)
            tiff_link(&tiff, i == 0 ? header : orders[k][i - 1].link, orders[k][i].ifd);
        tiff_link(&tiff, orders[k][COUNT - 1].link, 0);
        check_pages(&tiff, NULL, orders[k], COUNT, NULL);
        tiff_link(&tiff, orders[k][COUNT - 1].link, orders[k][COUNT / 2].ifd);
        check_pages(&tiff, NULL, orders[k], COUNT, "leads back to an earlier page");
    }
    tiff_free(&tiff);
}

static void test_broken_links(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[4];
    add_rows(&tiff, pages, 3);
    const size_t zeros = tiff_reserve(&tiff, 1000), pixels = tiff_reserve(&tiff, 1000), end = tiff.size;
    tiff_put(&tiff, pixels, bigtiff ? 8 : 2, 20); /* otherwise no tag, or absurdly many */
    for (size_t i = bigtiff ? 8 : 2; i < 1000; i++)
        tiff.bytes[pixels + i] = (uint8_t)(0x80 | i);
    tiff_link(&tiff, pages[2].link, end);
    check_pages(&tiff, NULL, pages, 3, "ends after 3: the IFD at offset");
    tiff_link(&tiff, pages[2].link, bigtiff ? UINT64_MAX - 1 : UINT32_MAX - 1);
    check_pages(&tiff, NULL, pages, 3, "lies outside of the file");
    tiff_link(&tiff, pages[2].link, end - 1);
    check_pages(&tiff, NULL, pages, 3, "lies outside"); /* half a count */
    tiff_link(&tiff, pages[2].link, zeros);
    check_pages(&tiff, NULL, pages, 3, "has no tags");
    tiff_link(&tiff, pages[2].link, pixels);
    check_pages(&tiff, NULL, pages, 3, "is no IFD");
    tiff_link(&tiff, pages[2].link, pixels + 8);
    check_pages(&tiff, NULL, pages, 3, "claims");
    tiff_free(&tiff);
}

/* A writer was interrupted: the file ends in the last IFD, or in the last page's pixels. */
static void test_cut(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[3];
    add_rows(&tiff, pages, 3);
    const size_t whole = tiff.size;
    for (tiff.size = pages[2].ifd + 1; tiff.size < whole; tiff.size++)
        check_pages(&tiff, NULL, pages, 2, tiff.size < pages[2].ifd + (bigtiff ? 8 : 2) ? "lies outside" : "is cut off by the end");
    check_pages(&tiff, NULL, pages, 3, NULL);
    tiff_free(&tiff);
}

/* ---- Limits and oddities ---- */

static void test_limits(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page pages[6];
    struct opened opened;
    struct lzt_error error;
    add_rows(&tiff, pages, 4);
    pages[4] = tiff_add_image(&tiff, &small); /* 10 tags */
    pages[5] = add_row(&tiff, 4);
    struct lzt_options options = {.size = sizeof options, .max_pages = 2};
    check_pages(&tiff, &options, pages, 2, "ends after 2: that is the limit max_pages");
    options.max_pages = 6; /* just as many as there are */
    check_pages(&tiff, &options, pages, 6, NULL);
    options.max_tags = 9;
    check_pages(&tiff, &options, pages, 4, "claims 10 tags; the limit is 9");
    options.max_tags = 10;
    check_pages(&tiff, &options, pages, 6, NULL);
    options.max_tags = 5;
    check_status(try_bytes(&opened, tiff.bytes, tiff.size, &options, &error), LZT_LIMIT, &error, "claims 6 tags; the limit is 5");
    options.size = offsetof(struct lzt_options, max_tags); /* a program that was built before there was max_tags */
    check_pages(&tiff, &options, pages, 6, NULL);
    tiff_free(&tiff);
}

/* However high the limit, no IFD has more tags than the file has room for: 20 (2^62 + 6) is 120 in 64 bits. */
static void test_tag_count_overflow(void)
{
    const struct lzt_options options = {.size = sizeof options, .max_tags = UINT64_MAX};
    const uint64_t counts[] = {UINT64_MAX, (UINT64_C(1) << 62) + 6, (UINT64_C(1) << 32) + 6};
    for (size_t i = 0; i < 3; i++) {
        struct tiff_builder tiff = tiff_new(1, 0);
        struct tiff_page pages[2];
        add_rows(&tiff, pages, 2);
        tiff_put(&tiff, pages[1].ifd, 8, counts[i]);
        check_pages(&tiff, &options, pages, 1, "is cut off by the end of the file");
        tiff_free(&tiff);
    }
}

static void test_odd_pages(void)
{
    const struct tiff_entry good[] = {{256, FIELD_SHORT, 1, NULL, 4}, {257, FIELD_SHORT, 1, NULL, 1}, {258, FIELD_SHORT, 1, NULL, 8},
                                      {273, FIELD_LONG, 1, NULL, 0},  {279, FIELD_LONG, 1, NULL, 4},  {65000, FIELD_LONG, 1, NULL, 7}};
    static const char *const warnings[] = {"page 1: its tags are not in ascending order", "page 1: a tag occurs twice; the first is used",
                                           "page 1: a tag has an unknown type", "page 1: a tag has an unknown type or a value outside",
                                           "page 1: its IFD lies at an odd offset"};
    for (size_t i = 0; i < 5; i++) {
        struct tiff_builder tiff = tiff_new(0, 0);
        struct tiff_entry entries[6];
        memcpy(entries, good, sizeof entries);
        entries[0].tag = i == 0 ? 258 : 256;
        entries[2].tag = i == 0 ? 256 : 258;
        entries[0].value = i == 0 ? 8 : 4;
        entries[2].value = i == 0 ? 4 : 8;
        entries[5] = i == 1 ? (struct tiff_entry){279, FIELD_LONG, 1, NULL, 1} : good[5];
        entries[5].type = i == 2 ? 14 : entries[5].type;
        entries[5].count = i == 3 ? 1000 : 1;
        entries[3].value = 8;
        struct tiff_page pages[3] = {add_row(&tiff, 4), tiff_add_page(&tiff, entries, 6), {0}};
        if (i == 4) { /* moved one byte on */
            const size_t place = tiff_reserve(&tiff, pages[1].link + 5 - pages[1].ifd) + 1;
            memcpy(tiff.bytes + place, tiff.bytes + pages[1].ifd, pages[1].link + 4 - pages[1].ifd);
            tiff_link(&tiff, pages[0].link, place);
            tiff.link = pages[1].link = place + pages[1].link - pages[1].ifd;
            pages[1].ifd = place;
        }
        CHECK(i != 4 || pages[1].ifd % 2 == 1);
        pages[2] = add_row(&tiff, 4);
        check_pages(&tiff, NULL, pages, 3, warnings[i]);
        tiff_free(&tiff);
    }
}

/* SubIFDs: each is read, no link is followed; a bad one is an error. */
static void test_ifds(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[5];
    add_rows(&tiff, pages, 5);
    uint64_t ifds[] = {pages[3].ifd, pages[1].ifd, 0};
    const struct tiff_page wanted[] = {pages[3], pages[1]};
    struct lzt_options options = {.size = sizeof options, .ifds = ifds, .ifd_count = 2};
    check_pages(&tiff, &options, wanted, 2, NULL);
    options.ifd_count = 0;
    check_pages(&tiff, &options, wanted, 0, NULL);
    struct opened opened;
    struct lzt_error error;
    options.ifd_count = 3;
    CHECK(try_bytes(&opened, tiff.bytes, tiff.size, &options, &error) == LZT_LIMIT); /* the header is no IFD */
    ifds[2] = tiff.size;
    check_status(try_bytes(&opened, tiff.bytes, tiff.size, &options, &error), LZT_CORRUPT, &error, "lies outside of the file");
    tiff_free(&tiff);
}

/* When lenient, an IFD that is none is a page that cannot be read, and those around it are what they are. */
static void test_lenient_ifds(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[3];
    struct opened opened;
    struct lzt_error error;
    add_rows(&tiff, pages, 3);
    const uint64_t ifds[] = {0, pages[2].ifd, tiff.size, UINT64_MAX, pages[2].ifd, pages[1].ifd};
    const struct lzt_options options = {.size = sizeof options, .ifds = ifds, .ifd_count = 6, .lenient = 1};
    CHECK(try_bytes(&opened, tiff.bytes, tiff.size, &options, &error) == LZT_OK);
    const struct lzt_row *rows = lzt_table_rows(opened.table);
    CHECK(lzt_table_pages(opened.table) == 6);
    for (int i = 0; i < 6; i++) {
        const int good = i == 1 || i >= 4;
        CHECK(rows[i].ifd == ifds[i] && (rows[i].tags > 0) == good);
        CHECK((lzt_layout_problem(lzt_table_layout(opened.table, rows[i].layout), &error) == LZT_OK) == good);
    }
    CHECK(rows[1].data == rows[4].data && rows[1].hash == rows[4].hash && rows[0].data == 0);
    close_all(&opened);
    tiff_free(&tiff);
}

/* One tag of several pages, in any order; a page without it has none, and room that is too small is an error. */
static void test_numbers(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[3];
    struct opened opened;
    struct lzt_error error;
    add_rows(&tiff, pages, 3);
    CHECK(try_bytes(&opened, tiff.bytes, tiff.size, NULL, &error) == LZT_OK);
    const uint64_t asked[] = {2, 0, 2}, beyond[] = {3};
    uint64_t counts[3], values[3];
    CHECK(lzt_table_numbers(opened.table, 256, asked, 3, UINT64_MAX, counts, values, 3, &error) == LZT_OK);
    for (int i = 0; i < 3; i++)
        CHECK(counts[i] == 1 && values[i] == lzt_table_layout(opened.table, 0)->columns);
    CHECK(lzt_table_numbers(opened.table, 256, asked, 3, 0, counts, values, 0, &error) == LZT_OK && counts[1] == 0);
    CHECK(lzt_table_numbers(opened.table, 330, asked, 3, UINT64_MAX, counts, NULL, 0, &error) == LZT_OK && counts[1] == 0);
    CHECK(lzt_table_numbers(opened.table, 256, asked, 3, UINT64_MAX, counts, values, 2, &error) == LZT_USAGE);
    CHECK(lzt_table_numbers(opened.table, 256, beyond, 1, UINT64_MAX, counts, NULL, 0, &error) == LZT_USAGE);
    close_all(&opened);
    tiff_free(&tiff);
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        test_stack(i / 2, i % 2);
        test_no_pages(i / 2, i % 2);
        test_bad_first(i / 2, i % 2);
        test_cycles(i / 2, i % 2);
        test_unordered(i / 2, i % 2);
        test_broken_links(i / 2, i % 2);
        test_cut(i / 2, i % 2);
        test_ifds(i / 2, i % 2);
        test_lenient_ifds(i / 2, i % 2);
        test_numbers(i / 2, i % 2);
    }
    test_no_tiff();
    test_spacing();
    test_equal_layouts();
    test_many_layouts();
    test_limits();
    test_tag_count_overflow();
    test_odd_pages();
    return 0;
}
