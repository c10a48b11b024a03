/* form.h - how pages are to be stored: what was asked for, with everything that was left open filled in. */
#ifndef LZT_FORM_H
#define LZT_FORM_H

#include "lazytiff.h"

/* SampleFormat of samples of that kind (TIFF 6.0, section 19; 6: libtiff's complex floats), 0 when TIFF has none of so many bytes. */
uint16_t lzt_sample_format(uint16_t kind, uint16_t item_size);

/* Take *photometric for what it is, or choose one where it is -1; *extra becomes the number of samples beyond the colours. */
enum lzt_status lzt_choose_photometric(int32_t *photometric, uint32_t samples, uint16_t kind, uint16_t item_size, uint16_t *extra,
                                       struct lzt_error *error);

/* ExtraSamples: the fourth byte of a pixel that has three for RGB is its opacity by everybody's custom; of others nothing is known. */
uint16_t lzt_extra_meaning(int32_t photometric, uint16_t kind, uint16_t item_size, uint16_t extra);

/* Copy what the caller knows of the struct, fill in the defaults, and refuse what no page can be. The tags are not looked at. */
enum lzt_status lzt_form_complete(struct lzt_form *own, const struct lzt_form *form, struct lzt_error *error);

/* Of complete forms: bits of a sample as stored, bytes of so many pixels of a row, chunks, the rows of a chunk. */
uint16_t lzt_form_bits(const struct lzt_form *form);
uint64_t lzt_form_row_bytes(const struct lzt_form *form, uint32_t columns);
uint64_t lzt_form_chunks(const struct lzt_form *form);
uint64_t lzt_form_page_bytes(const struct lzt_form *form); /* of strips that are not compressed */

#endif
