/* Stands between lazytiff and the system (LD_PRELOAD): records what is asked of it, and lets calls fail.
 *
 * SHIM_LOG     the file that gets a record of each call that changes a file: a letter, where, how many bytes, these bytes
 * SHIM_FAULT   "NAME NUMBER ERRNO TIMES": the NUMBERth call of that name fails, and so do those that follow, TIMES in all; ERRNO 0: it
 *              does half of what is asked. A program may set it again at any time; counting then begins anew.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "a system whose calls have one form only");

static void record(char kind, uint64_t offset, const struct iovec *vectors, int count, uint64_t length)
{
    static int log = -1;
    if (log < 0 && getenv("SHIM_LOG") != NULL)
        log = (int)syscall(SYS_openat, AT_FDCWD, getenv("SHIM_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (log < 0)
        return;
    uint8_t head[17] = {(uint8_t)kind};
    memcpy(head + 1, &offset, 8);
    memcpy(head + 9, &length, 8);
    if (write(log, head, sizeof head) != sizeof head)
        abort();
    for (int i = 0; i < count && length > 0; i++) {
        const size_t part = vectors[i].iov_len < length ? vectors[i].iov_len : length;
        if (write(log, vectors[i].iov_base, part) != (ssize_t)part)
            abort();
        length -= part;
    }
}

/* -1: the call goes its way; otherwise an errno, or 0. */
static int fault(const char *name)
{
    static char known[80];
    static int calls;
    char which[20];
    int number, why, times;
    const char *asked = getenv("SHIM_FAULT");
    if (asked == NULL || sscanf(asked, "%19s %d %d %d", which, &number, &why, &times) != 4 || strcmp(which, name) != 0)
        return -1;
    if (strcmp(known, asked) != 0)
        calls = 0;
    snprintf(known, sizeof known, "%s", asked);
    calls++;
    if (calls < number || calls >= number + times)
        return -1;
    record('F', (uint64_t)why, NULL, 0, 0);
    errno = why;
    return why;
}

/* Files that are written to; the interpreter reads many others. */
static int is_ours(int descriptor)
{
    struct stat about;
    return (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDWR && syscall(SYS_newfstatat, descriptor, "", &about, AT_EMPTY_PATH) == 0 &&
           S_ISREG(about.st_mode);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset)
{
    const int why = fault("pwrite");
    if (why > 0)
        return -1;
    const ssize_t done = REAL(pwrite64)(descriptor, bytes, why == 0 ? (length + 1) / 2 : length, offset);
    const struct iovec vector = {(void *)bytes, length};
    if (done >= 0)
        record('W', (uint64_t)offset, &vector, 1, (uint64_t)done);
    return done;
}

ssize_t pwritev64(int descriptor, const struct iovec *vectors, int count, off64_t offset)
{
    const int why = fault("pwritev");
    if (why > 0)
        return -1;
    struct iovec half = vectors[0];
    half.iov_len = (half.iov_len + 1) / 2;
    const ssize_t done = REAL(pwritev64)(descriptor, why == 0 ? &half : vectors, why == 0 ? 1 : count, offset);
    if (done >= 0)
        record('W', (uint64_t)offset, vectors, count, (uint64_t)done);
    return done;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) { return pwrite64(descriptor, bytes, length, offset); }
ssize_t pwritev(int descriptor, const struct iovec *vectors, int count, off_t offset) { return pwritev64(descriptor, vectors, count, offset); }

/* What the disk really keeps is not asked: a sync that is recorded counts as one. */
static int sync_file(const char *name, int descriptor)
{
    struct stat about;
    const int folder = syscall(SYS_newfstatat, descriptor, "", &about, AT_EMPTY_PATH) == 0 && S_ISDIR(about.st_mode);
    const int why = fault(name);
    record(why > 0 ? 'f' : folder ? 'D' : 'S', 0, NULL, 0, 0);
    return why > 0 ? -1 : 0;
}

int fsync(int descriptor) { return sync_file("fsync", descriptor); }
int fdatasync(int descriptor) { return sync_file("fdatasync", descriptor); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    const int done = fault("linkat") > 0 ? -1 : REAL(linkat)(from_folder, from, to_folder, to, flags);
    if (done == 0)
        record('L', 0, NULL, 0, 0);
    return done;
}

int link(const char *from, const char *to)
{
    const int done = fault("link") > 0 ? -1 : REAL(link)(from, to);
    if (done == 0)
        record('L', 0, NULL, 0, 0);
    return done;
}

ssize_t pread64(int descriptor, void *bytes, size_t length, off64_t offset)
{
    const int why = is_ours(descriptor) ? fault("pread") : -1;
    return why > 0 ? -1 : REAL(pread64)(descriptor, bytes, why == 0 ? (length + 1) / 2 : length, offset);
}

ssize_t pread(int descriptor, void *bytes, size_t length, off_t offset) { return pread64(descriptor, bytes, length, offset); }

int fstat64(int descriptor, struct stat64 *about)
{
    return is_ours(descriptor) && fault("fstat") > 0 ? -1 : REAL(fstat64)(descriptor, about);
}

int fstat(int descriptor, struct stat *about)
{
    return is_ours(descriptor) && fault("fstat") > 0 ? -1 : REAL(fstat)(descriptor, about);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    if ((flags & __O_TMPFILE) == __O_TMPFILE && getenv("SHIM_NO_TMPFILE") != NULL) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (flags & O_ACCMODE) == O_RDWR && fault("open") > 0 ? -1 : REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}

static int lock(int (*real)(int, int, ...), int descriptor, int command, void *argument)
{
    return command == F_OFD_SETLK && fault("lock") > 0 ? -1 : real(descriptor, command, argument);
}

int fcntl64(int descriptor, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *const argument = va_arg(rest, void *);
    va_end(rest);
    return lock(REAL(fcntl64), descriptor, command, argument);
}

int fcntl(int descriptor, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *const argument = va_arg(rest, void *);
    va_end(rest);
    return lock(REAL(fcntl64), descriptor, command, argument);
}
