/* Pixels that are to be written in place: in a sound file they lie apart from everything else; any byte that they share with something is
 * found, and the error says with what. */
#include <time.h>

#include "reading.h"

enum { TEXT = 270, STRIPS = 273, STRIP_COUNTS = 279, TILES = 324, TILE_COUNTS = 325 };
enum { SUBIFDS = 330, EXIF = 34665, GPS = 34853, INTEROPERABILITY = 40965 };

static const char text[] = "more than fits into an entry";

static struct tiff_entry lead(uint16_t tag, struct tiff_page page) { return (struct tiff_entry){tag, FIELD_LONG, 1, NULL, page.ifd}; }

/* An image that no other IFD leads to. */
static struct tiff_page add_loose(struct tiff_builder *tiff, const struct tiff_image *image)
{
    const int loose = tiff->loose;
    tiff->loose = 1;
    struct tiff_page page = tiff_add_image(tiff, image);
    tiff->loose = loose;
    return page;
}

/* Where the offset of the page's chunk is. */
static size_t offset_at(const struct tiff_builder *tiff, struct tiff_page page, uint16_t tag, uint64_t chunk)
{
    return tiff_value_at(tiff, page, tag) + chunk * tiff_word(tiff);
}

static void move(struct tiff_builder *tiff, struct tiff_page page, uint16_t tag, uint64_t chunk, uint64_t offset)
{
    tiff_put(tiff, offset_at(tiff, page, tag, chunk), tiff_word(tiff), offset);
}

static uint64_t where(const struct tiff_builder *tiff, struct tiff_page page, uint16_t tag, uint64_t chunk)
{
    return tiff_get(tiff, offset_at(tiff, page, tag, chunk), tiff_word(tiff));
}

static void leave_out(struct tiff_builder *tiff, struct tiff_page page, uint64_t chunk)
{
    move(tiff, page, STRIPS, chunk, 0);
    tiff_put(tiff, tiff_value_at(tiff, page, STRIP_COUNTS) + chunk * tiff_word(tiff), tiff_word(tiff), 0);
}

static enum lzt_status check_pages(const struct tiff_builder *tiff, const uint64_t *pages, size_t count, struct lzt_error *error)
{
    struct opened opened = open_built(tiff);
    enum lzt_status status = lzt_table_check_apart(opened.table, pages, count, error);
    CHECK(lzt_table_check_apart(opened.table, pages, count, NULL) == status);
    close_all(&opened);
    return status;
}

static enum lzt_status check_all(const struct tiff_builder *tiff, struct lzt_error *error)
{
    struct opened opened = open_built(tiff);
    uint64_t pages[64];
    const size_t count = lzt_table_pages(opened.table);
    CHECK(count <= 64);
    for (size_t i = 0; i < count; i++)
        pages[i] = i;
    enum lzt_status status = lzt_table_check_apart(opened.table, pages, count, error);
    close_all(&opened);
    return status;
}

static void expect_apart(const struct tiff_builder *tiff)
{
    struct lzt_error error;
    check_status(check_all(tiff, &error), LZT_OK, &error, "");
}

static void expect_page_apart(const struct tiff_builder *tiff, uint64_t page)
{
    struct lzt_error error;
    check_status(check_pages(tiff, &page, 1, &error), LZT_OK, &error, "");
}

static void check_error(const struct lzt_error *error, int64_t page, int64_t chunk)
{
    if (error->page != page || error->chunk != chunk)
        fprintf(stderr, "page %d, chunk %d\n", (int)error->page, (int)error->chunk);
    CHECK(error->page == page && error->chunk == chunk);
}

/* All pages are named. */
static void expect_overlap(const struct tiff_builder *tiff, int64_t page, int64_t chunk, const char *with)
{
    struct lzt_error error;
    char whole[160];
    snprintf(whole, sizeof whole, "its bytes overlap %s: writing to it would change both", with);
    check_status(check_all(tiff, &error), LZT_NOT_MAPPABLE, &error, whole);
    check_error(&error, page, chunk);
}

/* Only this page is named. */
static void expect_page_overlap(const struct tiff_builder *tiff, uint64_t page, int64_t chunk, const char *with)
{
    struct lzt_error error;
    check_status(check_pages(tiff, &page, 1, &error), LZT_NOT_MAPPABLE, &error, with);
    check_error(&error, (int64_t)page, chunk);
}

