/* New files, disk space, and whose disk it is. */
#ifdef _WIN32

#include "os_win32.h"

#include <errno.h>
#include <stdlib.h>
#include <wchar.h>

#include "error.h"

const char *lzt_file_remote(struct lzt_file *file)
{
    FILE_REMOTE_PROTOCOL_INFO protocol; /* which only files of another machine have */
    return GetFileInformationByHandleEx(file->handle, FileRemoteProtocolInfo, &protocol, sizeof protocol) ? "a network drive" : NULL;
}

/* ---- Space ---------------------------------------------------------------------------------------------------------------- */

/* Whether the file is of a kind that gets its disk space only when it is written to. */
static enum lzt_status may_lack_space(const struct lzt_file *file, int *may, struct lzt_error *error)
{
    FILE_BASIC_INFO about;
    if (!GetFileInformationByHandleEx(file->handle, FileBasicInfo, &about, sizeof about))
        return lzt_win32_fail(error, GetLastError(), "cannot ask for the attributes of the file");
    *may = (about.FileAttributes & (FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_COMPRESSED)) != 0;
    return LZT_OK;
}

enum lzt_status lzt_file_is_sparse(struct lzt_file *file, int *sparse, struct lzt_error *error)
{
    FILE_COMPRESSION_INFO about; /* of sparse files too */
    uint64_t size;
    enum lzt_status status = may_lack_space(file, sparse, error);
    if (status != LZT_OK || !*sparse)
        return status;
    status = lzt_file_size(file, &size, error);
    if (status == LZT_OK && GetFileInformationByHandleEx(file->handle, FileCompressionInfo, &about, sizeof about))
        *sparse = (uint64_t)about.CompressedFileSize.QuadPart < size;
    return status;
}

/* Other files than those of may_lack_space have disk space for every byte of their length. */
static enum lzt_status grow(struct lzt_file *file, uint64_t length, struct lzt_error *error)
{
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)length};
    uint64_t size;
    enum lzt_status status = lzt_file_size(file, &size, error);
    if (status == LZT_OK && size < length && !SetFileInformationByHandle(file->handle, FileEndOfFileInfo, &end, sizeof end))
        return lzt_win32_fail(error, GetLastError(), "cannot have the file's disk space");
    return status;
}

enum lzt_status lzt_file_allocate(struct lzt_file *file, uint64_t length, int *done, struct lzt_error *error)
{
    int may;
    *done = 0;
    if (length > INT64_MAX)
        return lzt_fail_system(error, EFBIG, "no file is so long");
    enum lzt_status status = may_lack_space(file, &may, error);
    if (status == LZT_OK)
        status = grow(file, length, error);
    *done = status == LZT_OK && !may && lzt_file_remote(file) == NULL;
    return status;
}

/* ---- New files ------------------------------------------------------------------------------------------------------------- */

/* The length of what stands before the file's own name in path. */
static size_t folder_length(const wchar_t *path)
{
    size_t length = wcslen(path);
    while (length > 0 && wcschr(L"\\/:", path[length - 1]) == NULL)
        length--;
    return length;
}

static HANDLE open_temporary(struct lzt_file *file)
{
    enum { ROOM = 64 };
    const DWORD access = GENERIC_READ | GENERIC_WRITE | DELETE;
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE; /* the last for lzt_file_publish */
    const size_t folder = folder_length(file->path);
    HANDLE handle = INVALID_HANDLE_VALUE;
    file->temporary = malloc((folder + ROOM) * sizeof *file->temporary);
    if (file->temporary == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return handle;
    }
    wmemcpy(file->temporary, file->path, folder);
    for (unsigned i = 0; i < 100 && handle == INVALID_HANDLE_VALUE; i++) {
        swprintf(file->temporary + folder, ROOM, L".lazytiff-%lu-%u.tmp", (unsigned long)GetCurrentProcessId(), i);
        handle = CreateFileW(file->temporary, access, share, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
        if (handle == INVALID_HANDLE_VALUE && GetLastError() != ERROR_FILE_EXISTS)
            break;
    }
    return handle;
}

enum lzt_status lzt_file_create(const char *path, struct lzt_file **file, struct lzt_error *error)
{
    *file = NULL;
    struct lzt_file made = {.path = NULL};
    enum lzt_status status = lzt_win32_widen(path, &made.path, error);
    if (status == LZT_OK && GetFileAttributesW(made.path) != INVALID_FILE_ATTRIBUTES)
        status = lzt_fail_system(error, EEXIST, "there is such a file");
    if (status == LZT_OK && (*file = malloc(sizeof **file)) == NULL)
        status = lzt_fail_memory(error, sizeof **file);
    if (status == LZT_OK) {
        made.handle = open_temporary(&made);
        if (made.handle == INVALID_HANDLE_VALUE)
            status = lzt_win32_fail(error, GetLastError(), "cannot make the file");
    }
    if (status == LZT_OK) {
        **file = made;
        return LZT_OK;
    }
    free(*file);
    *file = NULL;
    free(made.path);
    free(made.temporary);
    return status;
}

enum lzt_status lzt_file_publish(struct lzt_file *file, struct lzt_error *error)
{
    if (file->path == NULL)
        return lzt_fail(error, LZT_USAGE, "the file is none that was made here");
    if (file->temporary == NULL)
        return lzt_fail_system(error, EEXIST, "it has its name");
    if (!MoveFileExW(file->temporary, file->path, 0))
        return lzt_win32_fail(error, GetLastError(), "cannot give the file its name");
    free(file->temporary);
    file->temporary = NULL;
    return LZT_OK;
}

/* Windows gives folders to nobody but those who restore backups; NTFS keeps a journal of names. */
enum lzt_status lzt_file_sync_name(struct lzt_file *file, struct lzt_error *error)
{
    const enum lzt_status status = lzt_file_sync(file, error);
    if (status != LZT_OK)
        DeleteFileW(file->path);
    return status;
}

#endif
