/* Chunks that the file leaves out, cuts short or hides: sparse ones read as GDAL_NODATA says, others are refused or found. */
#include <math.h>

#include "encoding.h"
#include "reading.h"

/* ---- Sparse chunks ---- */

/* Tiles of 4 x 4 in an image of 7 x 6, of which all but the last are left out; nodata may be NULL. */
static struct tiff_builder make_sparse(uint16_t bits, uint16_t format, uint16_t compression, const char *nodata)
{
    const struct tiff_entry extra[] = {{339, FIELD_SHORT, 1, NULL, format},
                                       {42113, FIELD_ASCII, nodata ? strlen(nodata) + 1 : 0, nodata, 0}};
    const size_t extra_count = nodata ? 2 : 1;
    const struct tiff_image image = {.rows = 7, .columns = 6, .samples = 2, .bits = bits, .compression = compression, .chunk_rows = 4,
                                     .chunk_columns = 4, .extra = extra, .extra_count = extra_count};
    struct tiff_builder tiff = tiff_new(0, 1);
    struct tiff_page page = compression > 1 ? tiff_add_coded(&tiff, &image, 1) : tiff_add_image(&tiff, &image);
    for (size_t i = 0; i < 3; i++) {
        tiff_put(&tiff, tiff_value_at(&tiff, page, 324) + 4 * i, 4, 0);
        tiff_put(&tiff, tiff_value_at(&tiff, page, 325) + 4 * i, 4, 0);
    }
    return tiff;
}

/* CHECK that the sparse chunks are made of the item, in the page, in what is kept and through a window with steps. */
static void check_sparse(const struct tiff_builder *tiff, const void *item, size_t size)
{
    struct opened opened = open_built(tiff);
    struct guarded pixels = read_pixels(&opened, 0), kept = guarded_new(2 * 4 * 2 * size), few = guarded_new(3 * 2 * size);
    const struct lzt_window window = {{1, 2, 3}, {0, 5, 2}, {1, 1, 1}, -(int64_t)size, 3 * (int64_t)size, 0};
    struct lzt_error error;
    struct lzt_batch *batch;
    struct lzt_job jobs[4];
    CHECK(layout_of(&opened, 0)->item_size == size);
    for (size_t i = 0; i < 7 * 6 * 2; i++)
        CHECK((i / 12 >= 4 && i % 12 >= 8) || memcmp(pixels.bytes + i * size, item, size) == 0);
    memset(kept.bytes, 0xA5, 2 * 4 * 2 * size);
    for (size_t i = 0; i < 4; i++)
        jobs[i] = (struct lzt_job){0, i, 0, few.bytes + 2 * size, i == 1 ? kept.bytes : NULL};
    check_status(lzt_batch_open(opened.table, &window, 1, jobs, 4, &batch, &error), LZT_OK, &error, "");
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    lzt_batch_close(batch);
    for (size_t i = 0; i < 2 * 4 * 2; i++)
        CHECK(memcmp(kept.bytes + i * size, item, size) == 0);
    for (size_t r = 0; r < 3; r++)
        for (size_t c = 0; c < 2; c++) {
            const size_t pixel = ((1 + 2 * r) * 6 + 5 * c) * 2 + 1;
            CHECK(memcmp(few.bytes + (2 - r + 3 * c) * size, pixels.bytes + pixel * size, size) == 0);
        }
    guarded_free(&few);
    guarded_free(&kept);
    guarded_free(&pixels);
    close_all(&opened);
}

