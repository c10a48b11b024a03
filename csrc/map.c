/* Files in memory, and the guard that keeps them from killing the process. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "os.h"

/* What the guard knows of a map. Once made, an entry stays until the process ends, for signal handlers read the list at any moment; it
 * serves one map after the other. */
struct guarded {
    struct guarded *next;
    atomic_int taken;
    _Atomic(const uint8_t *) start; /* NULL: serves no map */
    _Atomic(size_t) length;
    struct lzt_file *file;
    int writable;
    atomic_int poisoned;
};

struct lzt_map {
    struct lzt_file *file;
    enum lzt_map_mode mode;
    uint8_t *bytes;
    uint64_t length;
    struct guarded *guarded; /* NULL without a guard */
    atomic_int failed;       /* a flush did: the errno */
};

/* ---- The guard ------------------------------------------------------------------------------------------------------------ */

/* The registry: the one thing in this library that is the whole process's. It has no lock, which a child might inherit from a thread that
 * it has not got. */
static struct {
    _Atomic(struct guarded *) first;
} registry;

/* The entry whose map holds address; with NULL, any that serves a map. In a signal handler. */
static struct guarded *find(const uint8_t *address, const uint8_t **start)
{
    struct guarded *entry = atomic_load(&registry.first);
    for (; entry != NULL; entry = entry->next) {
        *start = atomic_load(&entry->start);
        if (*start == NULL)
            continue;
        const size_t length = atomic_load(&entry->length);
        const int holds = address == NULL || (address >= *start && (size_t)(address - *start) < length);
        /* Read again: the entry may have gone over to another map in between. */
        if (holds && atomic_load(&entry->start) == *start)
            return entry;
    }
    return NULL;
}

/* Put zeros where the file has no bytes. Past the end of the file all that is left of the map at once: patched page by page, a map would soon
 * have more parts than the system allows. In a signal handler. */
static int mend(const uint8_t *address)
{
    const uint8_t *start;
    struct guarded *entry = find(address, &start);
    if (entry == NULL || address == NULL)
        return entry != NULL;
    const uint64_t page = lzt_memory_page(), at = (uint64_t)(address - start) / page * page;
    uint64_t size = 0;
    lzt_file_size(entry->file, &size, NULL); /* when that fails: as if nothing were left */
    const uint64_t end = size / page * page + (size % page != 0) * page;
    atomic_store(&entry->poisoned, 1); /* first, so that whoever sees the zeros can see this */
    const uint64_t first = at >= end ? end : at, length = at >= end ? entry->length - end : page;
    return lzt_memory_blank((uint8_t *)start + first, length, entry->writable) ||
           lzt_memory_blank((uint8_t *)start, entry->length, entry->writable); /* one part: always possible */
}

/* An entry that serves no map; NULL: no memory. */
static struct guarded *take_entry(void)
{
    struct guarded *first = atomic_load(&registry.first), *entry = first;
    while (entry != NULL && atomic_exchange(&entry->taken, 1))
        entry = entry->next;
    if (entry != NULL)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    atomic_store(&entry->taken, 1);
    do
        entry->next = first;
    while (!atomic_compare_exchange_weak(&registry.first, &first, entry));
    return entry;
}

static enum lzt_status guard(struct lzt_map *map, struct lzt_error *error)
{
    enum lzt_status status = lzt_faults_catch(mend, error);
    if (status != LZT_OK)
        return status;
    struct guarded *entry = take_entry();
    if (entry == NULL)
        return lzt_fail_memory(error, sizeof *entry);
    atomic_store(&entry->length, (size_t)map->length);
    entry->file = map->file;
    entry->writable = map->mode != LZT_MAP_READ;
    atomic_store(&entry->poisoned, 0);
    atomic_store(&entry->start, map->bytes);
    map->guarded = entry;
    return LZT_OK;
}

static void unguard(struct lzt_map *map)
{
    if (map->guarded == NULL)
        return;
    atomic_store(&map->guarded->start, NULL);
    atomic_store(&map->guarded->taken, 0);
    map->guarded = NULL;
}

/* ---- Maps ----------------------------------------------------------------------------------------------------------------- */

/* What those who write through a map rely on. */
static enum lzt_status prepare_writing(struct lzt_file *file, uint64_t length, struct lzt_error *error)
{
    const char *remote = lzt_file_remote(file);
    int sparse, done = 1;
    if (remote != NULL)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "it is on another machine (%s), which promises nothing to those who write through maps", remote);
    enum lzt_status status = lzt_file_lock(file, 0, error);
    if (status == LZT_OK)
        status = lzt_file_is_sparse(file, &sparse, error);
    if (status == LZT_OK && sparse)
        status = lzt_file_allocate(file, length, &done, error);
    if (status == LZT_OK && !done)
        return lzt_fail(error, LZT_NOT_MAPPABLE,
                        "parts of it have no disk space, and its file system cannot allocate it in advance: a full disk would be a signal");
    return status;
}

