/* Whose file systems are other machines': by what the system says of them, which is made up here. */
#undef _FORTIFY_SOURCE /* its open cannot be replaced */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <fcntl.h>

#include "check.h"
#include "os.h"

#ifdef __linux__
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum { FUSE = 0x65735546 };

static char mounts[] = "/tmp/lazytiff-mounts-XXXXXX";
static unsigned long magic;

/* These two take the place of the C library's. */
int fstatfs(int file, struct statfs *about)
{
    (void)file;
    *about = (struct statfs){.f_type = (int)magic};
    return 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int bits = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return (int)syscall(SYS_openat, AT_FDCWD, strcmp(path, "/proc/self/mountinfo") == 0 ? mounts : path, flags, bits);
}

/* What is said of the file mounts, when its file system is of this kind. */
static void check_kind(unsigned long kind, const char *expected)
{
    struct lzt_file *file;
    magic = kind;
    CHECK(lzt_file_open(mounts, 0, &file, NULL) == LZT_OK);
    const char *found = lzt_file_remote(file);
    CHECK(expected == NULL ? found == NULL : found != NULL && strcmp(found, expected) == 0);
    lzt_file_close(file);
}

/* The same, when the file's device is in a line with this end, among others. */
static void check_mount(const char *end, const char *expected)
{
    struct stat about;
    CHECK(stat(mounts, &about) == 0);
    FILE *file = fopen(mounts, "w");
    CHECK(file != NULL);
    fprintf(file, "20 1 254:777 / /first rw shared:1 - fuse.sshfs me@there: rw\n");
    fprintf(file, "36 20 %u:%u / /mnt rw,noatime %s rw\n", major(about.st_dev), minor(about.st_dev), end);
    fprintf(file, "37 20 254:778 / /last rw - fuse.sshfs me@there: rw\n");
    CHECK(fclose(file) == 0);
    check_kind(FUSE, expected);
}

int main(void)
{
    const int file = mkstemp(mounts);
    CHECK(file >= 0 && close(file) == 0);
    check_kind(0xEF53, NULL); /* ext4 */
    check_kind(0x6969, "NFS");
    check_kind(0xFE534D42, "SMB");
    check_kind(0xFF534D42, "SMB");
    check_kind(FUSE, NULL); /* the list of mounts is empty */
    check_mount("- fuse.sshfs me@there:", "sshfs");
    check_mount("shared:7 master:1 - fuse.rclone cloud:", "rclone");
    check_mount("- fuse.mergerfs a:b", NULL);
    check_mount("- fuseblk /dev/sdb1", NULL); /* NTFS of this machine: what follows in later lines is about others */
    check_mount("- fuse /dev/fuse", NULL);
    CHECK(unlink(mounts) == 0);
    return 0;
}

#else

int main(void) { return 0; }

#endif
