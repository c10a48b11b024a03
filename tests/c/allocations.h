/* allocations.h - the memory that csrc asks for, counted, and refused when that is asked for. Includers are linked so that these take the place
 * of the C library's in csrc and in the program, but not in libtiff (tests/test_c.py). */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stddef.h>
#include <stdint.h>

static uint64_t allocations;                /* that were asked for */
static uint64_t refused_from = UINT64_MAX;  /* this one is refused */
static uint64_t refused_until = UINT64_MAX; /* and those that follow, before this one */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

static int is_refused(void)
{
    const uint64_t number = allocations++;
    return number >= refused_from && number < refused_until;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_refused() ? NULL : __real_realloc(old, size);
}

/* Refuse the next allocation but so many, and with all all that come then. */
static inline void refuse_after(uint64_t count, int all)
{
    refused_from = allocations + count;
    refused_until = all ? UINT64_MAX : refused_from + 1;
}

/* 1: something was refused. From now on nothing is. */
static inline int refuse_no_more(void)
{
    const int refused = allocations > refused_from;
    refused_from = UINT64_MAX;
    return refused;
}

#endif
