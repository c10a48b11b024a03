/* layout.h - from an IFD's tags to how its page is stored and what it looks like when it is read. */
#ifndef LZT_LAYOUT_H
#define LZT_LAYOUT_H

#include "directory.h"

/* Tags, as TIFF 6.0 and its technical notes number them. */
enum {
    LZT_TAG_COLUMNS = 256,
    LZT_TAG_ROWS = 257,
    LZT_TAG_BITS = 258,
    LZT_TAG_COMPRESSION = 259,
    LZT_TAG_PHOTOMETRIC = 262,
    LZT_TAG_FILL_ORDER = 266,
    LZT_TAG_DESCRIPTION = 270,
    LZT_TAG_STRIP_OFFSETS = 273,
    LZT_TAG_SAMPLES = 277,
    LZT_TAG_ROWS_PER_STRIP = 278,
    LZT_TAG_STRIP_COUNTS = 279,
    LZT_TAG_PLANAR = 284,
    LZT_TAG_T4_OPTIONS = 292,
    LZT_TAG_T6_OPTIONS = 293,
    LZT_TAG_PREDICTOR = 317,
    LZT_TAG_TILE_COLUMNS = 322,
    LZT_TAG_TILE_ROWS = 323,
    LZT_TAG_TILE_OFFSETS = 324,
    LZT_TAG_TILE_COUNTS = 325,
    LZT_TAG_EXTRA_SAMPLES = 338,
    LZT_TAG_SAMPLE_FORMAT = 339,
    LZT_TAG_JPEG_TABLES = 347,
    LZT_TAG_JPEG_PROCESS = 512,
    LZT_TAG_JPEG_STREAM = 513,
    LZT_TAG_JPEG_STREAM_LENGTH = 514,
    LZT_TAG_JPEG_RESTART = 515,
    LZT_TAG_JPEG_Q_TABLES = 519,
    LZT_TAG_JPEG_DC_TABLES = 520,
    LZT_TAG_JPEG_AC_TABLES = 521,
    LZT_TAG_YCBCR_COEFFICIENTS = 529,
    LZT_TAG_YCBCR_SUBSAMPLING = 530,
    LZT_TAG_REFERENCE_BLACK_WHITE = 532,
    LZT_TAG_GDAL_NODATA = 42113,
    LZT_TAG_LERC_PARAMETERS = 50674
};

/* Compression. */
enum {
    LZT_NONE = 1,
    LZT_CCITT_RLE = 2,
    LZT_CCITT_G3 = 3,
    LZT_CCITT_G4 = 4,
    LZT_LZW = 5,
    LZT_OLD_JPEG = 6,
    LZT_JPEG = 7,
    LZT_DEFLATE = 8,
    LZT_NEXT = 32766,
    LZT_CCITT_RLEW = 32771,
    LZT_PACKBITS = 32773,
    LZT_THUNDERSCAN = 32809,
    LZT_PIXARLOG = 32909,
    LZT_DEFLATE_OLD = 32946,
    LZT_JBIG = 34661,
    LZT_SGILOG = 34676,
    LZT_SGILOG24 = 34677,
    LZT_LERC = 34887,
    LZT_LZMA = 34925,
    LZT_ZSTD = 50000,
    LZT_WEBP = 50001
};

enum { LZT_PHOTOMETRIC_RGB = 2, LZT_PHOTOMETRIC_PALETTE = 3, LZT_PHOTOMETRIC_YCBCR = 6 };

/* The first of tags with that number, or NULL. */
const struct lzt_tag *lzt_find_tag(const struct lzt_tag *tags, size_t count, uint16_t number);

/* What the IFD's tags say of its page. A page that cannot be read gets its problem, not an error. */
enum lzt_status lzt_layout_read(struct lzt_peek *peek, struct lzt_format format, const struct lzt_tag *tags, size_t count,
                                uint64_t max_chunk_bytes, struct lzt_layout *layout, struct lzt_error *error);

/* That of a page where there is no IFD. */
struct lzt_layout lzt_layout_of_nothing(void);

/* 1: a change of this tag's value may change the layout. */
int lzt_layout_depends_on(uint16_t tag);

/* 1: this codec's chunks come out as the three samples of YCbCr pixels that have to be made RGB. */
int lzt_layout_converts(const struct lzt_layout *layout);

/* Bytes of one row of a chunk, and of a whole chunk of rows x columns pixels, as its codec gives it (packed, subsampled). */
uint64_t lzt_stored_row_bytes(const struct lzt_layout *layout, uint32_t columns);
uint64_t lzt_stored_bytes(const struct lzt_layout *layout, uint32_t rows, uint32_t columns);

#endif
