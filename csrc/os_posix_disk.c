/* New files, disk space, and whose disk it is. */
#ifndef _WIN32

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#else
#include <sys/mount.h>
#include <sys/param.h>
#endif

#include "error.h"

/* ---- File systems --------------------------------------------------------------------------------------------------------- */

#ifdef __linux__

/* What stands in a small file of /proc, as text to be freed. */
static char *read_text(const char *path)
{
    const size_t most = 1 << 20;
    size_t length = 0;
    ssize_t got = 1;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    char *text = descriptor < 0 ? NULL : malloc(most + 1);
    while (text != NULL && got > 0 && length < most) {
        got = read(descriptor, text + length, most - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (text != NULL)
        text[length] = 0;
    if (descriptor >= 0)
        close(descriptor);
    return text;
}

/* FUSE stands for many file systems; which one a device is stands in /proc/self/mountinfo (proc(5)), line by line:
 * "36 35 98:0 / /mnt rw - fuse.sshfs me@there: rw". */
static const char *remote_fuse(int descriptor)
{
    static const char *const names[] = {"sshfs", "rclone", "s3fs", "gcsfuse", "curlftpfs", "davfs"};
    struct stat about;
    char device[64];
    const char *found = NULL;
    char *mounts = fstat(descriptor, &about) == 0 ? read_text("/proc/self/mountinfo") : NULL;
    if (mounts == NULL)
        return NULL;
    snprintf(device, sizeof device, " %u:%u ", major(about.st_dev), minor(about.st_dev));
    const char *line = strstr(mounts, device);
    const char *kind = line == NULL ? NULL : strstr(line, " - ");
    const int is_fuse = kind != NULL && strncmp(kind, " - fuse.", strlen(" - fuse.")) == 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && is_fuse; i++)
        if (strncmp(kind + strlen(" - fuse."), names[i], strlen(names[i])) == 0)
            found = names[i];
    free(mounts);
    return found;
}

/* Magic numbers: linux/magic.h; SMB has had three. */
const char *lzt_posix_remote(int descriptor)
{
    struct statfs about;
    if (fstatfs(descriptor, &about) != 0)
        return NULL;
    switch ((uint32_t)about.f_type) {
    case 0x6969:
        return "NFS";
    case 0x517B:
    case 0xFF534D42:
    case 0xFE534D42:
        return "SMB";
    case 0x5346414F:
    case 0x6B414653:
        return "AFS";
    case 0x65735546:
        return remote_fuse(descriptor);
    default:
        return NULL;
    }
}

#else

const char *lzt_posix_remote(int descriptor)
{
#ifdef MNT_LOCAL
    struct statfs about;
    if (fstatfs(descriptor, &about) == 0 && !(about.f_flags & MNT_LOCAL))
        return "a network file system";
#else
    (void)descriptor;
#endif
    return NULL;
}

#endif

/* ---- Space ---------------------------------------------------------------------------------------------------------------- */

enum lzt_status lzt_file_is_sparse(struct lzt_file *file, int *sparse, struct lzt_error *error)
{
    struct stat about;
    if (fstat(file->descriptor, &about) != 0)
        return lzt_fail_system(error, errno, "cannot ask for the size of the file");
    *sparse = (uint64_t)about.st_blocks < (uint64_t)about.st_size / 512; /* POSIX leaves the unit open; every system has 512 */
    return LZT_OK;
}

/* 0 or an errno. Fills holes too, but for macOS, which knows only of bytes past the end. */
static int reserve(int descriptor, off_t length)
{
#if defined(__linux__)
    /* Not posix_fallocate, which writes a byte to every block where the file system cannot do it: others may be writing there. */
    return fallocate(descriptor, 0, 0, length) == 0 ? 0 : errno;
#elif defined(__APPLE__)
    struct stat about;
    if (fstat(descriptor, &about) != 0 || about.st_size > 0)
        return EOPNOTSUPP;
    fstore_t store = {.fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_length = length};
    return fcntl(descriptor, F_PREALLOCATE, &store) == 0 && ftruncate(descriptor, length) == 0 ? 0 : errno;
#else
    return posix_fallocate(descriptor, 0, length);
#endif
}

static enum lzt_status grow(struct lzt_file *file, uint64_t length, struct lzt_error *error)
{
    uint64_t size;
    enum lzt_status status = lzt_file_size(file, &size, error);
    if (status == LZT_OK && size < length && ftruncate(file->descriptor, (off_t)length) != 0)
        return lzt_fail_system(error, errno, "cannot make the file longer");
    return status;
}

/* 1: certainly more than the disk has. To try would fill the disk, for a moment, to everybody's harm. */
static int is_hopeless(int descriptor, uint64_t length)
{
    struct stat about;
    struct statvfs disk;
    if (fstat(descriptor, &about) != 0 || fstatvfs(descriptor, &disk) != 0 || disk.f_frsize == 0)
        return 0;
    if (disk.f_blocks == 0 || sizeof disk.f_bfree < 8) /* a tmpfs without a limit says 0; macOS counts to 2^32 and begins again */
        return 0;
    const uint64_t there = (uint64_t)about.st_blocks * 512;
    return length > there && (length - there) / disk.f_frsize > disk.f_bfree;
}

enum lzt_status lzt_file_allocate(struct lzt_file *file, uint64_t length, int *done, struct lzt_error *error)
{
    int why;
    *done = 0;
    if (length > INT64_MAX)
        return lzt_fail_system(error, EFBIG, "no file is so long");
    if (is_hopeless(file->descriptor, length))
        return lzt_fail_system(error, ENOSPC, "cannot have the file's disk space");
    do
        why = reserve(file->descriptor, (off_t)length);
    while (why == EINTR);
    *done = why == 0;
    if (why == EOPNOTSUPP || why == ENOSYS || why == ENOTSUP || why == EINVAL)
        return grow(file, length, error);
    return why == 0 ? LZT_OK : lzt_fail_system(error, why, "cannot have the file's disk space");
}

/* ---- New files ------------------------------------------------------------------------------------------------------------- */

/* The folder of path, or with a name the file of that name there; to be freed. */
static char *in_folder_of(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *joined = malloc(folder + strlen(name) + 2);
    if (joined == NULL)
        return NULL;
    memcpy(joined, path, folder);
    strcpy(joined + folder, folder == 0 && *name == 0 ? "." : name);
    return joined;
}

/* A file that never had a name leaves nothing behind, whatever happens. */
static int open_nameless(const char *path)
{
    int descriptor = -1;
#ifdef O_TMPFILE
    char *folder = in_folder_of(path, "");
    if (folder != NULL && access("/proc/self/fd", X_OK) == 0) /* lzt_file_publish takes this way */
        descriptor = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    free(folder);
#else
    (void)path;
#endif
    return descriptor;
}

static int open_temporary(const char *path, char **temporary)
{
    char name[64];
    int descriptor = -1;
    for (unsigned i = 0; i < 100 && descriptor < 0; i++) {
        snprintf(name, sizeof name, ".lazytiff-%ld-%u.tmp", (long)getpid(), i);
        *temporary = in_folder_of(path, name);
        if (*temporary == NULL)
            return -1;
        descriptor = open(*temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (descriptor >= 0)
            break;
        free(*temporary);
        *temporary = NULL;
        if (errno != EEXIST)
            break;
    }
    return descriptor;
}

enum lzt_status lzt_file_create(const char *path, struct lzt_file **file, struct lzt_error *error)
{
    struct stat about;
    struct lzt_file made = {.descriptor = -1, .made_by = getpid()};
    *file = NULL;
    if (lstat(path, &about) == 0)
        return lzt_fail_system(error, EEXIST, "there is such a file");
    if (errno != ENOENT || *path == 0) /* what cannot be a name is found out now, not when all is written */
        return lzt_fail_system(error, errno, "cannot make the file");
    made.path = strdup(path);
    *file = malloc(sizeof **file);
    if (made.path != NULL && *file != NULL) {
        made.descriptor = open_nameless(path);
        if (made.descriptor < 0)
            made.descriptor = open_temporary(path, &made.temporary);
    } else {
        errno = ENOMEM;
    }
    if (made.descriptor >= 0) {
        made.remote = lzt_posix_remote(made.descriptor);
        **file = made;
        return LZT_OK;
    }
    const int why = errno;
    free(made.path);
    free(*file);
    *file = NULL;
    return lzt_fail_system(error, why, "cannot make the file");
}

/* Where there are no hard links (FAT): take the name with an empty file, then put the file in its place. */
static int rename_without_links(const char *temporary, const char *path)
{
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return -1;
    close(descriptor);
    if (rename(temporary, path) == 0)
        return 0;
    const int why = errno;
    unlink(path);
    errno = why;
    return -1;
}

static int give_name(const struct lzt_file *file)
{
    if (file->temporary == NULL) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file->descriptor);
        return linkat(AT_FDCWD, link, AT_FDCWD, file->path, AT_SYMLINK_FOLLOW);
    }
    if (link(file->temporary, file->path) == 0) {
        unlink(file->temporary); /* if that fails, the file has two names, and the one that was asked for */
        return 0;
    }
    return errno == EEXIST ? -1 : rename_without_links(file->temporary, file->path);
}

enum lzt_status lzt_file_publish(struct lzt_file *file, struct lzt_error *error)
{
    if (file->path == NULL)
        return lzt_fail(error, LZT_USAGE, "the file is none that was made here");
    if (give_name(file) != 0)
        return lzt_fail_system(error, errno, "cannot give the file its name");
    free(file->temporary);
    file->temporary = NULL;
    return LZT_OK;
}

enum lzt_status lzt_file_sync_name(struct lzt_file *file, struct lzt_error *error)
{
    int result = -1, why = ENOMEM;
    char *folder = in_folder_of(file->path, "");
    const int descriptor = folder == NULL ? -1 : open(folder, O_RDONLY | O_CLOEXEC);
    if (folder != NULL)
        why = errno;
    free(folder);
    if (descriptor >= 0) {
        do
            result = fsync(descriptor);
        while (result != 0 && errno == EINTR);
        why = errno;
        close(descriptor);
    }
    if (result == 0 || why == EINVAL) /* a file system that keeps its folders in another way, FAT on some systems among them */
        return LZT_OK;
    unlink(file->path);
    return lzt_fail_system(error, why, "cannot write the file's name to the disk");
}

#endif
