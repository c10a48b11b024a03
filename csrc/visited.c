#include "visited.h"

#include <stdlib.h>

/* Put offset among those visited; 1 when it was there. */
static int visit(uint64_t *visited, uint64_t room, uint64_t offset)
{
    uint64_t at = (offset * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (room - 1);
    for (; visited[at] != 0; at = (at + 1) & (room - 1))
        if (visited[at] == offset)
            return 1;
    visited[at] = offset;
    return 0;
}

static enum lzt_status grow(struct lzt_visited *visited, const struct lzt_table *table, struct lzt_error *error)
{
    uint64_t room = visited->room == 0 ? 64 : visited->room;
    while (room < 2 * (table->pages + 2))
        room *= 2;
    if (room == visited->room)
        return LZT_OK;
    uint64_t *offsets = calloc((size_t)room, sizeof *offsets);
    if (offsets == NULL)
        return lzt_fail_memory(error, room * sizeof *offsets);
    for (uint64_t i = 0; i < table->pages; i++)
        visit(offsets, room, table->rows[i].ifd);
    free(visited->offsets);
    visited->offsets = offsets;
    visited->room = room;
    return LZT_OK;
}

enum lzt_status lzt_visited_check(struct lzt_visited *visited, struct lzt_table *table, uint64_t offset, int *again,
                                  struct lzt_error *error)
{
    const int forward = offset > table->highest;
    *again = 0;
    if (forward)
        table->highest = offset;
    if (forward && visited->offsets == NULL)
        return LZT_OK;
    enum lzt_status status = grow(visited, table, error);
    if (status == LZT_OK)
        *again = visit(visited->offsets, visited->room, offset);
    return status;
}

void lzt_visited_close(struct lzt_visited *visited)
{
    free(visited->offsets);
    *visited = (struct lzt_visited){NULL, 0};
}
