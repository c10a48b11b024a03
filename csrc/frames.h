/* frames.h - pages without IFDs of their own, behind the only page that has one. */
#ifndef LZT_FRAMES_H
#define LZT_FRAMES_H

#include "ifd.h"

/* Add the frames that the description of the table's only page tells of, if the file has them; known: they were there before. The peek is the
 * caller's. */
enum lzt_status lzt_frames_add(struct lzt_table *table, struct lzt_peek *peek, int known, struct lzt_error *error);

#endif
