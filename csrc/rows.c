#include "rows.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct lzt_rows {
    atomic_size_t owners;
    _Atomic uint64_t claimed; /* rows that some table has or is about to fill */
    uint64_t room;
    struct lzt_row row[];
};

enum { FIRST_ROOM = 4 };

struct lzt_row *lzt_rows_first(struct lzt_rows *rows)
{
    return rows == NULL ? NULL : rows->row;
}

struct lzt_rows *lzt_rows_share(struct lzt_rows *rows)
{
    if (rows != NULL)
        atomic_fetch_add(&rows->owners, 1);
    return rows;
}

void lzt_rows_leave(struct lzt_rows *rows)
{
    if (rows != NULL && atomic_fetch_sub(&rows->owners, 1) == 1)
        free(rows);
}

/* Nobody can join but through an owner: who is the only one stays it for as long as he likes. */
static int is_alone(struct lzt_rows *rows)
{
    return atomic_load(&rows->owners) == 1;
}

static size_t size_of(uint64_t room)
{
    const uint64_t most = (SIZE_MAX - sizeof(struct lzt_rows)) / sizeof(struct lzt_row);
    return room > most ? 0 : sizeof(struct lzt_rows) + (size_t)room * sizeof(struct lzt_row);
}

static enum lzt_status move(struct lzt_rows **rows, uint64_t count, uint64_t room, struct lzt_error *error)
{
    struct lzt_rows *old = *rows, *moved = NULL;
    const int alone = old != NULL && is_alone(old);
    if (size_of(room) != 0)
        moved = alone ? realloc(old, size_of(room)) : malloc(size_of(room));
    if (moved == NULL)
        return lzt_fail_memory(error, room * sizeof *moved->row);
    if (!alone) {
        atomic_init(&moved->owners, 1);
        if (count > 0)
            memcpy(moved->row, old->row, (size_t)count * sizeof *moved->row);
        lzt_rows_leave(old);
    }
    atomic_init(&moved->claimed, room);
    moved->room = room;
    *rows = moved;
    return LZT_OK;
}

enum lzt_status lzt_rows_claim(struct lzt_rows **rows, uint64_t count, uint64_t more, uint64_t *room, struct lzt_error *error)
{
    struct lzt_rows *own = *rows;
    uint64_t expected = count;
    if (own != NULL && count + more <= own->room &&
        (is_alone(own) || atomic_compare_exchange_strong(&own->claimed, &expected, own->room))) {
        atomic_store(&own->claimed, own->room);
        *room = own->room;
        return LZT_OK;
    }
    /* Twice as many each time, so that what is copied is no more than what came; who is alone need not copy, perhaps. */
    const uint64_t ample = own == NULL ? FIRST_ROOM : is_alone(own) ? count + count / 2 : 2 * count;
    const uint64_t needed = count + more;
    enum lzt_status status = move(rows, count, ample > needed ? ample : needed, error);
    if (status == LZT_OK)
        *room = (*rows)->room;
    return status;
}

void lzt_rows_settle(struct lzt_rows *rows, uint64_t count)
{
    if (rows != NULL)
        atomic_store(&rows->claimed, count);
}

void lzt_rows_trim(struct lzt_rows **rows, uint64_t count)
{
    struct lzt_rows *trimmed;
    if (*rows == NULL || !is_alone(*rows) || count == (*rows)->room || size_of(count) == 0)
        return;
    trimmed = realloc(*rows, size_of(count));
    if (trimmed == NULL)
        return;
    trimmed->room = count;
    atomic_store(&trimmed->claimed, count);
    *rows = trimmed;
}
