/* os_win32.h - what the files of the Windows side share. To be included first. */
#ifndef LZT_OS_WIN32_H
#define LZT_OS_WIN32_H

#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602 /* Windows 8: the oldest that everything here is there on */
#include <windows.h>

#include "os.h"

struct lzt_file {
    HANDLE handle;
    wchar_t *path;      /* of a new file: what it is to be called; otherwise NULL */
    wchar_t *temporary; /* of a new file: what it is called meanwhile; otherwise NULL */
};

/* The path in the system's own encoding, to be freed. */
enum lzt_status lzt_win32_widen(const char *path, wchar_t **wide, struct lzt_error *error);
/* LZT_SYSTEM with the errno that says best what Windows says with code. */
enum lzt_status lzt_win32_fail(struct lzt_error *error, DWORD code, const char *what);

#endif
