/* Where pages are: what the table tells of a page's only chunk, and frames that have no IFD of their own. */
#include "reading.h"

/* ---- The only chunk ---- */

/* Open a file of one page of 4 x 3 pixels with these entries beside the necessary ones, and CHECK what its row says. */
static void check_row(int bigtiff, int big_endian, const struct tiff_entry *entries, size_t count, uint64_t data, uint64_t length)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_entry all[12] = {{256, FIELD_SHORT, 1, NULL, 4}, {257, FIELD_SHORT, 1, NULL, 3}, {258, FIELD_SHORT, 1, NULL, 8}};
    size_t total = 3;
    for (size_t i = 0; i < count; i++)
        tiff_insert(all, &total, entries[i]);
    tiff_add_page(&tiff, all, total);
    tiff_reserve(&tiff, 1000);
    struct opened opened = open_built(&tiff);
    const struct lzt_row *row = lzt_table_rows(opened.table);
    CHECK(lzt_table_pages(opened.table) == 1 && row->data == data && row->length == length);
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_only_chunk(int bigtiff, int big_endian)
{
    static const uint16_t types[] = {FIELD_SHORT, FIELD_LONG, FIELD_IFD, FIELD_LONG8, FIELD_IFD8, FIELD_BYTE, FIELD_SLONG, FIELD_ASCII};
    static const uint32_t pair[] = {700, 800};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const int known = i < 3 || (i < 5 && bigtiff);
        const uint64_t place = types[i] == FIELD_BYTE || types[i] == FIELD_ASCII ? 200 : 600;
        const struct tiff_entry offset[] = {{273, types[i], 1, NULL, place}, {279, FIELD_LONG, 1, NULL, 12}};
        const struct tiff_entry length[] = {{273, FIELD_LONG, 1, NULL, 600}, {279, types[i], 1, NULL, 12}};
        check_row(bigtiff, big_endian, offset, 2, known ? 600 : 0, known ? 12 : 0);
        check_row(bigtiff, big_endian, length, 2, known ? 600 : 0, known ? 12 : 0);
        check_row(bigtiff, big_endian, offset, 1, known ? 600 : 0, 0); /* early writers left the lengths out */
        check_row(bigtiff, big_endian, length + 1, 1, 0, 0);
    }
    const struct tiff_entry two_offsets[] = {{273, FIELD_LONG, 2, pair, 0}, {279, FIELD_LONG, 1, NULL, 12}};
    const struct tiff_entry two_lengths[] = {{273, FIELD_LONG, 1, NULL, 600}, {279, FIELD_LONG, 2, pair, 0}};
    const struct tiff_entry two_strips[] = {
        {273, FIELD_LONG, 1, NULL, 600}, {278, FIELD_SHORT, 1, NULL, 2}, {279, FIELD_LONG, 1, NULL, 12}};
    check_row(bigtiff, big_endian, two_offsets, 2, 0, 0);
    check_row(bigtiff, big_endian, two_lengths, 2, 0, 0);
    check_row(bigtiff, big_endian, two_strips, 3, 0, 0);
}

/* Tiled pages have the tiles' tags, unless only the strips' are there; strips the other way round. The first of a tag is used. */
static void test_either_tag(int bigtiff, int big_endian)
{
    const struct tiff_entry both[] = {{273, FIELD_LONG, 1, NULL, 500}, {279, FIELD_LONG, 1, NULL, 12}, {324, FIELD_LONG, 1, NULL, 600},
                                      {325, FIELD_LONG, 1, NULL, 256}, {322, FIELD_SHORT, 1, NULL, 16}, {323, FIELD_SHORT, 1, NULL, 16}};
    check_row(bigtiff, big_endian, both, 6, 600, 256);
    check_row(bigtiff, big_endian, both, 4, 500, 12);
    check_row(bigtiff, big_endian, both + 2, 4, 600, 256);
    check_row(bigtiff, big_endian, both + 2, 2, 600, 256);
    const struct tiff_entry lies[] = {{273, FIELD_LONG, 1, NULL, 500}, {279, FIELD_LONG, 1, NULL, 12}, {324, FIELD_LONG, 99, NULL, 1 << 30},
                                      {322, FIELD_SHORT, 1, NULL, 16}, {323, FIELD_SHORT, 1, NULL, 16}};
    check_row(bigtiff, big_endian, lies, 5, 0, 0); /* page.c takes the strips' offset, but only after a look at the value */
}

