/* os_posix.h - what the files of the POSIX side share. To be included first. */
#ifndef LZT_OS_POSIX_H
#define LZT_OS_POSIX_H

#define _FILE_OFFSET_BITS 64
#if defined(__linux__)
#define _GNU_SOURCE /* O_TMPFILE, fallocate, F_OFD_SETLK */
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE /* F_PREALLOCATE, F_FULLFSYNC, F_OFD_SETLK, MNT_LOCAL */
#else
#define _DEFAULT_SOURCE /* the BSDs show everything, unless POSIX is asked for: then they hide MAP_ANON */
#endif

#include <sys/types.h>

#include "os.h"

struct lzt_file {
    int descriptor;
    const char *remote; /* the name of the file system when it is another machine's */
    char *path;         /* of a new file: what it is to be called; otherwise NULL */
    char *temporary;    /* of a new file that has a name meanwhile: this one; otherwise NULL */
    pid_t made_by;      /* the process that made a new file */
    pid_t locked_by;    /* the process that took the exclusive lock; otherwise 0 */
};

/* What lzt_file_remote answers. */
const char *lzt_posix_remote(int descriptor);

#endif
