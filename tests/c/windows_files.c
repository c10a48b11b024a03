/* What only Windows asks of those who open and map files: which names are free and when, locks, new files, names in UTF-8.
 * tests/test_windows.py builds and runs it in an empty folder. Without check.h, whose guarded memory is POSIX's. */
#include <windows.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winioctl.h>

#include "lazytiff.h"
#include "os.h"

#define CHECK(condition)                                                                                          \
    do {                                                                                                          \
        if (!(condition)) {                                                                                       \
            const unsigned long code = GetLastError();                                                            \
            fprintf(stderr, "%s:%d: not true: %s (last error %lu)\n", __FILE__, __LINE__, #condition, code);      \
            exit(1);                                                                                              \
        }                                                                                                         \
    } while (0)

/* A name that no code page but UTF-8 has whole. */
#define NAME "stack \xC2\xB5m \xE6\x97\xA5\xE6\x9C\xAC.tif"
#define WIDE L"stack \u00B5m \u65E5\u672C.tif"

enum { LENGTH = 100000 }; /* not whole pages of memory */

/* ---- The same by Windows' own calls --------------------------------------------------------------------------------------- */

static HANDLE open_wide(const wchar_t *name, DWORD access, DWORD how)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    return CreateFileW(name, access, share, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL);
}

