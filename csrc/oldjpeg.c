#include "oldjpeg.h"

#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "source.h"

enum { LARGEST_FILE = 64 << 20, ENTRY = 12, STRETCH = 4096 };

static int is_structural(uint16_t tag)
{
    static const uint16_t structural[] = {LZT_TAG_COLUMNS,       LZT_TAG_ROWS,          LZT_TAG_BITS,           LZT_TAG_COMPRESSION,
                                          LZT_TAG_PHOTOMETRIC,   LZT_TAG_STRIP_OFFSETS, LZT_TAG_SAMPLES,        LZT_TAG_ROWS_PER_STRIP,
                                          LZT_TAG_STRIP_COUNTS,  LZT_TAG_PLANAR,        LZT_TAG_TILE_COLUMNS,   LZT_TAG_TILE_ROWS,
                                          LZT_TAG_TILE_OFFSETS,  LZT_TAG_TILE_COUNTS,   LZT_TAG_JPEG_PROCESS,   LZT_TAG_JPEG_STREAM,
                                          LZT_TAG_JPEG_STREAM_LENGTH, LZT_TAG_JPEG_RESTART, LZT_TAG_JPEG_Q_TABLES, LZT_TAG_JPEG_DC_TABLES,
                                          LZT_TAG_JPEG_AC_TABLES, LZT_TAG_YCBCR_SUBSAMPLING};
    for (size_t i = 0; i < sizeof structural / sizeof *structural; i++)
        if (structural[i] == tag)
            return 1;
    return 0;
}

static void put(uint8_t *bytes, uint32_t value, unsigned size, int big_endian)
{
    for (unsigned i = 0; i < size; i++)
        bytes[big_endian ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

/* Copy the structural entries of the page's IFD, whose values all lie in the file, to bytes; returns how many. */
static uint16_t copy_entries(const struct lzt_directory *directory, const struct lzt_table *table, uint8_t *bytes)
{
    uint16_t count = 0;
    for (uint32_t i = 0; i < directory->count; i++) {
        const struct lzt_tag tag = lzt_directory_tag(directory, table->format, i, table->size);
        if (!tag.problem && is_structural(tag.tag))
            memcpy(bytes + (size_t)ENTRY * count++, directory->entries + (size_t)ENTRY * i, ENTRY);
    }
    return count;
}

static enum lzt_status fill(const struct lzt_table *table, const struct lzt_directory *directory, uint8_t *bytes, size_t place,
                            struct lzt_error *error)
{
    const int big_endian = table->format.big_endian;
    const struct lzt_range range = {0, table->size, bytes};
    enum lzt_status status = lzt_source_read(table->source, &range, 1, error);
    if (status != LZT_OK)
        return status;
    put(bytes + place, copy_entries(directory, table, bytes + place + 2), 2, big_endian);
    put(bytes + 4, (uint32_t)place, 4, big_endian);
    return LZT_OK;
}

enum lzt_status lzt_old_jpeg_tiff(const struct lzt_page *page, uint8_t **bytes, size_t *length, struct lzt_error *error)
{
    const struct lzt_table *table = page->table;
    struct lzt_directory directory;
    struct lzt_peek peek;
    *bytes = NULL;
    if (table->size > LARGEST_FILE || table->format.bigtiff)
        return lzt_fail(error, LZT_UNSUPPORTED, "old-style JPEG is read from classic TIFF files of up to 64 MiB only");
    lzt_peek_open(&peek, table->source, table->size, STRETCH);
    enum lzt_status status =
        lzt_directory_read(&peek, table->format, table->rows[page->number].ifd, table->options.max_tags, &directory, error);
    if (status == LZT_OK) {
        const size_t place = (size_t)(table->size + table->size % 2);
        *length = place + 2 + (size_t)ENTRY * directory.count + 4;
        *bytes = calloc(1, *length);
        status = *bytes != NULL ? fill(table, &directory, *bytes, place, error) : lzt_fail_memory(error, *length);
    }
    lzt_peek_close(&peek);
    if (status != LZT_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}
