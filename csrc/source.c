#include "source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "os.h"

struct lzt_source {
    struct lzt_file *file;       /* of a file, otherwise NULL */
    lzt_read_ranges read_ranges; /* of a callback source, otherwise NULL */
    void *context;
    const uint8_t *data; /* of memory */
    uint64_t size;       /* of memory and callbacks; a file is asked each time */
};

static enum lzt_status make_source(struct lzt_source members, struct lzt_source **source, struct lzt_error *error)
{
    *source = malloc(sizeof **source);
    if (*source == NULL)
        return lzt_fail_memory(error, sizeof **source);
    **source = members;
    return LZT_OK;
}

enum access { READING, WRITING, ALONE, NEW };

static enum lzt_status open_file(const char *path, enum access access, struct lzt_file **file, struct lzt_error *error)
{
    enum lzt_status status =
        access == NEW ? lzt_file_create(path, file, error) : lzt_file_open(path, access != READING, file, error);
    if (status == LZT_OK && access >= ALONE)
        status = lzt_file_lock(*file, 1, error);
    return status;
}

static enum lzt_status open_source(const char *path, enum access access, struct lzt_source **source, struct lzt_error *error)
{
    struct lzt_source members = {.file = NULL};
    *source = NULL;
    if (path == NULL)
        return lzt_fail(error, LZT_USAGE, "the path is NULL");
    enum lzt_status status = open_file(path, access, &members.file, error);
    if (status == LZT_OK)
        status = make_source(members, source, error);
    if (status != LZT_OK)
        lzt_file_close(members.file);
    return status;
}

enum lzt_status lzt_source_open(const char *path, struct lzt_source **source, struct lzt_error *error)
{
    return open_source(path, READING, source, error);
}

enum lzt_status lzt_source_open_writable(const char *path, struct lzt_source **source, struct lzt_error *error)
{
    return open_source(path, WRITING, source, error);
}

enum lzt_status lzt_source_open_locked(const char *path, struct lzt_source **source, struct lzt_error *error)
{
    return open_source(path, ALONE, source, error);
}

enum lzt_status lzt_source_create(const char *path, struct lzt_source **source, struct lzt_error *error)
{
    return open_source(path, NEW, source, error);
}

enum lzt_status lzt_source_publish(struct lzt_source *source, int durable, struct lzt_error *error)
{
    if (source->file == NULL)
        return lzt_fail(error, LZT_USAGE, "bytes that come from no file have no name");
    enum lzt_status status = durable ? lzt_file_sync(source->file, error) : LZT_OK;
    if (status == LZT_OK)
        status = lzt_file_publish(source->file, error);
    return status == LZT_OK && durable ? lzt_file_sync_name(source->file, error) : status;
}

enum lzt_status lzt_source_open_memory(const void *data, uint64_t size, struct lzt_source **source, struct lzt_error *error)
{
    *source = NULL;
    if ((data == NULL && size > 0) || (size_t)size != size)
        return lzt_fail(error, LZT_USAGE, "there are no %" PRIu64 " bytes at %p", size, data);
    return make_source((struct lzt_source){.data = data, .size = size}, source, error);
}

enum lzt_status lzt_source_open_callback(lzt_read_ranges read_ranges, void *context, uint64_t size, struct lzt_source **source,
                                         struct lzt_error *error)
{
    *source = NULL;
    if (read_ranges == NULL)
        return lzt_fail(error, LZT_USAGE, "read_ranges is NULL");
    return make_source((struct lzt_source){.read_ranges = read_ranges, .context = context, .size = size}, source, error);
}

enum lzt_status lzt_source_size(struct lzt_source *source, uint64_t *size, struct lzt_error *error)
{
    if (source->file != NULL)
        return lzt_file_size(source->file, size, error);
    *size = source->size;
    return LZT_OK;
}

enum lzt_status lzt_source_modified(struct lzt_source *source, int64_t *when, struct lzt_error *error)
{
    *when = 0;
    if (source->file == NULL)
        return lzt_fail(error, LZT_UNSUPPORTED, "what is no file has no time of its last change");
    return lzt_file_modified(source->file, when, error);
}

