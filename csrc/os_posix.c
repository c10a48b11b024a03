#ifndef _WIN32

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

_Static_assert(sizeof(off_t) == 8, "files may be larger than 2 GiB");

/* macOS refuses 2 GiB and more in one call, Linux cuts them. */
enum { MOST_AT_ONCE = 1 << 30, MOST_PIECES = 64 };

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
        descriptor = open(path, O_CLOEXEC | O_NOCTTY | flags);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

enum lzt_status lzt_file_open(const char *path, int writable, struct lzt_file **file, struct lzt_error *error)
{
    *file = NULL;
    enum lzt_status status = check_path(path, error);
    if (status != LZT_OK)
        return status;
    const int flags = writable ? O_RDWR : O_RDONLY;
    struct lzt_file opened = {.descriptor = open_descriptor(path, flags | O_NONBLOCK)};
    /* A lease, as file servers take them, is broken by waiting; only a lease makes a regular file answer so. */
    if (opened.descriptor < 0 && errno == EAGAIN)
        opened.descriptor = open_descriptor(path, flags);
    if (opened.descriptor < 0)
        return lzt_fail_system(error, errno, "cannot open the file");
    struct stat about;
    if (fstat(opened.descriptor, &about) != 0)
        status = lzt_fail_system(error, errno, "cannot ask for the kind of the file");
    else
        status = check_kind(about.st_mode, error);
    opened.remote = lzt_posix_remote(opened.descriptor);
    if (status == LZT_OK && (*file = malloc(sizeof **file)) == NULL)
        status = lzt_fail_memory(error, sizeof **file);
    if (status == LZT_OK)
        **file = opened;
    else
        close(opened.descriptor);
    return status;
}

enum lzt_status lzt_file_share(const struct lzt_file *file, struct lzt_file **other, struct lzt_error *error)
{
    *other = malloc(sizeof **other);
    if (*other == NULL)
        return lzt_fail_memory(error, sizeof **other);
    **other = (struct lzt_file){.descriptor = fcntl(file->descriptor, F_DUPFD_CLOEXEC, 0), .remote = file->remote};
    if ((*other)->descriptor >= 0)
        return LZT_OK;
    const int why = errno;
    free(*other);
    *other = NULL;
    return lzt_fail_system(error, why, "cannot have a second handle on the file");
}

#ifdef F_OFD_SETLK
enum { SET_LOCK = F_OFD_SETLK, ASK_FOR_LOCK = F_OFD_GETLK }; /* the lock belongs to the open file and not to the process */
#else
enum { SET_LOCK = F_SETLK, ASK_FOR_LOCK = F_GETLK };
#endif

static int call_lock(const struct lzt_file *file, int command, struct flock *lock)
{
    int result;
    lock->l_whence = SEEK_SET;
    lock->l_start = INT64_MAX - 1;
    lock->l_len = 1;
    do
        result = fcntl(file->descriptor, command, lock);
    while (result != 0 && errno == EINTR);
    return result;
}

/* A lock lasts until every descriptor of the open file is closed, and a forked child has some: nobody is to wait for it to end. Nor does the
 * child take away its parent's. */
static void release_lock(const struct lzt_file *file)
{
    struct flock lock = {.l_type = F_UNLCK};
    if (file->locked_by == getpid())
        call_lock(file, SET_LOCK, &lock);
}

