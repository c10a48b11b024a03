/* Layouts: what the tags make of a page, every reason why a page cannot be read, and geometry that is made to overflow. */
#include <time.h>

#include "reading.h"

enum { MISSING = 0xFFFF }; /* as a tag's type: the tag is taken away */

/* A page of 8-bit pixels, 20 x 30 in one strip, with these tags changed. Its pixels are not there. */
static struct tiff_builder make_page(const struct tiff_entry *changes, size_t count, int bigtiff)
{
    struct tiff_builder tiff = tiff_new(bigtiff, 0);
    struct tiff_entry entries[40] = {
        {256, FIELD_LONG, 1, NULL, 30}, {257, FIELD_LONG, 1, NULL, 20}, {258, FIELD_SHORT, 1, NULL, 8},
        {259, FIELD_SHORT, 1, NULL, 1}, {262, FIELD_SHORT, 1, NULL, 1}, {273, FIELD_LONG, 1, NULL, 8},
        {277, FIELD_SHORT, 1, NULL, 1}, {279, FIELD_LONG, 1, NULL, 8},
    };
    size_t entry_count = 8, kept = 0;
    for (size_t i = 0; i < count; i++)
        tiff_insert(entries, &entry_count, changes[i]);
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].type != MISSING)
            entries[kept++] = entries[i];
    tiff_add_page(&tiff, entries, kept);
    return tiff;
}

/* CHECK that the page has this problem: opening the file is none, reading is refused with status and text, page and no chunk. */
static void check_problem(const struct tiff_builder *tiff, enum lzt_status status, const char *text)
{
    struct lzt_error error;
    const struct lzt_window window = {{0, 1, 1}, {0, 1, 1}, {0, 1, 1}, 1, 1, 1};
    uint8_t pixel;
    const struct lzt_job job = {0, 0, 0, &pixel, NULL};
    struct lzt_batch *batch;
    struct opened opened = open_built(tiff);
    CHECK(lzt_table_pages(opened.table) == 1 && layout_of(&opened, 0)->problem != 0);
    check_status(lzt_layout_problem(layout_of(&opened, 0), &error), status, &error, text);
    CHECK(error.page == -1 && error.chunk == -1 && lzt_layout_problem(layout_of(&opened, 0), NULL) == status);
    check_status(lzt_read_page(opened.reader, 0, &pixel, 1, &error), status, &error, text);
    CHECK(error.page == 0 && error.chunk == -1);
    check_status(lzt_batch_open(opened.table, &window, 1, &job, 1, &batch, &error), status, &error, text);
    CHECK(error.page == 0 && error.chunk == -1 && batch == NULL);
    close_all(&opened);
}

static void check_changed(const struct tiff_entry *changes, size_t count, enum lzt_status status, const char *text)
{
    for (int bigtiff = 0; bigtiff < 2; bigtiff++) {
        struct tiff_builder tiff = make_page(changes, count, bigtiff);
        check_problem(&tiff, status, text);
        tiff_free(&tiff);
    }
}

static struct lzt_layout layout_with(const struct tiff_entry *changes, size_t count)
{
    struct tiff_builder tiff = make_page(changes, count, 0);
    struct opened opened = open_built(&tiff);
    struct lzt_layout layout = *layout_of(&opened, 0);
    close_all(&opened);
    tiff_free(&tiff);
    return layout;
}

/* The expected status and text, and up to 5 changed tags. */
struct problem {
    enum lzt_status status;
    const char *text;
    struct tiff_entry changes[5];
};

#define ONE(tag, type, value) {tag, type, 1, NULL, value}
static const uint64_t large = UINT64_C(1) << 32;
static const uint16_t differing[] = {8, 8, 16}, formats[] = {1, 2, 1};

static const char no_size[] = "ImageWidth or ImageLength", bad_samples[] = "SamplesPerPixel is 0", few_samples[] = "SamplesPerPixel is less";
static const char bad_bits[] = "BitsPerSample is 0", few_bits[] = "BitsPerSample has fewer", mixed_bits[] = "BitsPerSample differs";
static const char odd_bits[] = "no NumPy type", mixed_formats[] = "SampleFormat differs", odd_format[] = "SampleFormat is none";
static const char bad_planar[] = "PlanarConfiguration", bad_strips[] = "RowsPerStrip", bad_tiles[] = "TileWidth or TileLength is missing";
static const char large_tiles[] = "2^31 or more", large_page[] = "2^62 bytes or 2^48 chunks", large_chunk[] = "max_chunk_bytes";
static const char bad_predictor[] = "this Predictor", bad_subsampling[] = "YCbCrSubSampling is none", odd_ycbcr[] = "YCbCr pages are read";
static const char odd_bilevel[] = "for 1 bit and 1 sample", format_lies[] = "this codec does not go with";