/* In a chain of IFDs that are alike, each row has its own numbers. */
static void test_rows_alike(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[5];
    for (uint32_t i = 0; i < 5; i++) {
        pages[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 3, .columns = 5, .seed = i, .chunk_rows = i == 3 ? 2 : 3});
        if (i == 2)
            tiff_put(&tiff, tiff_value_at(&tiff, pages[i], 279), tiff_word(&tiff), 99);
    }
    struct opened opened = open_built(&tiff);
    for (uint32_t i = 0; i < 5; i++) {
        const struct lzt_row *row = &lzt_table_rows(opened.table)[i];
        CHECK(row->data == (i == 3 ? 0 : tiff_get(&tiff, tiff_value_at(&tiff, pages[i], 273), tiff_word(&tiff))));
        CHECK(row->length == (i == 3 ? 0u : i == 2 ? 99u : 15u));
    }
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- Frames ---- */

enum { FRAMES = 7 };
#define IMAGEJ "ImageJ=1.53t\nimages=7\nslices=7\nloop=false\n"

/* Layouts whose frames lie in one piece: one strip, several, planes apart, one tile of the page's size. */
static const struct tiff_image pieces[] = {
    {.rows = 5, .columns = 7, .chunk_rows = 5, .samples = 1, .bits = 16, .planar = 1},
    {.rows = 5, .columns = 7, .chunk_rows = 2, .samples = 1, .bits = 8, .planar = 1},
    {.rows = 5, .columns = 7, .chunk_rows = 3, .samples = 3, .bits = 16, .planar = 1, .photometric = 2},
    {.rows = 5, .columns = 7, .chunk_rows = 2, .samples = 3, .bits = 8, .planar = 2, .photometric = 2},
    {.rows = 16, .columns = 32, .chunk_rows = 16, .chunk_columns = 32, .samples = 1, .bits = 32, .planar = 1},
    {.rows = 16, .columns = 16, .chunk_rows = 16, .chunk_columns = 16, .samples = 2, .bits = 16, .planar = 2},
};
enum { PIECES = sizeof pieces / sizeof *pieces };

/* Add a page with that description and count frames behind each other at the end of the file; the page's chunks are the first one's. */
static struct tiff_page add_frames(struct tiff_builder *tiff, struct tiff_image image, const char *words, size_t length, unsigned count)
{
    const struct tiff_entry text = {270, FIELD_ASCII, length, words, 0};
    const uint32_t strips = (image.rows - 1) / image.chunk_rows + 1, chunks = strips * (image.planar == 2 ? image.samples : 1);
    image.extra = &text;
    image.extra_count = 1;
    const struct tiff_page page = tiff_add_image(tiff, &image);
    const size_t offsets = tiff_value_at(tiff, page, image.chunk_columns ? 324 : 273), word = tiff_word(tiff);
    for (image.seed = 0; image.seed < count; image.seed++)
        for (uint32_t i = 0; i < chunks; i++) {
            if (image.seed == 0)
                tiff_put(tiff, offsets + i * word, word, tiff->size);
            tiff_make_chunk(tiff, &image, i / strips, i % strips * image.chunk_rows, 0);
        }
    return page;
}

static struct tiff_page add_text(struct tiff_builder *tiff, const struct tiff_image *image, const char *text, unsigned count)
{
    return add_frames(tiff, *image, text, strlen(text) + 1, count);
}

/* Frames that share all but the place of their pixels; read in an order that is not theirs. */
static void check_frames(const struct opened *opened, uint64_t count, int one_chunk)
{
    const struct lzt_row *rows = lzt_table_rows(opened->table);
    CHECK(lzt_table_pages(opened->table) == count && lzt_table_layouts(opened->table) == 1);
    const uint64_t bytes = page_bytes(layout_of(opened, 0));
    for (uint64_t i = 0; i < count; i++) {
        CHECK(rows[i].ifd == rows[0].ifd && rows[i].hash == rows[0].hash && rows[i].layout == 0 && rows[i].tags == rows[0].tags);
        CHECK(rows[i].length == rows[0].length && (rows[0].data != 0) == one_chunk);
        CHECK(rows[i].data == (one_chunk ? rows[0].data + i * bytes : 0));
        check_made_page(opened, i * 3 % count, i * 3 % count);
    }
}

