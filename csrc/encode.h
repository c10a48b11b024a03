/* encode.h - pixels of the caller's in, the bytes of one chunk out. */
#ifndef LZT_ENCODE_H
#define LZT_ENCODE_H

#include "codec.h"

struct lzt_tiff;

/* What encoding a chunk takes; one thread's, kept from chunk to chunk. Begins as zeros. Whoever wants to keep the bytes takes them and leaves
 * NULL and no room behind. */
struct lzt_encoder {
    uint8_t *bytes; /* of the last chunk; to be freed with free */
    size_t length, room;
    uint8_t *scratch; /* the chunk before it is compressed, and two rows */
    size_t scratch_room;
    struct lzt_tiff *tiff; /* of the last chunk's codec, kept for the next one */
    struct lzt_codec codec;
    double level;
};

/* Encode one chunk of a page of this complete form (with all its defaults, as lzt_encode_check accepts it) into encoder->bytes. Chunks are
 * numbered row by row. The lowest strip has only the rows that are left; tiles are whole, with copies of the page's last pixels beyond its
 * edge. LZT_UNSUPPORTED: LERC with more than 8 bits a sample, when the file's byte order is not this machine's. */
enum lzt_status lzt_encode_chunk(struct lzt_encoder *encoder, const struct lzt_form *form, int big_endian, const struct lzt_pixels *pixels,
                                 uint64_t chunk, struct lzt_error *error);
void lzt_encoder_close(struct lzt_encoder *encoder);

/* Why pages of this complete form cannot be encoded: LZT_USAGE when none can, LZT_UNSUPPORTED when this libtiff cannot. LZT_OK when they
 * can. */
enum lzt_status lzt_encode_check(const struct lzt_form *form, struct lzt_error *error);

/* The same for its level alone. */
enum lzt_status lzt_level_check(const struct lzt_form *form, struct lzt_error *error);

#endif
