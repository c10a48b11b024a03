/* Chunks whose samples are stored as they are read: only the rows that are wanted are fetched, and where rows are wanted whole, straight into
 * the caller's array. */
#include "error.h"
#include "layout.h"
#include "reader.h"
#include "source.h"

/* BAND: bytes fetched at a time when they have to be moved afterwards. PIECE: bytes between two looks at the cancel word. A gap in the file
 * below GAP is read over rather than skipped: one more system call costs as much as copying some thousand bytes. */
enum { BAND = 1 << 20, PIECE = 8 << 20, GAP = 4096 };

enum lzt_status lzt_direct_flush(struct lzt_reader *reader, struct lzt_error *error)
{
    const size_t count = reader->pending_count;
    reader->pending_count = 0;
    if (count == 0)
        return LZT_OK;
    if (atomic_load_explicit(reader->cancel, memory_order_relaxed))
        return lzt_fail(error, LZT_CANCELLED, "cancelled");
    enum lzt_status status = lzt_source_read(reader->table->source, reader->pending, count, error);
    for (size_t i = 0; i < count && status == LZT_OK; i++)
        lzt_items_swap(reader->page.layout, reader->pending[i].buffer, reader->pending[i].length);
    return status;
}

/* Have length bytes at offset fetched into target, in pieces. */
static enum lzt_status queue(struct lzt_reader *reader, uint64_t offset, uint64_t length, uint8_t *target, struct lzt_error *error)
{
    while (length > 0) {
        const uint64_t piece = length < PIECE ? length : PIECE;
        if (reader->pending_count == LZT_PENDING || piece == PIECE) {
            enum lzt_status status = lzt_direct_flush(reader, error);
            if (status != LZT_OK)
                return status;
        }
        reader->pending[reader->pending_count++] = (struct lzt_range){offset, piece, target};
        offset += piece;
        target += piece;
        length -= piece;
    }
    return LZT_OK;
}

/* Rows of which every wanted byte lies together, in the file and in the target. */
static enum lzt_status queue_rows(struct lzt_reader *reader, uint64_t offset, uint64_t pitch, uint64_t pixel, const struct lzt_cut *cut,
                                  const struct lzt_window *window, uint8_t *target, struct lzt_error *error)
{
    const uint64_t row_bytes = cut->columns.count * pixel;
    enum lzt_status status = LZT_OK;
    target = lzt_cut_target(cut, window, target);
    offset += cut->rows.first * pitch + cut->columns.first * pixel;
    if (cut->rows.step == 1 && row_bytes == pitch && window->row_stride == (int64_t)pitch)
        return queue(reader, offset, cut->rows.count * pitch, target, error);
    for (uint32_t i = 0; i < cut->rows.count && status == LZT_OK; i++) {
        status = queue(reader, offset, row_bytes, target, error);
        offset += cut->rows.step * pitch;
        target += window->row_stride;
    }
    return status;
}

/* Fetch the next rows of the cut into the reader's input: together with what lies between them, or each for itself. */
static enum lzt_status fetch_band(struct lzt_reader *reader, uint64_t offset, uint64_t distance, uint64_t row_bytes, uint32_t rows,
                                  int together, struct lzt_error *error)
{
    struct lzt_range ranges[LZT_PENDING];
    const uint64_t span = (rows - 1) * distance + row_bytes;
    uint8_t *input = lzt_room_take(&reader->input, together ? span : rows * row_bytes, error);
    if (input == NULL)
        return LZT_NO_MEMORY;
    if (atomic_load_explicit(reader->cancel, memory_order_relaxed))
        return lzt_fail(error, LZT_CANCELLED, "cancelled");
    if (together)
        ranges[0] = (struct lzt_range){offset, span, input};
    for (uint32_t i = 0; i < rows && !together; i++)
        ranges[i] = (struct lzt_range){offset + i * distance, row_bytes, input + i * row_bytes};
    enum lzt_status status = lzt_source_read(reader->table->source, ranges, together ? 1 : rows, error);
    if (status == LZT_OK)
        lzt_items_swap(reader->page.layout, input, together ? span : rows * row_bytes);
    return status;
}

/* Rows whose pixels have to be moved apart, picked, or gathered. */
static enum lzt_status copy_rows(struct lzt_reader *reader, uint64_t offset, uint64_t pitch, uint64_t pixel, struct lzt_cut cut,
                                 const struct lzt_window *window, uint8_t *target, struct lzt_error *error)
{
    const unsigned item = reader->page.layout->item_size;
    const uint64_t row_bytes = ((uint64_t)(cut.columns.count - 1) * cut.columns.step + 1) * pixel;
    const uint64_t distance = cut.rows.step * pitch;
    const int together = distance - row_bytes <= GAP || distance < 2 * row_bytes;
    const uint64_t each = together ? distance : row_bytes;
    uint64_t most = each < BAND ? BAND / each : 1;
    uint32_t left = cut.rows.count;
    if (!together && most > LZT_PENDING)
        most = LZT_PENDING;
    offset += cut.rows.first * pitch + cut.columns.first * pixel;
    cut.rows.first = cut.columns.first = 0;
    cut.rows.step = 1;
    while (left > 0) {
        cut.rows.count = left < most ? left : (uint32_t)most;
        enum lzt_status status = fetch_band(reader, offset, distance, row_bytes, cut.rows.count, together, error);
        if (status != LZT_OK)
            return status;
        lzt_window_copy(&cut, window, reader->input.bytes, each, (unsigned)(pixel / item), item, target);
        offset += cut.rows.count * distance;
        cut.rows.index += cut.rows.count;
        left -= cut.rows.count;
    }
    return LZT_OK;
}

static enum lzt_status read_cut(struct lzt_reader *reader, const struct lzt_task *task, const struct lzt_cut *cut,
                                const struct lzt_window *window, uint8_t *target, struct lzt_error *error)
{
    const struct lzt_layout *layout = reader->page.layout;
    const uint64_t pitch = lzt_stored_row_bytes(layout, layout->chunk_columns);
    const uint64_t pixel = (uint64_t)task->place.samples * layout->item_size;
    const uint64_t row_bytes = cut->columns.count * pixel;
    const int in_one = cut->rows.count == 1 || (cut->rows.step == 1 && row_bytes == pitch && window->row_stride == (int64_t)pitch);
    if (lzt_cut_has_whole_pixels(cut, window, task->place.samples, layout->item_size) && (in_one || row_bytes >= GAP))
        return queue_rows(reader, task->offset, pitch, pixel, cut, window, target, error);
    return copy_rows(reader, task->offset, pitch, pixel, *cut, window, target, error);
}

enum lzt_status lzt_direct_read(struct lzt_reader *reader, const struct lzt_task *task, struct lzt_error *error)
{
    const struct lzt_layout *layout = reader->page.layout;
    const uint64_t whole = lzt_stored_bytes(layout, layout->tiled ? layout->chunk_rows : task->place.rows, layout->chunk_columns);
    enum lzt_status status = LZT_OK;
    if (task->length < whole)
        return lzt_fail(error, LZT_DECODE, "it ends early: %llu of %llu bytes are there", (unsigned long long)task->length,
                        (unsigned long long)whole);
    if (task->wanted)
        status = read_cut(reader, task, &task->cut, task->window, task->job->target, error);
    if (status == LZT_OK && task->job->keep != NULL) {
        struct lzt_cut cut;
        const struct lzt_window window = lzt_window_of(&task->place, layout->item_size);
        lzt_window_cut(&window, &task->place, &cut);
        status = read_cut(reader, task, &cut, &window, task->job->keep, error);
    }
    return status;
}
