/* The builder that the other tests trust: its bytes compared with bytes by hand, and its pages read back by libtiff. */
#define _DEFAULT_SOURCE
#include "check.h"
#include "tiff_builder.h"

#if defined(__has_include)
#if __has_include(<tiffio.h>)
#include <tiffio.h>
#define HAVE_LIBTIFF
#endif
#endif

static void check_bytes(const struct tiff_builder *tiff, const void *expected, size_t size)
{
    CHECK(tiff->size == size);
    for (size_t i = 0; i < size; i++)
        if (tiff->bytes[i] != ((const uint8_t *)expected)[i]) {
            fprintf(stderr, "byte %zu is %02x\n", i, tiff->bytes[i]);
            CHECK(!"as expected");
        }
}

static const uint16_t shorts[] = {0x0102, 0x0304, 0x0506};
static const uint32_t fractions[] = {0x0A, 0x0B0C0D0E};
static const struct tiff_entry entries[] = {
    {0x100, FIELD_SHORT, 1, NULL, 0x1122},         /* fits */
    {0x102, FIELD_SHORT, 3, shorts, 0},            /* fits in BigTIFF only */
    {0x10E, FIELD_ASCII, 3, "ab", 0},              /* fits, and leaves a byte */
    {0x111, FIELD_LONG, 1000, NULL, 0x00ABCDEF},   /* values that are somewhere else */
    {0x11A, FIELD_RATIONAL, 1, fractions, 0},      /* two numbers */
    {0xFFFF, 99, 2, NULL, 0x12345678},             /* a type that nobody knows */
};

static void test_classic_little_endian(void)
{
    static const uint8_t expected[] =
        "II\x2A\x00" "\x08\x00\x00\x00"
        "\x06\x00"
        "\x00\x01" "\x03\x00" "\x01\x00\x00\x00" "\x22\x11\x00\x00"
        "\x02\x01" "\x03\x00" "\x03\x00\x00\x00" "\x56\x00\x00\x00"
        "\x0E\x01" "\x02\x00" "\x03\x00\x00\x00" "ab\x00\x00"
        "\x11\x01" "\x04\x00" "\xE8\x03\x00\x00" "\xEF\xCD\xAB\x00"
        "\x1A\x01" "\x05\x00" "\x01\x00\x00\x00" "\x5C\x00\x00\x00"
        "\xFF\xFF" "\x63\x00" "\x02\x00\x00\x00" "\x78\x56\x34\x12"
        "\x00\x00\x00\x00"
        "\x02\x01\x04\x03\x06\x05"
        "\x0A\x00\x00\x00\x0E\x0D\x0C\x0B";
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page page = tiff_add_page(&tiff, entries, 6);
    check_bytes(&tiff, expected, sizeof expected - 1);
    CHECK(page.ifd == 8 && page.link == 82 && tiff.link == 82);
    CHECK(tiff_entry_at(&tiff, page, 0x102) == 22);
    CHECK(tiff_value_at(&tiff, page, 0x100) == 18 && tiff_value_at(&tiff, page, 0x102) == 0x56);
    CHECK(tiff_value_at(&tiff, page, 0x111) == 0xABCDEF && tiff_value_at(&tiff, page, 0xFFFF) == 78);
    tiff_free(&tiff);
}

static void test_bigtiff_big_endian(void)
{
    static const uint8_t expected[] =
        "MM\x00\x2B\x00\x08\x00\x00" "\x00\x00\x00\x00\x00\x00\x00\x10"
        "\x00\x00\x00\x00\x00\x00\x00\x06"
        "\x01\x00" "\x00\x03" "\x00\x00\x00\x00\x00\x00\x00\x01" "\x11\x22\x00\x00\x00\x00\x00\x00"
        "\x01\x02" "\x00\x03" "\x00\x00\x00\x00\x00\x00\x00\x03" "\x01\x02\x03\x04\x05\x06\x00\x00"
        "\x01\x0E" "\x00\x02" "\x00\x00\x00\x00\x00\x00\x00\x03" "ab\x00\x00\x00\x00\x00\x00"
        "\x01\x11" "\x00\x04" "\x00\x00\x00\x00\x00\x00\x03\xE8" "\x00\x00\x00\x00\x00\xAB\xCD\xEF"
        "\x01\x1A" "\x00\x05" "\x00\x00\x00\x00\x00\x00\x00\x01" "\x00\x00\x00\x0A\x0B\x0C\x0D\x0E"
        "\xFF\xFF" "\x00\x63" "\x00\x00\x00\x00\x00\x00\x00\x02" "\x00\x00\x00\x00\x12\x34\x56\x78"
        "\x00\x00\x00\x00\x00\x00\x00\x00";
    struct tiff_builder tiff = tiff_new(1, 1);
    struct tiff_page page = tiff_add_page(&tiff, entries, 6);
    check_bytes(&tiff, expected, sizeof expected - 1);
    CHECK(page.ifd == 16 && page.link == 144 && tiff_value_at(&tiff, page, 0x11A) == 24 + 4 * 20 + 12);
    tiff_free(&tiff);
}

