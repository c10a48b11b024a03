#include "window.h"

#include "bytes.h"
#include "gather.h"

struct lzt_place lzt_chunk_place(const struct lzt_layout *layout, uint64_t chunk)
{
    const uint64_t grid = (uint64_t)layout->grid_rows * layout->grid_columns;
    const uint64_t cell = chunk % grid;
    struct lzt_place place;
    place.row = (uint32_t)(cell / layout->grid_columns) * layout->chunk_rows;
    place.column = (uint32_t)(cell % layout->grid_columns) * layout->chunk_columns;
    place.rows = lzt_min32(layout->chunk_rows, layout->rows - place.row);
    place.columns = lzt_min32(layout->chunk_columns, layout->columns - place.column);
    place.sample = layout->planes > 1 ? (uint32_t)(chunk / grid) : 0;
    place.samples = layout->planes > 1 ? 1 : layout->samples;
    return place;
}

static int cut_axis(const struct lzt_span *span, uint32_t start, uint32_t length, struct lzt_overlap *overlap)
{
    const uint64_t index = span->first >= start ? 0 : lzt_parts(start - span->first, span->step);
    const uint64_t first = span->first + index * span->step;
    const uint64_t end = (uint64_t)start + length;
    if (index >= span->count || first >= end)
        return 0;
    overlap->first = (uint32_t)(first - start);
    overlap->step = span->step;
    overlap->index = (uint32_t)index;
    overlap->count = (uint32_t)lzt_min64(span->count - index, (end - 1 - first) / span->step + 1);
    if (overlap->count == 1)
        overlap->step = 1; /* a step that leads nowhere may be of any size: times the row's bytes it need not fit into 64 bits */
    return 1;
}

int lzt_window_cut(const struct lzt_window *window, const struct lzt_place *place, struct lzt_cut *cut)
{
    return cut_axis(&window->rows, place->row, place->rows, &cut->rows) &&
           cut_axis(&window->columns, place->column, place->columns, &cut->columns) &&
           cut_axis(&window->samples, place->sample, place->samples, &cut->samples);
}

struct lzt_window lzt_window_of(const struct lzt_place *place, unsigned item_size)
{
    struct lzt_window window = {.rows = {place->row, 1, place->rows},
                                .columns = {place->column, 1, place->columns},
                                .samples = {place->sample, 1, place->samples}};
    window.sample_stride = item_size;
    window.column_stride = window.sample_stride * place->samples;
    window.row_stride = window.column_stride * place->columns;
    return window;
}

uint8_t *lzt_cut_target(const struct lzt_cut *cut, const struct lzt_window *window, uint8_t *target)
{
    return target + cut->rows.index * window->row_stride + cut->columns.index * window->column_stride +
           cut->samples.index * window->sample_stride;
}

int lzt_cut_has_whole_pixels(const struct lzt_cut *cut, const struct lzt_window *window, unsigned samples, unsigned item_size)
{
    return cut->samples.count == samples && (samples == 1 || window->sample_stride == (int64_t)item_size) &&
           (cut->columns.count == 1 ||
            (cut->columns.step == 1 && window->column_stride == (int64_t)item_size * samples));
}

static void copy_row(const struct lzt_cut *cut, const struct lzt_window *window, const uint8_t *row, unsigned samples, unsigned item_size,
                     uint8_t *target)
{
    const uint64_t pixel = (uint64_t)samples * item_size;
    for (uint32_t i = 0; i < cut->samples.count; i++) {
        const uint64_t sample = cut->samples.first + (uint64_t)i * cut->samples.step;
        lzt_copy_items(row + cut->columns.first * pixel + sample * item_size, (int64_t)(cut->columns.step * pixel),
                       target + i * window->sample_stride, window->column_stride, cut->columns.count, item_size);
    }
}

void lzt_window_copy(const struct lzt_cut *cut, const struct lzt_window *window, const uint8_t *items, uint64_t pitch, unsigned samples,
                     unsigned item_size, uint8_t *target)
{
    const uint64_t pixel = (uint64_t)samples * item_size;
    const int whole = lzt_cut_has_whole_pixels(cut, window, samples, item_size);
    target = lzt_cut_target(cut, window, target);
    for (uint32_t i = 0; i < cut->rows.count; i++, target += window->row_stride) {
        const uint8_t *row = items + (cut->rows.first + (uint64_t)i * cut->rows.step) * pitch;
        if (whole)
            memcpy(target, row + cut->columns.first * pixel, cut->columns.count * pixel);
        else
            copy_row(cut, window, row, samples, item_size, target);
    }
}
