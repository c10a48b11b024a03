#ifdef _WIN32

#include "os_win32.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"

enum { MOST_AT_ONCE = 1 << 30 }; /* a DWORD holds less than 4 GiB */

static int to_errno(DWORD code)
{
    switch (code) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_DRIVE:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
        return ENOENT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_USER_MAPPED_FILE:
        return EACCES;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
        return EEXIST;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
        return ENOSPC;
    case ERROR_FILE_TOO_LARGE:
        return EFBIG;
    case ERROR_WRITE_PROTECT:
        return EROFS;
    case ERROR_TOO_MANY_OPEN_FILES:
        return EMFILE;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_COMMITMENT_LIMIT:
        return ENOMEM;
    case ERROR_FILENAME_EXCED_RANGE:
        return ENAMETOOLONG;
    case ERROR_NO_UNICODE_TRANSLATION:
        return EILSEQ;
    case ERROR_INVALID_PARAMETER:
        return EINVAL;
    default:
        return EIO;
    }
}

enum lzt_status lzt_win32_fail(struct lzt_error *error, DWORD code, const char *what)
{
    return lzt_fail_system(error, to_errno(code), what);
}

enum lzt_status lzt_win32_widen(const char *path, wchar_t **wide, struct lzt_error *error)
{
    *wide = NULL;
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    if (length <= 0)
        return lzt_win32_fail(error, GetLastError(), "the path is not UTF-8");
    *wide = malloc((size_t)length * sizeof **wide);
    if (*wide == NULL)
        return lzt_fail_memory(error, (uint64_t)length * sizeof **wide);
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, *wide, length);
    return LZT_OK;
}

static enum lzt_status check_kind(HANDLE handle, struct lzt_error *error)
{
    switch (GetFileType(handle)) {
    case FILE_TYPE_DISK:
        return LZT_OK;
    case FILE_TYPE_PIPE:
        return lzt_fail(error, LZT_NOT_TIFF, "a pipe, not a file");
    case FILE_TYPE_CHAR:
        return lzt_fail(error, LZT_NOT_TIFF, "a character device, not a file");
    default:
        return lzt_fail(error, LZT_NOT_TIFF, "something else, not a file");
    }
}

static enum lzt_status open_handle(const wchar_t *path, int writable, HANDLE *handle, struct lzt_error *error)
{
    *handle = INVALID_HANDLE_VALUE;
    /* CreateFileW calls a directory "access denied". */
    DWORD attributes = GetFileAttributesW(path);
    if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY))
        return lzt_fail(error, LZT_NOT_TIFF, "a directory, not a file");
    /* Others may go on writing, rename and delete, as everywhere else. */
    const DWORD access = writable ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ;
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    *handle = CreateFileW(path, access, share, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (*handle == INVALID_HANDLE_VALUE)
        return lzt_win32_fail(error, GetLastError(), "cannot open the file");
    enum lzt_status status = check_kind(*handle, error);
    if (status != LZT_OK)
        CloseHandle(*handle);
    return status;
}

enum lzt_status lzt_file_open(const char *path, int writable, struct lzt_file **file, struct lzt_error *error)
{
    *file = NULL;
    wchar_t *wide;
    enum lzt_status status = lzt_win32_widen(path, &wide, error);
    if (status != LZT_OK)
        return status;
    struct lzt_file opened = {.path = NULL};
    status = open_handle(wide, writable, &opened.handle, error);
    free(wide);
    if (status != LZT_OK)
        return status;
    *file = malloc(sizeof **file);
    if (*file == NULL) {
        CloseHandle(opened.handle);
        return lzt_fail_memory(error, sizeof **file);
    }
    **file = opened;
    return LZT_OK;
}