/* ---- Sound files -------------------------------------------------------------------------------------------------------- */

static void test_sound_files(int bigtiff, int big_endian)
{
    const struct tiff_entry description = {TEXT, FIELD_ASCII, sizeof text, text, 0};
    const struct tiff_image images[] = {
        {.rows = 5, .columns = 7, .bits = 16},
        {.rows = 23, .columns = 9, .chunk_rows = 4, .extra = &description, .extra_count = 1},
        {.rows = 20, .columns = 37, .chunk_rows = 16, .chunk_columns = 16, .samples = 3},
        {.rows = 10, .columns = 3, .chunk_rows = 3, .samples = 4, .planar = 2},
        {.rows = 1, .columns = 1},
    };
    const size_t count = sizeof images / sizeof *images;
    struct tiff_builder all = tiff_new(bigtiff, big_endian);
    for (size_t i = 0; i < count; i++) {
        struct tiff_builder one = tiff_new(bigtiff, big_endian);
        tiff_add_image(&one, &images[i]);
        tiff_add_image(&all, &images[i]);
        expect_apart(&one);
        tiff_free(&one);
    }
    expect_apart(&all);
    for (size_t i = 0; i < count; i++)
        expect_page_apart(&all, i);
    tiff_free(&all);
}

/* Values, and chunks of pages that are not named, may be shared; naming a page twice changes nothing. */
static void test_shared(void)
{
    struct lzt_error error;
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page pages[3];
    for (size_t i = 0; i < 3; i++)
        pages[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 5, .chunk_rows = 2});
    for (size_t i = 1; i < 3; i++) /* one table of lengths for all */
        tiff_put(&tiff, tiff_entry_at(&tiff, pages[i], STRIP_COUNTS) + 8, 4, tiff_value_at(&tiff, pages[0], STRIP_COUNTS));
    expect_apart(&tiff);
    CHECK(check_pages(&tiff, (const uint64_t[]){2, 0, 2, 1, 0}, 5, &error) == LZT_OK);
    tiff_put(&tiff, tiff_entry_at(&tiff, pages[2], STRIPS) + 8, 4, tiff_value_at(&tiff, pages[1], STRIPS));
    expect_page_apart(&tiff, 0);
    expect_overlap(&tiff, 2, 0, "those of page 1, chunk 0");
    expect_page_overlap(&tiff, 1, 0, "those of page 2, chunk 0");
    CHECK(check_pages(&tiff, NULL, 0, &error) == LZT_OK);
    check_status(check_pages(&tiff, (const uint64_t[]){0, 3}, 2, &error), LZT_USAGE, &error, "page 3 of 3");
    tiff_free(&tiff);
}

/* Chunks that lie in any order, and chunks that the file leaves out. */
static void test_scattered(void)
{
    struct tiff_builder tiff = tiff_new(1, 0);
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 8, .columns = 4, .chunk_rows = 1});
    const uint64_t first = where(&tiff, page, STRIPS, 0);
    for (uint64_t i = 0; i < 8; i++)
        move(&tiff, page, STRIPS, i, first + (i * 3 + 1) % 8 * 4);
    expect_apart(&tiff);
    leave_out(&tiff, page, 5);
    expect_apart(&tiff);
    move(&tiff, page, STRIPS, 6, where(&tiff, page, STRIPS, 2) + 3);
    expect_overlap(&tiff, 0, 6, "those of page 0, chunk 2");
    tiff_free(&tiff);
}

/* ---- Every kind of overlap ---------------------------------------------------------------------------------------------- */

static void test_header(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    const uint64_t end = tiff_reserve(&tiff, 100);
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 10, .columns = 10});
    CHECK(end == (bigtiff ? 16 : 8));
    move(&tiff, page, STRIPS, 0, end);
    expect_apart(&tiff);
    move(&tiff, page, STRIPS, 0, end - 1);
    expect_overlap(&tiff, 0, 0, "the header");
    tiff_free(&tiff);
}

