/* YCbCr: libtiff's public conversion says which pixels are right. Link with -ltiff. */
#include "check.h"
#include "ycbcr.h"

#include <tiffio.h>

static const struct lzt_ycbcr usual = {{0.299f, 0.587f, 0.114f}, {0, 255, 128, 255, 128, 255}};

static uint64_t random_state = 1;

static uint32_t random_word(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

/* libtiff's tables lie behind its struct; their size is not public, this is more than enough. */
static TIFFYCbCrToRGB *libtiff_tables(struct lzt_ycbcr ycbcr)
{
    TIFFYCbCrToRGB *tables = calloc(1, sizeof *tables + 64 * 1024);
    CHECK(tables != NULL);
    CHECK(TIFFYCbCrToRGBInit(tables, ycbcr.luma, ycbcr.reference) == 0);
    return tables;
}

/* All 256 luma values beside one pair of chroma values. */
static void check_pair(const struct lzt_ycbcr_table *table, TIFFYCbCrToRGB *tables, uint8_t cb, uint8_t cr)
{
    uint8_t clumps[256 * 3], rgb[256 * 3];
    for (int y = 0; y < 256; y++) {
        clumps[3 * y] = (uint8_t)y;
        clumps[3 * y + 1] = cb;
        clumps[3 * y + 2] = cr;
    }
    lzt_ycbcr_row(table, clumps, 256, 1, 1, 0, rgb);
    for (uint32_t y = 0; y < 256; y++) {
        uint32_t red, green, blue;
        TIFFYCbCrtoRGB(tables, y, cb, cr, &red, &green, &blue);
        CHECK(rgb[3 * y] == red && rgb[3 * y + 1] == green && rgb[3 * y + 2] == blue);
    }
}

/* step 1: every pixel that there is. */
static void check_against_libtiff(const struct lzt_ycbcr *ycbcr, int step)
{
    struct lzt_ycbcr_table table;
    lzt_ycbcr_prepare(ycbcr, &table);
    TIFFYCbCrToRGB *tables = libtiff_tables(*ycbcr);
    for (int cb = 0; cb < 256; cb += step)
        for (int cr = 0; cr < 256; cr += step)
            check_pair(&table, tables, (uint8_t)cb, (uint8_t)cr);
    free(tables);
}

static void test_every_usual_pixel_is_libtiffs(void)
{
    check_against_libtiff(&usual, 1);
}

static void test_other_coefficients(void)
{
    static const struct lzt_ycbcr others[] = {
        {{0.2126f, 0.7152f, 0.0722f}, {16, 235, 128, 240, 128, 240}}, /* BT.709, studio range */
        {{0.299f, 0.587f, 0.114f}, {15.5f, 235.25f, 128.75f, 240, 127.5f, 239.5f}},
        {{0.299f, 0.587f, 0.114f}, {255, 0, 255, 128, 255, 128}}, /* upside down */
        {{0.299f, 0.587f, 0.114f}, {7, 7, 128, 128, 9, 9}},       /* no span */
        {{1, 1, 1}, {0, 255, 128, 255, 128, 255}},
        {{0.9f, 1e-6f, 0.9f}, {0, 1e-3f, 128, 128.001f, 0, 255}},
        {{-5, -0.25f, 7}, {-1e9f, 1e9f, -300, 1e6f, 1e-30f, 1e30f}},
        {{0, 1, 0}, {0, 65535, 32768, 65535, 32768, 65535}},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_against_libtiff(&others[i], 5);
}

static float random_float(void)
{
    uint32_t bits = random_word();
    float value;
    if (bits % 4 == 0)
        return (float)(int)(random_word() % 1024) - 384;
    if (bits % 4 == 1)
        return (float)(random_word() % 10001) / 10000;
    memcpy(&value, &bits, 4);
    return value;
}

/* libtiff leaves the rest undefined, or refuses it. */
static int libtiff_takes(const struct lzt_ycbcr *ycbcr)
{
    for (int i = 0; i < 3; i++)
        if (ycbcr->luma[i] != ycbcr->luma[i])
            return 0;
    for (int i = 0; i < 6; i++)
        if (!(ycbcr->reference[i] > -1e9f && ycbcr->reference[i] < 1e9f))
            return 0;
    return ycbcr->luma[1] != 0;
}

static void test_random_coefficients(void)
{
    for (int round = 0; round < 20000; round++) {
        struct lzt_ycbcr ycbcr;
        for (int i = 0; i < 3; i++)
            ycbcr.luma[i] = random_float();
        for (int i = 0; i < 6; i++)
            ycbcr.reference[i] = random_float();
        if (libtiff_takes(&ycbcr))
            check_against_libtiff(&ycbcr, 127);
    }
}

/* Whatever the floats are, the sanitizers find nothing and the tables stay where their sums fit. */
static void test_hostile_coefficients(void)
{
    static const uint32_t patterns[] = {0,          0x80000000, 1,          0x7f7fffff, 0xff7fffff,
                                        0x7f800000, 0xff800000, 0x7fc00000, 0xcf000000, 0x3f000000};
    enum { KINDS = sizeof patterns / sizeof *patterns };
    for (int round = 0; round < 20000; round++) {
        float floats[9];
        for (int i = 0; i < 9; i++)
            memcpy(&floats[i], &patterns[random_word() % KINDS], 4);
        struct lzt_ycbcr ycbcr;
        memcpy(ycbcr.luma, floats, sizeof ycbcr.luma);
        memcpy(ycbcr.reference, floats + 3, sizeof ycbcr.reference);
        struct lzt_ycbcr_table table;
        lzt_ycbcr_prepare(&ycbcr, &table);
        for (int i = 0; i < 256; i++) {
            CHECK(abs(table.luma[i]) <= 4096 && abs(table.red_of_cr[i]) <= 8192 && abs(table.blue_of_cb[i]) <= 8192);
            CHECK(abs(table.green_of_cr[i]) <= 1 << 29 && abs(table.green_of_cb[i]) <= (1 << 29) + (1 << 15));
        }
    }
}

static void test_no_green(void)
{
    struct lzt_ycbcr ycbcr = usual;
    struct lzt_ycbcr_table table;
    ycbcr.luma[1] = 0;
    lzt_ycbcr_prepare(&ycbcr, &table);
    for (int i = 0; i < 256; i++)
        CHECK((table.green_of_cb[i] + table.green_of_cr[255 - i]) >> 16 == 0);
}

/* One row of a clump row that ends, as the pixels do, at the guard: each pixel is what its own three samples give. */
static void check_clumps(const struct lzt_ycbcr_table *table, size_t columns, unsigned across, unsigned down, unsigned line)
{
    size_t clump_size = across * down + 2, size = (columns + across - 1) / across * clump_size;
    struct guarded clumps = guarded_new(size), rgb = guarded_new(3 * columns);
    for (size_t i = 0; i < size; i++)
        clumps.bytes[i] = (uint8_t)random_word();
    lzt_ycbcr_row(table, clumps.bytes, columns, across, down, line, rgb.bytes);
    for (size_t column = 0; column < columns; column++) {
        const uint8_t *clump = clumps.bytes + column / across * clump_size;
        uint8_t single[3] = {clump[line * across + column % across], clump[clump_size - 2], clump[clump_size - 1]}, expected[3];
        lzt_ycbcr_row(table, single, 1, 1, 1, 0, expected);
        CHECK(memcmp(rgb.bytes + 3 * column, expected, 3) == 0);
    }
    guarded_free(&clumps);
    guarded_free(&rgb);
}

static void test_clumps(void)
{
    struct lzt_ycbcr_table table;
    lzt_ycbcr_prepare(&usual, &table);
    for (unsigned across = 1; across <= 4; across++)
        for (unsigned down = 1; down <= 4; down++)
            for (unsigned line = 0; line < down; line++)
                for (size_t columns = 0; columns <= 70; columns++)
                    check_clumps(&table, columns, across, down, line);
}

int main(void)
{
    test_every_usual_pixel_is_libtiffs();
    test_other_coefficients();
    test_random_coefficients();
    test_hostile_coefficients();
    test_no_green();
    test_clumps();
    return 0;
}