static const struct problem problems[] = {
    {LZT_CORRUPT, no_size, {ONE(256, FIELD_LONG, 0)}},
    {LZT_CORRUPT, no_size, {ONE(257, FIELD_SHORT, 0)}},
    {LZT_CORRUPT, no_size, {ONE(256, MISSING, 0)}},
    {LZT_CORRUPT, no_size, {ONE(257, MISSING, 0)}},
    {LZT_CORRUPT, no_size, {ONE(256, FIELD_ASCII, 9)}},
    {LZT_CORRUPT, no_size, {ONE(256, FIELD_FLOAT, 9)}},
    {LZT_CORRUPT, no_size, {ONE(257, FIELD_SLONG, UINT32_MAX)}},
    {LZT_CORRUPT, no_size, {ONE(257, 99, 9)}},
    {LZT_CORRUPT, no_size, {{257, FIELD_LONG8, 1, &large, 0}}},
    {LZT_CORRUPT, no_size, {{257, FIELD_LONG, 0, NULL, 9}}},
    {LZT_CORRUPT, bad_samples, {ONE(277, FIELD_SHORT, 0)}},
    {LZT_CORRUPT, bad_samples, {ONE(277, FIELD_LONG, 65536)}},
    {LZT_CORRUPT, bad_samples, {ONE(277, FIELD_FLOAT, 0x3F800000)}},
    {LZT_CORRUPT, few_samples, {ONE(262, FIELD_SHORT, 2), ONE(277, FIELD_SHORT, 2)}},
    {LZT_CORRUPT, few_samples, {ONE(262, FIELD_SHORT, 6)}},
    {LZT_CORRUPT, bad_bits, {ONE(258, FIELD_SHORT, 0)}},
    {LZT_CORRUPT, bad_bits, {ONE(258, FIELD_LONG, 65544)}},
    {LZT_CORRUPT, bad_bits, {ONE(258, FIELD_ASCII, 8)}},
    {LZT_CORRUPT, bad_bits, {{258, FIELD_SHORT, 1000, NULL, 65000}}},
    {LZT_CORRUPT, few_bits, {{258, FIELD_SHORT, 2, differing, 0}, ONE(277, FIELD_SHORT, 3)}},
    {LZT_UNSUPPORTED, mixed_bits, {{258, FIELD_SHORT, 3, differing, 0}, ONE(277, FIELD_SHORT, 3)}},
    {LZT_UNSUPPORTED, odd_bits, {ONE(258, FIELD_SHORT, 33)}},
    {LZT_UNSUPPORTED, odd_bits, {ONE(258, FIELD_SHORT, 65535)}},
    {LZT_UNSUPPORTED, odd_bits, {ONE(258, FIELD_SHORT, 128), ONE(339, FIELD_SHORT, 2)}},
    {LZT_UNSUPPORTED, odd_bits, {ONE(258, FIELD_SHORT, 8), ONE(339, FIELD_SHORT, 3)}},
    {LZT_UNSUPPORTED, odd_bits, {ONE(258, FIELD_SHORT, 128), ONE(339, FIELD_SHORT, 3)}},
    {LZT_UNSUPPORTED, odd_bits, {ONE(258, FIELD_SHORT, 32), ONE(339, FIELD_SHORT, 6)}},
    {LZT_UNSUPPORTED, mixed_formats, {ONE(277, FIELD_SHORT, 3), {339, FIELD_SHORT, 3, formats, 0}}},
    {LZT_UNSUPPORTED, odd_format, {ONE(339, FIELD_SHORT, 0)}},
    {LZT_UNSUPPORTED, odd_format, {ONE(339, FIELD_SHORT, 5)}},
    {LZT_UNSUPPORTED, odd_format, {ONE(339, FIELD_SHORT, 65535)}},
    {LZT_CORRUPT, bad_planar, {ONE(284, FIELD_SHORT, 0)}},
    {LZT_CORRUPT, bad_planar, {ONE(284, FIELD_SHORT, 3)}},
    {LZT_CORRUPT, bad_strips, {ONE(278, FIELD_LONG, 0)}},
    {LZT_CORRUPT, bad_strips, {ONE(278, FIELD_ASCII, 5)}},
    {LZT_CORRUPT, bad_tiles, {ONE(322, FIELD_LONG, 16)}},
    {LZT_CORRUPT, bad_tiles, {ONE(323, FIELD_LONG, 16)}},
    {LZT_CORRUPT, bad_tiles, {ONE(322, FIELD_LONG, 16), ONE(323, FIELD_LONG, 0)}},
    {LZT_LIMIT, large_tiles, {ONE(322, FIELD_LONG, 16), ONE(323, FIELD_LONG, 1u << 31)}},
    {LZT_LIMIT, large_tiles, {ONE(322, FIELD_LONG, UINT32_MAX), ONE(323, FIELD_LONG, UINT32_MAX)}},
    {LZT_LIMIT, large_page, {ONE(256, FIELD_LONG, UINT32_MAX), ONE(257, FIELD_LONG, UINT32_MAX)}},
    {LZT_LIMIT, large_page, {ONE(256, FIELD_LONG, UINT32_MAX), ONE(257, FIELD_LONG, UINT32_MAX), ONE(278, FIELD_SHORT, 1)}},
    {LZT_LIMIT, large_page, {ONE(256, FIELD_LONG, UINT32_MAX), ONE(257, FIELD_LONG, UINT32_MAX), ONE(278, FIELD_LONG, UINT32_MAX)}},
    {LZT_LIMIT, large_page, {ONE(256, FIELD_LONG, UINT32_MAX), ONE(257, FIELD_LONG, 65536), ONE(277, FIELD_SHORT, 65535)}},
    {LZT_LIMIT, large_page, {ONE(256, FIELD_LONG, 1u << 25), ONE(257, FIELD_LONG, 1u << 24), ONE(322, FIELD_SHORT, 1), ONE(323, FIELD_SHORT, 1)}},
    {LZT_LIMIT,
     large_page,
     {ONE(257, FIELD_LONG, UINT32_MAX), ONE(277, FIELD_LONG, 65535), ONE(284, FIELD_SHORT, 2), ONE(322, FIELD_SHORT, 15), ONE(323, FIELD_SHORT, 1)}},
    {LZT_LIMIT, large_page, {ONE(277, FIELD_LONG, 65535), ONE(322, FIELD_LONG, INT32_MAX), ONE(323, FIELD_LONG, INT32_MAX)}},
    {LZT_LIMIT, large_chunk, {ONE(257, FIELD_LONG, (1u << 30) / 30 + 1), ONE(259, FIELD_SHORT, 5)}},
    {LZT_LIMIT, large_chunk, {ONE(259, FIELD_SHORT, 8), ONE(322, FIELD_LONG, INT32_MAX), ONE(323, FIELD_LONG, 1)}},
    {LZT_CORRUPT, bad_predictor, {ONE(259, FIELD_SHORT, 5), ONE(317, FIELD_SHORT, 0)}},
    {LZT_CORRUPT, bad_predictor, {ONE(259, FIELD_SHORT, 5), ONE(317, FIELD_SHORT, 4)}},
    {LZT_CORRUPT, bad_predictor, {ONE(259, FIELD_SHORT, 5), ONE(317, FIELD_SHORT, 3)}},
    {LZT_CORRUPT, bad_predictor, {ONE(258, FIELD_SHORT, 4), ONE(259, FIELD_SHORT, 5), ONE(317, FIELD_SHORT, 2)}},
    {LZT_CORRUPT, bad_predictor, {ONE(258, FIELD_SHORT, 64), ONE(259, FIELD_SHORT, 8), ONE(317, FIELD_SHORT, 2), ONE(339, FIELD_SHORT, 6)}},
    {LZT_CORRUPT, bad_predictor, {ONE(259, FIELD_SHORT, 7), ONE(317, FIELD_SHORT, 2)}},
    {LZT_CORRUPT, bad_subsampling, {ONE(262, FIELD_SHORT, 6), ONE(277, FIELD_SHORT, 3), {530, FIELD_SHORT, 2, (uint16_t[]){3, 1}, 0}}},
    {LZT_CORRUPT, bad_subsampling, {ONE(262, FIELD_SHORT, 6), ONE(277, FIELD_SHORT, 3), {530, FIELD_SHORT, 2, (uint16_t[]){1, 0}, 0}}},
    {LZT_CORRUPT, bad_subsampling, {ONE(262, FIELD_SHORT, 6), ONE(277, FIELD_SHORT, 3), ONE(530, FIELD_SHORT, 1)}},
    {LZT_UNSUPPORTED, odd_ycbcr, {ONE(262, FIELD_SHORT, 6), ONE(277, FIELD_SHORT, 4)}},
    {LZT_UNSUPPORTED, odd_ycbcr, {ONE(258, FIELD_SHORT, 16), ONE(262, FIELD_SHORT, 6), ONE(277, FIELD_SHORT, 3)}},
    {LZT_UNSUPPORTED, odd_ycbcr, {ONE(262, FIELD_SHORT, 6), ONE(277, FIELD_SHORT, 3), ONE(284, FIELD_SHORT, 2)}},
    {LZT_CORRUPT, odd_bilevel, {ONE(259, FIELD_SHORT, 4)}},
    {LZT_CORRUPT, odd_bilevel, {ONE(258, FIELD_SHORT, 1), ONE(259, FIELD_SHORT, 3), ONE(277, FIELD_SHORT, 2)}},
    {LZT_CORRUPT, format_lies, {ONE(258, FIELD_SHORT, 16), ONE(259, FIELD_SHORT, 50001)}},
    {LZT_CORRUPT, format_lies, {ONE(259, FIELD_SHORT, 32766)}},
    {LZT_CORRUPT, format_lies, {ONE(259, FIELD_SHORT, 32809)}},
    {LZT_UNSUPPORTED, "16-bit words", {ONE(258, FIELD_SHORT, 1), ONE(259, FIELD_SHORT, 32771)}},
    {LZT_UNSUPPORTED, "misreads PixarLog", {ONE(259, FIELD_SHORT, 32909)}},
};