static void check_tags(const struct opened *opened, uint64_t page)
{
    struct lzt_tag tags[16], first[16];
    size_t count, first_count;
    struct lzt_error error;
    check_status(lzt_tags_read(opened->table, 0, first, 16, &first_count, &error), LZT_OK, &error, "");
    check_status(lzt_tags_read(opened->table, page, tags, 16, &count, &error), LZT_OK, &error, "");
    CHECK(count == first_count && memcmp(tags, first, count * sizeof *tags) == 0);
}

static void test_frames(int bigtiff, int big_endian)
{
    for (size_t i = 0; i < 2 * PIECES; i++) {
        struct tiff_image image = pieces[i / 2];
        struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
        char shape[128];
        snprintf(shape, sizeof shape, "{\"shape\": [%u, %u, %u, %u], \"axes\": \"ZYXS\", \"truncated\": true}", FRAMES, image.rows,
                 image.columns, image.samples);
        add_text(&tiff, &image, i % 2 ? shape : IMAGEJ, FRAMES);
        struct opened opened = open_built(&tiff);
        CHECK(warning_count(&opened) == 0);
        check_frames(&opened, FRAMES, i / 2 == 0 || i / 2 == 4);
        check_tags(&opened, FRAMES - 1);
        close_all(&opened);
        tiff_free(&tiff);
    }
}

/* The only strip may be said to hold all frames; what follows the last frame does no harm. */
static void test_long_strip(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page page = add_text(&tiff, &pieces[0], IMAGEJ, FRAMES);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 279), tiff_word(&tiff), FRAMES * 70);
    tiff_reserve(&tiff, 1000);
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_rows(opened.table)[0].length == FRAMES * 70);
    check_frames(&opened, FRAMES, 1);
    close_all(&opened);
    tiff_free(&tiff);
}

/* A strip that is left out, since the file was opened, is left out of every frame. */
static void test_sparse(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page page = add_text(&tiff, &pieces[1], IMAGEJ, FRAMES);
    struct opened opened = open_built(&tiff);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 273), 4, 0);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 279), 4, 0);
    struct guarded pixels = read_pixels(&opened, 3);
    for (size_t i = 0; i < 14; i++)
        CHECK(pixels.bytes[i] == 0);
    CHECK(pixels.bytes[14] == tiff_sample(3, 2, 0, 0, 8));
    guarded_free(&pixels);
    close_all(&opened);
    tiff_free(&tiff);
}

/* CHECK that a file with FRAMES frames of that layout and this description has so many pages, and warns of the text (NULL: of nothing). */
static void check_claim(struct tiff_image image, const char *text, size_t length, uint64_t pages, const char *warning)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    add_frames(&tiff, image, text, length, FRAMES);
    struct opened opened = open_built(&tiff);
    check_frames(&opened, pages, lzt_table_rows(opened.table)[0].data != 0);
    CHECK(warning_count(&opened) == (warning != NULL));
    if (warning != NULL)
        check_warning(&opened, warning);
    close_all(&opened);
    tiff_free(&tiff);
}

static void check_text(const char *text, uint64_t pages, const char *warning)
{
    check_claim(pieces[1], text, strlen(text) + 1, pages, warning);
}

static void test_claims_of_imagej(void)
{
    check_text("ImageJ=\nimages=7", 7, NULL);
    check_text("ImageJ=\nimages=007\r\n", 7, NULL);
    check_text("ImageJ=\nimages=3\nimages=7\n", 3, NULL);
    check_text("ImageJ=\nimages=1\n", 1, NULL);
    check_text("ImageJ=\nimages=0\n", 1, NULL);
    check_text("ImageJ=\nimages=8\n", 1, "the description claims 8 frames, the file has room for 7");
    check_text("ImageJ=\nimages=2147483648\n", 1, "claims 2147483648 frames, the file has room for 7");
    check_text("ImageJ=\nimages=4294967297\n", 1, "claims 4294967297 frames");
    check_text("ImageJ=\nimages=18446744073709551615\n", 1, "claims 18446744073709551615 frames");
    static const char *const nothing[] = {"ImageJ=\nimages=18446744073709551616\n", "ImageJ=\nimages=99999999999999999999999\n",
                                          "ImageJ=\nimages=-7\n", "ImageJ=\nimages=+7\n", "ImageJ=\nimages= 7\n", "ImageJ=\nimages=7.0\n",
                                          "ImageJ=\nimages=7e0\n", "ImageJ=\nimages=0x7\n", "ImageJ=\nimages=\n", "ImageJ=\nimages=",
                                          "ImageJ=\nimages", "ImageJ=\nnimages=7\n", "ImageJ=images=7\n", "imageJ=\nimages=7\n",
                                          " ImageJ=\nimages=7\n", "ImageJ\nimages=7\n", "ImageJ=", "ImageJ", ""};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        check_text(nothing[i], 1, NULL);
}