/* Of a page that need not be named: its IFD, its values, its chunks, to their last byte. */
static void test_other_page(int bigtiff, int big_endian)
{
    const struct tiff_entry description = {TEXT, FIELD_ASCII, sizeof text, text, 0};
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page named = tiff_add_image(&tiff, &(struct tiff_image){.rows = 4, .columns = 8, .chunk_rows = 1});
    struct tiff_page other = tiff_add_image(&tiff, &(struct tiff_image){.rows = 20, .columns = 8, .chunk_rows = 10, .extra = &description,
                                                                        .extra_count = 1});
    tiff_reserve(&tiff, 8);
    char with[80];
    const uint64_t text_end = tiff_value_at(&tiff, other, TEXT) + sizeof text;
    snprintf(with, sizeof with, "an IFD (at offset %u)", (unsigned)other.ifd);
    move(&tiff, named, STRIPS, 2, other.link + tiff_word(&tiff) - 1);
    expect_page_overlap(&tiff, 0, 2, with);
    move(&tiff, named, STRIPS, 2, text_end - 1);
    expect_page_overlap(&tiff, 0, 2, "the value of tag 270 of page 1");
    move(&tiff, named, STRIPS, 2, where(&tiff, other, STRIPS, 0) + 79);
    expect_page_overlap(&tiff, 0, 2, "those of page 1, chunk 0");
    move(&tiff, named, STRIPS, 2, other.ifd - 8); /* up to the IFD, but not into it */
    expect_page_overlap(&tiff, 0, 2, "those of page 1, chunk 1");
    move(&tiff, named, STRIPS, 2, text_end);
    expect_apart(&tiff);
    tiff_free(&tiff);
}

/* Runs of chunks are compared as one, but the chunk that the error names is the one that overlaps. */
static void test_chunk_of_run(void)
{
    struct tiff_builder tiff = tiff_new(0, 1);
    struct tiff_page first = tiff_add_image(&tiff, &(struct tiff_image){.rows = 35, .columns = 10, .chunk_rows = 10});
    struct tiff_page second = tiff_add_image(&tiff, &(struct tiff_image){.rows = 3, .columns = 4});
    const uint64_t last = where(&tiff, first, STRIPS, 3), own = where(&tiff, second, STRIPS, 0);
    move(&tiff, second, STRIPS, 0, last + 49);
    expect_overlap(&tiff, 1, 0, "those of page 0, chunk 3");
    move(&tiff, second, STRIPS, 0, last);
    expect_overlap(&tiff, 1, 0, "those of page 0, chunk 3");
    move(&tiff, second, STRIPS, 0, last - 5);
    expect_overlap(&tiff, 1, 0, "those of page 0, chunk 2");
    expect_page_overlap(&tiff, 0, 2, "those of page 1, chunk 0");
    move(&tiff, second, STRIPS, 0, own);
    move(&tiff, first, STRIPS, 3, own + 5);
    expect_overlap(&tiff, 1, 0, "those of page 0, chunk 3");
    tiff_free(&tiff);
}

/* Chunks that lie one after the other are no run when the file leaves out one between them, or when they are of different pages. */
static void test_gap_in_run(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page pages[3];
    const uint64_t place = tiff_reserve(&tiff, 30);
    for (size_t i = 0; i < 3; i++)
        pages[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 30, .columns = 1, .chunk_rows = 10});
    move(&tiff, pages[0], STRIPS, 0, place);
    move(&tiff, pages[0], STRIPS, 2, place + 10);
    leave_out(&tiff, pages[0], 1);
    expect_apart(&tiff);
    move(&tiff, pages[2], STRIPS, 1, place + 12);
    expect_overlap(&tiff, 2, 1, "those of page 0, chunk 2");
    move(&tiff, pages[0], STRIPS, 1, place + 10);
    leave_out(&tiff, pages[0], 2);
    leave_out(&tiff, pages[1], 0);
    leave_out(&tiff, pages[1], 1);
    move(&tiff, pages[1], STRIPS, 2, place + 20);
    move(&tiff, pages[2], STRIPS, 1, place + 22);
    expect_overlap(&tiff, 2, 1, "those of page 1, chunk 2");
    tiff_free(&tiff);
}

