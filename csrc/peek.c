#include "peek.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "source.h"

void lzt_peek_open(struct lzt_peek *peek, struct lzt_source *source, uint64_t size, size_t stretch)
{
    *peek = (struct lzt_peek){.source = source, .size = size, .stretch = stretch};
}

void lzt_peek_close(struct lzt_peek *peek)
{
    free(peek->bytes);
    peek->bytes = NULL;
    peek->length = peek->room = 0;
}

static enum lzt_status make_room(struct lzt_peek *peek, size_t room, struct lzt_error *error)
{
    if (room <= peek->room)
        return LZT_OK;
    lzt_peek_close(peek);
    peek->bytes = malloc(room);
    if (peek->bytes == NULL)
        return lzt_fail_memory(error, room);
    peek->room = room;
    return LZT_OK;
}

enum lzt_status lzt_peek_at(struct lzt_peek *peek, uint64_t offset, size_t length, const uint8_t **bytes,
                            struct lzt_error *error)
{
    if (offset > peek->size || length > peek->size - offset)
        return lzt_fail(error, LZT_CORRUPT, "%" PRIu64 " bytes at offset %" PRIu64 " are not in the file, which ends at %" PRIu64,
                        (uint64_t)length, offset, peek->size);
    if (offset < peek->start || offset - peek->start > peek->length || length > peek->length - (size_t)(offset - peek->start)) {
        size_t wanted = length > peek->stretch ? length : peek->stretch;
        wanted = (size_t)lzt_min64(wanted, peek->size - offset);
        enum lzt_status status = make_room(peek, wanted, error);
        if (status != LZT_OK)
            return status;
        peek->length = 0;
        struct lzt_range range = {offset, wanted, peek->bytes};
        status = lzt_source_read(peek->source, &range, 1, error);
        if (status != LZT_OK)
            return status;
        peek->start = offset;
        peek->length = wanted;
    }
    *bytes = peek->bytes + (offset - peek->start);
    return LZT_OK;
}