/* A page has 5 x 7 items. */
static void test_claims_of_tifffile(void)
{
    check_text("{\"shape\": [7, 5, 7], \"truncated\": true}", 7, NULL);
    check_text("{\"shape\": [7, 35], \"a\": {\"truncated\": [\"truncated\": true", 7, NULL);
    check_text("{\"shape\": [245], \"truncated\": true}", 7, NULL);
    check_text("{\"shape\": [2, 3, 1, 5, 7, 1], \"truncated\": true}", 6, NULL);
    check_text("{\"shape\": [5, 7], \"truncated\": true}", 1, NULL);
    check_text("{\"shape\": [8, 5, 7], \"truncated\": true}", 1, "claims 8 frames, the file has room for 7");
    check_text("{\"shape\": [6148914691236517287, 3], \"truncated\": true}", 1, NULL); /* 7 * 35 items, were it not for the overflow */
    check_text("{\"shape\": [4294967296, 4294967290], \"truncated\": true}", 1, NULL); /* no whole number of pages */
    check_text("{\"shape\": [7, 4294967296, 5], \"truncated\": true}", 1, "claims 4294967296 frames");
    static const char *const nothing[] = {
        "{\"shape\": [7, 5, 7]}",
        "{\"shape\": [7, 5, 7], \"truncated\": false}",
        "{\"shape\": [7, 4, 6], \"truncated\": true}",
        "{\"shape\": [0, 5, 7], \"truncated\": true}",
        "{\"shape\": [-7, 5, 7], \"truncated\": true}",
        "{\"shape\": [7, 5, 7.0], \"truncated\": true}",
        "{\"shape\": [7, 5, 7, \"truncated\": true}",
        "{\"shape\": [7, , 5, 7], \"truncated\": true}",
        "{\"shape\": [], \"truncated\": true}",
        "{\"shape\": [\"truncated\": true",
        "{\"shape\": 245, \"truncated\": true}",
        "{\"shape\": ",
        "{\"shape\"",
    };
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        check_text(nothing[i], 1, NULL);
}

/* Only the first 64 KiB count, and a number that they cut is none. */
static void test_long_text(void)
{
    enum { MOST = 64 << 10, ROOM = MOST + 100 };
    static char text[ROOM];
    for (size_t end = MOST - 10; end <= MOST + 1; end++) { /* where the line ends */
        memset(text, 'x', ROOM);
        memcpy(text, "ImageJ=", 7);
        memcpy(text + end - 11, "\nimages=07\n", 11);
        const int whole = end <= MOST;
        check_claim(pieces[0], text, ROOM, whole ? 7 : 1, NULL);
        check_claim(pieces[0], text, end < ROOM ? end - 1 : ROOM, end - 1 <= MOST ? 7 : 1, NULL); /* the text ends with the number */
    }
    memcpy(text, "ImageJ=\0\nimages=7\n", 18); /* the next text of the tag */
    check_claim(pieces[0], text, 40, 1, NULL);
}

/* Frames that do not lie in one piece are not looked for. */
static void test_gaps(void)
{
    static const struct tiff_image odd[] = {
        {.rows = 16, .columns = 16, .chunk_rows = 16, .chunk_columns = 32, .samples = 1, .bits = 8, .planar = 1},
        {.rows = 8, .columns = 16, .chunk_rows = 16, .chunk_columns = 16, .samples = 1, .bits = 8, .planar = 1},
        {.rows = 32, .columns = 16, .chunk_rows = 16, .chunk_columns = 16, .samples = 1, .bits = 8, .planar = 1},
    };
    for (size_t i = 0; i < 3; i++)
        check_claim(odd[i], IMAGEJ, sizeof IMAGEJ, 1, "claims 7 frames, but the only page does not lie in one piece");
    static const uint64_t places[] = {0, 1, 4000000000u};
    for (size_t i = 0; i < 3; i++) { /* the second strip is left out, in the header, outside of the file */
        struct tiff_builder tiff = tiff_new(0, 0);
        struct tiff_page page = add_text(&tiff, &pieces[1], IMAGEJ, FRAMES);
        tiff_put(&tiff, tiff_value_at(&tiff, page, 273) + 4, 4, places[i]);
        struct opened opened = open_built(&tiff);
        CHECK(lzt_table_pages(opened.table) == 1);
        check_warning(&opened, "does not lie in one piece");
        close_all(&opened);
        tiff_free(&tiff);
    }
}

