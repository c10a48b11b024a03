/* Pages whose pixels are not in the file as they are read: the reason in words. Offsets and lengths that are lies. */
#include "extents.h"

/* ---- Pages ---- */

static void check_reason(const struct tiff_image *image, enum lzt_status status, const char *text)
{
    for (int kind = 0; kind < 4; kind++) {
        struct tiff_builder tiff = tiff_new(kind / 2, kind % 2);
        tiff_add_image(&tiff, &(struct tiff_image){.rows = 2, .columns = 2});
        tiff_add_image(&tiff, image);
        struct opened opened = open_built(&tiff);
        const uint64_t both[] = {0, 1};
        struct lzt_extent extents[2];
        struct lzt_error error;
        refuse(&opened, 1, status, text);
        check_status(lzt_table_extents(opened.table, both, 2, extents, &error), status, &error, text);
        CHECK(strstr(error.text, "page 1") != NULL || error.page == 1);
        CHECK(lzt_table_extents(opened.table, both, 1, extents, &error) == LZT_OK); /* pages that are not asked for do not matter */
        close_all(&opened);
        tiff_free(&tiff);
    }
}

static void test_compressions(void)
{
    static const struct {
        uint16_t compression, bits, samples;
        const char *text;
    } cases[] = {
        {2, 1, 1, "page 1 is CCITT-compressed"},        {3, 1, 1, "page 1 is CCITT-compressed"},
        {4, 1, 1, "page 1 is CCITT-compressed"},        {5, 16, 1, "page 1 is LZW-compressed"},
        {6, 8, 1, "page 1 is JPEG-compressed"},         {7, 8, 1, "page 1 is JPEG-compressed"},
        {8, 16, 1, "page 1 is Deflate-compressed"},     {32946, 16, 1, "page 1 is Deflate-compressed"},
        {32773, 8, 1, "page 1 is PackBits-compressed"}, {34661, 1, 1, "page 1 is JBIG-compressed"},
        {34887, 32, 1, "page 1 is LERC-compressed"},    {34925, 16, 1, "page 1 is LZMA-compressed"},
        {50000, 16, 1, "page 1 is ZSTD-compressed"},    {50001, 8, 3, "page 1 is WebP-compressed"},
        {32809, 4, 1, "page 1 is compressed (Compression 32809)"}, {32909, 8, 3, "page 1 is compressed (Compression 32909)"},
        {65000, 8, 1, "page 1 is compressed (Compression 65000)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_reason(&(struct tiff_image){.rows = 2, .columns = 8, .compression = cases[i].compression, .bits = cases[i].bits,
                                          .samples = cases[i].samples}, LZT_NOT_MAPPABLE, cases[i].text);
}

static void test_pixels_that_are_not_stored_as_read(void)
{
    const struct tiff_entry reverse = {266, FIELD_SHORT, 1, NULL, 2}, is_float = {339, FIELD_SHORT, 1, NULL, 3};
    const struct tiff_entry odd = {339, FIELD_SHORT, 1, NULL, 99}, whole = {530, FIELD_SHORT, 2, (const uint16_t[]){1, 1}, 0};
    static const uint16_t packed[] = {1, 2, 4, 10, 12, 24, 31};
    char text[64];
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        snprintf(text, sizeof text, "page 1: %d-bit samples are packed", packed[i]);
        check_reason(&(struct tiff_image){.rows = 2, .columns = 8, .bits = packed[i]}, LZT_NOT_MAPPABLE, text);
    }
    check_reason(&(struct tiff_image){.rows = 2, .columns = 8, .bits = 24, .extra = &is_float, .extra_count = 1}, LZT_NOT_MAPPABLE, "24-bit");
    for (uint16_t bits = 8; bits <= 16; bits += 8)
        check_reason(&(struct tiff_image){.rows = 2, .columns = 8, .bits = bits, .extra = &reverse, .extra_count = 1}, LZT_NOT_MAPPABLE,
                     "page 1: the bits of its bytes are stored in reverse order");
    check_reason(&(struct tiff_image){.rows = 2, .columns = 8, .photometric = 6, .samples = 3, .extra = &whole, .extra_count = 1},
                 LZT_NOT_MAPPABLE, "page 1: YCbCr pixels are converted to RGB");
    check_reason(&(struct tiff_image){.rows = 2, .columns = 8, .extra = &odd, .extra_count = 1}, LZT_UNSUPPORTED, "SampleFormat");
}

/* ---- Chunks ---- */

enum { STRIP = 10 }; /* bytes */

/* Strips of 2 x 5 bytes, of which number 1 has this offset, which may count from the end of the file, and length. */
static struct tiff_builder build_strips(int bigtiff, uint64_t offset, uint64_t length, int from_end)
{
    struct tiff_builder tiff = tiff_new(bigtiff, bigtiff);
    const struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 5, .chunk_rows = 2});
    const size_t word = tiff_word(&tiff);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 273) + word, word, from_end ? tiff.size + offset : offset);
    tiff_put(&tiff, tiff_value_at(&tiff, page, 279) + word, word, length);
    return tiff;
}