static void state_length(struct tiff_builder *tiff, struct tiff_page page, uint32_t length)
{
    tiff_put(tiff, tiff_value_at(tiff, page, STRIP_COUNTS), 4, length);
}

/* What counts for pixels is what they need, for anything else what the file states. */
static void test_lengths(void)
{
    static const uint8_t packed[40] = {0};
    const struct tiff_chunk chunk = {packed, sizeof packed};
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page named = tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 5});
    struct tiff_page coded = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 6, .compression = 5, .chunks = &chunk});
    struct tiff_page plain = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 6});
    const uint64_t codes = where(&tiff, coded, STRIPS, 0), pixels = where(&tiff, plain, STRIPS, 0);
    state_length(&tiff, named, 100000);
    expect_page_apart(&tiff, 0);
    state_length(&tiff, named, 1);
    move(&tiff, named, STRIPS, 0, codes - 5);
    expect_page_overlap(&tiff, 0, 0, "those of page 1, chunk 0");
    move(&tiff, named, STRIPS, 0, codes + 3);
    state_length(&tiff, coded, 4);
    expect_page_overlap(&tiff, 0, 0, "those of page 1, chunk 0");
    tiff_put(&tiff, tiff_entry_at(&tiff, coded, STRIP_COUNTS), 2, TILE_COUNTS); /* some writers mix these up */
    expect_page_overlap(&tiff, 0, 0, "those of page 1, chunk 0");
    tiff_put(&tiff, tiff_entry_at(&tiff, coded, TILE_COUNTS), 2, STRIP_COUNTS);
    state_length(&tiff, coded, 3);
    expect_page_apart(&tiff, 0);
    move(&tiff, named, STRIPS, 0, pixels + 5);
    state_length(&tiff, plain, 5);
    expect_page_apart(&tiff, 0);
    state_length(&tiff, plain, 0); /* early writers: it has a length all the same */
    expect_page_overlap(&tiff, 0, 0, "those of page 2, chunk 0");
    tiff_put(&tiff, tiff_entry_at(&tiff, plain, STRIP_COUNTS), 2, 280);
    expect_page_overlap(&tiff, 0, 0, "those of page 2, chunk 0");
    tiff_free(&tiff);
}

/* Pages that cannot be mapped at all. */
static void test_not_mappable(void)
{
    static const uint8_t packed[40] = {0};
    const struct tiff_chunk chunk = {packed, sizeof packed};
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_error error;
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 6});
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 6, .compression = 5, .chunks = &chunk});
    move(&tiff, page, STRIPS, 0, tiff.size - 35);
    check_status(check_pages(&tiff, (const uint64_t[]){0}, 1, &error), LZT_NOT_MAPPABLE, &error, "are not all in the file");
    check_error(&error, 0, 0);
    check_status(check_pages(&tiff, (const uint64_t[]){1}, 1, &error), LZT_NOT_MAPPABLE, &error, "not stored as they are read");
    check_error(&error, 1, -1);
    tiff_free(&tiff);
}

/* Pages that cannot be read occupy bytes like others, and tables that cannot be read occupy none. */
static void test_unreadable_pages(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    const struct tiff_entry stream[] = {{513, FIELD_LONG, 1, NULL, 0}, {514, FIELD_LONG, 1, NULL, 20}};
    struct tiff_page named = tiff_add_image(&tiff, &(struct tiff_image){.rows = 4, .columns = 4});
    const uint64_t spare = tiff_reserve(&tiff, 40), own = where(&tiff, named, STRIPS, 0);
    struct tiff_page broken = tiff_add_image(&tiff, &(struct tiff_image){.rows = 4, .columns = 4, .compression = 999});
    struct tiff_page jpeg = tiff_add_image(&tiff, &(struct tiff_image){.rows = 4, .columns = 4, .compression = 6, .extra = stream,
                                                                       .extra_count = 2});
    move(&tiff, named, STRIPS, 0, where(&tiff, broken, STRIPS, 0) - 5);
    expect_page_overlap(&tiff, 0, 0, "those of page 1, chunk 0");
    tiff_put(&tiff, tiff_value_at(&tiff, jpeg, 513), 4, spare + 15);
    move(&tiff, named, STRIPS, 0, spare);
    expect_page_overlap(&tiff, 0, 0, "the JPEG stream of page 2");
    move(&tiff, named, STRIPS, 0, own);
    tiff_put(&tiff, tiff_entry_at(&tiff, broken, STRIPS) + 2, 2, FIELD_FLOAT);
    tiff_put(&tiff, tiff_value_at(&tiff, broken, STRIP_COUNTS), 4, 1000);
    move(&tiff, jpeg, STRIPS, 0, own);
    tiff_put(&tiff, tiff_entry_at(&tiff, jpeg, STRIP_COUNTS) + 4, 4, 1 << 30);
    expect_page_apart(&tiff, 0);
    tiff_free(&tiff);
}