/* Change one entry of a file of one strip, open it, and CHECK the number of pages and the warning. */
static void check_changed(uint16_t tag, size_t field, size_t size, uint64_t value, uint64_t pages, const char *warning)
{
    struct tiff_builder tiff = tiff_new(1, 0);
    struct tiff_page page = add_text(&tiff, &pieces[0], IMAGEJ, FRAMES);
    tiff_put(&tiff, tiff_entry_at(&tiff, page, tag) + field, size, value);
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == pages);
    if (warning != NULL)
        check_warning(&opened, warning);
    else
        CHECK(warning_count(&opened) == 0);
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_hostile(void)
{
    check_changed(279, 12, 8, 69, 1, "one piece");   /* shorter than a frame */
    check_changed(279, 12, 8, 0, FRAMES, NULL);      /* not said: as long as a frame */
    check_changed(273, 12, 8, 0, 1, "one piece");    /* the strip is left out, but for its length */
    check_changed(273, 12, 8, UINT64_MAX - 60, 1, "the file has room for 0");
    check_changed(273, 4, 8, 0, 1, "one piece");     /* no offset at all */
    check_changed(257, 12, 4, 5000, 1, "one piece"); /* more rows than the strip has */
    check_changed(256, 12, 4, UINT32_MAX, 1, "one piece");
    check_changed(259, 12, 2, 5, 1, NULL);           /* compressed: the text was copied with the tags */
    check_changed(257, 12, 4, 0, 1, NULL);           /* no page to read at all */
    check_changed(270, 2, 2, FIELD_UNDEFINED, FRAMES, NULL);
    check_changed(270, 2, 2, FIELD_SHORT, 1, NULL);
    check_changed(270, 4, 8, UINT64_MAX, 1, "value outside");
    check_changed(270, 12, 8, UINT64_MAX - 5, 1, "value outside");
}

/* Pages with IFDs of their own need no frames; nor do SubIFDs. */
static void test_other_chains(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page pages[2];
    for (unsigned i = 0; i < 2; i++)
        pages[i] = add_text(&tiff, &pieces[0], IMAGEJ, FRAMES);
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == 2 && warning_count(&opened) == 0);
    close_all(&opened);
    const uint64_t ifd = pages[0].ifd;
    const struct lzt_options list = {.size = sizeof list, .ifds = &ifd, .ifd_count = 1}, one = {.size = sizeof one, .max_pages = 1};
    opened = open_with(&tiff, &list);
    CHECK(lzt_table_pages(opened.table) == 1 && warning_count(&opened) == 0);
    close_all(&opened);
    opened = open_with(&tiff, &one); /* there are more pages, though they are not taken */
    CHECK(lzt_table_pages(opened.table) == 1 && warning_count(&opened) == 1);
    close_all(&opened);
    tiff_link(&tiff, pages[0].link, tiff.size + 100); /* nobody knows what the chain would have been */
    opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == 1 && warning_count(&opened) == 1);
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_limit(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    add_text(&tiff, &pieces[0], IMAGEJ, FRAMES);
    for (uint64_t most = 1; most <= FRAMES; most++) {
        const struct lzt_options options = {.size = sizeof options, .max_pages = most};
        struct opened opened = open_with(&tiff, &options);
        check_frames(&opened, most, 1);
        CHECK(warning_count(&opened) == (most < FRAMES));
        if (most < FRAMES)
            check_warning(&opened, "limit max_pages");
        close_all(&opened);
    }
    tiff_free(&tiff);
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        test_only_chunk(i / 2, i % 2);
        test_either_tag(i / 2, i % 2);
        test_rows_alike(i / 2, i % 2);
        test_frames(i / 2, i % 2);
        test_long_strip(i / 2, i % 2);
    }
    test_sparse();
    test_claims_of_imagej();
    test_claims_of_tifffile();
    test_long_text();
    test_gaps();
    test_hostile();
    test_other_chains();
    test_limit();
    return 0;
}
