#include "layout.h"

#include "bytes.h"
#include "error.h"

enum {
    FINE,
    NO_SIZE,
    BAD_SAMPLES,
    FEW_SAMPLES,
    BAD_BITS,
    FEW_BITS,
    MIXED_BITS,
    ODD_BITS,
    MIXED_FORMATS,
    ODD_FORMAT,
    BAD_PLANAR,
    BAD_STRIPS,
    BAD_TILES,
    LARGE_TILES,
    LARGE_PAGE,
    LARGE_CHUNK,
    BAD_PREDICTOR,
    BAD_SUBSAMPLING,
    ODD_YCBCR,
    PACKED_YCBCR,
    ODD_BILEVEL,
    FORMAT_LIES,
    WORD_ALIGNED,
    ODD_PIXARLOG,
    NO_IFD
};

static const struct {
    enum lzt_status status;
    const char *text;
} problems[] = {
    [FINE] = {LZT_OK, ""},
    [NO_SIZE] = {LZT_CORRUPT, "ImageWidth or ImageLength is missing, 0 or no whole number"},
    [BAD_SAMPLES] = {LZT_CORRUPT, "SamplesPerPixel is 0 or above 65,535"},
    [FEW_SAMPLES] = {LZT_CORRUPT, "SamplesPerPixel is less than PhotometricInterpretation needs"},
    [BAD_BITS] = {LZT_CORRUPT, "BitsPerSample is 0 or unreadable"},
    [FEW_BITS] = {LZT_CORRUPT, "BitsPerSample has fewer values than there are samples"},
    [MIXED_BITS] = {LZT_UNSUPPORTED, "BitsPerSample differs between the samples of a pixel"},
    [ODD_BITS] = {LZT_UNSUPPORTED, "no NumPy type fits this BitsPerSample and SampleFormat"},
    [MIXED_FORMATS] = {LZT_UNSUPPORTED, "SampleFormat differs between the samples of a pixel"},
    [ODD_FORMAT] = {LZT_UNSUPPORTED, "SampleFormat is none of unsigned, signed, floating point, undefined and complex floating point"},
    [BAD_PLANAR] = {LZT_CORRUPT, "PlanarConfiguration is neither 1 nor 2"},
    [BAD_STRIPS] = {LZT_CORRUPT, "RowsPerStrip is 0 or unreadable"},
    [BAD_TILES] = {LZT_CORRUPT, "TileWidth or TileLength is missing, 0 or unreadable"},
    [LARGE_TILES] = {LZT_LIMIT, "TileWidth or TileLength is 2^31 or more"},
    [LARGE_PAGE] = {LZT_LIMIT, "the page claims more than 2^62 bytes or 2^48 chunks"},
    [LARGE_CHUNK] = {LZT_LIMIT, "a decoded chunk is larger than the limit max_chunk_bytes"},
    [BAD_PREDICTOR] = {LZT_CORRUPT, "this Predictor does not go with the page's BitsPerSample, SampleFormat or Compression"},
    [BAD_SUBSAMPLING] = {LZT_CORRUPT, "YCbCrSubSampling is none of 1, 2 and 4"},
    [ODD_YCBCR] = {LZT_UNSUPPORTED, "YCbCr pages are read with 3 samples of 8 bits, and without subsampling in separate planes"},
    [PACKED_YCBCR] = {LZT_UNSUPPORTED, "subsampled YCbCr pixels do not go with a predictor or LERC"},
    [ODD_BILEVEL] = {LZT_CORRUPT, "this codec is for 1 bit and 1 sample a pixel"},
    [FORMAT_LIES] = {LZT_CORRUPT, "this codec does not go with the page's BitsPerSample"},
    [WORD_ALIGNED] = {LZT_UNSUPPORTED, "libtiff misreads CCITT rows that begin at 16-bit words (Compression 32771)"},
    [ODD_PIXARLOG] = {LZT_UNSUPPORTED, "libtiff before 4.7 misreads PixarLog but for 3 or 4 samples a pixel"},
    [NO_IFD] = {LZT_CORRUPT, "its offset leads to no IFD"},
};

enum lzt_status lzt_layout_problem(const struct lzt_layout *layout, struct lzt_error *error)
{
    if (layout->problem == FINE)
        return LZT_OK;
    return lzt_fail(error, problems[layout->problem].status, "%s", problems[layout->problem].text);
}

const struct lzt_tag *lzt_find_tag(const struct lzt_tag *tags, size_t count, uint16_t number)
{
    for (size_t i = 0; i < count; i++)
        if (tags[i].tag == number)
            return &tags[i];
    return NULL;
}

