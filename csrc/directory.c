#include "directory.h"

#include <inttypes.h>

#include "bytes.h"
#include "error.h"

unsigned lzt_type_size(uint16_t type)
{
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

unsigned lzt_number_size(uint16_t type)
{
    return type == LZT_RATIONAL || type == LZT_SRATIONAL ? 4 : lzt_type_size(type);
}

void lzt_reverse_numbers(uint8_t *bytes, uint64_t length, unsigned size)
{
    for (; length >= size; bytes += size, length -= size)
        for (unsigned i = 0; i < size / 2; i++) {
            uint8_t byte = bytes[i];
            bytes[i] = bytes[size - 1 - i];
            bytes[size - 1 - i] = byte;
        }
}

uint64_t lzt_get_offset(const uint8_t *bytes, struct lzt_format format)
{
    return format.bigtiff ? lzt_get64(bytes, format.big_endian) : lzt_get32(bytes, format.big_endian);
}

/* Not cryptographic: it tells a page that was rewritten in place from the one that was there. */
static uint64_t hash_bytes(const uint8_t *bytes, size_t count)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15); /* 2^64 / golden ratio: spreads neighbouring values */
    uint64_t hash = count * factor;
    for (; count >= 8; bytes += 8, count -= 8) {
        hash = (hash ^ lzt_get64(bytes, 0)) * factor;
        hash ^= hash >> 29;
    }
    for (; count > 0; bytes++, count--) {
        hash = (hash ^ *bytes) * factor;
        hash ^= hash >> 29;
    }
    return hash;
}

enum lzt_status lzt_directory_read(struct lzt_peek *peek, struct lzt_format format, uint64_t offset, uint64_t max_tags,
                                   struct lzt_directory *directory, struct lzt_error *error)
{
    const uint8_t *bytes;
    const unsigned head = lzt_count_size(format);
    enum lzt_status status = lzt_peek_at(peek, offset, head, &bytes, error);
    if (status == LZT_CORRUPT)
        return lzt_fail(error, LZT_CORRUPT, "the IFD at offset %" PRIu64 " lies outside of the file, which ends at %" PRIu64, offset,
                        peek->size);
    if (status != LZT_OK)
        return status;
    uint64_t count = format.bigtiff ? lzt_get64(bytes, format.big_endian) : lzt_get16(bytes, format.big_endian);
    if (count == 0)
        return lzt_fail(error, LZT_CORRUPT, "the IFD at offset %" PRIu64 " has no tags", offset);
    if (count > max_tags)
        return lzt_fail(error, LZT_LIMIT, "the IFD at offset %" PRIu64 " claims %" PRIu64 " tags; the limit is %" PRIu64, offset, count,
                        max_tags);
    const int has_room = count <= peek->size / lzt_entry_size(format); /* otherwise their size may overflow */
    const size_t table = has_room ? (size_t)count * lzt_entry_size(format) : 0;
    status = has_room ? lzt_peek_at(peek, offset, head + table + lzt_offset_size(format), &bytes, error) : LZT_CORRUPT;
    if (status == LZT_CORRUPT)
        return lzt_fail(error, LZT_CORRUPT, "the IFD at offset %" PRIu64 " with %" PRIu64 " tags is cut off by the end of the file",
                        offset, count);
    if (status != LZT_OK)
        return status;
    directory->offset = offset;
    directory->count = (uint32_t)count;
    directory->entries = bytes + head;
    directory->next = lzt_get_offset(bytes + head + table, format);
    directory->hash = hash_bytes(bytes, head + table);
    return LZT_OK;
}

struct lzt_tag lzt_directory_tag(const struct lzt_directory *directory, struct lzt_format format, uint32_t index,
                                 uint64_t file_size)
{
    const size_t place = (size_t)index * lzt_entry_size(format);
    const uint8_t *entry = directory->entries + place;
    const unsigned value = format.bigtiff ? 12 : 8; /* where the value or its offset stands in the entry */
    struct lzt_tag tag = {.tag = lzt_get16(entry, format.big_endian), .type = lzt_get16(entry + 2, format.big_endian)};
    tag.count = lzt_get_offset(entry + 4, format);
    const unsigned size = lzt_type_size(tag.type);
    if (size == 0 || tag.count > file_size / size) {
        tag.problem = 1;
        return tag;
    }
    tag.bytes = tag.count * size;
    if (tag.bytes <= lzt_offset_size(format))
        tag.offset = directory->offset + lzt_count_size(format) + place + value;
    else
        tag.offset = lzt_get_offset(entry + value, format);
    tag.problem = tag.offset > file_size || tag.bytes > file_size - tag.offset;
    return tag;
}

static int64_t signed_number(const uint8_t *bytes, uint16_t type, int big_endian)
{
    switch (type) {
    case LZT_SBYTE:
        return (int8_t)bytes[0];
    case LZT_SSHORT:
        return (int16_t)lzt_get16(bytes, big_endian);
    case LZT_SLONG:
        return (int32_t)lzt_get32(bytes, big_endian);
    default:
        return (int64_t)lzt_get64(bytes, big_endian);
    }
}

static uint64_t unsigned_number(const uint8_t *bytes, uint16_t type, int big_endian)
{
    switch (type) {
    case LZT_BYTE:
        return bytes[0];
    case LZT_SHORT:
        return lzt_get16(bytes, big_endian);
    case LZT_LONG:
    case LZT_IFD:
        return lzt_get32(bytes, big_endian);
    default:
        return lzt_get64(bytes, big_endian);
    }
}

enum lzt_status lzt_tag_number(struct lzt_peek *peek, struct lzt_format format, const struct lzt_tag *tag, uint64_t index,
                               uint64_t *value, int *fits, struct lzt_error *error)
{
    *value = 0;
    *fits = 0;
    if (tag->problem || index >= tag->count)
        return LZT_OK;
    const unsigned size = lzt_type_size(tag->type);
    const uint8_t *bytes;
    enum lzt_status status = lzt_peek_at(peek, tag->offset + index * size, size, &bytes, error);
    if (status != LZT_OK)
        return status;
    switch (tag->type) {
    case LZT_BYTE:
    case LZT_SHORT:
    case LZT_LONG:
    case LZT_IFD:
    case LZT_LONG8:
    case LZT_IFD8:
        *value = unsigned_number(bytes, tag->type, format.big_endian);
        *fits = 1;
        return LZT_OK;
    case LZT_SBYTE:
    case LZT_SSHORT:
    case LZT_SLONG:
    case LZT_SLONG8: {
        int64_t number = signed_number(bytes, tag->type, format.big_endian);
        *value = number < 0 ? 0 : (uint64_t)number;
        *fits = number >= 0;
        return LZT_OK;
    }
    default: /* text, fractions and floats are no sizes */
        return LZT_OK;
    }
}