static void test_problems(void)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        size_t count = 0;
        while (count < 5 && problems[i].changes[count].tag != 0)
            count++;
        check_changed(problems[i].changes, count, problems[i].status, problems[i].text);
    }
}

/* Whether a chunk is too large is judged to the byte, and by its size as it is read. */
static void test_max_chunk_bytes(void)
{
    const struct tiff_entry changes[] = {ONE(258, FIELD_SHORT, 1), ONE(259, FIELD_SHORT, 5)};
    struct lzt_options options = {.size = sizeof options, .max_chunk_bytes = 600};
    struct tiff_builder tiff = make_page(changes, 2, 0);
    struct opened opened = open_with(&tiff, &options);
    CHECK(lzt_layout_problem(layout_of(&opened, 0), NULL) == LZT_OK);
    close_all(&opened);
    options.max_chunk_bytes = 599;
    opened = open_with(&tiff, &options);
    CHECK(lzt_layout_problem(layout_of(&opened, 0), NULL) == LZT_LIMIT);
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- Pages that are fine ---- */

static void test_types(void)
{
    static const struct {
        uint16_t bits, format, kind, item_size, direct;
    } types[] = {
        {1, 1, LZT_BOOL, 1, 0},   {2, 1, LZT_UINT, 1, 0},   {7, 2, LZT_INT, 1, 0},    {8, 1, LZT_UINT, 1, 1},   {8, 2, LZT_INT, 1, 1},
        {8, 4, LZT_UINT, 1, 1},   {9, 1, LZT_UINT, 2, 0},   {16, 2, LZT_INT, 2, 1},   {17, 1, LZT_UINT, 4, 0},  {24, 1, LZT_UINT, 4, 0},
        {32, 1, LZT_UINT, 4, 1},  {64, 2, LZT_INT, 8, 1},   {16, 3, LZT_FLOAT, 2, 1}, {24, 3, LZT_FLOAT, 4, 0}, {32, 3, LZT_FLOAT, 4, 1},
        {64, 3, LZT_FLOAT, 8, 1}, {64, 6, LZT_COMPLEX, 8, 1}, {128, 6, LZT_COMPLEX, 16, 1},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct tiff_entry changes[] = {ONE(258, FIELD_SHORT, types[i].bits), ONE(339, FIELD_SHORT, types[i].format)};
        const struct lzt_layout layout = layout_with(changes, 2);
        CHECK(layout.problem == 0 && layout.kind == types[i].kind && layout.item_size == types[i].item_size);
        CHECK(layout.bits == types[i].bits && layout.sample_format == types[i].format && layout.direct == types[i].direct);
    }
}

static void test_defaults(void)
{
    const struct tiff_entry bare[] = {ONE(258, MISSING, 0), ONE(259, MISSING, 0), ONE(262, MISSING, 0), ONE(277, MISSING, 0)};
    const struct lzt_layout layout = layout_with(bare, 4);
    CHECK(layout.problem == 0 && layout.rows == 20 && layout.columns == 30 && layout.chunk_rows == 20 && layout.chunk_columns == 30);
    CHECK(layout.bits == 1 && layout.samples == 1 && layout.kind == LZT_BOOL && layout.compression == 1 && layout.predictor == 1);
    CHECK(layout.planar == 1 && layout.planes == 1 && layout.fill_order == 1 && layout.photometric == 1 && layout.tiled == 0);
}

static void test_chunks(void)
{
    static const struct {
        struct tiff_entry changes[4];
        uint32_t chunk_rows, chunk_columns, grid_rows, grid_columns, planes, samples;
    } cases[] = {
        {{ONE(278, FIELD_SHORT, 6)}, 6, 30, 4, 1, 1, 1},
        {{ONE(278, FIELD_LONG, 21)}, 20, 30, 1, 1, 1, 1},
        {{ONE(278, FIELD_LONG, UINT32_MAX)}, 20, 30, 1, 1, 1, 1},
        {{{278, FIELD_LONG8, 1, &large, 0}}, 20, 30, 1, 1, 1, 1},
        {{ONE(278, FIELD_BYTE, 20)}, 20, 30, 1, 1, 1, 1},
        {{ONE(322, FIELD_LONG, 16), ONE(323, FIELD_SHORT, 16)}, 16, 16, 2, 2, 1, 1},
        {{ONE(322, FIELD_LONG, 7), ONE(323, FIELD_SHORT, 1000)}, 1000, 7, 1, 5, 1, 1},
        {{ONE(322, FIELD_LONG, INT32_MAX), ONE(323, FIELD_LONG, INT32_MAX)}, INT32_MAX, INT32_MAX, 1, 1, 1, 1},
        {{ONE(277, FIELD_SHORT, 65535)}, 20, 30, 1, 1, 1, 65535},
        {{ONE(277, FIELD_SHORT, 65535), ONE(278, FIELD_SHORT, 19), ONE(284, FIELD_SHORT, 2)}, 19, 30, 2, 1, 65535, 65535},
        {{ONE(257, FIELD_LONG, UINT32_MAX), ONE(278, FIELD_SHORT, 1)}, 1, 30, UINT32_MAX, 1, 1, 1},
        {{ONE(257, FIELD_LONG, UINT32_MAX), ONE(277, FIELD_SHORT, 65535), ONE(278, FIELD_SHORT, 1), ONE(284, FIELD_SHORT, 2)},
         1, 30, UINT32_MAX, 1, 65535, 65535},
        {{ONE(257, FIELD_LONG, UINT32_MAX), ONE(278, FIELD_LONG, 1u << 31)}, 1u << 31, 30, 2, 1, 1, 1},
        {{ONE(256, FIELD_LONG, UINT32_MAX), ONE(322, FIELD_SHORT, 1), ONE(323, FIELD_SHORT, 1)}, 1, 1, 20, UINT32_MAX, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t count = 0;
        while (count < 4 && cases[i].changes[count].tag != 0)
            count++;
        const struct lzt_layout layout = layout_with(cases[i].changes, count);
        CHECK(layout.problem == 0 && layout.chunk_rows == cases[i].chunk_rows && layout.chunk_columns == cases[i].chunk_columns);
        CHECK(layout.grid_rows == cases[i].grid_rows && layout.grid_columns == cases[i].grid_columns);
        CHECK(layout.planes == cases[i].planes && layout.samples == cases[i].samples);
    }
}

/* Predictor where no codec has one, and odd values where they mean nothing, are passed over. */
static void test_passed_over(void)
{
    const struct tiff_entry predictor[] = {ONE(317, FIELD_SHORT, 2)}, packbits[] = {ONE(259, FIELD_SHORT, 32773), ONE(317, FIELD_SHORT, 9)};
    const struct tiff_entry order[] = {ONE(266, FIELD_SHORT, 7)}, swapped[] = {ONE(266, FIELD_SHORT, 2)};
    const struct tiff_entry one_for_all[] = {ONE(262, FIELD_SHORT, 2), ONE(277, FIELD_SHORT, 3), ONE(339, FIELD_SHORT, 2)};
    CHECK(layout_with(predictor, 1).problem == 0 && layout_with(predictor, 1).predictor == 1 && layout_with(predictor, 1).direct == 1);
    CHECK(layout_with(packbits, 2).problem == 0 && layout_with(packbits, 2).predictor == 1);
    CHECK(layout_with(order, 1).problem == 0 && layout_with(order, 1).fill_order == 1);
    CHECK(layout_with(swapped, 1).problem == 0 && layout_with(swapped, 1).fill_order == 2 && layout_with(swapped, 1).direct == 0);
    CHECK(layout_with(one_for_all, 3).problem == 0 && layout_with(one_for_all, 3).kind == LZT_INT && layout_with(one_for_all, 3).samples == 3);
}

/* ---- Hostile ---- */

/* A page of absurd size whose few bytes are there is opened, and a pixel of it is refused for the bytes that are missing. */
static void test_absurd_page(void)
{
    const struct tiff_entry sizes[] = {ONE(256, FIELD_LONG, UINT32_MAX), ONE(257, FIELD_LONG, 1u << 29), ONE(258, FIELD_SHORT, 16)};
    const struct lzt_window window = {{(1u << 29) - 1, 1, 1}, {UINT32_MAX - 1, 1, 1}, {0, 1, 1}, INT64_MAX, INT64_MIN, 2};
    struct tiff_builder tiff = make_page(sizes, 3, 0);
    struct opened opened = open_built(&tiff);
    uint8_t pixel[2];
    const struct lzt_job job = {0, 0, 0, pixel, NULL};
    struct lzt_batch *batch;
    struct lzt_error error;
    CHECK(page_bytes(layout_of(&opened, 0)) == (UINT64_C(0xFFFFFFFF) << 30));
    check_status(lzt_read_page(opened.reader, 0, pixel, 2, &error), LZT_USAGE, &error, "does not fit into 2 bytes");
    check_status(lzt_batch_open(opened.table, &window, 1, &job, 1, &batch, &error), LZT_OK, &error, "");
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_DECODE, &error, "it ends early: 8 of 4611686017353646080 bytes");
    CHECK(error.page == 0 && error.chunk == 0);
    lzt_batch_close(batch);
    close_all(&opened);
    tiff_free(&tiff);
}

/* Pages that take long to study: 65,535 samples, 4,000 tags to search, and no page like the one before. */
static void test_slow_pages(void)
{
    enum { SAMPLES = 65535, TAGS = 4000, PAGES = 50 };
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_entry entries[TAGS];
    const size_t bits = tiff_reserve(&tiff, 2 * SAMPLES), ones = tiff_reserve(&tiff, 2 * SAMPLES);
    for (size_t i = 0; i < SAMPLES; i++) {
        tiff_put(&tiff, bits + 2 * i, 2, 8);
        tiff_put(&tiff, ones + 2 * i, 2, 1);
    }
    for (uint32_t page = 0; page < PAGES; page++) {
        for (size_t i = 0; i < TAGS; i++)
            entries[i] = (struct tiff_entry)ONE(10, FIELD_BYTE, 0);
        const struct tiff_entry last[] = {ONE(256, FIELD_LONG, page + 1), ONE(257, FIELD_SHORT, 1), {258, FIELD_SHORT, SAMPLES, NULL, bits},
                                          ONE(277, FIELD_SHORT, SAMPLES), {339, FIELD_SHORT, SAMPLES, NULL, ones}};
        memcpy(entries + TAGS - 5, last, sizeof last);
        tiff_add_page(&tiff, entries, TAGS);
    }
    const clock_t begin = clock();
    struct opened opened = open_built(&tiff);
    CHECK(lzt_table_pages(opened.table) == PAGES && layout_of(&opened, PAGES - 1)->problem == 0);
    CHECK(layout_of(&opened, 0)->samples == SAMPLES && layout_of(&opened, 0)->kind == LZT_UINT);
    printf("%.2f s for %d pages\n", (double)(clock() - begin) / CLOCKS_PER_SEC, PAGES);
    CHECK((clock() - begin) / CLOCKS_PER_SEC < 5);
    close_all(&opened);
    tiff_free(&tiff);
}

int main(void)
{
    test_problems();
    test_max_chunk_bytes();
    test_types();
    test_defaults();
    test_chunks();
    test_passed_over();
    test_absurd_page();
    test_slow_pages();
    return 0;
}
