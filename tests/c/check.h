/* check.h - the C tests' own small harness: CHECK, and memory that ends at a page nobody may touch.
 * A test is a program: main runs its functions, a failed CHECK prints where and ends it with status 1. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

struct guarded {
    uint8_t *bytes; /* the last of them is followed by a page without access */
    void *map;
    size_t map_size;
};

static inline struct guarded guarded_new(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (size + page - 1) / page * page;
    struct guarded guarded = {NULL, NULL, room + page};
    guarded.map = mmap(NULL, guarded.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(guarded.map != MAP_FAILED);
    CHECK(mprotect((uint8_t *)guarded.map + room, page, PROT_NONE) == 0);
    guarded.bytes = (uint8_t *)guarded.map + room - size;
    return guarded;
}

/* A guarded copy of size bytes. */
static inline struct guarded guarded_copy(const void *bytes, size_t size)
{
    struct guarded guarded = guarded_new(size);
    if (size > 0)
        memcpy(guarded.bytes, bytes, size);
    return guarded;
}

static inline void guarded_free(struct guarded *guarded)
{
    munmap(guarded->map, guarded->map_size);
    guarded->bytes = NULL;
}

#endif