static void test_sparse(void)
{
    static const int16_t minus_five = -5;
    static const uint16_t all_16 = 65535;
    static const uint64_t all_64 = UINT64_MAX, zeros[2] = {0, 0};
    static const int64_t least_64 = INT64_MIN;
    static const float one_and_half = 1.5f, not_a_number = NAN, lowest = -3.40282347e38f;
    static const double large = -1e300;
    static const struct {
        uint16_t bits, format;
        const char *nodata;
        const void *item;
        size_t size;
    } cases[] = {
        {8, 1, NULL, zeros, 1},   {8, 1, "7", "\7", 1},   {8, 1, "255.0", "\xFF", 1},  {8, 1, "-1", zeros, 1}, {8, 1, "256", zeros, 1},
        {8, 2, "-128", "\x80", 1}, {8, 1, "nan", zeros, 1}, {8, 1, "rubbish", zeros, 1}, {8, 1, "", zeros, 1},   {1, 1, "1", "\1", 1},
        {5, 1, "3", "\3", 1},      {1, 1, NULL, zeros, 1},
        {16, 2, "-5", &minus_five, 2},
        {16, 1, "65535", &all_16, 2},
        {64, 1, "18446744073709551615", &all_64, 8},
        {64, 2, "-9223372036854775808", &least_64, 8},
        {32, 3, "1.5", &one_and_half, 4},
        {32, 3, "-3.4028234663852886e+38", &lowest, 4},
        {32, 3, "nan", &not_a_number, 4},
        {64, 3, "-1e300", &large, 8},
        {16, 3, NULL, zeros, 2},
        {64, 6, NULL, zeros, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiff_builder tiff = make_sparse(cases[i].bits, cases[i].format, 1, cases[i].nodata);
        check_sparse(&tiff, cases[i].item, cases[i].size);
        tiff_free(&tiff);
        if (cases[i].bits % 8 == 0) {
            tiff = make_sparse(cases[i].bits, cases[i].format, 8, cases[i].nodata);
            check_sparse(&tiff, cases[i].item, cases[i].size);
            tiff_free(&tiff);
        }
    }
}

/* A value that the page's type has, but nothing here can write: refused, never something else. */
static void test_sparse_refused(void)
{
    for (int i = 0; i < 2; i++) {
        struct tiff_builder tiff = make_sparse(i ? 64 : 16, i ? 6 : 3, 1, "1");
        struct opened opened = open_built(&tiff);
        uint8_t pixels[7 * 6 * 2 * 8];
        struct lzt_error error;
        check_status(try_page(&opened, 0, pixels, &error), LZT_UNSUPPORTED, &error, "GDAL_NODATA has no such sample");
        CHECK(error.page == 0 && error.chunk == 0);
        close_all(&opened);
        tiff_free(&tiff);
    }
}

/* Rows and pixels of any size may be left out: read whole, and a column of them. */
static void check_wide(uint32_t columns, uint16_t samples)
{
    const struct tiff_entry entries[] = {{256, FIELD_LONG, 1, NULL, columns}, {257, FIELD_SHORT, 1, NULL, 2}, {258, FIELD_SHORT, 1, NULL, 16},
                                         {259, FIELD_SHORT, 1, NULL, 1}, {273, FIELD_LONG, 1, NULL, 0}, {277, FIELD_SHORT, 1, NULL, samples},
                                         {279, FIELD_LONG, 1, NULL, 0}, {42113, FIELD_ASCII, 4, "515", 0}};
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_add_page(&tiff, entries, 8);
    struct opened opened = open_built(&tiff);
    struct guarded pixels = read_pixels(&opened, 0), few = guarded_new(4);
    const struct lzt_window window = {{0, 1, 2}, {columns - 1, 1, 1}, {samples - 1u, 1, 1}, 2, 2, 2};
    const struct lzt_job job = {0, 0, 0, few.bytes, NULL};
    struct lzt_batch *batch;
    for (size_t i = 0; i < 4 * (size_t)columns * samples; i++)
        CHECK(pixels.bytes[i] == (i % 2 == 0 ? 515 % 256 : 515 / 256));
    CHECK(lzt_batch_open(opened.table, &window, 1, &job, 1, &batch, NULL) == LZT_OK);
    CHECK(lzt_batch_run(batch, opened.reader, 0, NULL) == LZT_OK && memcmp(few.bytes, pixels.bytes, 4) == 0);
    lzt_batch_close(batch);
    guarded_free(&few);
    guarded_free(&pixels);
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- Chunks that are there, or not quite ---- */

enum { ROWS = 10, COLUMNS = 8, STRIP = 4, STRIPS = 3 };
static const struct tiff_image strips = {.rows = ROWS, .columns = COLUMNS, .bits = 16, .chunk_rows = STRIP};

static void check_refused(const struct tiff_builder *tiff, enum lzt_status status, const char *text, int64_t chunk)
{
    struct guarded file = guarded_copy(tiff->bytes, tiff->size);
    struct opened opened;
    struct lzt_error error;
    uint8_t pixels[2 * ROWS * COLUMNS];
    CHECK(try_bytes(&opened, file.bytes, tiff->size, NULL, &error) == LZT_OK);
    check_status(try_page(&opened, 0, pixels, &error), status, &error, text);
    CHECK(error.page == 0 && error.chunk == chunk);
    CHECK(try_page(&opened, 0, pixels, NULL) == status);
    close_all(&opened);
    guarded_free(&file);
}

static void check_good(const struct tiff_builder *tiff)
{
    struct opened opened = open_built(tiff);
    check_made_page(&opened, 0, 0);
    close_all(&opened);
}

/* Change entry number index of the chunk table of tag, see how that goes, and change it back. */
static void try_change(struct tiff_builder *tiff, size_t place, size_t size, uint64_t value, enum lzt_status status, const char *text,
                       int64_t chunk)
{
    const uint64_t before = tiff_get(tiff, place, size);
    tiff_put(tiff, place, size, value);
    if (status == LZT_OK)
        check_good(tiff);
    else
        check_refused(tiff, status, text, chunk);
    tiff_put(tiff, place, size, before);
}

static void test_short(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page page = tiff_add_image(&tiff, &strips);
    const size_t offsets = tiff_value_at(&tiff, page, 273), sizes = tiff_value_at(&tiff, page, 279);
    try_change(&tiff, sizes + 4, 4, 63, LZT_DECODE, "it ends early: 63 of 64 bytes are there", 1);
    try_change(&tiff, sizes + 8, 4, 31, LZT_DECODE, "it ends early: 31 of 32 bytes are there", 2);
    try_change(&tiff, sizes, 4, 1000000, LZT_OK, "", 0); /* too much is enough */
    try_change(&tiff, sizes, 4, 0, LZT_OK, "", 0);       /* early writers left sizes out */
    try_change(&tiff, offsets, 4, tiff.size - 63, LZT_DECODE, "it ends early: 63 of 64 bytes are there", 0);
    try_change(&tiff, offsets + 8, 4, tiff.size, LZT_DECODE, "it is said to be 32 bytes at offset", 2);
    try_change(&tiff, offsets + 8, 4, UINT32_MAX, LZT_DECODE, "it is said to be 32 bytes at offset 4294967295", 2);
    try_change(&tiff, offsets + 4, 4, 7, LZT_DECODE, "it is said to be 64 bytes at offset 7", 1);
    try_change(&tiff, offsets + 4, 4, 0, LZT_DECODE, "it is said to be 64 bytes at offset 0", 1);
    check_good(&tiff);
    tiff_free(&tiff);
}

static void test_short_coded(void)
{
    const struct tiff_entry subsampling = {530, FIELD_SHORT, 2, (uint16_t[]){2, 2}, 0};
    struct tiff_image coded = strips, packed = strips;
    struct tiff_builder tiff = tiff_new(0, 0), bits = tiff_new(0, 0), ycbcr = tiff_new(0, 0);
    coded.compression = 8;
    struct tiff_page page = tiff_add_coded(&tiff, &coded, 2);
    const size_t offsets = tiff_value_at(&tiff, page, 273), sizes = tiff_value_at(&tiff, page, 279);
    try_change(&tiff, sizes + 4, 4, tiff_get(&tiff, sizes + 4, 4) - 1, LZT_DECODE, "do not decode", 1);
    try_change(&tiff, sizes + 4, 4, 1, LZT_DECODE, "do not decode", 1);
    try_change(&tiff, sizes + 4, 4, 0, LZT_DECODE, "it is said to be 0 bytes", 1);
    try_change(&tiff, offsets + 4, 4, tiff.size - 1, LZT_DECODE, "do not decode", 1);
    try_change(&tiff, sizes, 4, 1000000, LZT_OK, "", 0);
    packed.bits = 3;
    page = tiff_add_image(&bits, &packed);
    try_change(&bits, tiff_value_at(&bits, page, 279) + 4, 4, 11, LZT_DECODE, "it ends early: 11 of 12 bytes are there", 1);
    try_change(&bits, tiff_value_at(&bits, page, 279), 4, 0, LZT_OK, "", 0);
    uint8_t clumps[2 * 4 * 6] = {0};
    const struct tiff_chunk chunk = {clumps, sizeof clumps - 1};
    tiff_add_image(&ycbcr, &(struct tiff_image){.rows = 4, .columns = 8, .samples = 3, .photometric = 6, .chunks = &chunk, .extra = &subsampling,
                                                .extra_count = 1});
    check_refused(&ycbcr, LZT_DECODE, "it ends early: 47 of 48 bytes are there", 0);
    tiff_free(&ycbcr);
    tiff_free(&bits);
    tiff_free(&tiff);
}

/* Chunk tables of every whole type are read; too short ones and those of other types are refused for the chunks that they lack. */
static void test_tables(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page page = tiff_add_image(&tiff, &strips);
    const size_t word = tiff_word(&tiff), offsets = tiff_entry_at(&tiff, page, 273), sizes = tiff_entry_at(&tiff, page, 279);
    uint16_t shorts[2][STRIPS];
    for (size_t i = 0; i < STRIPS; i++) {
        shorts[0][i] = (uint16_t)tiff_get(&tiff, tiff_value_at(&tiff, page, 273) + word * i, word);
        shorts[1][i] = (uint16_t)tiff_get(&tiff, tiff_value_at(&tiff, page, 279) + word * i, word);
    }
    try_change(&tiff, offsets + 2, 2, bigtiff ? FIELD_IFD8 : FIELD_IFD, LZT_OK, "", 0);
    try_change(&tiff, offsets + 2, 2, FIELD_FLOAT, LZT_CORRUPT, "chunks where they are", 0);
    try_change(&tiff, offsets + 2, 2, 99, LZT_CORRUPT, "the page says of 0 chunks where they are", 0);
    try_change(&tiff, offsets, 2, 65000, LZT_CORRUPT, "the page says of 0 chunks where they are", 0);
    try_change(&tiff, offsets + 4, word, STRIPS - 1, LZT_CORRUPT, "the page says of 2 chunks where they are", 2);
    try_change(&tiff, sizes, 2, 65000, LZT_OK, "", 0); /* not coded, so its size is known */
    try_change(&tiff, sizes + 4, word, STRIPS - 1, LZT_OK, "", 0);
    try_change(&tiff, sizes + 2, 2, FIELD_ASCII, LZT_OK, "", 0);
    tiff_put(&tiff, offsets, 2, 324); /* tags of tiles, though there are none */
    tiff_put(&tiff, sizes, 2, 325);
    check_good(&tiff);
    tiff_put(&tiff, offsets, 2, 273);
    tiff_put(&tiff, sizes, 2, 279);
    const struct tiff_entry small[] = {{273, FIELD_SHORT, STRIPS, shorts[0], 0}, {279, FIELD_SHORT, STRIPS, shorts[1], 0}};
    tiff_put_entry(&tiff, offsets, &small[0]);
    tiff_put_entry(&tiff, sizes, &small[1]);
    check_good(&tiff);
    tiff_free(&tiff);
}

/* A chunk table of many thousand entries is read in stretches, in any order. */
static void test_long_table(void)
{
    enum { LONG = 5000 };
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_add_image(&tiff, &(struct tiff_image){.rows = LONG, .columns = 3, .chunk_rows = 1});
    struct opened opened = open_built(&tiff);
    static struct lzt_job jobs[LONG];
    static uint8_t pixels[LONG][3];
    const struct lzt_window window = {{0, 1, LONG}, {0, 1, 3}, {0, 1, 1}, 3, 1, 1};
    struct lzt_batch *batch;
    struct lzt_error error;
    for (size_t i = 0; i < LONG; i++)
        jobs[i] = (struct lzt_job){0, i * 1237 % LONG, 0, pixels[0], NULL};
    check_status(lzt_batch_open(opened.table, &window, 1, jobs, LONG, &batch, &error), LZT_OK, &error, "");
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    lzt_batch_close(batch);
    for (uint32_t i = 0; i < LONG; i++)
        for (uint32_t c = 0; c < 3; c++)
            CHECK(pixels[i][c] == tiff_sample(0, i, c, 0, 8));
    close_all(&opened);
    tiff_free(&tiff);
}

int main(void)
{
    test_sparse();
    test_sparse_refused();
    check_wide(200001, 1);
    check_wide(3, 65535);
    test_short();
    test_short_coded();
    for (int i = 0; i < 4; i++)
        test_tables(i / 2, i % 2);
    test_long_table();
    return 0;
}
