/* Tags: every field type in every kind of file arrives in this machine's byte order; what cannot be read says so. */
#include "reading.h"

enum { FIRST = 60000 }; /* private tags, one for each value */

static const uint8_t bytes[5] = {1, 2, 200, 0, 255};
static const int8_t signed_bytes[3] = {-1, 2, -128};
static const uint16_t shorts[7] = {1, 0x0203, 0xFFFE, 4, 5, 6, 7};
static const int16_t signed_shorts[2] = {-2, 0x0304};
static const uint32_t longs[3] = {1, 0x01020304, 0xFFFFFFFE};
static const int32_t signed_longs[1] = {-70000};
static const uint32_t fractions[4] = {1, 3, 0x01020304, 0x05060708};
static const int32_t signed_fractions[2] = {-1, 3};
static const float floats[1] = {-1.5f};
static const double doubles[2] = {3.25e300, -0.0};
static const uint64_t long8s[2] = {0x0102030405060708, UINT64_MAX};
static const int64_t signed_long8s[1] = {-5000000000};

/* type, number of values, values */
static const struct {
    uint16_t type;
    uint64_t count;
    const void *values;
} values[] = {
    {FIELD_BYTE, 1, bytes},           {FIELD_BYTE, 5, bytes},           {FIELD_ASCII, 4, "abc"},        {FIELD_ASCII, 9, "abcdefgh"},
    {FIELD_SHORT, 1, shorts},         {FIELD_SHORT, 2, shorts},         {FIELD_SHORT, 7, shorts},       {FIELD_LONG, 1, longs},
    {FIELD_LONG, 3, longs},           {FIELD_RATIONAL, 1, fractions},   {FIELD_RATIONAL, 2, fractions}, {FIELD_SBYTE, 3, signed_bytes},
    {FIELD_UNDEFINED, 5, bytes},      {FIELD_SSHORT, 2, signed_shorts}, {FIELD_SLONG, 1, signed_longs}, {FIELD_SRATIONAL, 1, signed_fractions},
    {FIELD_FLOAT, 1, floats},         {FIELD_DOUBLE, 2, doubles},       {FIELD_IFD, 2, longs},          {FIELD_LONG8, 2, long8s},
    {FIELD_SLONG8, 1, signed_long8s}, {FIELD_IFD8, 1, long8s},
};
enum { VALUES = sizeof values / sizeof *values };

static void test_types(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_entry extra[VALUES];
    struct lzt_tag tags[VALUES + 10];
    struct lzt_error error;
    size_t count;
    for (uint16_t i = 0; i < VALUES; i++)
        extra[i] = (struct tiff_entry){FIRST + i, values[i].type, values[i].count, values[i].values, 0};
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 1, .extra = extra, .extra_count = VALUES});
    struct opened opened = open_built(&tiff);
    check_status(lzt_tags_read(opened.table, 0, tags, VALUES + 10, &count, &error), LZT_OK, &error, "");
    CHECK(count == VALUES + 10 && count == lzt_table_rows(opened.table)[0].tags);
    for (size_t i = 0; i < VALUES; i++) {
        const struct lzt_tag *tag = &tags[10 + i];
        const size_t size = values[i].count * tiff_value_size(values[i].type);
        struct guarded buffer = guarded_new(size);
        CHECK(tag->tag == FIRST + i && tag->type == values[i].type && tag->count == values[i].count);
        CHECK(tag->problem == 0 && tag->bytes == size && tag->offset + size <= tiff.size);
        check_status(lzt_tag_value(opened.table, tag, buffer.bytes, &error), LZT_OK, &error, "");
        CHECK(memcmp(buffer.bytes, values[i].values, size) == 0);
        guarded_free(&buffer);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_capacity(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_tag tags[11];
    struct lzt_error error;
    size_t count = 99;
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 1});
    struct opened opened = open_built(&tiff);
    memset(tags, 0xA5, sizeof tags);
    CHECK(lzt_tags_read(opened.table, 0, tags, 3, &count, NULL) == LZT_OK && count == 3);
    CHECK(tags[2].tag == 258 && tags[3].tag == 0xA5A5);
    CHECK(lzt_tags_read(opened.table, 0, tags, 11, &count, NULL) == LZT_OK && count == 10 && tags[10].tag == 0xA5A5);
    CHECK(lzt_tags_read(opened.table, 0, NULL, 0, &count, NULL) == LZT_OK && count == 0);
    check_status(lzt_tags_read(opened.table, 1, tags, 11, &count, &error), LZT_USAGE, &error, "page 1 of 1");
    CHECK(error.page == 1 && count == 0);
    close_all(&opened);
    tiff_free(&tiff);
}

