/* whole.h - is all of a page in a file that is being written? */
#ifndef LZT_WHOLE_H
#define LZT_WHOLE_H

#include "ifd.h"

/* LZT_CORRUPT when the table's last page, whose IFD is directory, is not there as a whole: a value or a chunk lies behind the end of the file,
 * or entries have not been written yet. The peek is the caller's. *looked grows by the bytes of the lists that were looked through. */
enum lzt_status lzt_whole_check(const struct lzt_table *table, const struct lzt_directory *directory, struct lzt_peek *peek,
                                uint64_t *looked, struct lzt_error *error);

#endif
