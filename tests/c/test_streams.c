/* Streams that say something else than their page: too long, too short, of another picture, with tables or a bit order of their own. */
#include "encoding.h"
#include "libtiff_pages.h"

/* ---- Deflate: the stream ends with the checksum of what it holds, all of it (RFC 1950) ---- */

enum { ROWS = 12, COLUMNS = 10, STRIP = 4, STRIPS = 3, BYTES = STRIP * COLUMNS, LONGEST = 5000 };

static uint8_t plain[LONGEST];

/* A page whose chunk number index is this stream; the others are right. */
static void check_deflate(uint16_t compression, size_t index, struct tiff_chunk stream, enum lzt_status expected)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    struct tiff_chunk chunks[STRIPS];
    struct lzt_error error;
    for (size_t i = 0; i < STRIPS; i++)
        chunks[i] = i == index ? stream : deflate_stored(plain, BYTES);
    tiff_add_image(&tiff, &(struct tiff_image){.rows = ROWS, .columns = COLUMNS, .chunk_rows = STRIP, .compression = compression, .chunks = chunks});
    struct opened opened = open_built(&tiff);
    for (unsigned poison = 0x5A; poison <= 0xA5; poison += 0xA5 - 0x5A) {
        struct guarded pixels = guarded_new(ROWS * COLUMNS);
        memset(pixels.bytes, (int)poison, ROWS * COLUMNS);
        check_status(try_page(&opened, 0, pixels.bytes, &error), expected, &error, "");
        CHECK(expected == LZT_OK || (error.page == 0 && error.chunk == (int64_t)index));
        for (size_t i = 0; i < STRIPS && expected == LZT_OK; i++)
            CHECK(memcmp(pixels.bytes + i * BYTES, plain, BYTES) == 0);
        guarded_free(&pixels);
    }
    close_all(&opened);
    tiff_free(&tiff);
    for (size_t i = 0; i < STRIPS; i++)
        free((void *)chunks[i].bytes);
}

/* A stream of that many bytes, and then: cut it short, or add to it; spoil its checksum. */
static struct tiff_chunk make_stream(size_t size, int more, int spoil)
{
    struct tiff_chunk stream = deflate_stored(plain, size);
    uint8_t *bytes = realloc((void *)stream.bytes, stream.size + 2000);
    CHECK(bytes != NULL && more <= 2000 && (more >= 0 || stream.size > (size_t)-more));
    bytes[stream.size - 1] ^= (uint8_t)spoil;
    memset(bytes + stream.size, 0x55, 2000);
    return (struct tiff_chunk){bytes, stream.size + (size_t)more};
}

static void test_deflate(uint16_t compression)
{
    static const size_t longer[] = {BYTES + 1, BYTES + COLUMNS, 2 * BYTES, LONGEST};
    static const int garbage[] = {1, 3, 4, 5, 2000};
    for (size_t index = 0; index < STRIPS; index++) {
        check_deflate(compression, index, make_stream(BYTES, 0, 0), LZT_OK);
        check_deflate(compression, index, make_stream(BYTES, 0, 1), LZT_DECODE);
        check_deflate(compression, index, make_stream(BYTES - 1, 0, 0), LZT_DECODE);
        check_deflate(compression, index, make_stream(0, 0, 0), LZT_DECODE);
        for (int cut = 1; cut <= 5; cut++)
            check_deflate(compression, index, make_stream(BYTES, -cut, 0), LZT_DECODE);
        for (size_t i = 0; i < 4; i++) {
            check_deflate(compression, index, make_stream(longer[i], 0, 0), LZT_OK);
            check_deflate(compression, index, make_stream(longer[i], 0, 1), LZT_DECODE);
            check_deflate(compression, index, make_stream(longer[i], -1, 0), LZT_DECODE);
            check_deflate(compression, index, make_stream(longer[i], 7, 0), LZT_OK);
        }
        for (size_t i = 0; i < 5; i++) {
            check_deflate(compression, index, make_stream(BYTES, garbage[i], 0), LZT_OK);
            check_deflate(compression, index, make_stream(BYTES, garbage[i], 1), LZT_DECODE);
            check_deflate(compression, index, make_stream(BYTES - 1, garbage[i], 0), LZT_DECODE);
        }
    }
}

/* ---- Pictures of another size ---- */

