#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include "os.h"

#ifndef _WIN32

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

_Static_assert(sizeof(off_t) == 8, "files may be larger than 2 GiB");

struct lzt_file {
    int descriptor;
};

static enum lzt_status check_kind(mode_t mode, struct lzt_error *error)
{
    if (S_ISREG(mode))
        return LZT_OK;
    const char *kind = "something else";
    if (S_ISDIR(mode))
        kind = "a directory";
    else if (S_ISFIFO(mode))
        kind = "a pipe (FIFO)";
    else if (S_ISCHR(mode))
        kind = "a character device";
    else if (S_ISBLK(mode))
        kind = "a block device";
    else if (S_ISSOCK(mode))
        kind = "a socket";
    return lzt_fail(error, LZT_NOT_TIFF, "%s, not a file", kind);
}

/* Opening alone can harm: it wakes the writer at a pipe's other end, who dies of our going, and it rewinds a tape. So ask first.
 * The answer may be outdated a moment later, which is why lzt_file_open asks again. */
static enum lzt_status check_path(const char *path, struct lzt_error *error)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return lzt_fail_system(error, errno, "cannot open the file");
    return check_kind(about.st_mode, error);
}

static int open_descriptor(const char *path, int flags)
{
    int descriptor;
    do
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

enum lzt_status lzt_file_open(const char *path, struct lzt_file **file, struct lzt_error *error)
{
    *file = NULL;
    enum lzt_status status = check_path(path, error);
    if (status != LZT_OK)
        return status;
    struct lzt_file opened = {open_descriptor(path, O_NONBLOCK)};
    /* A lease, as file servers take them, is broken by waiting; only a lease makes a regular file answer so. */
    if (opened.descriptor < 0 && errno == EAGAIN)
        opened.descriptor = open_descriptor(path, 0);
    if (opened.descriptor < 0)
        return lzt_fail_system(error, errno, "cannot open the file");
    struct stat about;
    if (fstat(opened.descriptor, &about) != 0)
        status = lzt_fail_system(error, errno, "cannot ask for the kind of the file");
    else
        status = check_kind(about.st_mode, error);
    if (status == LZT_OK && (*file = malloc(sizeof **file)) == NULL)
        status = lzt_fail_memory(error, sizeof **file);
    if (status == LZT_OK)
        **file = opened;
    else
        close(opened.descriptor);
    return status;
}

void lzt_file_close(struct lzt_file *file)
{
    if (file == NULL)
        return;
    close(file->descriptor);
    free(file);
}

enum lzt_status lzt_file_size(struct lzt_file *file, uint64_t *size, struct lzt_error *error)
{
    struct stat about;
    if (fstat(file->descriptor, &about) != 0)
        return lzt_fail_system(error, errno, "cannot ask for the size of the file");
    *size = (uint64_t)about.st_size;
    return LZT_OK;
}

enum lzt_status lzt_file_read(struct lzt_file *file, uint64_t offset, void *buffer, size_t length, size_t *got,
                              struct lzt_error *error)
{
    const size_t most = (size_t)1 << 30; /* macOS refuses 2 GiB and more in one call, Linux cuts them */
    *got = 0;
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return lzt_fail_system(error, EINVAL, "no file reaches as far as the bytes to be read");
    while (*got < length) {
        size_t wanted = length - *got < most ? length - *got : most;
        ssize_t read = pread(file->descriptor, (uint8_t *)buffer + *got, wanted, (off_t)(offset + *got));
        if (read == 0)
            break;
        if (read > 0)
            *got += (size_t)read;
        else if (errno != EINTR)
            return lzt_fail_system(error, errno, "cannot read from the file");
    }
    return LZT_OK;
}

uint64_t lzt_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
