#include "os.h"

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <errno.h>
#include <stdlib.h>

#include "error.h"

struct lzt_file {
    HANDLE handle;
};

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
        return EACCES;
    case ERROR_TOO_MANY_OPEN_FILES:
        return EMFILE;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
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

static enum lzt_status fail_windows(struct lzt_error *error, DWORD code, const char *what)
{
    return lzt_fail_system(error, to_errno(code), what);
}

/* The path in the system's own encoding, to be freed. */
static enum lzt_status widen(const char *path, wchar_t **wide, struct lzt_error *error)
{
    *wide = NULL;
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    if (length <= 0)
        return fail_windows(error, GetLastError(), "the path is not UTF-8");
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

static enum lzt_status open_handle(const wchar_t *path, HANDLE *handle, struct lzt_error *error)
{
    *handle = INVALID_HANDLE_VALUE;
    /* CreateFileW calls a directory "access denied". */
    DWORD attributes = GetFileAttributesW(path);
    if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY))
        return lzt_fail(error, LZT_NOT_TIFF, "a directory, not a file");
    /* Others may go on writing, rename and delete, as everywhere else. */
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    *handle = CreateFileW(path, GENERIC_READ, share, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (*handle == INVALID_HANDLE_VALUE)
        return fail_windows(error, GetLastError(), "cannot open the file");
    enum lzt_status status = check_kind(*handle, error);
    if (status != LZT_OK)
        CloseHandle(*handle);
    return status;
}

enum lzt_status lzt_file_open(const char *path, struct lzt_file **file, struct lzt_error *error)
{
    *file = NULL;
    wchar_t *wide;
    enum lzt_status status = widen(path, &wide, error);
    if (status != LZT_OK)
        return status;
    struct lzt_file opened;
    status = open_handle(wide, &opened.handle, error);
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

void lzt_file_close(struct lzt_file *file)
{
    if (file == NULL)
        return;
    CloseHandle(file->handle);
    free(file);
}

enum lzt_status lzt_file_size(struct lzt_file *file, uint64_t *size, struct lzt_error *error)
{
    LARGE_INTEGER answer;
    if (!GetFileSizeEx(file->handle, &answer))
        return fail_windows(error, GetLastError(), "cannot ask for the size of the file");
    *size = (uint64_t)answer.QuadPart;
    return LZT_OK;
}

enum lzt_status lzt_file_read(struct lzt_file *file, uint64_t offset, void *buffer, size_t length, size_t *got,
                              struct lzt_error *error)
{
    const size_t most = (size_t)1 << 30; /* a DWORD holds less than 4 GiB */
    *got = 0;
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return lzt_fail_system(error, EINVAL, "no file reaches as far as the bytes to be read");
    while (*got < length) {
        size_t wanted = length - *got < most ? length - *got : most;
        /* With an offset in each call, threads need not agree on the handle's position; the call still waits for the bytes. */
        OVERLAPPED place = {0};
        place.Offset = (DWORD)((offset + *got) & 0xFFFFFFFF);
        place.OffsetHigh = (DWORD)((offset + *got) >> 32);
        DWORD read = 0;
        if (!ReadFile(file->handle, (uint8_t *)buffer + *got, (DWORD)wanted, &read, &place)) {
            DWORD code = GetLastError();
            if (code == ERROR_HANDLE_EOF)
                break;
            return fail_windows(error, code, "cannot read from the file");
        }
        if (read == 0)
            break;
        *got += read;
    }
    return LZT_OK;
}

uint64_t lzt_milliseconds(void)
{
    return GetTickCount64();
}

#endif