static void test_links(void)
{
    const struct tiff_entry width = {256, FIELD_SHORT, 1, NULL, 1};
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_page first = tiff_add_page(&tiff, &width, 1);
    tiff_append(&tiff, "odd", 3);
    struct tiff_page second = tiff_add_page(&tiff, &width, 1);
    CHECK(second.ifd % 2 == 0);
    CHECK(tiff_get(&tiff, 4, 4) == first.ifd && tiff_get(&tiff, first.link, 4) == second.ifd);
    tiff.loose = 1;
    struct tiff_page side = tiff_add_page(&tiff, &width, 1);
    CHECK(tiff_get(&tiff, second.link, 4) == 0 && tiff.link == second.link);
    tiff_link(&tiff, 4, side.ifd); /* now side, second, first, second, ... */
    tiff_link(&tiff, side.link, second.ifd);
    tiff_link(&tiff, second.link, first.ifd);
    CHECK(tiff_get(&tiff, 4, 4) == side.ifd && tiff_get(&tiff, side.link, 4) == second.ifd);
    tiff_link(&tiff, first.link, tiff.size + 1000); /* dangling */
    CHECK(tiff_get(&tiff, first.link, 4) == tiff.size + 1000);
    tiff.loose = 0;
    struct tiff_page third = tiff_add_page(&tiff, &width, 1);
    CHECK(tiff_get(&tiff, second.link, 4) == third.ifd);
    tiff_free(&tiff);
}

/* 3 x 3 pixels of 12 bits in two tiles of 2 x 3: whole tiles, rows that end within a byte, other tags in place of ours. */
static void test_packed_samples(void)
{
    const struct tiff_entry extra[] = {{254, FIELD_LONG, 1, NULL, 2}, {262, FIELD_SHORT, 1, NULL, 0}};
    const struct tiff_image image = {.rows = 3, .columns = 3, .chunk_rows = 2, .chunk_columns = 3, .bits = 12, .seed = 5,
                                     .extra = extra, .extra_count = 2};
    struct tiff_builder tiff = tiff_new(0, 1);
    struct tiff_page page = tiff_add_image(&tiff, &image);
    CHECK(tiff_get(&tiff, page.ifd, 2) == 12);
    for (size_t place = page.ifd + 14; place < page.link; place += 12)
        CHECK(tiff_get(&tiff, place - 12, 2) < tiff_get(&tiff, place, 2));
    CHECK(tiff_get(&tiff, tiff_value_at(&tiff, page, 262), 2) == 0);
    CHECK(tiff_get(&tiff, tiff_value_at(&tiff, page, 254), 4) == 2);
    const size_t offset = (size_t)tiff_get(&tiff, tiff_value_at(&tiff, page, 324) + 4, 4); /* of the second tile */
    CHECK(tiff_get(&tiff, tiff_value_at(&tiff, page, 325) + 4, 4) == 10);
    const uint64_t a = tiff_sample(5, 3, 0, 0, 12), b = tiff_sample(5, 3, 1, 0, 12), c = tiff_sample(5, 3, 2, 0, 12);
    const uint8_t row[] = {(uint8_t)(a >> 4), (uint8_t)(a << 4 | b >> 8), (uint8_t)b, (uint8_t)(c >> 4), (uint8_t)(c << 4)};
    CHECK(memcmp(tiff.bytes + offset + 5, row, 5) == 0);
    tiff_free(&tiff);
}