static uint8_t byte_at(unsigned i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static void make_file(const wchar_t *name)
{
    static uint8_t bytes[LENGTH];
    DWORD written;
    for (unsigned i = 0; i < LENGTH; i++)
        bytes[i] = byte_at(i);
    HANDLE handle = open_wide(name, GENERIC_WRITE, CREATE_NEW);
    CHECK(handle != INVALID_HANDLE_VALUE);
    CHECK(WriteFile(handle, bytes, LENGTH, &written, NULL) && written == LENGTH);
    CHECK(CloseHandle(handle));
}

static uint8_t byte_in_file(const wchar_t *name, DWORD offset)
{
    uint8_t byte;
    DWORD got;
    HANDLE handle = open_wide(name, GENERIC_READ, OPEN_EXISTING);
    CHECK(handle != INVALID_HANDLE_VALUE);
    CHECK(SetFilePointer(handle, (LONG)offset, NULL, FILE_BEGIN) == offset);
    CHECK(ReadFile(handle, &byte, 1, &got, NULL) && got == 1);
    CHECK(CloseHandle(handle));
    return byte;
}

static int can_shorten(const wchar_t *name)
{
    HANDLE handle = open_wide(name, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING);
    CHECK(handle != INVALID_HANDLE_VALUE);
    CHECK(SetFilePointer(handle, 10, NULL, FILE_BEGIN) == 10);
    const int can = SetEndOfFile(handle);
    CHECK(CloseHandle(handle));
    return can;
}

static int can_make_anew(const wchar_t *name)
{
    HANDLE handle = open_wide(name, GENERIC_WRITE, CREATE_ALWAYS);
    return handle != INVALID_HANDLE_VALUE && CloseHandle(handle);
}

static int exists(const wchar_t *name)
{
    return GetFileAttributesW(name) != INVALID_FILE_ATTRIBUTES;
}

static unsigned files_here(void)
{
    WIN32_FIND_DATAW found;
    unsigned count = 0;
    HANDLE search = FindFirstFileW(L"*", &found);
    CHECK(search != INVALID_HANDLE_VALUE);
    do
        count += !(found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
    while (FindNextFileW(search, &found));
    CHECK(FindClose(search));
    return count;
}

/* ---- Files ---------------------------------------------------------------------------------------------------------------- */

static struct lzt_file *open_file(const char *name, int writable)
{
    struct lzt_file *file;
    CHECK(lzt_file_open(name, writable, &file, NULL) == LZT_OK);
    return file;
}

static void test_refusals(void)
{
    struct lzt_error error;
    struct lzt_file *file;
    CHECK(lzt_file_open("missing.tif", 0, &file, &error) == LZT_SYSTEM && error.os_errno == ENOENT && file == NULL);
    CHECK(lzt_file_open(".", 0, &file, &error) == LZT_NOT_TIFF && strstr(error.text, "directory") != NULL);
    CHECK(lzt_file_open("\xFF.tif", 0, &file, &error) == LZT_SYSTEM && error.os_errno == EILSEQ);
    CHECK(lzt_faults_catch(NULL, &error) == LZT_UNSUPPORTED && strstr(error.text, "POSIX") != NULL);
    CHECK(lzt_memory_blank(NULL, 0, 0) == 0);

    make_file(WIDE);
    file = open_file(NAME, 0);
    CHECK(lzt_file_write(file, 0, "x", 1, &error) == LZT_SYSTEM && error.os_errno == EACCES);
    CHECK(lzt_file_write(file, INT64_MAX, "xy", 2, &error) == LZT_SYSTEM && error.os_errno == EFBIG);
    lzt_file_close(file);
    CHECK(DeleteFileW(WIDE) && !exists(WIDE));
}

static void test_read_and_write(void)
{
    uint8_t bytes[100];
    uint64_t size, stamp;
    size_t got;
    make_file(WIDE);
    struct lzt_file *file = open_file(NAME, 1);
    CHECK(lzt_file_write(file, LENGTH, "tail", 4, NULL) == LZT_OK && lzt_file_sync(file, NULL) == LZT_OK);
    CHECK(lzt_file_read(file, LENGTH - 50, bytes, sizeof bytes, &got, NULL) == LZT_OK && got == 54);
    CHECK(bytes[0] == byte_at(LENGTH - 50) && memcmp(bytes + 50, "tail", 4) == 0);
    CHECK(lzt_file_stamp(file, &size, &stamp, NULL) == LZT_OK && size == LENGTH + 4 && stamp == 0);
    CHECK(lzt_file_remote(file) == NULL);
    CHECK(MoveFileExW(WIDE, L"other.tif", 0) && DeleteFileW(L"other.tif"));
    CHECK(lzt_file_read(file, LENGTH, bytes, sizeof bytes, &got, NULL) == LZT_OK && got == 4);
    lzt_file_close(file);
    CHECK(files_here() == 0);
}

static void test_space(void)
{
    uint64_t size;
    int done, sparse;
    DWORD got;
    make_file(WIDE);
    struct lzt_file *file = open_file(NAME, 1);
    CHECK(lzt_file_allocate(file, LENGTH / 2, &done, NULL) == LZT_OK && done);
    CHECK(lzt_file_size(file, &size, NULL) == LZT_OK && size == LENGTH);
    CHECK(lzt_file_allocate(file, 2 * LENGTH, &done, NULL) == LZT_OK && done);
    CHECK(lzt_file_size(file, &size, NULL) == LZT_OK && size == 2 * LENGTH);
    CHECK(byte_in_file(WIDE, LENGTH - 1) == byte_at(LENGTH - 1) && byte_in_file(WIDE, 2 * LENGTH - 1) == 0);
    CHECK(lzt_file_is_sparse(file, &sparse, NULL) == LZT_OK && !sparse);

    HANDLE handle = open_wide(WIDE, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING);
    DeviceIoControl(handle, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, &got, NULL);
    CHECK(CloseHandle(handle));
    if (GetFileAttributesW(WIDE) & FILE_ATTRIBUTE_SPARSE_FILE) { /* wine says yes and does nothing */
        CHECK(lzt_file_allocate(file, 1000 * LENGTH, &done, NULL) == LZT_OK && !done);
        CHECK(lzt_file_is_sparse(file, &sparse, NULL) == LZT_OK && sparse);
    }
    lzt_file_close(file);
    CHECK(DeleteFileW(WIDE) && !exists(WIDE));
}

/* Whether every byte that a file can have is free: unlike POSIX's, these locks keep others from reading and writing. */
static int can_lock_bytes(const wchar_t *name)
{
    OVERLAPPED start = {.Offset = 0};
    HANDLE handle = open_wide(name, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING);
    CHECK(handle != INVALID_HANDLE_VALUE);
    const int can = LockFileEx(handle, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 0xFFFFFFFE, 0x7FFFFFFF, &start);
    CHECK(CloseHandle(handle));
    return can;
}

static void test_locks(void)
{
    struct lzt_error error;
    struct lzt_file *shared;
    make_file(WIDE);
    struct lzt_file *one = open_file(NAME, 1), *two = open_file(NAME, 1);
    CHECK(lzt_file_lock(one, 0, NULL) == LZT_OK && lzt_file_lock(two, 0, NULL) == LZT_OK);
    lzt_file_close(two);
    two = open_file(NAME, 1);
    CHECK(lzt_file_lock(two, 1, &error) == LZT_LOCKED && strstr(error.text, "open for writing elsewhere") != NULL);
    CHECK(can_lock_bytes(WIDE) && lzt_file_write(two, 0, "x", 1, NULL) == LZT_OK);
    CHECK(lzt_file_share(one, &shared, NULL) == LZT_OK);
    lzt_file_close(one);
    CHECK(lzt_file_lock(two, 1, NULL) == LZT_LOCKED);
    lzt_file_close(shared);
    CHECK(lzt_file_lock(two, 1, NULL) == LZT_OK);
    one = open_file(NAME, 1);
    CHECK(lzt_file_lock(one, 0, &error) == LZT_LOCKED && strstr(error.text, "being changed elsewhere") != NULL);
    lzt_file_close(two);
    CHECK(lzt_file_lock(one, 0, NULL) == LZT_OK);
    lzt_file_close(one);
    CHECK(DeleteFileW(WIDE) && !exists(WIDE));
}

/* ---- New files ------------------------------------------------------------------------------------------------------------ */

static struct lzt_file *create_file(void)
{
    struct lzt_file *file;
    CHECK(lzt_file_create(NAME, &file, NULL) == LZT_OK);
    CHECK(lzt_file_write(file, 0, "new", 3, NULL) == LZT_OK);
    CHECK(!exists(WIDE));
    return file;
}

static void test_new_files(void)
{
    struct lzt_error error;
    struct lzt_file *other, *file = create_file();
    CHECK(files_here() == 1);
    lzt_file_close(file);
    CHECK(files_here() == 0);

    file = create_file();
    other = create_file();
    CHECK(files_here() == 2);
    CHECK(lzt_file_publish(file, NULL) == LZT_OK && exists(WIDE));
    CHECK(lzt_file_publish(other, &error) == LZT_SYSTEM && error.os_errno == EEXIST);
    lzt_file_close(other);
    CHECK(files_here() == 1 && byte_in_file(WIDE, 0) == 'n');
    CHECK(lzt_file_write(file, 0, "N", 1, NULL) == LZT_OK);
    lzt_file_close(file);
    CHECK(files_here() == 1 && byte_in_file(WIDE, 0) == 'N');
    CHECK(lzt_file_create(NAME, &file, &error) == LZT_SYSTEM && error.os_errno == EEXIST && file == NULL);
    CHECK(DeleteFileW(WIDE) && files_here() == 0);
    CHECK(lzt_file_create("no such folder\\" NAME, &file, &error) == LZT_SYSTEM && error.os_errno == ENOENT);
}

static void test_another_folder(void)
{
    struct lzt_file *file;
    const struct lzt_new_stack stack = {.size = sizeof stack, .pages = 3, .rows = 40, .columns = 50, .samples = 1, .kind = LZT_UINT,
                                        .item_size = 2, .photometric = -1, .bigtiff = -1};
    CHECK(CreateDirectoryW(L"folder", NULL));
    CHECK(lzt_file_create("folder\\" NAME, &file, NULL) == LZT_OK && files_here() == 0);
    lzt_file_close(file);
    CHECK(lzt_create_zeros("folder\\" NAME, &stack, NULL) == LZT_OK);
    CHECK(byte_in_file(L"folder\\" WIDE, 0) == 'I' && files_here() == 0);
    CHECK(lzt_create_zeros("folder/" NAME, &stack, NULL) == LZT_SYSTEM);
    CHECK(DeleteFileW(L"folder\\" WIDE) && RemoveDirectoryW(L"folder")); /* which fails unless it is empty */
}

/* ---- Maps ----------------------------------------------------------------------------------------------------------------- */

static void open_map(enum lzt_map_mode mode, struct lzt_source **source, struct lzt_map **map)
{
    if (mode == LZT_MAP_WRITE)
        CHECK(lzt_source_open_writable(NAME, source, NULL) == LZT_OK);
    else
        CHECK(lzt_source_open(NAME, source, NULL) == LZT_OK);
    CHECK(lzt_map_open(lzt_source_file(*source), mode, LENGTH, 0, map, NULL) == LZT_OK);
    CHECK(lzt_map_bytes(*map)[0] == byte_at(0) && lzt_map_bytes(*map)[LENGTH - 1] == byte_at(LENGTH - 1));
}

/* While a file is mapped nobody takes its bytes away; closed, its name is free at once. */
static void test_names(enum lzt_map_mode mode)
{
    struct lzt_source *source;
    struct lzt_map *map;
    make_file(WIDE);
    make_file(L"other.tif");
    open_map(mode, &source, &map);
    CHECK(!can_shorten(WIDE) && GetLastError() == ERROR_USER_MAPPED_FILE);
    CHECK(!can_make_anew(WIDE) && GetLastError() == ERROR_USER_MAPPED_FILE);
    CHECK(!MoveFileExW(L"other.tif", WIDE, MOVEFILE_REPLACE_EXISTING));
    lzt_source_close(source);
    CHECK(!can_shorten(WIDE)); /* the map has its own handle */
    lzt_map_close(map);
    CHECK(can_shorten(WIDE));
    CHECK(MoveFileExW(L"other.tif", WIDE, MOVEFILE_REPLACE_EXISTING) && !exists(L"other.tif"));

    open_map(mode, &source, &map);
    lzt_map_close(map);
    lzt_source_close(source);
    CHECK(DeleteFileW(WIDE) && !exists(WIDE));
    make_file(WIDE);
    CHECK(can_make_anew(WIDE));
    CHECK(DeleteFileW(WIDE) && files_here() == 0);
}

/* What a growing file is written by: pieces one behind the other, and locks that others can ask about. */
static void test_growing(void)
{
    const struct lzt_piece pieces[] = {{"ab", 2}, {"", 0}, {"cdefg", 5}, {"h", 1}};
    struct lzt_file *file;
    uint64_t size;
    int held;
    CHECK(lzt_file_create(NAME, &file, NULL) == LZT_OK && lzt_file_lock(file, 1, NULL) == LZT_OK);
    CHECK(lzt_file_write_pieces(file, 3, pieces, 4, NULL) == LZT_OK && lzt_file_write_pieces(file, 90, pieces, 0, NULL) == LZT_OK);
    CHECK(lzt_file_size(file, &size, NULL) == LZT_OK && size == 11);
    CHECK(lzt_file_sync_data(file, NULL) == LZT_OK && lzt_file_publish(file, NULL) == LZT_OK && lzt_file_sync_name(file, NULL) == LZT_OK);
    CHECK(byte_in_file(WIDE, 2) == 0 && byte_in_file(WIDE, 3) == 'a' && byte_in_file(WIDE, 5) == 'c' && byte_in_file(WIDE, 10) == 'h');
    struct lzt_error error;
    CHECK(lzt_file_publish(file, &error) == LZT_SYSTEM && error.os_errno == EEXIST);
    struct lzt_file *other = open_file(NAME, 1);
    CHECK(lzt_file_publish(other, NULL) == LZT_USAGE);
    CHECK(lzt_file_has_writer(other, &held, NULL) == LZT_OK && held);
    CHECK(lzt_file_lock(other, 1, NULL) == LZT_LOCKED && lzt_process() != 0);
    lzt_file_close(file);
    CHECK(lzt_file_has_writer(other, &held, NULL) == LZT_OK && !held && lzt_file_lock(other, 1, NULL) == LZT_OK);
    lzt_file_close(other);
    CHECK(DeleteFileW(WIDE) && files_here() == 0);
}

/* Deleting a mapped file takes the bytes from nobody either; its name is free once the map is closed. */
static void test_delete_under_a_map(void)
{
    struct lzt_source *source;
    struct lzt_map *map;
    make_file(WIDE);
    open_map(LZT_MAP_READ, &source, &map);
    DeleteFileW(WIDE); /* refused, or done when the last handle is closed, as the version of Windows has it */
    CHECK(lzt_map_bytes(map)[LENGTH / 2] == byte_at(LENGTH / 2));
    lzt_map_close(map);
    lzt_source_close(source);
    CHECK((!exists(WIDE) || DeleteFileW(WIDE)) && !exists(WIDE));
    make_file(WIDE);
    CHECK(DeleteFileW(WIDE) && files_here() == 0);
}

static void test_modes(void)
{
    static const uint64_t offsets[] = {10, 5000};
    struct lzt_source *readers, *copiers, *writers;
    struct lzt_map *read, *copy, *write;
    make_file(WIDE);
    open_map(LZT_MAP_READ, &readers, &read);
    open_map(LZT_MAP_COPY, &copiers, &copy);
    open_map(LZT_MAP_WRITE, &writers, &write);
    CHECK(lzt_map_store(copy, offsets, 2, 2, "copy", NULL) == LZT_OK);
    lzt_map_bytes(copy)[77] = 'c';
    CHECK(lzt_map_bytes(copy)[5000] == 'p' && lzt_map_bytes(read)[5000] == byte_at(5000) && byte_in_file(WIDE, 77) == byte_at(77));
    CHECK(lzt_map_store(write, offsets, 2, 2, "file", NULL) == LZT_OK);
    lzt_map_bytes(write)[77] = 'w';
    CHECK(lzt_map_flush(write, NULL) == LZT_OK && lzt_map_flush(read, NULL) == LZT_OK);
    CHECK(byte_in_file(WIDE, 10) == 'f' && byte_in_file(WIDE, 5001) == 'e' && byte_in_file(WIDE, 77) == 'w');
    CHECK(lzt_map_bytes(read)[5000] == 'l' && lzt_map_bytes(read)[77] == 'w' && lzt_map_bytes(copy)[77] == 'c');
    lzt_map_close(read);
    lzt_map_close(copy);
    lzt_map_close(write);
    lzt_source_close(readers);
    lzt_source_close(copiers);
    lzt_source_close(writers);
    CHECK(DeleteFileW(WIDE) && files_here() == 0);
}

/* No map makes a file longer, is of an empty file, or writes by a handle that only reads. */
static void test_refused_maps(void)
{
    struct lzt_error error;
    uint8_t *address;
    make_file(WIDE);
    struct lzt_file *file = open_file(NAME, 1), *reader = open_file(NAME, 0);
    uint64_t size;
    CHECK(lzt_memory_map(file, LZT_MAP_WRITE, 2 * LENGTH, &address, &error) == LZT_SYSTEM && address == NULL);
    CHECK(lzt_file_size(file, &size, NULL) == LZT_OK && size == LENGTH);
    CHECK(lzt_memory_map(reader, LZT_MAP_WRITE, LENGTH, &address, &error) == LZT_SYSTEM && error.os_errno == EACCES);
    CHECK(lzt_memory_page() == 4096);
    lzt_file_close(file);
    lzt_file_close(reader);
    CHECK(DeleteFileW(WIDE) && files_here() == 0);
}

int main(void)
{
    CHECK(files_here() == 0);
    test_refusals();
    test_read_and_write();
    test_space();
    test_locks();
    test_new_files();
    test_growing();
    test_another_folder();
    test_names(LZT_MAP_READ);
    test_names(LZT_MAP_WRITE);
    test_names(LZT_MAP_COPY);
    test_delete_under_a_map();
    test_modes();
    test_refused_maps();
    return 0;
}
