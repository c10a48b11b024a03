/* walk.h - along the chain of IFDs. */
#ifndef LZT_WALK_H
#define LZT_WALK_H

#include "ifd.h"

/* Add the pages of the chain that starts at offset (0: there are none) to the table. */
enum lzt_status lzt_walk_chain(struct lzt_table *table, uint64_t offset, struct lzt_error *error);
/* Add the page of each of these IFDs, following no link. */
enum lzt_status lzt_walk_list(struct lzt_table *table, const uint64_t *offsets, size_t count, struct lzt_error *error);

#endif