int lzt_layout_depends_on(uint16_t tag)
{
    switch (tag) {
    case LZT_TAG_COLUMNS:
    case LZT_TAG_ROWS:
    case LZT_TAG_BITS:
    case LZT_TAG_COMPRESSION:
    case LZT_TAG_PHOTOMETRIC:
    case LZT_TAG_FILL_ORDER:
    case LZT_TAG_SAMPLES:
    case LZT_TAG_ROWS_PER_STRIP:
    case LZT_TAG_PLANAR:
    case LZT_TAG_PREDICTOR:
    case LZT_TAG_TILE_COLUMNS:
    case LZT_TAG_TILE_ROWS:
    case LZT_TAG_SAMPLE_FORMAT:
    case LZT_TAG_YCBCR_SUBSAMPLING:
        return 1;
    default:
        return 0;
    }
}

/* ---- What the tags say -------------------------------------------------------------------------------------------------- */

struct scan {
    struct lzt_peek *peek;
    struct lzt_format format;
    const struct lzt_tag *tags;
    size_t count;
    struct lzt_error *error;
    enum lzt_status status; /* the first failure of the source; afterwards every number is 0 */
};

/* Value number index of a tag; absent when the tag is missing; 0 and *fits = 0 when it is unreadable. */
static uint64_t number(struct scan *scan, uint16_t tag_number, uint64_t index, uint64_t absent, int *fits)
{
    const struct lzt_tag *tag = lzt_find_tag(scan->tags, scan->count, tag_number);
    uint64_t value = 0;
    *fits = tag == NULL;
    if (tag == NULL)
        return absent;
    if (scan->status == LZT_OK)
        scan->status = lzt_tag_number(scan->peek, scan->format, tag, index, &value, fits, scan->error);
    return value;
}

/* A tag of one SHORT; unreadable or larger values become 0, which no tag read with this has a use for. */
static uint16_t small_number(struct scan *scan, uint16_t tag, uint16_t absent)
{
    int fits;
    uint64_t value = number(scan, tag, 0, absent, &fits);
    return fits && value <= UINT16_MAX ? (uint16_t)value : 0;
}

/* 1: the first count values of the tag are equal. Looked at all at once: a page may claim 65,535 samples, and a file many such pages. */
static int are_equal(struct scan *scan, const struct lzt_tag *tag, uint64_t count)
{
    const unsigned size = lzt_type_size(tag->type);
    const uint8_t *bytes;
    if (scan->status == LZT_OK)
        scan->status = lzt_peek_at(scan->peek, tag->offset, (size_t)count * size, &bytes, scan->error);
    return scan->status != LZT_OK || memcmp(bytes, bytes + size, (size_t)(count - 1) * size) == 0;
}

/* The one value that all samples share; one value stands for all. 0: unreadable. Otherwise the problem that was given, or few. */
static uint16_t shared_number(struct scan *scan, uint16_t tag_number, uint16_t absent, uint32_t samples, uint16_t few, uint16_t mixed,
                              uint16_t *problem)
{
    const struct lzt_tag *tag = lzt_find_tag(scan->tags, scan->count, tag_number);
    const uint16_t first = small_number(scan, tag_number, absent);
    if (tag == NULL || tag->count == 1 || first == 0)
        return first;
    if (tag->count < samples)
        *problem = few;
    if (!are_equal(scan, tag, lzt_min64(tag->count, samples)))
        *problem = mixed;
    return first;
}

/* ---- One judgement after the other; each returns its problem ------------------------------------------------------------- */

static uint16_t read_size(struct scan *scan, struct lzt_layout *layout)
{
    int columns_fit, rows_fit, samples_fit;
    uint64_t columns = number(scan, LZT_TAG_COLUMNS, 0, 0, &columns_fit);
    uint64_t rows = number(scan, LZT_TAG_ROWS, 0, 0, &rows_fit);
    uint64_t samples = number(scan, LZT_TAG_SAMPLES, 0, 1, &samples_fit);
    if (!columns_fit || !rows_fit || columns == 0 || rows == 0 || columns > UINT32_MAX || rows > UINT32_MAX)
        return NO_SIZE;
    layout->columns = (uint32_t)columns;
    layout->rows = (uint32_t)rows;
    if (!samples_fit || samples == 0 || samples > UINT16_MAX)
        return BAD_SAMPLES;
    layout->stored_samples = (uint16_t)samples;
    layout->samples = layout->stored_samples;
    if ((layout->photometric == LZT_PHOTOMETRIC_RGB || layout->photometric == LZT_PHOTOMETRIC_YCBCR) && samples < 3)
        return FEW_SAMPLES;
    return FINE;
}

