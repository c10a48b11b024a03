/* error.h - one way to fail. */
#ifndef LZT_ERROR_H
#define LZT_ERROR_H

#include "lazytiff.h"

#if defined(__GNUC__)
#define LZT_PRINTF(text, values) __attribute__((format(printf, text, values)))
#else
#define LZT_PRINTF(text, values)
#endif

/* Fill error (which may be NULL) with status and a text, no page and no chunk; returns status. */
enum lzt_status lzt_fail(struct lzt_error *error, enum lzt_status status, const char *format, ...) LZT_PRINTF(3, 4);
/* The same for a refusal of the operating system. */
enum lzt_status lzt_fail_system(struct lzt_error *error, int os_errno, const char *what);
enum lzt_status lzt_fail_memory(struct lzt_error *error, uint64_t bytes);
/* Say which page (and chunk, or -1) an error is about, unless it says so already; returns status unchanged. */
enum lzt_status lzt_fail_at(struct lzt_error *error, enum lzt_status status, int64_t page, int64_t chunk);

#endif
