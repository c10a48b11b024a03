/* Every codec that libtiff can encode with: what it decodes its own pages to is what is read here, and damage is never read as pixels. */
#include "libtiff_pages.h"

static const struct encoding encodings[] = {
    {.name = "LZW", .compression = COMPRESSION_LZW},
    {.name = "LZW, predictor 2", .compression = COMPRESSION_LZW, .bits = 16, .samples = 3, .photometric = 2, .predictor = 2},
    {.name = "LZW, predictor 3, tiles", .compression = COMPRESSION_LZW, .bits = 32, .format = 3, .predictor = 3, .tile_columns = 32},
    {.name = "LZW, fill order 2", .compression = COMPRESSION_LZW, .fill_order = 2},
    {.name = "LZW, 1 bit", .compression = COMPRESSION_LZW, .bits = 1},
    {.name = "Deflate", .compression = COMPRESSION_ADOBE_DEFLATE},
    {.name = "Deflate, old code, predictor 2", .compression = COMPRESSION_DEFLATE, .bits = 32, .predictor = 2},
    {.name = "Deflate, planes of tiles", .compression = COMPRESSION_ADOBE_DEFLATE, .samples = 3, .planar = 2, .tile_columns = 32},
    {.name = "Deflate, double, predictor 3", .compression = COMPRESSION_ADOBE_DEFLATE, .bits = 64, .format = 3, .predictor = 3},
    {.name = "PackBits", .compression = COMPRESSION_PACKBITS, .samples = 2},
    {.name = "ZSTD", .compression = COMPRESSION_ZSTD, .bits = 16, .predictor = 2},
    {.name = "ZSTD, tiles", .compression = COMPRESSION_ZSTD, .samples = 3, .photometric = 2, .tile_columns = 16},
    {.name = "LZMA", .compression = COMPRESSION_LZMA, .samples = 3},
    {.name = "LZMA, predictor 2", .compression = COMPRESSION_LZMA, .bits = 16, .predictor = 2},
    {.name = "LERC", .compression = COMPRESSION_LERC},
    {.name = "LERC, float", .compression = COMPRESSION_LERC, .bits = 32, .format = 3},
    {.name = "LERC, samples", .compression = COMPRESSION_LERC, .bits = 16, .samples = 3},
    {.name = "LERC, Deflate", .compression = COMPRESSION_LERC, .options = {{TIFFTAG_LERC_ADD_COMPRESSION, LERC_ADD_COMPRESSION_DEFLATE}}},
    {.name = "LERC, ZSTD, tiles", .compression = COMPRESSION_LERC, .bits = 32, .format = 3, .tile_columns = 16,
     .options = {{TIFFTAG_LERC_ADD_COMPRESSION, LERC_ADD_COMPRESSION_ZSTD}}},
    {.name = "WebP", .compression = COMPRESSION_WEBP, .samples = 3, .photometric = 2},
    {.name = "WebP, lossless, alpha", .compression = COMPRESSION_WEBP, .samples = 4, .photometric = 2, .options = {{TIFFTAG_WEBP_LOSSLESS, 1}}},
    {.name = "JPEG, grey", .compression = COMPRESSION_JPEG},
    {.name = "JPEG, RGB", .compression = COMPRESSION_JPEG, .samples = 3, .photometric = 2},
    {.name = "JPEG, YCbCr", .compression = COMPRESSION_JPEG, .samples = 3, .photometric = 6},
    {.name = "JPEG, YCbCr, tiles", .compression = COMPRESSION_JPEG, .samples = 3, .photometric = 6, .tile_columns = 32},
    {.name = "JPEG, planes", .compression = COMPRESSION_JPEG, .samples = 3, .planar = 2, .photometric = 2},
    {.name = "JPEG, own tables", .compression = COMPRESSION_JPEG, .samples = 3, .photometric = 2, .options = {{TIFFTAG_JPEGTABLESMODE, 0}}},
    {.name = "CCITT RLE", .compression = COMPRESSION_CCITTRLE, .bits = 1, .photometric = UINT16_MAX},
    {.name = "CCITT RLE, fill order 2", .compression = COMPRESSION_CCITTRLE, .bits = 1, .fill_order = 2},
    {.name = "CCITT G3", .compression = COMPRESSION_CCITTFAX3, .bits = 1, .photometric = UINT16_MAX},
    {.name = "CCITT G3, 2D", .compression = COMPRESSION_CCITTFAX3, .bits = 1, .options = {{TIFFTAG_GROUP3OPTIONS, GROUP3OPT_2DENCODING}}},
    {.name = "CCITT G3, filled", .compression = COMPRESSION_CCITTFAX3, .bits = 1, .options = {{TIFFTAG_GROUP3OPTIONS, GROUP3OPT_FILLBITS}}},
    {.name = "CCITT G3, fill order 2", .compression = COMPRESSION_CCITTFAX3, .bits = 1, .fill_order = 2},
    {.name = "CCITT G4", .compression = COMPRESSION_CCITTFAX4, .bits = 1, .photometric = UINT16_MAX},
    {.name = "CCITT G4, tiles", .compression = COMPRESSION_CCITTFAX4, .bits = 1, .tile_columns = 32},
    {.name = "JBIG", .compression = COMPRESSION_JBIG, .bits = 1, .chunk_rows = 37, .photometric = UINT16_MAX},
    {.name = "PixarLog, alpha", .compression = COMPRESSION_PIXARLOG, .samples = 4, .photometric = 2},
    {.name = "PixarLog", .compression = COMPRESSION_PIXARLOG, .samples = 3, .photometric = 2},
    {.name = "SGILog", .compression = COMPRESSION_SGILOG, .bits = 16, .format = 2, .photometric = PHOTOMETRIC_LOGL},
    {.name = "SGILog, colour", .compression = COMPRESSION_SGILOG, .bits = 16, .format = 2, .samples = 3, .photometric = PHOTOMETRIC_LOGLUV},
    {.name = "SGILog24", .compression = COMPRESSION_SGILOG24, .bits = 16, .format = 2, .samples = 3, .photometric = PHOTOMETRIC_LOGLUV},
};