static uint16_t read_sample_type(struct scan *scan, struct lzt_layout *layout)
{
    uint16_t problem = FINE;
    layout->bits = shared_number(scan, LZT_TAG_BITS, 1, layout->stored_samples, FEW_BITS, MIXED_BITS, &problem);
    if (problem != FINE)
        return problem;
    if (layout->bits == 0)
        return BAD_BITS;
    layout->sample_format = shared_number(scan, LZT_TAG_SAMPLE_FORMAT, 1, layout->stored_samples, FINE, MIXED_FORMATS, &problem);
    return problem;
}

static uint16_t choose_integer(struct lzt_layout *layout, uint16_t kind)
{
    const unsigned bits = layout->bits;
    if (bits > 32 && bits != 64)
        return ODD_BITS;
    layout->kind = bits == 1 ? LZT_BOOL : kind;
    layout->item_size = bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
    return FINE;
}

static uint16_t choose_float(struct lzt_layout *layout)
{
    const unsigned bits = layout->bits;
    if (bits != 16 && bits != 24 && bits != 32 && bits != 64)
        return ODD_BITS;
    layout->kind = LZT_FLOAT;
    layout->item_size = bits == 24 ? 4 : (uint16_t)(bits / 8);
    return FINE;
}

/* What a sample is when it is read (SampleFormat: TIFF 6.0, section 19; 5 and 6 are libtiff's complex types). */
static uint16_t choose_type(struct lzt_layout *layout)
{
    if (layout->compression == LZT_SGILOG || layout->compression == LZT_SGILOG24) {
        layout->kind = LZT_INT; /* libtiff gives log luminance and u'v' as 16-bit numbers */
        layout->item_size = 2;
        return FINE;
    }
    switch (layout->sample_format) {
    case 1:
    case 4: /* undefined: as it is */
        return choose_integer(layout, LZT_UINT);
    case 2:
        return choose_integer(layout, LZT_INT);
    case 3:
        return choose_float(layout);
    case 6:
        if (layout->bits != 64 && layout->bits != 128)
            return ODD_BITS;
        layout->kind = LZT_COMPLEX;
        layout->item_size = layout->bits / 8;
        return FINE;
    default:
        return ODD_FORMAT;
    }
}

static uint16_t read_tiles(struct scan *scan, struct lzt_layout *layout)
{
    int columns_fit, rows_fit;
    uint64_t columns = number(scan, LZT_TAG_TILE_COLUMNS, 0, 0, &columns_fit);
    uint64_t rows = number(scan, LZT_TAG_TILE_ROWS, 0, 0, &rows_fit);
    if (!columns_fit || !rows_fit || columns == 0 || rows == 0)
        return BAD_TILES;
    if (columns >> 31 || rows >> 31)
        return LARGE_TILES;
    layout->tiled = 1;
    layout->chunk_columns = (uint32_t)columns;
    layout->chunk_rows = (uint32_t)rows;
    return FINE;
}

static uint16_t read_strips(struct scan *scan, struct lzt_layout *layout)
{
    int fits;
    uint64_t rows = number(scan, LZT_TAG_ROWS_PER_STRIP, 0, layout->rows, &fits);
    if (!fits || rows == 0)
        return BAD_STRIPS;
    layout->chunk_columns = layout->columns;
    layout->chunk_rows = (uint32_t)lzt_min64(rows, layout->rows);
    return FINE;
}

static uint16_t read_chunks(struct scan *scan, struct lzt_layout *layout)
{
    const int tiled = lzt_find_tag(scan->tags, scan->count, LZT_TAG_TILE_COLUMNS) != NULL ||
                      lzt_find_tag(scan->tags, scan->count, LZT_TAG_TILE_ROWS) != NULL;
    const uint16_t problem = tiled ? read_tiles(scan, layout) : read_strips(scan, layout);
    if (problem != FINE)
        return problem;
    layout->grid_rows = (uint32_t)lzt_parts(layout->rows, layout->chunk_rows);
    layout->grid_columns = (uint32_t)lzt_parts(layout->columns, layout->chunk_columns);
    if (layout->planar != 1 && layout->planar != 2)
        return BAD_PLANAR;
    layout->planes = layout->planar == 2 ? layout->stored_samples : 1;
    return FINE;
}

static int is_bilevel_codec(uint16_t compression)
{
    return (compression >= LZT_CCITT_RLE && compression <= LZT_CCITT_G4) || compression == LZT_CCITT_RLEW || compression == LZT_JBIG;
}

