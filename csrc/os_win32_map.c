/* Memory that stands for a file. */
#ifdef _WIN32

#include "os_win32.h"

#include <errno.h>

#include "error.h"

/* Windows' words for a mode: one for the file, one for the memory. */
static void mode_of(enum lzt_map_mode mode, DWORD *protection, DWORD *access)
{
    switch (mode) {
    case LZT_MAP_READ:
        *protection = PAGE_READONLY;
        *access = FILE_MAP_READ;
        break;
    case LZT_MAP_WRITE:
        *protection = PAGE_READWRITE;
        *access = FILE_MAP_WRITE;
        break;
    case LZT_MAP_COPY:
        *protection = PAGE_WRITECOPY;
        *access = FILE_MAP_COPY;
        break;
    }
}

enum lzt_status lzt_memory_map(struct lzt_file *file, enum lzt_map_mode mode, uint64_t length, uint8_t **address,
                               struct lzt_error *error)
{
    DWORD protection = 0, access = 0;
    *address = NULL;
    if ((size_t)length != length)
        return lzt_fail_system(error, ENOMEM, "the file is larger than the addresses of this process");
    mode_of(mode, &protection, &access);
    /* As long as the file is now: to name a length could make the file longer. */
    HANDLE mapping = CreateFileMappingW(file->handle, NULL, protection, 0, 0, NULL);
    if (mapping == NULL)
        return lzt_win32_fail(error, GetLastError(), "cannot map the file");
    *address = MapViewOfFile(mapping, access, 0, 0, (size_t)length);
    const DWORD code = GetLastError();
    CloseHandle(mapping); /* the memory keeps what it needs of it */
    return *address != NULL ? LZT_OK : lzt_win32_fail(error, code, "cannot map the file");
}

void lzt_memory_unmap(uint8_t *address, uint64_t length)
{
    (void)length;
    UnmapViewOfFile(address);
}

enum lzt_status lzt_memory_sync(struct lzt_file *file, uint8_t *address, uint64_t length, struct lzt_error *error)
{
    if (!FlushViewOfFile(address, (size_t)length))
        return lzt_win32_fail(error, GetLastError(), "cannot write what was changed to the disk");
    return lzt_file_sync(file, error);
}

size_t lzt_memory_page(void)
{
    SYSTEM_INFO about;
    GetSystemInfo(&about);
    return about.dwPageSize;
}

/* Windows neither puts other memory in the place of a map nor lets a file become shorter that is mapped. */
int lzt_memory_blank(uint8_t *address, uint64_t length, int writable)
{
    (void)address;
    (void)length;
    (void)writable;
    return 0;
}

enum lzt_status lzt_faults_catch(lzt_mend mend, struct lzt_error *error)
{
    (void)mend;
    return lzt_fail(error, LZT_UNSUPPORTED, "the page-fault guard needs a POSIX system");
}

#endif