static void check_strip(int bigtiff, uint64_t offset, uint64_t length, int from_end, const char *text)
{
    struct tiff_builder tiff = build_strips(bigtiff, offset, length, from_end);
    struct opened opened = open_built(&tiff);
    if (text != NULL) {
        refuse(&opened, 0, LZT_NOT_MAPPABLE, text);
    } else {
        uint64_t *chunks = chunks_of(&opened, 0);
        CHECK(chunks[1] == (from_end ? tiff.size + offset : offset) && extent_of(&opened, 0).regular == 0);
        free(chunks);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_chunks_outside(void)
{
    for (int bigtiff = 0; bigtiff < 2; bigtiff++) {
        const uint64_t most = bigtiff ? UINT64_MAX : UINT32_MAX;
        check_strip(bigtiff, 0, 0, 0, "page 0, chunk 1: the file leaves it out");
        check_strip(bigtiff, 100, STRIP - 1, 0, "page 0, chunk 1 ends early: 9 of 10 bytes are there");
        check_strip(bigtiff, 100, 1, 0, "ends early: 1 of 10 bytes");
        check_strip(bigtiff, 0, STRIP, 0, "page 0, chunk 1: its 10 bytes at offset 0 are not all in the file");
        check_strip(bigtiff, 7, STRIP, 0, "at offset 7 are not");
        check_strip(bigtiff, 8, STRIP, 0, NULL);
        check_strip(bigtiff, 8, 0, 0, NULL); /* early writers did not state lengths */
        check_strip(bigtiff, 8, most, 0, NULL);
        check_strip(bigtiff, (uint64_t)-STRIP, STRIP, 1, NULL); /* the last bytes of the file */
        check_strip(bigtiff, (uint64_t)-STRIP + 1, STRIP, 1, "are not all in the file");
        check_strip(bigtiff, 0, STRIP, 1, "are not all in the file");
        check_strip(bigtiff, most, STRIP, 0, "are not all in the file");
        check_strip(bigtiff, most - STRIP + 1, STRIP, 0, "are not all in the file");
        check_strip(bigtiff, most / 2 + 1, most, 0, "are not all in the file");
        check_strip(bigtiff, most / 2, 0, 0, "are not all in the file");
    }
}

/* A page that has fewer offsets than chunks, or offsets that are none. */
static void test_few_offsets(int bigtiff, int big_endian)
{
    for (int wrong_type = 0; wrong_type < 2; wrong_type++) {
        struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
        const struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 5, .chunk_rows = 2});
        const size_t entry = tiff_entry_at(&tiff, page, 273);
        if (wrong_type)
            tiff_put(&tiff, entry + 2, 2, bigtiff ? FIELD_DOUBLE : FIELD_FLOAT);
        else
            tiff_put(&tiff, entry + 4, tiff_word(&tiff), 2);
        struct opened opened = open_built(&tiff);
        refuse(&opened, 0, LZT_NOT_MAPPABLE, "page 0: it says of too few chunks where they are");
        close_all(&opened);
        tiff_free(&tiff);
    }
}

