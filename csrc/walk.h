/* walk.h - along the chain of IFDs. */
#ifndef LZT_WALK_H
#define LZT_WALK_H

#include "ifd.h"

/* Add the pages of the chain that starts at offset (0: there are none) to the table. From page number growing on they may still be written:
 * one that is not whole ends the chain, without a warning. */
enum lzt_status lzt_walk_chain(struct lzt_table *table, uint64_t offset, uint64_t growing, struct lzt_error *error);
/* The same for what is linked to the IFD of the table's last page. */
enum lzt_status lzt_walk_on(struct lzt_table *table, const struct lzt_directory *last, struct lzt_error *error);
/* Add the page of each of these IFDs, following no link. With options.lenient, what is no IFD is a page too. */
enum lzt_status lzt_walk_list(struct lzt_table *table, const uint64_t *offsets, size_t count, struct lzt_error *error);

#endif