static void check_equal(const uint8_t *pixels, const uint8_t *truth, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (pixels[i] != truth[i]) {
            fprintf(stderr, "byte %zu of %zu is %u, not %u\n", i, size, pixels[i], truth[i]);
            CHECK(!"equal");
        }
}

/* What is read of the damaged page is the truth, or refused for that chunk. 1: it was read. */
static int check_harmless(const struct parts *parts, const uint8_t *truth, size_t size, size_t chunk)
{
    struct lzt_error error;
    struct guarded pixels = guarded_new(size);
    const enum lzt_status status = read_parts(parts, pixels.bytes, size, &error);
    if (status == LZT_OK) {
        check_equal(pixels.bytes, truth, size);
    } else {
        check_status(status, LZT_DECODE, &error, "");
        CHECK(error.page == 0 && error.chunk == (int64_t)chunk);
    }
    guarded_free(&pixels);
    return status == LZT_OK;
}

/* Every sixteenth of a stream, none of it included; of a short one every byte, since much may hang on where a line ends. */
static void check_cuts(struct parts *parts, const uint8_t *truth, size_t size, size_t chunk)
{
    const size_t whole = parts->chunks[chunk].size, cuts = whole < 128 ? whole : 16;
    for (size_t i = 0; i < cuts; i++) {
        parts->chunks[chunk].size = whole * i / cuts;
        CHECK(!check_harmless(parts, truth, size, chunk) || i > cuts / 2); /* half a stream never holds a whole chunk here */
    }
    parts->chunks[chunk].size = whole;
}

/* Flips of a byte may go unseen where no checksum is, but not show what was in memory, and not stop the program. */
static void check_flips(struct parts *parts, const uint8_t *truth, size_t size, size_t chunk, int has_checksum)
{
    const struct tiff_chunk whole = parts->chunks[chunk];
    uint8_t *bytes = malloc(whole.size), *pixels = malloc(size);
    uint64_t state = chunk;
    CHECK(bytes != NULL && pixels != NULL);
    for (unsigned i = 0; i < 40; i++) {
        struct lzt_error error;
        memcpy(bytes, whole.bytes, whole.size);
        bytes[any_below(&state, i < 20 ? (uint32_t)whole.size : 16 % (uint32_t)whole.size + 1)] ^= (uint8_t)(1 + any_below(&state, 255));
        parts->chunks[chunk].bytes = bytes;
        if (has_checksum) {
            check_harmless(parts, truth, size, chunk);
        } else {
            const enum lzt_status status = read_parts(parts, pixels, size, &error);
            CHECK(status == LZT_OK || ((status == LZT_DECODE || status == LZT_UNSUPPORTED) && error.chunk == (int64_t)chunk));
        }
    }
    parts->chunks[chunk] = whole;
    free(pixels);
    free(bytes);
}

static int has_checksum(uint16_t compression)
{
    return compression == COMPRESSION_ADOBE_DEFLATE || compression == COMPRESSION_DEFLATE || compression == COMPRESSION_LZMA;
}

static void test_encoding(const struct encoding *encoding)
{
    struct memory memory = encode(encoding);
    size_t size;
    uint8_t *truth = decode_by_libtiff(&memory, encoding, &size);
    struct parts parts = take_apart(memory);
    const size_t last = parts.chunk_count - 1;
    CHECK(check_harmless(&parts, truth, size, 0)); /* as it was written */
    check_cuts(&parts, truth, size, 0);
    check_cuts(&parts, truth, size, last);
    check_flips(&parts, truth, size, last / 2, has_checksum(encoding->compression));
    CHECK(check_harmless(&parts, truth, size, 0));
    free(truth);
    parts_free(&parts);
}

int main(int argc, char **argv)
{
    TIFFSetWarningHandler(NULL);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        if (argc > 1 && strcmp(argv[1], encodings[i].name) != 0)
            continue;
        puts(encodings[i].name);
        fflush(stdout);
        if (can_encode(&encodings[i]))
            test_encoding(&encodings[i]);
    }
    return 0;
}