/* ---- SubIFDs ------------------------------------------------------------------------------------------------------------ */

/* A page, whose pixels can be moved, with one IFD below another: SubIFD, Exif, interoperability. */
static void test_below(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    const struct tiff_entry inner[] = {{TEXT, FIELD_ASCII, sizeof text, text, 0}};
    tiff.loose = 1;
    struct tiff_page interoperability = tiff_add_page(&tiff, inner, 1), gps = tiff_add_page(&tiff, inner, 1);
    struct tiff_page exif = tiff_add_page(&tiff, (const struct tiff_entry[]){lead(INTEROPERABILITY, interoperability)}, 1);
    const struct tiff_entry further = lead(EXIF, exif);
    struct tiff_page sub = tiff_add_image(&tiff, &(struct tiff_image){.rows = 9, .columns = 40, .chunk_rows = 16, .chunk_columns = 16,
                                                                      .extra = &further, .extra_count = 1});
    tiff.loose = 0;
    const struct tiff_entry below[] = {lead(SUBIFDS, sub), lead(GPS, gps)};
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 4, .extra = below, .extra_count = 2});
    char with[80];
    expect_apart(&tiff);
    move(&tiff, page, STRIPS, 0, tiff_value_at(&tiff, interoperability, TEXT) + 25);
    snprintf(with, sizeof with, "the value of tag 270 of the IFD at offset %u", (unsigned)interoperability.ifd);
    expect_overlap(&tiff, 0, 0, with);
    move(&tiff, page, STRIPS, 0, gps.link);
    snprintf(with, sizeof with, "an IFD (at offset %u)", (unsigned)gps.ifd);
    expect_overlap(&tiff, 0, 0, with);
    move(&tiff, page, STRIPS, 0, exif.link);
    snprintf(with, sizeof with, "an IFD (at offset %u)", (unsigned)exif.ifd);
    expect_overlap(&tiff, 0, 0, with);
    move(&tiff, page, STRIPS, 0, where(&tiff, sub, TILES, 1) + 255);
    snprintf(with, sizeof with, "those of the IFD at offset %u, chunk 1", (unsigned)sub.ifd);
    expect_overlap(&tiff, 0, 0, with);
    tiff_free(&tiff);
}

/* A chain of SubIFDs, the innermost of which leads to that IFD, if any. */
static void test_depth(void)
{
    for (int depth = 1; depth <= 12; depth++) {
        struct tiff_builder tiff = tiff_new(0, 0);
        struct lzt_error error;
        tiff.loose = 1;
        struct tiff_page first = tiff_add_page(&tiff, (const struct tiff_entry[]){{SUBIFDS, FIELD_LONG, 1, NULL, 0}}, 1), below = first;
        for (int i = 1; i < depth; i++)
            below = tiff_add_page(&tiff, (const struct tiff_entry[]){lead(SUBIFDS, below)}, 1);
        tiff.loose = 0;
        const struct tiff_entry entry = lead(SUBIFDS, below);
        struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 4, .extra = &entry, .extra_count = 1});
        check_status(check_all(&tiff, &error), depth <= 8 ? LZT_OK : LZT_LIMIT, &error, "SubIFDs are more than 8 deep");
        if (depth <= 8) {
            const size_t ends[] = {below.ifd, first.ifd, page.ifd}; /* in a circle, wherever it closes */
            for (size_t i = 0; i < 3; i++) {
                tiff_put(&tiff, tiff_value_at(&tiff, first, SUBIFDS), 4, ends[i]);
                expect_apart(&tiff);
            }
            move(&tiff, page, STRIPS, 0, first.ifd + 10);
            expect_page_overlap(&tiff, 0, 0, "an IFD");
        }
        tiff_free(&tiff);
    }
}