enum lzt_status lzt_source_stamp(struct lzt_source *source, uint64_t *size, uint64_t *stamp, struct lzt_error *error)
{
    if (source->file != NULL)
        return lzt_file_stamp(source->file, size, stamp, error);
    *size = source->size;
    *stamp = 1;
    return LZT_OK;
}

enum lzt_status lzt_source_has_writer(struct lzt_source *source, int *held, struct lzt_error *error)
{
    *held = 0;
    if (source->file == NULL)
        return lzt_fail(error, LZT_UNSUPPORTED, "nobody locks bytes that come from no file");
    return lzt_file_has_writer(source->file, held, error);
}

struct lzt_file *lzt_source_file(struct lzt_source *source)
{
    return source->file;
}

void lzt_source_close(struct lzt_source *source)
{
    if (source == NULL)
        return;
    lzt_file_close(source->file);
    free(source);
}

static int is_inside(const struct lzt_range *range, uint64_t size)
{
    return range->length == 0 || (range->offset <= size && range->length <= size - range->offset);
}

static enum lzt_status past_end(const struct lzt_range *range, uint64_t size, struct lzt_error *error)
{
    return lzt_fail(error, LZT_CHANGED, "the file ended at %" PRIu64 ", %" PRIu64 " bytes were expected at %" PRIu64, size,
                    range->length, range->offset);
}

/* 1 when one read can serve both ranges. Where neither passes the end of any file, no sum of theirs overflows. */
static int continues(const struct lzt_range *range, const struct lzt_range *next)
{
    return is_inside(range, INT64_MAX) && is_inside(next, INT64_MAX) && next->offset == range->offset + range->length &&
           (uintptr_t)next->buffer == (uintptr_t)range->buffer + range->length;
}

static enum lzt_status read_run(struct lzt_file *file, const struct lzt_range *run, struct lzt_error *error)
{
    enum lzt_status status;
    uint64_t size, seen_end = UINT64_MAX;
    if (is_inside(run, INT64_MAX)) {
        size_t length = (size_t)run->length, got = 0;
        if (length != run->length)
            return lzt_fail(error, LZT_USAGE, "no buffer holds %" PRIu64 " bytes", run->length);
        status = length == 0 ? LZT_OK : lzt_file_read(file, run->offset, run->buffer, length, &got, error);
        if (status != LZT_OK || got == length)
            return status;
        seen_end = run->offset + got;
    }
    status = lzt_file_size(file, &size, error);
    if (status != LZT_OK)
        return status;
    return past_end(run, lzt_min64(size, seen_end), error); /* it may have grown again since */
}

static enum lzt_status read_file(struct lzt_file *file, const struct lzt_range *ranges, size_t count, struct lzt_error *error)
{
    size_t i = 0;
    while (i < count) {
        struct lzt_range run = ranges[i++];
        while (i < count && continues(&run, &ranges[i]))
            run.length += ranges[i++].length;
        enum lzt_status status = read_run(file, &run, error);
        if (status != LZT_OK)
            return status;
    }
    return LZT_OK;
}

/* One call for all ranges; only empty ranges divide them, and are not passed on: their offsets may be anything. */
static enum lzt_status read_callback(const struct lzt_source *source, const struct lzt_range *ranges, size_t count,
                                     struct lzt_error *error)
{
    size_t first, end;
    for (first = 0; first < count; first = end + 1) {
        for (end = first; end < count && ranges[end].length > 0; end++)
            ;
        int result = end == first ? 0 : source->read_ranges(source->context, ranges + first, end - first);
        if (result != 0)
            return lzt_fail(error, LZT_CALLBACK, "read_ranges failed and returned %d", result);
    }
    return LZT_OK;
}

enum lzt_status lzt_source_read(struct lzt_source *source, const struct lzt_range *ranges, size_t count, struct lzt_error *error)
{
    if (source->file != NULL)
        return read_file(source->file, ranges, count, error);
    for (size_t i = 0; i < count; i++)
        if (!is_inside(&ranges[i], source->size))
            return past_end(&ranges[i], source->size, error);
    if (source->read_ranges != NULL)
        return read_callback(source, ranges, count, error);
    for (size_t i = 0; i < count; i++)
        if (ranges[i].length > 0)
            memcpy(ranges[i].buffer, source->data + ranges[i].offset, (size_t)ranges[i].length);
    return LZT_OK;
}
