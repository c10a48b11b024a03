/* rows.h - rows of pages, shared by tables that continue each other: refreshing a table of a growing file copies none of them. */
#ifndef LZT_ROWS_H
#define LZT_ROWS_H

#include "error.h"

/* Rows in memory that belong to one table or to several. A table looks at those that it counts itself; behind them only one table, the one
 * that counts all of them, may go on. */
struct lzt_rows;

/* The first of the rows; NULL when there are none. */
struct lzt_row *lzt_rows_first(struct lzt_rows *rows);
/* The same rows, for another table that begins with them. */
struct lzt_rows *lzt_rows_share(struct lzt_rows *rows);
void lzt_rows_leave(struct lzt_rows *rows);

/* Have room for more rows behind the first count, which the caller's table has; *room becomes how many rows it may have in all. *rows (NULL:
 * none yet) stays what it is where there is room that no other table has claimed; otherwise it becomes a copy. On failure nothing
 * changes. */
enum lzt_status lzt_rows_claim(struct lzt_rows **rows, uint64_t count, uint64_t more, uint64_t *room, struct lzt_error *error);
/* Give back what was claimed beyond count rows, so that the next table can have it. */
void lzt_rows_settle(struct lzt_rows *rows, uint64_t count);
/* Give memory back that a table without successors will not need. */
void lzt_rows_trim(struct lzt_rows **rows, uint64_t count);

#endif