static void test_given_chunks(void)
{
    const struct tiff_chunk chunks[] = {{"first", 5}, {"", 0}, {"x", 1}};
    const struct tiff_image image = {.rows = 5, .columns = 9, .chunk_rows = 2, .compression = 5, .chunks = chunks};
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_add_image(&tiff, &image);
    struct tiff_page page = tiff_add_image(&tiff, &image);
    const size_t offsets = tiff_value_at(&tiff, page, 273), sizes = tiff_value_at(&tiff, page, 279);
    for (size_t i = 0; i < 3; i++) {
        CHECK(tiff_get(&tiff, sizes + 4 * i, 4) == chunks[i].size);
        CHECK(memcmp(tiff.bytes + tiff_get(&tiff, offsets + 4 * i, 4), chunks[i].bytes, chunks[i].size) == 0);
    }
    CHECK(tiff_get(&tiff, tiff_value_at(&tiff, page, 259), 2) == 5);
    tiff_free(&tiff);
}

/* More pages than libtiff's 1,048,576, in well under a second. */
static void test_many_pages(void)
{
    const size_t pages = 1100000;
    const struct tiff_entry tiny[] = {
        {256, FIELD_SHORT, 1, NULL, 1}, {257, FIELD_SHORT, 1, NULL, 1}, {258, FIELD_SHORT, 1, NULL, 8},
        {259, FIELD_SHORT, 1, NULL, 1}, {262, FIELD_SHORT, 1, NULL, 1}, {273, FIELD_LONG, 1, NULL, 8},
        {277, FIELD_SHORT, 1, NULL, 1}, {279, FIELD_LONG, 1, NULL, 1},
    };
    struct tiff_builder tiff = tiff_new(0, 0);
    tiff_append(&tiff, "p", 1);
    for (size_t i = 0; i < pages; i++)
        tiff_add_page(&tiff, tiny, 8);
    CHECK(tiff.size == 10 + pages * 102);
    size_t found = 0;
    for (uint64_t ifd = tiff_get(&tiff, 4, 4); ifd != 0; ifd = tiff_get(&tiff, (size_t)ifd + 98, 4))
        found++;
    CHECK(found == pages);
    tiff_free(&tiff);
}

/* ---- libtiff ---- */

#ifdef HAVE_LIBTIFF

struct stream {
    const struct tiff_builder *tiff;
    uint64_t place;
};

static tmsize_t stream_read(thandle_t handle, void *buffer, tmsize_t size)
{
    struct stream *stream = handle;
    if (stream->place > stream->tiff->size || (uint64_t)size > stream->tiff->size - stream->place)
        return 0;
    memcpy(buffer, stream->tiff->bytes + stream->place, (size_t)size);
    stream->place += (uint64_t)size;
    return size;
}

static tmsize_t stream_write(thandle_t handle, void *buffer, tmsize_t size)
{
    (void)handle, (void)buffer, (void)size;
    return 0;
}

static toff_t stream_seek(thandle_t handle, toff_t offset, int whence)
{
    struct stream *stream = handle;
    CHECK(whence == SEEK_SET);
    return stream->place = offset;
}

static int stream_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t stream_size(thandle_t handle)
{
    return ((struct stream *)handle)->tiff->size;
}

static void refuse(const char *module, const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", module);
    vfprintf(stderr, format, arguments);
    CHECK(!"a word from libtiff");
}

/* libtiff gives samples in this machine's byte order: chunk number chunk must be the one that is built in that order. */
static void check_chunk(TIFF *tif, const struct tiff_image *image, uint32_t chunk)
{
    const uint16_t one = 1;
    const uint32_t width = image->chunk_columns ? image->chunk_columns : image->columns;
    const uint32_t across = (image->columns - 1) / width + 1, cells = ((image->rows - 1) / image->chunk_rows + 1) * across;
    struct tiff_builder expected = tiff_new(0, *(const uint8_t *)&one == 0);
    const size_t start = expected.size;
    tiff_make_chunk(&expected, image, chunk / cells, chunk % cells / across * image->chunk_rows, chunk % cells % across * width);
    const tmsize_t size = (tmsize_t)(expected.size - start);
    uint8_t *bytes = malloc((size_t)size);
    CHECK(bytes != NULL);
    if (image->chunk_columns)
        CHECK(TIFFReadEncodedTile(tif, chunk, bytes, size) == size);
    else
        CHECK(TIFFReadEncodedStrip(tif, chunk, bytes, size) == size);
    CHECK(memcmp(bytes, expected.bytes + start, (size_t)size) == 0);
    free(bytes);
    tiff_free(&expected);
}