/* Unknown types, values outside of the file, sizes that do not fit in 64 bits: problems of that tag alone. */
static void test_problems(int bigtiff, int big_endian)
{
    const uint64_t most = bigtiff ? UINT64_MAX : UINT32_MAX;
    const struct tiff_entry extra[] = {
        {FIRST, 0, 1, NULL, 0},
        {FIRST + 1, 14, 1, NULL, 0},
        {FIRST + 2, 15, 1, NULL, 0},
        {FIRST + 3, 19, 1, NULL, 0},
        {FIRST + 4, 0xFFFF, 1, NULL, 0},
        {FIRST + 5, FIELD_DOUBLE, most, NULL, 8},
        {FIRST + 6, FIELD_BYTE, most, NULL, 1},
        {FIRST + 7, FIELD_ASCII, 20, NULL, most},
        {FIRST + 8, FIELD_DOUBLE, bigtiff ? (UINT64_C(1) << 61) + 2 : (1u << 29) + 2, NULL, 8}, /* 16 bytes, if it overflows */
        {FIRST + 9, FIELD_SHORT, 0, NULL, 7}, /* no values: that is no problem */
        {FIRST + 10, FIELD_LONG, 1, NULL, 77},
    };
    const size_t count = sizeof extra / sizeof *extra;
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct lzt_tag tags[30];
    struct lzt_error error;
    size_t got;
    uint32_t value = 0;
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 2, .columns = 3, .extra = extra, .extra_count = count});
    struct opened opened = open_built(&tiff);
    CHECK(warning_count(&opened) == 1);
    check_warning(&opened, "page 0: a tag has an unknown type or a value outside of the file; it is left out");
    check_made_page(&opened, 0, 0);
    CHECK(lzt_tags_read(opened.table, 0, tags, 30, &got, NULL) == LZT_OK && got == 10 + count);
    for (size_t i = 0; i < 9; i++) {
        CHECK(tags[10 + i].tag == FIRST + i && tags[10 + i].problem == 1);
        check_status(lzt_tag_value(opened.table, &tags[10 + i], NULL, &error), LZT_CORRUPT, &error, "unknown type or lies outside");
    }
    CHECK(tags[19].problem == 0 && tags[19].bytes == 0 && lzt_tag_value(opened.table, &tags[19], NULL, NULL) == LZT_OK);
    CHECK(tags[20].problem == 0 && lzt_tag_value(opened.table, &tags[20], &value, NULL) == LZT_OK && value == 77);
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_max_value_bytes(void)
{
    static const uint8_t text[100] = "text";
    const struct tiff_entry extra[] = {{FIRST, FIELD_ASCII, 99, text, 0}, {FIRST + 1, FIELD_ASCII, 100, text, 0}};
    const struct lzt_options options = {.size = sizeof options, .max_value_bytes = 99};
    struct tiff_builder tiff = tiff_new(0, 0);
    struct lzt_tag tags[12];
    struct lzt_error error;
    uint8_t buffer[100];
    size_t count;
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 1, .columns = 1, .extra = extra, .extra_count = 2});
    struct opened opened = open_with(&tiff, &options);
    CHECK(lzt_tags_read(opened.table, 0, tags, 12, &count, NULL) == LZT_OK && count == 12);
    CHECK(lzt_tag_value(opened.table, &tags[10], buffer, NULL) == LZT_OK && memcmp(buffer, text, 99) == 0);
    check_status(lzt_tag_value(opened.table, &tags[11], buffer, &error), LZT_LIMIT, &error, "tag 60001 has 100 bytes; the limit");
    close_all(&opened);
    tiff_free(&tiff);
}

/* A file that was rewritten in place is noticed when its pages are touched, page by page; what was not rewritten stays readable. */
static void test_changed(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page pages[3];
    struct lzt_tag tags[10];
    struct lzt_error error;
    uint8_t pixels[6];
    size_t count;
    for (unsigned i = 0; i < 3; i++)
        pages[i] = tiff_add_image(&tiff, &(struct tiff_image){.rows = 2, .columns = 3, .seed = i});
    struct opened opened = open_built(&tiff);
    tiff_put(&tiff, tiff_entry_at(&tiff, pages[1], 257) + 4 + tiff_word(&tiff), 4, 1);
    check_status(lzt_tags_read(opened.table, 1, tags, 10, &count, &error), LZT_CHANGED, &error, "is no longer the one that was there");
    CHECK(error.page == 1 && count == 0);
    check_status(lzt_read_page(opened.reader, 1, pixels, 6, &error), LZT_CHANGED, &error, "is no longer the one");
    CHECK(error.page == 1);
    tiff_put(&tiff, pages[1].ifd, bigtiff ? 8 : 2, 0); /* now it is no IFD at all */
    check_status(lzt_read_page(opened.reader, 1, pixels, 6, &error), LZT_CHANGED, &error, "is no longer the one");
    tiff_put(&tiff, pages[1].ifd, bigtiff ? 8 : 2, 5000);
    check_status(lzt_read_page(opened.reader, 1, pixels, 6, &error), LZT_CHANGED, &error, "is no longer the one");
    tiff_link(&tiff, pages[2].link, pages[0].ifd); /* growth is no change: links do not count */
    for (unsigned i = 0; i < 3; i += 2) {
        CHECK(lzt_tags_read(opened.table, i, tags, 10, &count, NULL) == LZT_OK && count == 10);
        check_made_page(&opened, i, i);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        test_types(i / 2, i % 2);
        test_problems(i / 2, i % 2);
        test_changed(i / 2, i % 2);
    }
    test_capacity();
    test_max_value_bytes();
    return 0;
}
