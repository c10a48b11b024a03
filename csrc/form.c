#include "form.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"

enum { STRIP_BYTES = 256 << 10, JPEG_ROWS = 16 };

/* Our own reader's limit max_chunk_bytes, as it is when nobody says. */
#define CHUNK_MOST (UINT64_C(1) << 30)

/* ---- Samples -------------------------------------------------------------------------------------------------------------- */

uint16_t lzt_sample_format(uint16_t kind, uint16_t item_size)
{
    static const struct {
        uint16_t sample_format, item_sizes; /* the sum of those that there are */
    } kinds[] = {
        [LZT_BOOL] = {1, 1},
        [LZT_UINT] = {1, 1 + 2 + 4 + 8},
        [LZT_INT] = {2, 1 + 2 + 4 + 8},
        [LZT_FLOAT] = {3, 2 + 4 + 8},
        [LZT_COMPLEX] = {6, 8 + 16},
    };
    const int is_power = item_size != 0 && (item_size & (item_size - 1)) == 0;
    if (kind >= sizeof kinds / sizeof *kinds || !is_power || !(kinds[kind].item_sizes & item_size))
        return 0;
    return kinds[kind].sample_format;
}

/* The samples that a photometric interpretation has a meaning for; 0: unknown. */
static unsigned count_colours(int32_t photometric)
{
    switch (photometric) {
    case 0: /* min-is-white */
    case 1: /* min-is-black */
    case LZT_PHOTOMETRIC_PALETTE:
    case 4:     /* a mask */
    case 32803: /* a colour filter array */
    case 34892: /* linear raw */
        return 1;
    case LZT_PHOTOMETRIC_RGB:
    case LZT_PHOTOMETRIC_YCBCR:
    case 8:  /* CIE L*a*b* */
    case 9:  /* ICC L*a*b* */
    case 10: /* ITU L*a*b* */
        return 3;
    case 5: /* CMYK */
        return 4;
    default:
        return 0;
    }
}

static int is_byte(uint16_t kind, uint16_t item_size)
{
    return kind == LZT_UINT && item_size == 1;
}

enum lzt_status lzt_choose_photometric(int32_t *photometric, uint32_t samples, uint16_t kind, uint16_t item_size, uint16_t *extra,
                                       struct lzt_error *error)
{
    if (*photometric == -1)
        *photometric = is_byte(kind, item_size) && (samples == 3 || samples == 4) ? LZT_PHOTOMETRIC_RGB : 1;
    const unsigned colours = count_colours(*photometric);
    if (colours == 0)
        return lzt_fail(error, LZT_USAGE, "pages with the photometric interpretation %" PRId32 " are not made here", *photometric);
    if (samples < colours)
        return lzt_fail(error, LZT_USAGE, "the photometric interpretation %" PRId32 " needs %u samples a pixel, where there are %" PRIu32,
                        *photometric, colours, samples);
    *extra = (uint16_t)(samples - colours);
    return LZT_OK;
}

uint16_t lzt_extra_meaning(int32_t photometric, uint16_t kind, uint16_t item_size, uint16_t extra)
{
    return is_byte(kind, item_size) && photometric == LZT_PHOTOMETRIC_RGB && extra == 1 ? 2 : 0;
}

/* ---- Forms ---------------------------------------------------------------------------------------------------------------- */

uint16_t lzt_form_bits(const struct lzt_form *form)
{
    return form->kind == LZT_BOOL ? 1 : (uint16_t)(8 * form->item_size);
}

uint64_t lzt_form_row_bytes(const struct lzt_form *form, uint32_t columns)
{
    return ((uint64_t)columns * form->samples * lzt_form_bits(form) + 7) / 8;
}

uint64_t lzt_form_chunks(const struct lzt_form *form)
{
    const uint64_t across = form->chunk_columns == 0 ? 1 : lzt_parts(form->columns, form->chunk_columns);
    return across * lzt_parts(form->rows, form->chunk_rows);
}

uint64_t lzt_form_page_bytes(const struct lzt_form *form)
{
    return form->rows * lzt_form_row_bytes(form, form->columns);
}

static enum lzt_status check_samples(struct lzt_form *form, struct lzt_error *error)
{
    uint16_t extra;
    if (form->rows == 0 || form->columns == 0 || form->samples == 0 || form->samples > UINT16_MAX)
        return lzt_fail(error, LZT_USAGE, "%" PRIu32 " x %" PRIu32 " pixels of %" PRIu32 " samples: TIFF has at least 1, and at most 65535 samples",
                        form->rows, form->columns, form->samples);
    if (lzt_sample_format(form->kind, form->item_size) == 0)
        return lzt_fail(error, LZT_USAGE, "there are no samples of kind %u with %u bytes", form->kind, form->item_size);
    return lzt_choose_photometric(&form->photometric, form->samples, form->kind, form->item_size, &extra, error);
}

static void choose_strips(struct lzt_form *form)
{
    const uint64_t row = lzt_form_row_bytes(form, form->columns);
    uint64_t rows = form->chunk_rows;
    if (rows == 0 && form->compression == LZT_NONE)
        rows = form->rows;
    else if (rows == 0)
        rows = lzt_max64(STRIP_BYTES / row, 1);
    if (form->chunk_rows == 0 && form->compression == LZT_JPEG) /* libjpeg's blocks */
        rows = lzt_max64(rows / JPEG_ROWS, 1) * JPEG_ROWS;
    form->chunk_rows = (uint32_t)lzt_min64(rows, form->rows);
}

static enum lzt_status check_sizes(const struct lzt_form *form, struct lzt_error *error)
{
    const uint32_t columns = form->chunk_columns == 0 ? form->columns : form->chunk_columns;
    const uint64_t row = lzt_form_row_bytes(form, columns), chunks = lzt_form_chunks(form);
    const uint64_t page = lzt_form_row_bytes(form, form->columns);
    if (form->chunk_rows > (UINT64_C(1) << 62) / row || form->rows > (UINT64_C(1) << 62) / page || chunks > UINT32_MAX)
        return lzt_fail(error, LZT_LIMIT, "the page has more than 2^62 bytes or 2^32 chunks");
    const int is_direct = form->compression == LZT_NONE && form->chunk_columns == 0 && form->kind != LZT_BOOL;
    if (!is_direct && form->chunk_rows * row > CHUNK_MOST)
        return lzt_fail(error, LZT_LIMIT, "a chunk of %" PRIu32 " x %" PRIu32 " pixels has %" PRIu64 " bytes; the limit is 1 GiB. Make it smaller",
                        form->chunk_rows, columns, form->chunk_rows * row);
    return LZT_OK;
}

enum lzt_status lzt_form_complete(struct lzt_form *own, const struct lzt_form *form, struct lzt_error *error)
{
    *own = (struct lzt_form){.photometric = -1, .level = -1};
    if (form->size < offsetof(struct lzt_form, item_size) + sizeof form->item_size)
        return lzt_fail(error, LZT_USAGE, "the size of struct lzt_form is not set");
    memcpy(own, form, form->size < sizeof *own ? form->size : sizeof *own);
    own->size = sizeof *own;
    own->compression = own->compression == 0 ? LZT_NONE : own->compression;
    own->predictor = own->predictor == 0 ? 1 : own->predictor;
    enum lzt_status status = check_samples(own, error);
    if (status != LZT_OK)
        return status;
    if (own->chunk_columns != 0 && own->chunk_rows == 0)
        return lzt_fail(error, LZT_USAGE, "tiles have rows too: chunk_rows is 0");
    if (own->chunk_columns == 0)
        choose_strips(own);
    return check_sizes(own, error);
}
