#include "error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum lzt_status lzt_fail(struct lzt_error *error, enum lzt_status status, const char *format, ...)
{
    if (error == NULL)
        return status;
    memset(error, 0, sizeof *error);
    error->status = status;
    error->page = error->chunk = -1;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

enum lzt_status lzt_fail_system(struct lzt_error *error, int os_errno, const char *what)
{
    lzt_fail(error, LZT_SYSTEM, "%s", what);
    if (error != NULL)
        error->os_errno = os_errno;
    return LZT_SYSTEM;
}

enum lzt_status lzt_fail_memory(struct lzt_error *error, uint64_t bytes)
{
    return lzt_fail(error, LZT_NO_MEMORY, "no memory for %" PRIu64 " bytes", bytes);
}

enum lzt_status lzt_fail_at(struct lzt_error *error, enum lzt_status status, int64_t page, int64_t chunk)
{
    if (status != LZT_OK && error != NULL && error->page < 0) {
        error->page = page;
        error->chunk = chunk;
    }
    return status;
}