/* IFDs each of which leads to all others: each is looked at once. */
static void test_fan_out(void)
{
    enum { MANY = 400 };
    struct tiff_builder tiff = tiff_new(0, 0);
    uint32_t all[MANY] = {0};
    struct lzt_error error;
    const uint64_t list = tiff_reserve(&tiff, sizeof all);
    tiff.loose = 1;
    for (size_t i = 0; i < MANY; i++)
        tiff_put(&tiff, list + 4 * i, 4, tiff_add_page(&tiff, (const struct tiff_entry[]){{SUBIFDS, FIELD_LONG, MANY, NULL, list}}, 1).ifd);
    tiff.loose = 0;
    const struct tiff_entry entry = {SUBIFDS, FIELD_LONG, MANY, NULL, list};
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 4, .extra = &entry, .extra_count = 1});
    expect_apart(&tiff);
    struct opened opened = open_with(&tiff, &(struct lzt_options){.size = sizeof(struct lzt_options), .max_pages = MANY - 1});
    check_status(lzt_table_check_apart(opened.table, (const uint64_t[]){0}, 1, &error), LZT_LIMIT, &error, "more than 399 SubIFDs");
    close_all(&opened);
    tiff_free(&tiff);
}

/* Tables of pages that are not named, shared so often that to look at them all would take hours. */
static void test_patience(void)
{
    enum { MANY = 1 << 20, PAGES = 60 };
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_error error;
    const uint64_t list = tiff_reserve(&tiff, 4 * MANY);
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 4});
    for (size_t i = 0; i < PAGES; i++) {
        const struct tiff_entry own[] = {{256, FIELD_LONG, 1, NULL, 1},
                                         {257, FIELD_LONG, 1, NULL, 1},
                                         {STRIPS, FIELD_LONG, MANY, NULL, list},
                                         {STRIP_COUNTS, FIELD_LONG, MANY, NULL, list}};
        tiff_add_page(&tiff, own, 4);
    }
    check_status(check_pages(&tiff, (const uint64_t[]){0}, 1, &error), LZT_LIMIT, &error, "share too many values");
    tiff_free(&tiff);
}

/* The same with named pages, whose chunks are all left out. */
static void test_patience_with_pixels(void)
{
    enum { MANY = 4096, PAGES = 8 };
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_error error;
    const uint64_t list = tiff_reserve(&tiff, 4 * MANY);
    const struct tiff_entry tables[] = {{STRIPS, FIELD_LONG, MANY, NULL, list}, {STRIP_COUNTS, FIELD_LONG, MANY, NULL, list}};
    for (size_t i = 0; i < PAGES; i++) {
        const struct tiff_entry own[] = {{256, FIELD_LONG, 1, NULL, 1},
                                         {257, FIELD_LONG, 1, NULL, MANY},
                                         {258, FIELD_SHORT, 1, NULL, 8},
                                         tables[0],
                                         {278, FIELD_LONG, 1, NULL, 1},
                                         tables[1]};
        tiff_add_page(&tiff, own, 6);
    }
    expect_page_apart(&tiff, PAGES - 1);
    check_status(check_all(&tiff, &error), LZT_LIMIT, &error, "leaves out more chunks than it has bytes");
    tiff_free(&tiff);
}

/* Nothing readable is there. */
static void test_broken_below(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    const uint32_t nowhere[] = {0, 1 << 30, UINT32_MAX, 0, 0};
    const struct tiff_entry entries[] = {{SUBIFDS, FIELD_LONG, 5, nowhere, 0}, {EXIF, FIELD_FLOAT, 1, NULL, 8}};
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 64, .extra = entries, .extra_count = 2});
    const uint64_t data = where(&tiff, page, STRIPS, 0), cut = tiff_reserve(&tiff, 8);
    memset(tiff.bytes + data, 0, 32); /* an IFD without tags */
    tiff_put(&tiff, cut, 2, 1000);
    tiff_put(&tiff, tiff_value_at(&tiff, page, SUBIFDS) + 12, 4, data);
    tiff_put(&tiff, tiff_value_at(&tiff, page, SUBIFDS) + 16, 4, cut);
    expect_apart(&tiff);
    tiff.bytes[data] = 1; /* now there is one */
    expect_page_overlap(&tiff, 0, 0, "an IFD");
    tiff_free(&tiff);
}

