/* source.h - bytes from a file, memory or callbacks, for the rest of the library. */
#ifndef LZT_SOURCE_H
#define LZT_SOURCE_H

#include "lazytiff.h"

/* The size now, and lzt_file_stamp's stamp; memory and callbacks, which nobody writes to, have stamp 1. */
enum lzt_status lzt_source_stamp(struct lzt_source *source, uint64_t *size, uint64_t *stamp, struct lzt_error *error);

#endif
