#include "reader.h"

#include <stdlib.h>

#include "error.h"

uint8_t *lzt_room_take(struct lzt_room *room, uint64_t size, struct lzt_error *error)
{
    if (size > room->size || room->bytes == NULL) {
        free(room->bytes);
        room->size = 0;
        room->bytes = size < SIZE_MAX ? malloc((size_t)size + (size == 0)) : NULL;
        if (room->bytes == NULL)
            lzt_fail_memory(error, size);
        else
            room->size = size;
    }
    return room->bytes;
}

static void room_trim(struct lzt_room *room, uint64_t most)
{
    if (room->size <= most)
        return;
    free(room->bytes);
    *room = (struct lzt_room){NULL, 0};
}

void lzt_reader_trim(struct lzt_reader *reader, uint64_t most)
{
    room_trim(&reader->input, most);
    room_trim(&reader->stored, most);
    room_trim(&reader->items, most);
    room_trim(&reader->scratch, most);
}

enum lzt_status lzt_reader_open(const struct lzt_table *table, struct lzt_reader **reader, struct lzt_error *error)
{
    *reader = calloc(1, sizeof **reader);
    if (*reader == NULL)
        return lzt_fail_memory(error, sizeof **reader);
    (*reader)->table = table;
    enum lzt_status status = lzt_decoder_open(&(*reader)->decoder, error);
    if (status != LZT_OK) {
        lzt_reader_close(*reader);
        *reader = NULL;
    }
    return status;
}

void lzt_reader_close(struct lzt_reader *reader)
{
    if (reader == NULL)
        return;
    lzt_reader_trim(reader, 0);
    lzt_page_close(&reader->page);
    lzt_decoder_close(reader->decoder);
    free(reader);
}

void lzt_items_swap(const struct lzt_layout *layout, uint8_t *items, uint64_t bytes)
{
    /* a complex number is two floats */
    const unsigned size = layout->kind == LZT_COMPLEX ? layout->item_size / 2u : layout->bits == 24 ? 3u : layout->item_size;
    if (layout->swapped)
        lzt_swap(items, (size_t)(bytes / size), size);
}