/* ---- Frames behind one IFD ---------------------------------------------------------------------------------------------- */

static void test_frames(void)
{
    static const char description[] = "ImageJ=1.53t\nimages=4\n";
    const struct tiff_entry entry = {TEXT, FIELD_ASCII, sizeof description, description, 0};
    struct tiff_builder tiff = tiff_new(0, 1);
    struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 50, .chunk_rows = 3, .extra = &entry,
                                                                       .extra_count = 1});
    const uint64_t inside = where(&tiff, page, STRIPS, 0), behind = tiff_reserve(&tiff, 1200);
    struct lzt_error error;
    char with[80];
    snprintf(with, sizeof with, "an IFD (at offset %u)", (unsigned)page.ifd);
    CHECK(page.ifd >= inside + 300 && page.link < inside + 450);
    expect_overlap(&tiff, 1, 0, with);
    for (uint64_t i = 0; i < 2; i++)
        move(&tiff, page, STRIPS, i, behind + i * 150);
    tiff_put(&tiff, tiff_value_at(&tiff, page, STRIP_COUNTS) + 4, 4, 1050); /* ImageJ: of all frames together */
    expect_apart(&tiff);
    expect_page_apart(&tiff, 0);
    expect_page_apart(&tiff, 2);
    CHECK(check_pages(&tiff, (const uint64_t[]){3, 1}, 2, &error) == LZT_OK);
    tiff_free(&tiff);
}

/* ---- Failures ----------------------------------------------------------------------------------------------------------- */

struct failing {
    const struct tiff_builder *tiff;
    int calls; /* until one fails */
};

static int read_or_fail(void *context, const struct lzt_range *ranges, size_t count)
{
    struct failing *failing = context;
    for (size_t i = 0; i < count; i++)
        memcpy(ranges[i].buffer, failing->tiff->bytes + ranges[i].offset, (size_t)ranges[i].length);
    return failing->calls-- == 0;
}