void lzt_file_close(struct lzt_file *file)
{
    if (file == NULL)
        return;
    if (file->temporary != NULL && file->made_by == getpid()) /* a forked child does not take it from its parent */
        unlink(file->temporary);
    release_lock(file);
    close(file->descriptor);
    free(file->path);
    free(file->temporary);
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

enum lzt_status lzt_file_modified(struct lzt_file *file, int64_t *when, struct lzt_error *error)
{
    struct stat about;
    if (fstat(file->descriptor, &about) != 0)
        return lzt_fail_system(error, errno, "cannot ask when the file was written to");
#ifdef __APPLE__
    const struct timespec written = about.st_mtimespec;
#else
    const struct timespec written = about.st_mtim;
#endif
    *when = (int64_t)written.tv_sec * 1000000000 + written.tv_nsec;
    return LZT_OK;
}

enum lzt_status lzt_file_stamp(struct lzt_file *file, uint64_t *size, uint64_t *stamp, struct lzt_error *error)
{
    enum { TICK = 3 }; /* seconds: more than the 2 of FAT, the coarsest clock of a file system */
    struct stat about;
    struct timespec now;
    *stamp = 0;
    if (fstat(file->descriptor, &about) != 0)
        return lzt_fail_system(error, errno, "cannot ask for the size of the file");
    *size = (uint64_t)about.st_size;
#ifdef __APPLE__
    const struct timespec changed = about.st_ctimespec;
#else
    const struct timespec changed = about.st_ctim;
#endif
    /* The time of change, which unlike that of modification nobody can set. What another machine says of it may be old. */
    if (file->remote == NULL && clock_gettime(CLOCK_REALTIME, &now) == 0 && changed.tv_sec > 0 && now.tv_sec - changed.tv_sec > TICK)
        *stamp = (uint64_t)changed.tv_sec * 1000000000u + (uint64_t)changed.tv_nsec;
    return LZT_OK;
}

static int no_file_reaches(uint64_t offset, size_t length)
{
    return offset > INT64_MAX || length > INT64_MAX - offset;
}

enum lzt_status lzt_file_read(struct lzt_file *file, uint64_t offset, void *buffer, size_t length, size_t *got,
                              struct lzt_error *error)
{
    *got = 0;
    if (no_file_reaches(offset, length))
        return lzt_fail_system(error, EINVAL, "no file reaches as far as the bytes to be read");
    while (*got < length) {
        size_t wanted = length - *got < MOST_AT_ONCE ? length - *got : MOST_AT_ONCE;
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

enum lzt_status lzt_file_write(struct lzt_file *file, uint64_t offset, const void *buffer, size_t length, struct lzt_error *error)
{
    size_t done = 0;
    if (no_file_reaches(offset, length))
        return lzt_fail_system(error, EFBIG, "no file reaches as far as the bytes to be written");
    while (done < length) {
        size_t wanted = length - done < MOST_AT_ONCE ? length - done : MOST_AT_ONCE;
        ssize_t written = pwrite(file->descriptor, (const uint8_t *)buffer + done, wanted, (off_t)(offset + done));
        if (written > 0)
            done += (size_t)written;
        else if (written == 0) /* no system is known to do that, but to go on would be for ever */
            return lzt_fail_system(error, EIO, "cannot write to the file");
        else if (errno != EINTR)
            return lzt_fail_system(error, errno, "cannot write to the file");
    }
    return LZT_OK;
}

/* As many of the pieces as one call takes, from the bytes on that were done already. */
static size_t take_pieces(const struct lzt_piece *pieces, size_t count, size_t done, struct iovec *vectors, size_t *total)
{
    size_t taken = 0;
    *total = 0;
    for (size_t i = 0; i < count && taken < MOST_PIECES && *total < MOST_AT_ONCE; i++) {
        const size_t skip = i == 0 ? done : 0, length = pieces[i].length - skip, room = MOST_AT_ONCE - *total;
        vectors[taken].iov_base = (uint8_t *)(uintptr_t)pieces[i].bytes + skip;
        vectors[taken].iov_len = length < room ? length : room;
        *total += vectors[taken++].iov_len;
    }
    return taken;
}

enum lzt_status lzt_file_write_pieces(struct lzt_file *file, uint64_t offset, const struct lzt_piece *pieces, size_t count,
                                      struct lzt_error *error)
{
    struct iovec vectors[MOST_PIECES];
    size_t done = 0, total; /* done: bytes of the first piece */
    for (;;) {
        while (count > 0 && done == pieces->length) {
            pieces++, count--;
            done = 0;
        }
        if (count == 0)
            return LZT_OK;
        const size_t taken = take_pieces(pieces, count, done, vectors, &total);
        if (no_file_reaches(offset, total))
            return lzt_fail_system(error, EFBIG, "no file reaches as far as the bytes to be written");
        const ssize_t written = pwritev(file->descriptor, vectors, (int)taken, (off_t)offset);
        if (written == 0) /* no system is known to do that, but to go on would be for ever */
            return lzt_fail_system(error, EIO, "cannot write to the file");
        if (written < 0 && errno != EINTR)
            return lzt_fail_system(error, errno, "cannot write to the file");
        size_t more = written > 0 ? (size_t)written : 0;
        offset += more;
        for (; count > 0 && more >= pieces->length - done; pieces++, count--) {
            more -= pieces->length - done;
            done = 0;
        }
        done += more;
    }
}

enum lzt_status lzt_file_sync(struct lzt_file *file, struct lzt_error *error)
{
#ifdef F_FULLFSYNC
    /* fsync of macOS leaves the bytes in the disk's own memory; not every file system knows this call. */
    if (fcntl(file->descriptor, F_FULLFSYNC) == 0)
        return LZT_OK;
#endif
    int result;
    do
        result = fsync(file->descriptor);
    while (result != 0 && errno == EINTR);
    return result == 0 ? LZT_OK : lzt_fail_system(error, errno, "cannot write the file to the disk");
}

enum lzt_status lzt_file_sync_data(struct lzt_file *file, struct lzt_error *error)
{
#ifdef __APPLE__
    return lzt_file_sync(file, error);
#else
    int result;
    do
        result = fdatasync(file->descriptor);
    while (result != 0 && errno == EINTR);
    return result == 0 ? LZT_OK : lzt_fail_system(error, errno, "cannot write the file to the disk");
#endif
}

const char *lzt_file_remote(struct lzt_file *file)
{
    return file->remote;
}

enum lzt_status lzt_file_has_writer(struct lzt_file *file, int *held, struct lzt_error *error)
{
    struct flock lock = {.l_type = F_RDLCK};
    *held = 0;
    if (file->remote != NULL)
        return lzt_fail(error, LZT_UNSUPPORTED, "it is on %s, where programs on other machines need not see locks", file->remote);
    if (call_lock(file, ASK_FOR_LOCK, &lock) != 0) /* ENOLCK, EOPNOTSUPP, EINVAL, ...: systems do not agree on a word for it */
        return lzt_fail(error, LZT_UNSUPPORTED, "its file system has no locks");
    *held = lock.l_type == F_WRLCK;
    return LZT_OK;
}

enum lzt_status lzt_file_lock(struct lzt_file *file, int exclusive, struct lzt_error *error)
{
    struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK};
    const int result = call_lock(file, SET_LOCK, &lock);
    if (result == 0) {
        file->locked_by = exclusive ? getpid() : 0;
        return LZT_OK;
    }
    if (errno != EAGAIN && errno != EACCES)
        return lzt_fail_system(error, errno, "cannot lock the file");
    return lzt_fail(error, LZT_LOCKED,
                    exclusive ? "it is open for writing elsewhere; its structure can be changed when it is closed there"
                              : "its structure is being changed elsewhere; it can be written to when that has ended");
}

uint64_t lzt_process(void)
{
    return (uint64_t)getpid();
}

uint64_t lzt_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
