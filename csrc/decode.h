/* decode.h - compressed bytes of one chunk in, packed samples out, by libtiff. */
#ifndef LZT_DECODE_H
#define LZT_DECODE_H

#include "codec.h"

struct lzt_decoder; /* of one thread */

enum lzt_status lzt_decoder_open(struct lzt_decoder **decoder, struct lzt_error *error);
void lzt_decoder_close(struct lzt_decoder *decoder);

/* Decode input (which is overwritten) into exactly output_length bytes, the chunk of codec, without undoing predictors and without
 * changing the byte order. Every byte of output is what the input decodes to, or the call fails with LZT_DECODE. last: the chunk is the
 * lowest strip of its page, which some writers encode at full height. */
enum lzt_status lzt_decode(struct lzt_decoder *decoder, const struct lzt_codec *codec, uint8_t *input, size_t length, int last,
                           uint8_t *output, size_t output_length, struct lzt_error *error);

/* The same for a chunk of an old-style JPEG page, in the TIFF that oldjpeg.h makes. */
enum lzt_status lzt_decode_old_jpeg(uint8_t *tiff, size_t tiff_length, const struct lzt_layout *layout, uint64_t chunk, uint8_t *output,
                                    size_t output_length, struct lzt_error *error);

#endif