/* Whichever read fails, the check does not pass. */
static void test_failures(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_reserve(&tiff, 10000);
    struct tiff_page sub = add_loose(&tiff, &(struct tiff_image){.rows = 9, .columns = 9, .chunk_rows = 1});
    const struct tiff_entry entry = lead(SUBIFDS, sub);
    for (size_t i = 0; i < 3; i++) {
        tiff_reserve(&tiff, 10000);
        tiff_add_image(&tiff, &(struct tiff_image){.rows = 90, .columns = 90, .chunk_rows = 1, .extra = &entry, .extra_count = 1});
    }
    struct failing failing = {&tiff, 1000000};
    struct opened opened;
    struct lzt_source *source;
    struct lzt_error error;
    enum lzt_status status = LZT_CALLBACK;
    CHECK(lzt_source_open_callback(read_or_fail, &failing, tiff.size, &source, &error) == LZT_OK);
    check_status(try_source(&opened, source, NULL, &error), LZT_OK, &error, "");
    int calls = 0;
    for (; status == LZT_CALLBACK; calls++) {
        failing.calls = calls;
        status = lzt_table_check_apart(opened.table, (const uint64_t[]){0, 2}, 2, &error);
        check_status(status, failing.calls >= 0 ? LZT_OK : LZT_CALLBACK, &error, "read_ranges failed");
    }
    CHECK(calls > 8);
    tiff_put(&tiff, (size_t)lzt_table_rows(opened.table)[1].ifd + 2, 2, 255);
    failing.calls = 1000000;
    check_status(lzt_table_check_apart(opened.table, (const uint64_t[]){0}, 1, &error), LZT_CHANGED, &error, "no longer the one");
    CHECK(error.page == 1);
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- Any file ----------------------------------------------------------------------------------------------------------- */

/* Count what occupies each byte: pixels of pages 0 and 1, and anything else. */
struct occupied {
    uint8_t pixels[4096], other[4096];
};

static void occupy(uint8_t *bytes, uint64_t offset, uint64_t length)
{
    for (uint64_t i = offset; i < offset + length && i < 4096; i++)
        bytes[i]++;
}

static void occupy_page(struct occupied *occupied, const struct tiff_builder *tiff, struct tiff_page page, int is_named)
{
    occupy(occupied->other, page.ifd, page.link + 4 - page.ifd);
    occupy(occupied->other, tiff_value_at(tiff, page, STRIPS), 4 * 4);
    occupy(occupied->other, tiff_value_at(tiff, page, STRIP_COUNTS), 4 * 4);
    for (uint64_t i = 0; i < 4; i++)
        occupy(is_named ? occupied->pixels : occupied->other, where(tiff, page, STRIPS, i), i < 3 ? 20 : 10);
}

static int is_apart(const struct occupied *occupied)
{
    for (size_t i = 0; i < 4096; i++)
        if (occupied->pixels[i] > 1 || (occupied->pixels[i] == 1 && occupied->other[i] > 0))
            return 0;
    return 1;
}

/* Whatever chunk is moved wherever: the check finds what counting bytes finds. */
static void test_anything(void)
{
    uint64_t state = 7;
    int apart = 0;
    for (int round = 0; round < 3000; round++) {
        struct occupied occupied = {{0}, {0}};
        struct tiff_builder tiff = tiff_new(0, round % 2);
        struct tiff_page pages[3];
        for (size_t i = 0; i < 3; i++) {
            tiff_reserve(&tiff, 50);
            pages[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 7, .columns = 10, .chunk_rows = 2});
        }
        for (uint32_t i = 0; i < 1 + any_below(&state, 3); i++)
            move(&tiff, pages[any_below(&state, 3)], STRIPS, any_below(&state, 4), 1 + any_below(&state, (uint32_t)tiff.size - 20));
        occupy(occupied.other, 0, 8);
        for (size_t i = 0; i < 3; i++)
            occupy_page(&occupied, &tiff, pages[i], i < 2);
        struct lzt_error error;
        const enum lzt_status status = check_pages(&tiff, (const uint64_t[]){0, 1}, 2, &error);
        CHECK(status == (is_apart(&occupied) ? LZT_OK : LZT_NOT_MAPPABLE));
        CHECK(status == LZT_OK || (error.page < 2 && error.chunk < 4));
        apart += status == LZT_OK;
        tiff_free(&tiff);
    }
    CHECK(apart > 100 && apart < 2900);
}

/* At -O2, 20,000 pages of one strip took 6 ms, 200 pages of 1,000 strips 3 ms (5 ms when only one is named). */
static void test_many(uint64_t pages, uint32_t strips)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_error error;
    uint64_t *all = malloc(pages * sizeof *all);
    CHECK(all != NULL);
    for (uint64_t i = 0; i < pages; i++) {
        tiff_add_image(&tiff, &(struct tiff_image){.rows = strips, .columns = 8, .chunk_rows = 1});
        all[i] = i;
    }
    struct opened opened = open_built(&tiff);
    for (size_t named = 1; named <= pages; named += pages - 1) {
        const clock_t start = clock();
        check_status(lzt_table_check_apart(opened.table, all, named, &error), LZT_OK, &error, "");
        printf("%u of %u pages of %u strips: %.1f ms\n", (unsigned)named, (unsigned)pages, strips,
               1e3 * (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    close_all(&opened);
    free(all);
    tiff_free(&tiff);
}

int main(void)
{
    for (int format = 0; format < 4; format++) {
        test_sound_files(format / 2, format % 2);
        test_header(format / 2, format % 2);
        test_other_page(format / 2, format % 2);
        test_below(format / 2, format % 2);
    }
    test_shared();
    test_scattered();
    test_chunk_of_run();
    test_gap_in_run();
    test_lengths();
    test_not_mappable();
    test_unreadable_pages();
    test_depth();
    test_fan_out();
    if (!is_under_valgrind()) /* half a minute */
        test_patience();
    test_patience_with_pixels();
    test_broken_below();
    test_frames();
    test_failures();
    test_anything();
    test_many(20000, 1);
    test_many(200, 1000);
    return 0;
}
