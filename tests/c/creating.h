/* creating.h - what the C tests of new files share: a folder to make them in, and a system that can be told to fail. */
#ifndef CREATING_H
#define CREATING_H

#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE /* fallocate; everything else is POSIX */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "reading.h"

enum { ROWS = 5, COLUMNS = 7, PAGES = 3 };

static char folder[64], path[100]; /* the folder is ours, and empty again after each test */

/* ---- The system, which can be told to fail ---- */

static enum { WELL, FULL_DISK, SMALL_DISK, NO_PROMISE, NO_SPACE_NEEDED, NAME_IS_TAKEN, NO_SYNC } mode;
static uint64_t asked; /* bytes that were to be allocated last */

static inline void write_file(const char *text)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text) && close(file) == 0);
}

/* A file system that promises nothing; what is not written is no zero there. */
static inline int make_dirty(int file, off_t length)
{
    uint8_t bytes[4096];
    memset(bytes, 0xA5, sizeof bytes);
    for (off_t at = 0; at < length; at += (off_t)sizeof bytes)
        if (pwrite(file, bytes, length - at < (off_t)sizeof bytes ? (size_t)(length - at) : sizeof bytes, at) < 0)
            return -1;
    errno = EOPNOTSUPP;
    return -1;
}

/* These take the place of the C library's. */
int fallocate(int file, int flags, off_t offset, off_t length)
{
    asked = (uint64_t)(offset + length);
    if (mode == FULL_DISK) {
        errno = ENOSPC;
        return -1;
    }
    if (mode == NO_PROMISE)
        return make_dirty(file, length);
    if (mode == NO_SPACE_NEEDED)
        return ftruncate(file, length);
    if (mode == NAME_IS_TAKEN)
        write_file("another's");
    return (int)syscall(SYS_fallocate, file, flags, offset, length);
}

int fsync(int file)
{
    CHECK(mode == NAME_IS_TAKEN || access(path, F_OK) != 0); /* the file has no name before it is complete */
    errno = EIO;
    return mode == NO_SYNC ? -1 : (int)syscall(SYS_fsync, file);
}

/* Without a limit, as some file systems in memory are, which say that they have 0 blocks; or 50 that are free. */
int fstatvfs(int file, struct statvfs *disk)
{
    (void)file;
    *disk = (struct statvfs){.f_frsize = 4096, .f_blocks = mode == SMALL_DISK ? 100 : 0, .f_bfree = mode == SMALL_DISK ? 50 : 0};
    return 0;
}

static inline int files_left(void)
{
    int count = -2; /* "." and ".." */
    DIR *listing = opendir(folder);
    CHECK(listing != NULL);
    while (readdir(listing) != NULL)
        count++;
    closedir(listing);
    return count;
}

/* The number that the next open file gets: the same before and after means that nothing was left open. */
static inline int next_descriptor(void)
{
    const int descriptor = dup(STDERR_FILENO);
    CHECK(descriptor >= 0 && close(descriptor) == 0);
    return descriptor;
}

/* ---- Making ---- */

static inline struct lzt_new_stack new_stack(uint16_t kind, uint16_t item_size, uint32_t samples)
{
    return (struct lzt_new_stack){sizeof(struct lzt_new_stack), PAGES, ROWS, COLUMNS, samples, kind, item_size, 0, -1, -1};
}

/* CHECK that the stack is refused, and that nothing comes of it. */
static inline struct lzt_error refuse(const struct lzt_new_stack *stack, enum lzt_status expected, const char *text)
{
    struct lzt_error error;
    const int descriptor = next_descriptor();
    check_status(lzt_create_zeros(path, stack, &error), expected, &error, text);
    CHECK(lzt_create_zeros(path, stack, NULL) == expected);
    CHECK(files_left() == 0 && next_descriptor() == descriptor);
    return error;
}

/* ---- The folder ---- */

static inline void make_folder(void)
{
    const char *const parent = getenv("TMPDIR");
    CHECK(snprintf(folder, sizeof folder, "%s/lazytiff-XXXXXX", parent && strlen(parent) < 40 ? parent : "/tmp") > 0);
    CHECK(mkdtemp(folder) != NULL);
    CHECK(snprintf(path, sizeof path, "%s/new.tif", folder) > 0);
}

#endif