static uint16_t check_codec(const struct lzt_layout *layout)
{
    const uint16_t codec = layout->compression;
    const unsigned samples = layout->planar == 2 ? 1 : layout->stored_samples;
    if (is_bilevel_codec(codec) && (layout->bits != 1 || samples != 1))
        return ODD_BILEVEL;
    if ((codec == LZT_THUNDERSCAN && (layout->bits != 4 || samples != 1)) || (codec == LZT_NEXT && (layout->bits != 2 || samples != 1)) ||
        (codec == LZT_WEBP && layout->bits != 8) ||
        (codec == LZT_PIXARLOG && layout->bits != 8 && layout->bits != 16 && (layout->bits != 32 || layout->kind != LZT_FLOAT)))
        return FORMAT_LIES;
    if (codec == LZT_CCITT_RLEW)
        return WORD_ALIGNED; /* also what its own encoder wrote, and often without an error: it takes the end of a word in its bit
                              * buffer for that of a word in the stream (tif_fax3.c, Fax3DecodeRLE; 4.7.2 still does) */
    if (codec == LZT_PIXARLOG && samples != 3 && samples != 4)
        return ODD_PIXARLOG; /* tif_pixarlog.c, horizontalAccumulate8 and others: differences of differences */
    return FINE;
}

static int has_predictor(uint16_t compression)
{
    return compression == LZT_LZW || compression == LZT_DEFLATE || compression == LZT_DEFLATE_OLD || compression == LZT_LZMA ||
           compression == LZT_ZSTD;
}

/* TIFF 6.0, section 14, and Adobe Photoshop TIFF Technical Note 3. Codecs without predictors ignore the tag, as libtiff does. */
static uint16_t check_predictor(struct lzt_layout *layout)
{
    const unsigned bits = layout->bits;
    if (layout->predictor == 1 || (!has_predictor(layout->compression) && layout->compression != LZT_JPEG)) {
        layout->predictor = 1;
        return FINE;
    }
    if (!has_predictor(layout->compression))
        return BAD_PREDICTOR;
    if (layout->predictor == 2)
        return (bits == 8 || bits == 16 || bits == 32 || bits == 64) && layout->kind != LZT_COMPLEX ? FINE : BAD_PREDICTOR;
    return layout->predictor == 3 && layout->kind == LZT_FLOAT ? FINE : BAD_PREDICTOR;
}

/* libjpeg makes RGB itself, and WebP holds nothing else. Planes that are apart are read as they are stored. */
int lzt_layout_converts(const struct lzt_layout *layout)
{
    return layout->photometric == LZT_PHOTOMETRIC_YCBCR && layout->compression != LZT_WEBP && layout->compression != LZT_JPEG &&
           layout->planar == 1;
}

static uint16_t read_ycbcr(struct scan *scan, struct lzt_layout *layout)
{
    layout->subsampling_across = layout->subsampling_down = 1;
    if (layout->photometric != LZT_PHOTOMETRIC_YCBCR || layout->compression == LZT_WEBP)
        return FINE;
    if (layout->bits != 8 || layout->kind != LZT_UINT || layout->stored_samples != 3)
        return ODD_YCBCR;
    if (layout->compression == LZT_JPEG)
        return FINE; /* its streams say themselves */
    int across_fits, down_fits;
    uint64_t across = number(scan, LZT_TAG_YCBCR_SUBSAMPLING, 0, 2, &across_fits);
    uint64_t down = number(scan, LZT_TAG_YCBCR_SUBSAMPLING, 1, 2, &down_fits);
    if (!across_fits || !down_fits || (across != 1 && across != 2 && across != 4) || (down != 1 && down != 2 && down != 4))
        return BAD_SUBSAMPLING;
    if (layout->planar == 2 && (across != 1 || down != 1))
        return ODD_YCBCR;
    if ((across != 1 || down != 1) && (layout->predictor != 1 || layout->compression == LZT_LERC))
        return PACKED_YCBCR; /* there are no rows of pixels in what the codec gives */
    layout->subsampling_across = (uint16_t)across;
    layout->subsampling_down = (uint16_t)down;
    return FINE;
}

/* Codecs whose library gives samples in this machine's byte order. */
static int decodes_natively(uint16_t compression)
{
    return compression == LZT_LERC || compression == LZT_PIXARLOG || compression == LZT_SGILOG || compression == LZT_SGILOG24 ||
           compression == LZT_JPEG;
}