static void check_page(TIFF *tif, const struct tiff_image *image)
{
    uint32_t rows = 0, columns = 0;
    uint16_t samples = 0, bits = 0, planar = 0;
    char *text = NULL;
    float resolution = 0;
    CHECK(TIFFGetField(tif, TIFFTAG_IMAGELENGTH, &rows) && rows == image->rows);
    CHECK(TIFFGetField(tif, TIFFTAG_IMAGEWIDTH, &columns) && columns == image->columns);
    CHECK(TIFFGetField(tif, TIFFTAG_SAMPLESPERPIXEL, &samples) && samples == image->samples);
    CHECK(TIFFGetField(tif, TIFFTAG_BITSPERSAMPLE, &bits) && bits == image->bits);
    CHECK(TIFFGetField(tif, TIFFTAG_PLANARCONFIG, &planar) && planar == image->planar);
    CHECK(TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &text) && strcmp(text, "of pages") == 0);
    CHECK(TIFFGetField(tif, TIFFTAG_XRESOLUTION, &resolution) && resolution == 1.5f);
    CHECK(!TIFFIsTiled(tif) == !image->chunk_columns);
    const uint32_t chunks = image->chunk_columns ? TIFFNumberOfTiles(tif) : TIFFNumberOfStrips(tif);
    for (uint32_t chunk = 0; chunk < chunks; chunk++)
        check_chunk(tif, image, chunk);
}

/* Pages of all sample sizes, as strips and tiles, together and apart. */
static size_t make_images(struct tiff_image *images, const struct tiff_entry *extra)
{
    static const uint16_t bits[] = {1, 4, 8, 12, 16, 24, 32, 64};
    size_t count = 0;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        for (int tiled = 0; tiled < 2; tiled++)
            for (uint16_t planar = 1; planar <= 2; planar++, count++)
                images[count] = (struct tiff_image){
                    .rows = 37, .columns = 50, .chunk_rows = tiled ? 16 : 10, .chunk_columns = tiled ? 32 : 0,
                    .samples = 3, .bits = bits[i], .compression = 1, .photometric = 2, .planar = planar,
                    .seed = count, .extra = extra, .extra_count = 2,
                };
    return count;
}

static void check_with_libtiff(int bigtiff, int big_endian)
{
    const uint32_t resolution[] = {3, 2};
    const struct tiff_entry extra[] = {{270, FIELD_ASCII, 9, "of pages", 0}, {282, FIELD_RATIONAL, 1, resolution, 0}};
    struct tiff_image images[64];
    const size_t count = make_images(images, extra);
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    for (size_t i = 0; i < count; i++)
        tiff_add_image(&tiff, &images[i]);
    struct stream stream = {&tiff, 0};
    TIFF *tif = TIFFClientOpen("built", "rm", &stream, stream_read, stream_write, stream_seek, stream_close, stream_size, NULL,
                               NULL);
    CHECK(tif != NULL);
    CHECK(TIFFIsBigEndian(tif) == big_endian);
    size_t page = 0;
    do
        check_page(tif, &images[page++]);
    while (TIFFReadDirectory(tif));
    CHECK(page == count);
    TIFFClose(tif);
    tiff_free(&tiff);
}

static void test_libtiff_agrees(void)
{
    TIFFSetErrorHandler(refuse);
    TIFFSetWarningHandler(refuse);
    for (int kind = 0; kind < 4; kind++)
        check_with_libtiff(kind & 1, kind >> 1);
}

#else
static void test_libtiff_agrees(void) {}
#endif

int main(void)
{
    test_classic_little_endian();
    test_bigtiff_big_endian();
    test_links();
    test_packed_samples();
    test_given_chunks();
    test_many_pages();
    test_libtiff_agrees();
    return 0;
}