enum lzt_status lzt_file_share(const struct lzt_file *file, struct lzt_file **other, struct lzt_error *error)
{
    const HANDLE process = GetCurrentProcess();
    *other = calloc(1, sizeof **other);
    if (*other == NULL)
        return lzt_fail_memory(error, sizeof **other);
    if (DuplicateHandle(process, file->handle, process, &(*other)->handle, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return LZT_OK;
    const DWORD why = GetLastError();
    free(*other);
    *other = NULL;
    return lzt_win32_fail(error, why, "cannot have a second handle on the file");
}

void lzt_file_close(struct lzt_file *file)
{
    if (file == NULL)
        return;
    if (file->temporary != NULL) {
        /* By the handle and not by the name, which others may have moved. Not earlier, because such a handle is good for nothing more. */
        FILE_DISPOSITION_INFO gone = {.DeleteFile = TRUE};
        SetFileInformationByHandle(file->handle, FileDispositionInfo, &gone, sizeof gone);
    }
    CloseHandle(file->handle);
    free(file->path);
    free(file->temporary);
    free(file);
}

enum lzt_status lzt_file_size(struct lzt_file *file, uint64_t *size, struct lzt_error *error)
{
    LARGE_INTEGER answer;
    if (!GetFileSizeEx(file->handle, &answer))
        return lzt_win32_fail(error, GetLastError(), "cannot ask for the size of the file");
    *size = (uint64_t)answer.QuadPart;
    return LZT_OK;
}

enum lzt_status lzt_file_modified(struct lzt_file *file, int64_t *when, struct lzt_error *error)
{
    const int64_t until_1970 = 116444736000000000; /* units of 100 ns since 1601 */
    FILETIME written;
    if (!GetFileTime(file->handle, NULL, NULL, &written))
        return lzt_win32_fail(error, GetLastError(), "cannot ask when the file was written to");
    *when = (((int64_t)written.dwHighDateTime << 32 | written.dwLowDateTime) - until_1970) * 100;
    return LZT_OK;
}

/* No time that Windows keeps of a file is sure to change before whoever writes to the file closes it, and an acquisition does not close it
 * for hours (learn.microsoft.com/en-us/windows/win32/sysinfo/file-times). */
enum lzt_status lzt_file_stamp(struct lzt_file *file, uint64_t *size, uint64_t *stamp, struct lzt_error *error)
{
    *stamp = 0;
    return lzt_file_size(file, size, error);
}

static int no_file_reaches(uint64_t offset, size_t length)
{
    return offset > INT64_MAX || length > INT64_MAX - offset;
}

/* With an offset in each call, threads need not agree on the handle's position; the call still waits for the bytes. */
static OVERLAPPED place_of(uint64_t offset)
{
    return (OVERLAPPED){.Offset = (DWORD)(offset & 0xFFFFFFFF), .OffsetHigh = (DWORD)(offset >> 32)};
}

enum lzt_status lzt_file_read(struct lzt_file *file, uint64_t offset, void *buffer, size_t length, size_t *got,
                              struct lzt_error *error)
{
    *got = 0;
    if (no_file_reaches(offset, length))
        return lzt_fail_system(error, EINVAL, "no file reaches as far as the bytes to be read");
    while (*got < length) {
        size_t wanted = length - *got < MOST_AT_ONCE ? length - *got : MOST_AT_ONCE;
        OVERLAPPED place = place_of(offset + *got);
        DWORD read = 0;
        if (!ReadFile(file->handle, (uint8_t *)buffer + *got, (DWORD)wanted, &read, &place)) {
            DWORD code = GetLastError();
            if (code == ERROR_HANDLE_EOF)
                break;
            return lzt_win32_fail(error, code, "cannot read from the file");
        }
        if (read == 0)
            break;
        *got += read;
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
        OVERLAPPED place = place_of(offset + done);
        DWORD written = 0;
        if (!WriteFile(file->handle, (const uint8_t *)buffer + done, (DWORD)wanted, &written, &place))
            return lzt_win32_fail(error, GetLastError(), "cannot write to the file");
        if (written == 0) /* no system is known to do that, but to go on would be for ever */
            return lzt_fail_system(error, EIO, "cannot write to the file");
        done += written;
    }
    return LZT_OK;
}

/* Windows gathers pieces only of whole pages of memory. */
enum lzt_status lzt_file_write_pieces(struct lzt_file *file, uint64_t offset, const struct lzt_piece *pieces, size_t count,
                                      struct lzt_error *error)
{
    enum lzt_status status = LZT_OK;
    for (size_t i = 0; i < count && status == LZT_OK; i++) {
        status = lzt_file_write(file, offset, pieces[i].bytes, pieces[i].length, error);
        offset += pieces[i].length;
    }
    return status;
}

enum lzt_status lzt_file_sync(struct lzt_file *file, struct lzt_error *error)
{
    if (!FlushFileBuffers(file->handle))
        return lzt_win32_fail(error, GetLastError(), "cannot write the file to the disk");
    return LZT_OK;
}

enum lzt_status lzt_file_sync_data(struct lzt_file *file, struct lzt_error *error)
{
    return lzt_file_sync(file, error);
}

enum lzt_status lzt_file_lock(struct lzt_file *file, int exclusive, struct lzt_error *error)
{
    OVERLAPPED place = place_of(INT64_MAX - 1);
    if (LockFileEx(file->handle, LOCKFILE_FAIL_IMMEDIATELY | (exclusive ? LOCKFILE_EXCLUSIVE_LOCK : 0), 0, 1, 0, &place))
        return LZT_OK;
    const DWORD code = GetLastError();
    if (code != ERROR_LOCK_VIOLATION)
        return lzt_win32_fail(error, code, "cannot lock the file");
    return lzt_fail(error, LZT_LOCKED,
                    exclusive ? "it is open for writing elsewhere; its structure can be changed when it is closed there"
                              : "its structure is being changed elsewhere; it can be written to when that has ended");
}

uint64_t lzt_process(void)
{
    return GetCurrentProcessId();
}

/* Windows does not tell who has a lock: try. For that moment a writer finds the file locked. */
enum lzt_status lzt_file_has_writer(struct lzt_file *file, int *held, struct lzt_error *error)
{
    OVERLAPPED place = place_of(INT64_MAX - 1);
    *held = 0;
    if (lzt_file_remote(file) != NULL)
        return lzt_fail(error, LZT_UNSUPPORTED, "it is on %s, where programs on other machines need not see locks", lzt_file_remote(file));
    if (LockFileEx(file->handle, LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) {
        place = place_of(INT64_MAX - 1);
        UnlockFileEx(file->handle, 0, 1, 0, &place);
        return LZT_OK;
    }
    if (GetLastError() != ERROR_LOCK_VIOLATION)
        return lzt_fail(error, LZT_UNSUPPORTED, "its file system has no locks");
    *held = 1;
    return LZT_OK;
}

uint64_t lzt_milliseconds(void)
{
    return GetTickCount64();
}

#endif