static struct parts encode_parts(const struct encoding *encoding) { return take_apart(encode(encoding)); }

/* CHECK what becomes of the page of one encoding when its chunk is that of another. */
static void check_exchange(const struct encoding *encoding, size_t chunk, const struct encoding *other, size_t other_chunk,
                           enum lzt_status expected)
{
    struct parts parts = encode_parts(encoding), others = encode_parts(other);
    struct lzt_error error;
    size_t size;
    free(decode_by_libtiff(&parts.memory, encoding, &size));
    uint8_t *pixels = malloc(size);
    CHECK(pixels != NULL);
    parts.chunks[chunk] = others.chunks[other_chunk];
    const enum lzt_status status = read_parts(&parts, pixels, size, &error);
    if (status != expected)
        fprintf(stderr, "chunk %zu of Compression %u\n", chunk, encoding->compression);
    check_status(status, expected, &error, "");
    CHECK(status == LZT_OK || (error.page == 0 && error.chunk == (int64_t)chunk));
    free(pixels);
    parts_free(&others);
    parts_free(&parts);
}

static void test_other_sizes(struct encoding page)
{
    if (!can_encode(&page))
        return;
    struct encoding taller = page, lower = page, wider = page, narrower = page;
    taller.chunk_rows = 32;
    lower.rows = 8;
    wider.columns = 66;
    narrower.columns = 34;
    check_exchange(&page, 0, &taller, 0, LZT_DECODE);
    check_exchange(&page, 1, &lower, 0, LZT_DECODE);
    check_exchange(&page, 0, &wider, 0, LZT_DECODE);
    check_exchange(&page, 0, &narrower, 0, LZT_DECODE);
    check_exchange(&page, 1, &page, 0, LZT_OK);
    /* the last strip has 5 rows; only JPEG writers are known to leave it at its full height */
    check_exchange(&page, 2, &page, 0, page.compression == COMPRESSION_JPEG ? LZT_OK : LZT_DECODE);
    check_exchange(&page, 0, &page, 2, LZT_DECODE);
}

static void test_other_pictures(void)
{
    const struct encoding grey = {.compression = COMPRESSION_JPEG}, colour = {.compression = COMPRESSION_JPEG, .samples = 3, .photometric = 2};
    const struct encoding ycbcr = {.compression = COMPRESSION_JPEG, .samples = 3, .photometric = 6};
    const struct encoding webp = {.compression = COMPRESSION_WEBP, .samples = 3, .photometric = 2};
    const struct encoding lerc = {.compression = COMPRESSION_LERC};
    test_other_sizes(grey);
    test_other_sizes(colour);
    test_other_sizes(ycbcr);
    test_other_sizes(webp);
    test_other_sizes(lerc);
    if (can_encode(&grey)) {
        check_exchange(&grey, 0, &colour, 0, LZT_DECODE);
        check_exchange(&colour, 1, &grey, 1, LZT_DECODE);
    }
}

/* The first rows of a last strip of full height are those of the picture. */
static void test_tall_last_strip(void)
{
    const struct encoding page = {.compression = COMPRESSION_JPEG};
    struct encoding longer = page;
    struct lzt_error error;
    size_t size, longer_size;
    longer.rows = 48;
    struct parts parts = encode_parts(&page), longer_parts = encode_parts(&longer);
    uint8_t *truth = decode_by_libtiff(&longer_parts.memory, &longer, &longer_size), *pixels = malloc(longer_size);
    free(decode_by_libtiff(&parts.memory, &page, &size));
    CHECK(size < longer_size && pixels != NULL);
    parts.chunks[2] = longer_parts.chunks[2];
    check_status(read_parts(&parts, pixels, size, &error), LZT_OK, &error, "");
    CHECK(memcmp(pixels, truth, size) == 0);
    free(pixels);
    free(truth);
    parts_free(&longer_parts);
    parts_free(&parts);
}

/* ---- Nothing of a chunk stays for the next ---- */