/* Grids of more chunks than any file has are refused at the first that is missing. */
static void test_claims_of_many_chunks(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    const uint32_t tables[] = {8, 8, 8, 8};
    const struct tiff_entry entries[] = {{256, FIELD_LONG, 1, NULL, 1 << 24}, {257, FIELD_LONG, 1, NULL, 1 << 24}, {258, FIELD_SHORT, 1, NULL, 8},
                                         {322, FIELD_LONG, 1, NULL, 1},       {323, FIELD_LONG, 1, NULL, 1},
                                         {324, FIELD_LONG, 4, tables, 0},     {325, FIELD_LONG, 4, tables, 0}};
    tiff_add_page(&tiff, entries, 7);
    struct opened opened = open_built(&tiff);
    struct lzt_extent extent;
    struct lzt_error error;
    uint64_t offsets[4];
    CHECK(chunk_count(layout_of(&opened, 0)) == UINT64_C(1) << 48);
    check_status(try_extent(&opened, 0, &extent, &error), LZT_NOT_MAPPABLE, &error, "too few chunks");
    check_status(lzt_table_chunks(opened.table, 0, offsets, 4, &error), LZT_USAGE, &error, "room for 4");
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- The two ways to a page's only chunk ---- */

/* A page of one strip of STRIP bytes. Stated twice, the table does not know where the strip is, and its IFD is read again. */
static struct tiff_builder build_one(int big_endian, uint64_t offset, uint64_t length, unsigned times)
{
    struct tiff_builder tiff = tiff_new(1, big_endian);
    const uint64_t offsets[] = {offset, offset}, lengths[] = {length, length};
    const struct tiff_entry entries[] = {{256, FIELD_SHORT, 1, NULL, 5},
                                         {257, FIELD_SHORT, 1, NULL, 2},
                                         {258, FIELD_SHORT, 1, NULL, 8},
                                         {273, FIELD_LONG8, times, offsets, 0},
                                         {279, FIELD_LONG8, times, lengths, 0}};
    tiff_add_page(&tiff, entries, 5);
    tiff_reserve(&tiff, 400 - tiff.size);
    return tiff;
}

/* Both give the same extent, or the same reason. */
static void check_both_ways(int big_endian, uint64_t offset, uint64_t length)
{
    struct lzt_extent extents[2];
    struct lzt_error errors[2];
    enum lzt_status status[2];
    for (unsigned i = 0; i < 2; i++) {
        struct tiff_builder tiff = build_one(big_endian, offset, length, i + 1);
        struct opened opened = open_built(&tiff);
        CHECK((lzt_table_rows(opened.table)[0].data != 0) == (i == 0 && offset != 0));
        status[i] = try_extent(&opened, 0, &extents[i], &errors[i]);
        if (status[i] != LZT_OK)
            refuse(&opened, 0, LZT_NOT_MAPPABLE, errors[i].text);
        else
            CHECK(extents[i].offset == offset && extents[i].regular == 1 && extents[i].across == 0 && extents[i].down == 0);
        close_all(&opened);
        tiff_free(&tiff);
    }
    CHECK(status[0] == status[1] && (status[0] == LZT_OK) == (offset >= 8 && offset <= 400 - STRIP && (length == 0 || length >= STRIP)));
    CHECK(status[0] == LZT_OK ? memcmp(&extents[0], &extents[1], sizeof *extents) == 0 : strcmp(errors[0].text, errors[1].text) == 0);
}

static void test_both_ways(void)
{
    const uint64_t offsets[] = {0, 1, 7, 8, 300, 400 - STRIP, 400 - STRIP + 1, 399, 400, 401, UINT32_MAX, (uint64_t)INT64_MAX,
                                UINT64_C(1) << 63, UINT64_MAX - STRIP, UINT64_MAX - STRIP + 1, UINT64_MAX};
    const uint64_t lengths[] = {0, 1, STRIP - 1, STRIP, STRIP + 1, UINT32_MAX, (uint64_t)INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++)
            for (int big_endian = 0; big_endian < 2; big_endian++)
                check_both_ways(big_endian, offsets[i], lengths[j]);
}

/* Who allows only compressed pages maps no others either. */
static void test_allowed_codecs(void)
{
    const uint16_t codecs[] = {5, 1};
    for (unsigned times = 1; times <= 2; times++)
        for (size_t allowed = 1; allowed <= 2; allowed++) {
            const struct lzt_options options = {.size = sizeof options, .codecs = codecs, .codec_count = allowed};
            struct tiff_builder tiff = build_one(0, 300, STRIP, times);
            struct opened opened = open_with(&tiff, &options);
            if (allowed == 2)
                CHECK(extent_of(&opened, 0).offset == 300);
            else
                CHECK(refuse(&opened, 0, LZT_UNSUPPORTED, "allowed codecs").page == 0);
            close_all(&opened);
            tiff_free(&tiff);
        }
}

/* ---- Arguments, and files that change ---- */

static void test_arguments(void)
{
    struct tiff_builder tiff = build_strips(0, 100, STRIP, 0);
    struct opened opened = open_built(&tiff);
    const uint64_t pages[] = {0, 1, UINT64_MAX};
    struct lzt_extent extents[3];
    struct lzt_error error;
    uint64_t offsets[3];
    CHECK(lzt_table_extents(opened.table, pages, 0, extents, &error) == LZT_OK);
    check_status(lzt_table_extents(opened.table, pages, 2, extents, &error), LZT_USAGE, &error, "page 1 of 1");
    check_status(lzt_table_extents(opened.table, pages + 2, 1, extents, &error), LZT_USAGE, &error, "of 1");
    check_status(lzt_table_chunks(opened.table, 1, offsets, 3, &error), LZT_USAGE, &error, "page 1 of 1");
    check_status(lzt_table_chunks(opened.table, 0, offsets, 2, &error), LZT_USAGE, &error, "3 chunks, there is room for 2");
    CHECK(lzt_table_chunks(opened.table, 0, offsets, 3, &error) == LZT_OK && offsets[1] == 100);
    close_all(&opened);
    tiff_free(&tiff);
}

/* An IFD that has to be read again must be the one that was walked. */
static void test_changed_ifd(void)
{
    struct tiff_builder tiff = build_strips(1, 100, STRIP, 0);
    struct opened opened = open_built(&tiff);
    const uint64_t ifd = lzt_table_rows(opened.table)[0].ifd;
    tiff.bytes[ifd + 8]++;
    CHECK(refuse(&opened, 0, LZT_CHANGED, "no longer").page == 0);
    close_all(&opened);
    tiff_free(&tiff);
}

int main(void)
{
    test_compressions();
    test_pixels_that_are_not_stored_as_read();
    test_chunks_outside();
    for (int kind = 0; kind < 4; kind++) {
        test_few_offsets(kind / 2, kind % 2);
        test_claims_of_many_chunks(kind / 2, kind % 2);
    }
    test_both_ways();
    test_allowed_codecs();
    test_arguments();
    test_changed_ifd();
    return 0;
}