static enum lzt_status map_file(struct lzt_map *map, uint64_t length, struct lzt_error *error)
{
    uint64_t size;
    enum lzt_status status = lzt_file_size(map->file, &size, error);
    if (status == LZT_OK && size < length)
        status = lzt_fail(error, LZT_CHANGED, "the file had %" PRIu64 " bytes and has %" PRIu64 " now", length, size);
    if (status == LZT_OK && map->mode == LZT_MAP_WRITE)
        status = prepare_writing(map->file, length, error);
    if (status == LZT_OK)
        status = lzt_memory_map(map->file, map->mode, length, &map->bytes, error);
    if (status == LZT_OK)
        map->length = length;
    return status;
}

enum lzt_status lzt_map_open(struct lzt_file *file, enum lzt_map_mode mode, uint64_t length, int guarded, struct lzt_map **map,
                             struct lzt_error *error)
{
    *map = NULL;
    if (file == NULL || length == 0 || mode < LZT_MAP_READ || mode > LZT_MAP_COPY)
        return lzt_fail(error, LZT_USAGE, "no file, no bytes, or no such mode");
    struct lzt_map *made = calloc(1, sizeof *made);
    if (made == NULL)
        return lzt_fail_memory(error, sizeof *made);
    made->mode = mode;
    enum lzt_status status = lzt_file_share(file, &made->file, error);
    if (status == LZT_OK)
        status = map_file(made, length, error);
    if (status == LZT_OK && guarded)
        status = guard(made, error);
    if (status == LZT_OK)
        *map = made;
    else
        lzt_map_close(made);
    return status;
}

uint8_t *lzt_map_bytes(const struct lzt_map *map)
{
    return map->bytes;
}

enum lzt_status lzt_map_check(const struct lzt_map *map, struct lzt_error *error)
{
    if (map->guarded == NULL || !atomic_load(&map->guarded->poisoned))
        return LZT_OK;
    return lzt_fail(error, LZT_CHANGED, "parts of the mapped file could not be had when they were touched (it became shorter, its disk failed "
                                        "or is full) and read as zeros since; open it again");
}

static enum lzt_status check_places(const struct lzt_map *map, const uint64_t *offsets, uint64_t count, uint64_t length,
                                    struct lzt_error *error)
{
    for (uint64_t i = 0; i < count; i++)
        if (length > map->length || offsets[i] > map->length - length)
            return lzt_fail(error, LZT_USAGE, "%" PRIu64 " bytes at offset %" PRIu64 " are not in the map", length, offsets[i]);
    return LZT_OK;
}

static enum lzt_status store(struct lzt_map *map, uint64_t offset, const uint8_t *data, uint64_t length, struct lzt_error *error)
{
    if (map->mode == LZT_MAP_WRITE)
        return lzt_file_write(map->file, offset, data, (size_t)length, error);
    memcpy(map->bytes + offset, data, (size_t)length);
    return LZT_OK;
}

enum lzt_status lzt_map_store(struct lzt_map *map, const uint64_t *offsets, uint64_t count, uint64_t length, const void *data,
                              struct lzt_error *error)
{
    const uint8_t *bytes = data;
    if (map->mode == LZT_MAP_READ)
        return lzt_fail(error, LZT_USAGE, "the map is for reading");
    enum lzt_status status = check_places(map, offsets, count, length, error); /* before anything is written */
    for (uint64_t i = 0, next; i < count && status == LZT_OK; i = next) {
        for (next = i + 1; next < count && offsets[next] == offsets[next - 1] + length; next++)
            ; /* pieces that follow each other go together */
        status = store(map, offsets[i], bytes, (next - i) * length, error);
        bytes += (next - i) * length;
    }
    return status;
}

static enum lzt_status check_flushes(const struct lzt_map *map, struct lzt_error *error)
{
    const int failed = atomic_load(&map->failed);
    if (failed != 0)
        return lzt_fail_system(error, failed, "another flush failed, and what was written before may be lost");
    return lzt_map_check(map, error);
}

enum lzt_status lzt_map_flush(struct lzt_map *map, struct lzt_error *error)
{
    struct lzt_error why = {.os_errno = 0};
    if (map->mode != LZT_MAP_WRITE)
        return lzt_map_check(map, error);
    enum lzt_status status = check_flushes(map, error);
    if (status != LZT_OK)
        return status;
    status = lzt_memory_sync(map->file, map->bytes, map->length, &why);
    if (status == LZT_OK)
        return check_flushes(map, error); /* the system tells only one of two that wait at the same time */
    atomic_store(&map->failed, why.os_errno);
    if (error != NULL)
        *error = why;
    return status;
}

void lzt_map_close(struct lzt_map *map)
{
    if (map == NULL)
        return;
    unguard(map);
    if (map->bytes != NULL)
        lzt_memory_unmap(map->bytes, map->length);
    lzt_file_close(map->file);
    free(map);
}
