/* os.h - what lazytiff asks of the operating system. os_posix.c and os_win32.c each answer all of it. */
#ifndef LZT_OS_H
#define LZT_OS_H

#include "lazytiff.h"

struct lzt_file; /* an open file; safe to share between threads: no call moves a common position */

/* Open a regular file for reading, without blocking on other kinds, which are LZT_NOT_TIFF. Not inherited by child programs. */
enum lzt_status lzt_file_open(const char *path, struct lzt_file **file, struct lzt_error *error);
void lzt_file_close(struct lzt_file *file);
enum lzt_status lzt_file_size(struct lzt_file *file, uint64_t *size, struct lzt_error *error);
/* Read until length bytes came or the file ends; got says how many came. Interrupted calls are repeated. */
enum lzt_status lzt_file_read(struct lzt_file *file, uint64_t offset, void *buffer, size_t length, size_t *got,
                              struct lzt_error *error);
/* Milliseconds on a clock that never goes back. */
uint64_t lzt_milliseconds(void);

#endif
