/* codec.h - all that a codec must know of a chunk, and what a chunk's own bytes say of it. */
#ifndef LZT_CODEC_H
#define LZT_CODEC_H

#include "page.h"

struct lzt_codec {
    uint32_t rows, columns; /* of the chunk */
    uint16_t samples, bits, sample_format, compression, photometric, fill_order;
    uint16_t subsampling_across, subsampling_down;
    uint16_t extra_samples[LZT_MAX_EXTRA_SAMPLES], extra_sample_count;
    uint32_t t4_options, t6_options;
    uint32_t lerc_parameters[2];
    const uint8_t *jpeg_tables;
    uint32_t jpeg_tables_length;
};

/* The codec of a chunk of that many rows of the page. */
struct lzt_codec lzt_codec_of(const struct lzt_page *page, uint32_t rows);
int lzt_codec_equal(const struct lzt_codec *a, const struct lzt_codec *b);

/* A TIFF file of one strip, without the strip's bytes: what libtiff needs to decode a chunk that lies elsewhere. Classic, in this
 * machine's byte order. To be freed by the caller; NULL: no memory. */
uint8_t *lzt_codec_tiff(const struct lzt_codec *codec, size_t *length);

/* What the frame header of a JPEG stream says (ITU-T T.81, B.2.2). */
struct lzt_jpeg_frame {
    uint32_t rows, columns;
    unsigned components, bits;
    unsigned across, down; /* sampling factors of the first component relative to the others */
    int has_tables;        /* the stream brings quantisation or Huffman tables of its own, perhaps behind its pixels */
};

/* 0 when there is no frame header. */
int lzt_jpeg_scan(const uint8_t *bytes, size_t length, struct lzt_jpeg_frame *frame);

/* Size of the picture in a WebP stream (WebP container specification; RFC 6386, section 9.1; WebP lossless bitstream specification,
 * section 3). 0 when there is none. */
int lzt_webp_scan(const uint8_t *bytes, size_t length, uint32_t *rows, uint32_t *columns);

/* Size of the picture in a JBIG stream (ITU-T T.82, 6.2.2), whose bits are perhaps reversed. 0 when it is not of one plane. */
int lzt_jbig_scan(const uint8_t *bytes, size_t length, int reversed, uint32_t *rows, uint32_t *columns);

#endif