static uint16_t read_order(struct scan *scan, struct lzt_layout *layout)
{
    /* integers of 24 bits are packed as others of odd sizes are: most significant bit first in either byte order */
    const int whole_bytes = layout->bits == 16 || layout->bits == 32 || layout->bits == 64 || layout->bits == 128 ||
                            (layout->bits == 24 && layout->kind == LZT_FLOAT);
    const int other = scan->format.big_endian != lzt_machine_is_big_endian();
    layout->swapped = (uint16_t)(other && whole_bytes && layout->predictor != 3 && !decodes_natively(layout->compression));
    layout->fill_order = small_number(scan, LZT_TAG_FILL_ORDER, 1) == 2 ? 2 : 1;
    layout->direct = (uint16_t)(layout->compression == LZT_NONE && layout->bits == 8 * layout->item_size && layout->kind != LZT_BOOL &&
                                layout->fill_order == 1 && !lzt_layout_converts(layout));
    return FINE;
}

/* ---- Sizes -------------------------------------------------------------------------------------------------------------- */

uint64_t lzt_stored_row_bytes(const struct lzt_layout *layout, uint32_t columns)
{
    const uint64_t samples = layout->planar == 2 ? 1 : layout->stored_samples;
    if (layout->compression == LZT_SGILOG || layout->compression == LZT_SGILOG24)
        return columns * samples * 2;
    return (columns * samples * layout->bits + 7) / 8;
}

uint64_t lzt_stored_bytes(const struct lzt_layout *layout, uint32_t rows, uint32_t columns)
{
    if (!lzt_layout_converts(layout))
        return rows * lzt_stored_row_bytes(layout, columns);
    const uint64_t clump = (uint64_t)layout->subsampling_across * layout->subsampling_down + 2;
    return lzt_parts(rows, layout->subsampling_down) * lzt_parts(columns, layout->subsampling_across) * clump;
}

static uint16_t check_sizes(const struct lzt_layout *layout, uint64_t max_chunk_bytes)
{
    const uint64_t item = (uint64_t)layout->item_size * layout->samples;
    const uint64_t row = item * layout->columns; /* less than 2^4 * 2^16 * 2^32 */
    const uint64_t tile_row = item * layout->chunk_columns;
    if (layout->rows > (UINT64_C(1) << 62) / row || layout->chunk_rows > (UINT64_C(1) << 62) / tile_row)
        return LARGE_PAGE;
    if ((uint64_t)layout->grid_rows * layout->grid_columns > (UINT64_C(1) << 48) / layout->planes)
        return LARGE_PAGE;
    if (!layout->direct && layout->chunk_rows > max_chunk_bytes / tile_row)
        return LARGE_CHUNK;
    return FINE;
}

static uint16_t read_all(struct scan *scan, uint64_t max_chunk_bytes, struct lzt_layout *layout)
{
    layout->compression = small_number(scan, LZT_TAG_COMPRESSION, LZT_NONE);
    layout->photometric = small_number(scan, LZT_TAG_PHOTOMETRIC, 1);
    layout->planar = small_number(scan, LZT_TAG_PLANAR, 1);
    layout->predictor = small_number(scan, LZT_TAG_PREDICTOR, 1);
    uint16_t problem = read_size(scan, layout);
    if (problem == FINE)
        problem = read_sample_type(scan, layout);
    if (problem == FINE)
        problem = choose_type(layout);
    if (problem == FINE)
        problem = read_chunks(scan, layout);
    if (problem == FINE)
        problem = check_codec(layout);
    if (problem == FINE)
        problem = check_predictor(layout);
    if (problem == FINE)
        problem = read_ycbcr(scan, layout);
    if (problem == FINE)
        problem = read_order(scan, layout);
    if (problem == FINE)
        problem = check_sizes(layout, max_chunk_bytes);
    return problem;
}

enum lzt_status lzt_layout_read(struct lzt_peek *peek, struct lzt_format format, const struct lzt_tag *tags, size_t count,
                                uint64_t max_chunk_bytes, struct lzt_layout *layout, struct lzt_error *error)
{
    struct scan scan = {.peek = peek, .format = format, .tags = tags, .count = count, .error = error, .status = LZT_OK};
    memset(layout, 0, sizeof *layout); /* layouts are compared byte by byte */
    layout->problem = read_all(&scan, max_chunk_bytes, layout);
    return scan.status;
}

struct lzt_layout lzt_layout_of_nothing(void)
{
    struct lzt_layout layout;
    memset(&layout, 0, sizeof layout);
    layout.problem = NO_IFD;
    return layout;
}
