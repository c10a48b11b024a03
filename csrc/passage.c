/* Where a page goes in the file, and its way there. */
#include "passage.h"

#include <inttypes.h>

#include "bytes.h"
#include "error.h"
#include "form.h"
#include "layout.h"

/* Pixels that can be mapped begin at a line of the processor's cache; of others a number of 8 bytes. */
enum { LINE = 64, WORD = 8, PIECES = 64 };

int lzt_passage_is_direct(const struct lzt_writer *writer, const struct lzt_pixels *pixels)
{
    const struct lzt_form *form = &writer->form;
    const int other = writer->big_endian != lzt_machine_is_big_endian();
    return !lzt_writer_encodes(writer) && (form->item_size == 1 || (pixels->swapped != 0) == other) &&
           (form->samples == 1 || pixels->sample_stride == form->item_size) &&
           (form->columns == 1 || pixels->column_stride == (int64_t)form->samples * form->item_size);
}

/* ---- Where it goes -------------------------------------------------------------------------------------------------------- */

static uint64_t chunk_length(const struct lzt_writer *writer, const struct lzt_passage *passage, uint64_t chunk)
{
    const struct lzt_form *form = &writer->form;
    if (passage->parcel != NULL)
        return lzt_parcel_chunk(passage->parcel, chunk).length;
    const uint64_t row = chunk * form->chunk_rows;
    return lzt_min64(form->chunk_rows, form->rows - row) * lzt_form_row_bytes(form, form->columns);
}

/* Chunks that are not compressed lie one behind the other, so that they can be mapped; others begin at an even place, as TIFF 6.0 wants it of
 * values. */
static uint64_t padded(const struct lzt_writer *writer, uint64_t length)
{
    return lzt_is_plain(&writer->form) ? length : length + length % 2;
}

static uint64_t all_lengths(const struct lzt_writer *writer, const struct lzt_passage *passage)
{
    const uint64_t chunks = lzt_form_chunks(&writer->form);
    uint64_t sum = 0;
    if (passage->parcel == NULL)
        return lzt_form_page_bytes(&writer->form);
    for (uint64_t i = 0; i < chunks; i++)
        sum += padded(writer, chunk_length(writer, passage, i));
    return sum;
}

int lzt_is_plain(const struct lzt_form *form)
{
    return form->compression == LZT_NONE;
}

static void find_place(const struct lzt_writer *writer, struct lzt_passage *passage, uint64_t bytes)
{
    const uint64_t before = lzt_max64(passage->block->length, writer->reserved);
    passage->first = lzt_round_up(writer->end + before, lzt_is_plain(&writer->form) ? LINE : WORD);
    passage->start = passage->first - passage->block->length;
    passage->end = passage->first + bytes;
}

static void tell_chunks(const struct lzt_writer *writer, struct lzt_passage *passage)
{
    const uint64_t chunks = lzt_form_chunks(&writer->form);
    uint64_t offset = passage->first;
    lzt_block_move(passage->block, passage->start);
    for (uint64_t i = 0; i < chunks; i++) {
        const uint64_t length = chunk_length(writer, passage, i);
        lzt_block_set_chunk(passage->block, i, offset, length);
        offset += padded(writer, length);
    }
}

/* Build the block of these entries, unless it is at hand. */
static enum lzt_status prepare(const struct lzt_writer *writer, struct lzt_block *block, struct lzt_entries *entries, struct lzt_error *error)
{
    const struct lzt_plan plan = {
        .has = {[LZT_CLASSIC] = writer->has[LZT_CLASSIC], [LZT_BIG] = writer->has[LZT_BIG]},
        .room_for_classic = writer->roomy,
        .big_endian = writer->big_endian,
        .entries = entries->items,
        .entry_count = entries->count,
    };
    if (block->length > 0 && block->has[LZT_CLASSIC] == writer->has[LZT_CLASSIC])
        return LZT_OK;
    return lzt_block_build(block, &plan, error);
}

enum lzt_status lzt_passage_place(struct lzt_writer *writer, struct lzt_passage *passage, struct lzt_entries *entries, struct lzt_error *error)
{
    const uint64_t bytes = all_lengths(writer, passage);
    enum lzt_status status = prepare(writer, passage->block, entries, error);
    if (status != LZT_OK)
        return status;
    if (bytes > INT64_MAX - writer->end - (UINT64_C(1) << 32)) /* with room for the block */
        return lzt_fail(error, LZT_LIMIT, "no file has room for the page");
    find_place(writer, passage, bytes);
    if (passage->end > UINT32_MAX && writer->has[LZT_CLASSIC]) {
        if (!writer->has[LZT_BIG])
            return lzt_fail(error, LZT_FULL, "the page would end at byte %" PRIu64 ", where classic TIFF ends at 4 GiB; BigTIFF goes on", passage->end);
        writer->has[LZT_CLASSIC] = 0; /* for good, even if this page fails: a file does not become shorter */
        status = prepare(writer, passage->block, entries, error);
        if (status != LZT_OK)
            return status;
        find_place(writer, passage, bytes);
    }
    tell_chunks(writer, passage);
    return LZT_OK;
}

/* ---- Writing -------------------------------------------------------------------------------------------------------------- */

/* Pieces that go to the file one behind the other, many in a call. */
struct train {
    struct lzt_writer *writer;
    struct lzt_error *error;
    uint64_t offset, length;
    size_t count;
    struct lzt_piece pieces[PIECES];
};

static enum lzt_status flush(struct train *train)
{
    enum lzt_status status = lzt_writer_write_pieces(train->writer, train->offset, train->pieces, train->count, train->error);
    train->offset += train->length;
    train->length = train->count = 0;
    return status;
}

static enum lzt_status add(struct train *train, const void *bytes, uint64_t length)
{
    train->pieces[train->count++] = (struct lzt_piece){bytes, (size_t)length};
    train->length += length;
    return train->count == PIECES ? flush(train) : LZT_OK;
}

static enum lzt_status add_pixels(struct train *train, const struct lzt_form *form, const struct lzt_pixels *pixels)
{
    const uint64_t row = lzt_form_row_bytes(form, form->columns);
    const uint8_t *bytes = pixels->data;
    if (form->rows == 1 || pixels->row_stride == (int64_t)row)
        return add(train, bytes, row * form->rows);
    enum lzt_status status = LZT_OK;
    for (uint32_t i = 0; i < form->rows && status == LZT_OK; i++)
        status = add(train, bytes + i * pixels->row_stride, row);
    return status;
}

static enum lzt_status add_chunks(struct train *train, const struct lzt_passage *passage)
{
    const uint64_t chunks = lzt_parcel_chunks(passage->parcel);
    enum lzt_status status = LZT_OK;
    for (uint64_t i = 0; i < chunks && status == LZT_OK; i++) {
        const struct lzt_piece chunk = lzt_parcel_chunk(passage->parcel, i);
        status = add(train, chunk.bytes, chunk.length);
        if (status == LZT_OK && padded(train->writer, chunk.length) != chunk.length)
            status = add(train, "", 1);
    }
    return status;
}

enum lzt_status lzt_passage_write(struct lzt_writer *writer, const struct lzt_passage *passage, struct lzt_error *error)
{
    struct train train = {.writer = writer, .error = error, .offset = passage->start};
    enum lzt_status status = add(&train, passage->block->bytes, passage->block->length);
    if (status == LZT_OK)
        status = passage->parcel != NULL ? add_chunks(&train, passage) : add_pixels(&train, &writer->form, passage->pixels);
    return status == LZT_OK && train.count > 0 ? flush(&train) : status;
}