/* Read the page's chunks in this order with one reader. */
static void read_in_order(const struct parts *parts, const size_t *order, uint8_t *pixels)
{
    struct tiff_builder tiff = put_together(parts);
    struct opened opened = open_built(&tiff);
    const struct lzt_layout *layout = layout_of(&opened, 0);
    const struct lzt_window window = {{0, 1, layout->rows}, {0, 1, layout->columns}, {0, 1, layout->samples},
                                      (int64_t)layout->columns * layout->samples, layout->samples, 1};
    struct lzt_job jobs[3];
    struct lzt_batch *batch;
    struct lzt_error error;
    CHECK(chunk_count(layout) == 3 && layout->item_size == 1);
    for (size_t i = 0; i < 3; i++)
        jobs[i] = (struct lzt_job){0, order[i], 0, pixels, NULL};
    check_status(lzt_batch_open(opened.table, &window, 1, jobs, 3, &batch, &error), LZT_OK, &error, "");
    check_status(lzt_batch_run(batch, opened.reader, 0, &error), LZT_OK, &error, "");
    lzt_batch_close(batch);
    close_all(&opened);
    tiff_free(&tiff);
}

static void check_orders(const struct parts *parts, const uint8_t *truth, size_t size)
{
    static const size_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    uint8_t *pixels = malloc(size);
    CHECK(pixels != NULL);
    for (size_t i = 0; i < 6; i++) {
        memset(pixels, 0xA5, size);
        read_in_order(parts, orders[i], pixels);
        CHECK(memcmp(pixels, truth, size) == 0);
    }
    free(pixels);
}

/* The middle strip brings its own tables, of a far worse quality; those before and behind it use the page's. */
static void test_jpeg_tables(void)
{
    const struct encoding page = {.compression = COMPRESSION_JPEG, .options = {{TIFFTAG_JPEGQUALITY, 95}}};
    const struct encoding own = {.compression = COMPRESSION_JPEG, .options = {{TIFFTAG_JPEGQUALITY, 5}, {TIFFTAG_JPEGTABLESMODE, 0}}};
    struct parts parts = encode_parts(&page), others = encode_parts(&own);
    size_t size;
    uint8_t *truth = decode_by_libtiff(&parts.memory, &page, &size), *other = decode_by_libtiff(&others.memory, &own, &size);
    CHECK(memcmp(truth, other, size) != 0);
    check_orders(&parts, truth, size);
    parts.chunks[1] = others.chunks[1];
    memcpy(truth + 16 * 50, other + 16 * 50, 16 * 50);
    check_orders(&parts, truth, size);
    free(truth);
    free(other);
    parts_free(&others);
    parts_free(&parts);
}

/* LZW as the first writers packed it: codes from the low bit on. Codes of 9 bits only: Clear comes before they would grow. */
static struct tiff_chunk encode_old_lzw(const uint8_t *bytes, size_t size)
{
    enum { CLEAR = 256, END = 257, WIDTH = 9, RUN = 200 };
    struct tiff_builder room = {.bytes = NULL};
    size_t bit = 0;
    for (size_t i = 0, since = RUN; i <= size;) {
        const unsigned code = since == RUN ? CLEAR : i == size ? END : bytes[i];
        tiff_reserve(&room, (bit + WIDTH + 7) / 8 - room.size);
        for (unsigned k = 0; k < WIDTH; k++, bit++)
            room.bytes[bit / 8] |= (uint8_t)((code >> k & 1) << bit % 8);
        i += code != CLEAR;
        since = code == CLEAR ? 0 : since + 1;
    }
    return stream_of(&room);
}

static void test_old_lzw(void)
{
    const struct encoding page = {.compression = COMPRESSION_LZW};
    struct parts parts = encode_parts(&page);
    size_t size;
    uint8_t *truth = decode_by_libtiff(&parts.memory, &page, &size);
    const struct tiff_chunk old = encode_old_lzw(truth + 16 * 50, 16 * 50), last = encode_old_lzw(truth + 32 * 50, 5 * 50);
    parts.chunks[1] = old;
    check_orders(&parts, truth, size);
    parts.chunks[2] = last;
    check_orders(&parts, truth, size);
    free((void *)old.bytes);
    free((void *)last.bytes);
    free(truth);
    parts_free(&parts);
}

int main(void)
{
    TIFFSetWarningHandler(NULL);
    for (size_t i = 0; i < LONGEST; i++)
        plain[i] = (uint8_t)tiff_sample(7, (uint32_t)i, 0, 0, 8);
    test_deflate(8);
    test_deflate(32946);
    test_other_pictures();
    test_old_lzw();
    if (TIFFIsCODECConfigured(COMPRESSION_JPEG)) {
        test_tall_last_strip();
        test_jpeg_tables();
    }
    return 0;
}
