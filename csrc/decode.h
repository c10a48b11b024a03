/* decode.h - compressed bytes of one chunk in, packed samples out. */
#ifndef LZT_DECODE_H
#define LZT_DECODE_H

#include "codec.h"

struct lzt_decoder; /* of one thread */

enum lzt_status lzt_decoder_open(struct lzt_decoder **decoder, struct lzt_error *error);
void lzt_decoder_close(struct lzt_decoder *decoder);

/* A chunk on its way through a codec. */
struct lzt_stream {
    uint8_t *input; /* is overwritten */
    size_t length;
    uint8_t *output;
    size_t output_length; /* of the chunk */
    uint64_t full_length; /* of a chunk of full height: more only for the lowest strip of a page, which some writers encode so */
};

/* Decode input into exactly output_length bytes, without undoing predictors and without changing the byte order. Every byte of output is
 * what the input decodes to, or the call fails with LZT_DECODE. */
enum lzt_status lzt_decode(struct lzt_decoder *decoder, const struct lzt_codec *codec, const struct lzt_stream *stream,
                           struct lzt_error *error);

/* The same for a chunk of an old-style JPEG page, in the TIFF that oldjpeg.h makes. */
enum lzt_status lzt_decode_old_jpeg(uint8_t *tiff_bytes, size_t tiff_length, const struct lzt_layout *layout, uint64_t chunk,
                                    uint8_t *output, size_t output_length, struct lzt_error *error);

#endif
