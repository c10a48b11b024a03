/* visited.h - has a chain of IFDs come back to where it was? */
#ifndef LZT_VISITED_H
#define LZT_VISITED_H

#include "ifd.h"

/* Begin with zeros. Offsets are kept only from the first link backward on, since no cycle can do without one. */
struct lzt_visited {
    uint64_t *offsets;
    uint64_t room;
};

/* *again: the IFD at offset, to which the last of the table's pages links, is already among them. */
enum lzt_status lzt_visited_check(struct lzt_visited *visited, struct lzt_table *table, uint64_t offset, int *again,
                                  struct lzt_error *error);
void lzt_visited_close(struct lzt_visited *visited);

#endif
