/* libtiff.h - libtiff on TIFF files in memory, read or written: the only room that knows it. */
#ifndef LZT_LIBTIFF_H
#define LZT_LIBTIFF_H

#include "codec.h"

struct lzt_tiff; /* a handle of libtiff's */

/* A handle that decodes chunks of this codec: it is on a TIFF file of one strip that has no pixels. */
enum lzt_status lzt_tiff_open(const struct lzt_codec *codec, struct lzt_tiff **tiff, struct lzt_error *error);
/* A handle on length bytes of a whole old-style JPEG TIFF, which stay the caller's; chunk_bytes: of its largest decoded chunk. */
enum lzt_status lzt_tiff_open_old_jpeg(uint8_t *bytes, size_t length, uint64_t chunk_bytes, struct lzt_tiff **tiff, struct lzt_error *error);
void lzt_tiff_close(struct lzt_tiff *tiff);

/* Decode input, which is overwritten, into exactly output_length bytes, which are cleared first. 1: libtiff is content with every one. */
int lzt_tiff_decode(struct lzt_tiff *tiff, uint8_t *input, size_t length, uint8_t *output, size_t output_length);
/* The same for a chunk that is in the handle's own file. */
int lzt_tiff_read_chunk(struct lzt_tiff *tiff, int tiled, uint32_t chunk, uint8_t *output, size_t output_length);

/* libtiff's first complaint since the last chunk was begun; "" when there was none. */
const char *lzt_tiff_complaint(const struct lzt_tiff *tiff);
/* 1: it found no EOL codes in a Group 3 stream, and decoded it without; it then goes on like that. */
int lzt_tiff_went_without_eol(const struct lzt_tiff *tiff);

/* Bytes that grow as they come. */
struct lzt_output {
    uint8_t *bytes;
    size_t length, room;
};

/* A handle that encodes chunks, all of the codec's rows and columns. Of the codec only its sizes, samples, Compression and
 * PhotometricInterpretation count; level: as in struct lzt_form, its default filled in, where -1 is lossless WebP. LZT_UNSUPPORTED: libtiff
 * refuses. */
enum lzt_status lzt_tiff_open_encoding(const struct lzt_codec *codec, double level, struct lzt_tiff **tiff, struct lzt_error *error);
/* 1: it has encoded all the chunks that it could. */
int lzt_tiff_is_spent(const struct lzt_tiff *tiff);
/* Encode a chunk, whose length is that of the codec's rows and columns. Whatever libtiff is not content with fails with LZT_UNSUPPORTED. */
enum lzt_status lzt_tiff_encode(struct lzt_tiff *tiff, const uint8_t *input, size_t length, struct lzt_output *output,
                                struct lzt_error *error);

/* From now on, whether a JPEG stream may have more rows than the chunk. */
void lzt_tiff_allow_tall_jpeg(struct lzt_tiff *tiff, int allowed);
/* From now on, decode Deflate with zlib rather than with libdeflate. */
void lzt_tiff_use_zlib(struct lzt_tiff *tiff);
/* YCbCrSubSampling as libtiff takes it to be. */
void lzt_tiff_subsampling(struct lzt_tiff *tiff, uint16_t *across, uint16_t *down);

#endif
