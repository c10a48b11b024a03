#include "ifd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "source.h"
#include "walk.h"

enum { IFD_STRETCH = 4096 };

/* IFDs nearer to each other than this are read many at a time, at the price of reading the pixels between them; farther ones one at a
 * time, and no more than most have. To copy 4 KiB takes about as long as one more system call. */
enum { NEAR = 4 << 10, NEAR_STRETCH = 256 << 10, FAR_STRETCH = 512 };

/* Everything but the codecs of the past, which few files use and few people check (old-style JPEG, PixarLog, SGILog, ThunderScan, NeXT):
 * those are for who asks for them. */
static const uint16_t default_codecs[] = {LZT_NONE,     LZT_CCITT_RLE,   LZT_CCITT_G3, LZT_CCITT_G4, LZT_LZW,  LZT_JPEG, LZT_DEFLATE, LZT_CCITT_RLEW,
                                          LZT_PACKBITS, LZT_DEFLATE_OLD, LZT_JBIG,     LZT_LERC,     LZT_LZMA, LZT_ZSTD, LZT_WEBP};

static void fill_in(uint64_t *member, uint64_t standard)
{
    if (*member == 0)
        *member = standard;
}

static enum lzt_status take_options(struct lzt_table *table, const struct lzt_options *options, struct lzt_error *error)
{
    struct lzt_options own = {0};
    if (options != NULL)
        memcpy(&own, options, options->size < sizeof own ? options->size : sizeof own);
    fill_in(&own.max_pages, UINT64_C(1) << 24);
    fill_in(&own.max_layouts, UINT64_C(1) << 16);
    fill_in(&own.max_tags, 4096);
    fill_in(&own.max_value_bytes, UINT64_C(16) << 20);
    fill_in(&own.max_chunk_bytes, UINT64_C(1) << 30);
    const uint16_t *codecs = own.codecs != NULL ? own.codecs : default_codecs;
    if (own.codecs == NULL)
        own.codec_count = sizeof default_codecs / sizeof *default_codecs;
    table->codecs = malloc((own.codec_count + 1) * sizeof *codecs);
    if (table->codecs == NULL)
        return lzt_fail_memory(error, own.codec_count * sizeof *codecs);
    memcpy(table->codecs, codecs, own.codec_count * sizeof *codecs);
    own.codecs = NULL;
    table->options = own;
    return LZT_OK;
}

int lzt_table_allows(const struct lzt_table *table, uint16_t compression)
{
    for (size_t i = 0; i < table->options.codec_count; i++)
        if (table->codecs[i] == compression)
            return 1;
    return 0;
}

/* The header (TIFF 6.0, section 2; BigTIFF: offsets of 8 bytes, so said, and a word of 0), all of it by one read: a file may become BigTIFF
 * in between two. */
enum lzt_status lzt_header_read(struct lzt_source *source, uint64_t size, struct lzt_format *format, uint64_t *first,
                                struct lzt_error *error)
{
    uint8_t header[16] = {0};
    const size_t length = (size_t)lzt_min64(size, sizeof header);
    const struct lzt_range range = {0, length, header};
    enum lzt_status status = lzt_source_read(source, &range, 1, error);
    if (status != LZT_OK)
        return status;
    if (length < 8 || header[0] != header[1] || (header[0] != 'I' && header[0] != 'M'))
        return lzt_fail(error, LZT_NOT_TIFF, "it does not begin with a TIFF header");
    format->big_endian = header[0] == 'M';
    const uint16_t version = lzt_get16(header + 2, format->big_endian);
    format->bigtiff = version == 43;
    if (version != 42 && version != 43)
        return lzt_fail(error, LZT_NOT_TIFF, "its header says version %u, where TIFF has 42 and BigTIFF 43", version);
    if (version == 43 && (length < 16 || lzt_get16(header + 4, format->big_endian) != 8 || header[6] != 0 || header[7] != 0))
        return lzt_fail(error, LZT_NOT_TIFF, "its header is no BigTIFF header");
    *first = lzt_get_offset(header + (version == 43 ? 8 : 4), *format);
    return LZT_OK;
}

static enum lzt_status fill_table(struct lzt_table *table, const uint64_t *ifds, uint64_t growing, struct lzt_error *error)
{
    uint64_t first = 0;
    enum lzt_status status = lzt_source_stamp(table->source, &table->size, &table->stamp, error);
    if (status == LZT_OK)
        status = lzt_header_read(table->source, table->size, &table->format, &first, error);
    if (status != LZT_OK)
        return status;
    return ifds != NULL ? lzt_walk_list(table, ifds, table->options.ifd_count, error) : lzt_walk_chain(table, first, growing, error);
}

/* *table is NULL when there is no memory for it; otherwise it is to be closed, whatever the status. growing: of lzt_walk_chain. */
static enum lzt_status make_table(struct lzt_source *source, const struct lzt_options *options, uint64_t growing, struct lzt_table **table,
                                  struct lzt_error *error)
{
    struct lzt_table *made = *table = calloc(1, sizeof *made);
    if (made == NULL)
        return lzt_fail_memory(error, sizeof *made);
    made->source = source;
    enum lzt_status status = take_options(made, options, error);
    const uint64_t *ifds = made->options.ifds;
    made->options.ifds = NULL; /* they are the caller's */
    made->listed = ifds != NULL;
    return status == LZT_OK ? fill_table(made, ifds, made->options.whole ? 0 : growing, error) : status;
}

static int has_outgrown(const struct lzt_table *table)
{
    uint64_t size;
    return !table->listed && !table->options.whole && lzt_source_size(table->source, &size, NULL) == LZT_OK && size > table->size;
}

/* Another program may be writing. It links a page when that is whole, and so, perhaps, beyond the size that the file had when it was asked for
 * it: then it is asked again, and of pages that were not seen before those count that are whole. */
enum lzt_status lzt_table_open(struct lzt_source *source, const struct lzt_options *options, struct lzt_table **table,
                               struct lzt_error *error)
{
    enum lzt_status status = make_table(source, options, UINT64_MAX, table, error);
    if (*table != NULL && has_outgrown(*table)) {
        const uint64_t known = (*table)->pages;
        lzt_table_close(*table);
        status = make_table(source, options, known, table, error);
    }
    if (status != LZT_OK) {
        lzt_table_close(*table);
        *table = NULL;
    }
    return status;
}

enum lzt_status lzt_table_open_chain(const struct lzt_table *table, struct lzt_format format, uint64_t first, struct lzt_table **other,
                                     struct lzt_error *error)
{
    struct lzt_options options = table->options;
    struct lzt_table *made = calloc(1, sizeof *made);
    *other = NULL;
    if (made == NULL)
        return lzt_fail_memory(error, sizeof *made);
    options.size = sizeof options;
    options.codecs = table->codecs;
    made->source = table->source;
    made->format = format;
    enum lzt_status status = take_options(made, &options, error);
    if (status == LZT_OK)
        status = lzt_source_stamp(made->source, &made->size, &made->stamp, error);
    if (status == LZT_OK)
        status = lzt_walk_chain(made, first, UINT64_MAX, error);
    if (status == LZT_OK)
        *other = made;
    else
        lzt_table_close(made);
    return status;
}

void lzt_table_close(struct lzt_table *table)
{
    if (table == NULL)
        return;
    free(table->codecs);
    lzt_rows_leave(table->shared);
    free(table->layouts);
    free(table);
}

enum lzt_status lzt_table_claim(struct lzt_table *table, uint64_t more, struct lzt_error *error)
{
    enum lzt_status status = lzt_rows_claim(&table->shared, table->pages, more, &table->room, error);
    table->rows = lzt_rows_first(table->shared);
    return status;
}

uint64_t lzt_table_pages(const struct lzt_table *table)
{
    return table->pages;
}

const struct lzt_row *lzt_table_rows(const struct lzt_table *table)
{
    return table->rows;
}

size_t lzt_table_layouts(const struct lzt_table *table)
{
    return table->layout_count;
}

const struct lzt_layout *lzt_table_layout(const struct lzt_table *table, size_t index)
{
    return index < table->layout_count ? &table->layouts[index] : NULL;
}

const char *lzt_table_warning(const struct lzt_table *table, size_t index)
{
    return index < table->warning_count ? table->warnings[index] : NULL;
}

void lzt_table_warn(struct lzt_table *table, const char *format, ...)
{
    va_list values;
    if (table->warning_count == LZT_MAX_WARNINGS)
        return;
    va_start(values, format);
    vsnprintf(table->warnings[table->warning_count++], sizeof table->warnings[0], format, values);
    va_end(values);
}

int lzt_table_is_bigtiff(const struct lzt_table *table)
{
    return table->format.bigtiff;
}

int lzt_table_is_big_endian(const struct lzt_table *table)
{
    return table->format.big_endian;
}

uint64_t lzt_table_size(const struct lzt_table *table)
{
    return table->size;
}

size_t lzt_ifd_stretch(uint64_t offset, uint64_t next)
{
    return next > offset && next - offset < NEAR ? NEAR_STRETCH : FAR_STRETCH;
}

/* ---- Is it still the file that was opened? ------------------------------------------------------------------------------ */

static enum lzt_status compare_size(const struct lzt_table *table, uint64_t size, struct lzt_error *error)
{
    if (size >= table->size)
        return LZT_OK;
    return lzt_fail(error, LZT_CHANGED, "the file had %" PRIu64 " bytes when it was opened and has %" PRIu64 " now", table->size, size);
}

enum lzt_status lzt_table_check_size(const struct lzt_table *table, uint64_t *size, struct lzt_error *error)
{
    enum lzt_status status = lzt_source_size(table->source, size, error);
    return status == LZT_OK ? compare_size(table, *size, error) : status;
}

enum lzt_status lzt_table_stamp(const struct lzt_table *table, uint64_t *size, uint64_t *stamp, struct lzt_error *error)
{
    enum lzt_status status = lzt_source_stamp(table->source, size, stamp, error);
    return status == LZT_OK ? compare_size(table, *size, error) : status;
}

static enum lzt_status check_page(const struct lzt_table *table, uint64_t page, struct lzt_error *error)
{
    return page < table->pages ? LZT_OK : lzt_fail(error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, page, table->pages);
}

enum lzt_status lzt_table_ifd(const struct lzt_table *table, struct lzt_peek *peek, uint64_t page, struct lzt_directory *directory,
                              struct lzt_error *error)
{
    const struct lzt_row *row = &table->rows[page];
    enum lzt_status status = lzt_directory_read(peek, table->format, row->ifd, table->options.max_tags, directory, error);
    if (status == LZT_CORRUPT || status == LZT_LIMIT || (status == LZT_OK && directory->hash != row->hash))
        return lzt_fail(error, LZT_CHANGED, "the IFD at offset %" PRIu64 " is no longer the one that was there when it was opened",
                        row->ifd);
    return status;
}

/* Pages from number good on are known to be what they were. */
static enum lzt_status verify_ifds(const struct lzt_table *table, const uint64_t *pages, size_t count, uint64_t good,
                                   struct lzt_error *error)
{
    struct lzt_peek peek;
    struct lzt_directory directory;
    enum lzt_status status = LZT_OK;
    uint64_t before = 0;
    lzt_peek_open(&peek, table->source, table->size, IFD_STRETCH);
    for (size_t i = 0; i < count && status == LZT_OK; i++) {
        const uint64_t ifd = table->rows[pages[i]].ifd;
        if (ifd == before || pages[i] >= good) /* frames share the only IFD */
            continue;
        before = ifd;
        peek.stretch = i + 1 < count ? lzt_ifd_stretch(ifd, table->rows[pages[i + 1]].ifd) : FAR_STRETCH;
        status = lzt_table_ifd(table, &peek, pages[i], &directory, error);
        if (status != LZT_OK)
            lzt_fail_at(error, status, (int64_t)pages[i], -1);
    }
    lzt_peek_close(&peek);
    return status;
}

enum lzt_status lzt_table_verify(const struct lzt_table *table, const uint64_t *pages, size_t count, struct lzt_error *error)
{
    uint64_t size, stamp;
    enum lzt_status status = lzt_table_stamp(table, &size, &stamp, error);
    for (size_t i = 0; i < count && status == LZT_OK; i++)
        status = check_page(table, pages[i], error);
    if (status != LZT_OK)
        return status;
    return verify_ifds(table, pages, count, stamp != 0 && stamp == table->stamp ? table->stamped : UINT64_MAX, error);
}

/* ---- Tags of one page --------------------------------------------------------------------------------------------------- */

enum lzt_status lzt_table_tags(const struct lzt_table *table, struct lzt_peek *peek, uint64_t page, struct lzt_tag **tags,
                               size_t *count, struct lzt_error *error)
{
    *tags = NULL;
    *count = 0;
    struct lzt_directory directory;
    enum lzt_status status = check_page(table, page, error);
    if (status == LZT_OK)
        status = lzt_table_ifd(table, peek, page, &directory, error);
    if (status != LZT_OK)
        return status;
    *tags = malloc(directory.count * sizeof **tags);
    if (*tags == NULL)
        return lzt_fail_memory(error, directory.count * sizeof **tags);
    for (*count = 0; *count < directory.count; ++*count)
        (*tags)[*count] = lzt_directory_tag(&directory, table->format, (uint32_t)*count, table->size);
    return LZT_OK;
}

enum lzt_status lzt_tags_read(const struct lzt_table *table, uint64_t page, struct lzt_tag *tags, size_t capacity, size_t *count,
                              struct lzt_error *error)
{
    struct lzt_peek peek;
    struct lzt_tag *all;
    lzt_peek_open(&peek, table->source, table->size, IFD_STRETCH);
    enum lzt_status status = lzt_table_tags(table, &peek, page, &all, count, error);
    lzt_peek_close(&peek);
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)page, -1);
    if (*count > capacity)
        *count = capacity;
    if (*count > 0)
        memcpy(tags, all, *count * sizeof *tags);
    free(all);
    return LZT_OK;
}

enum lzt_status lzt_tag_value(const struct lzt_table *table, const struct lzt_tag *tag, void *buffer, struct lzt_error *error)
{
    const unsigned size = lzt_number_size(tag->type);
    if (tag->problem || size == 0)
        return lzt_fail(error, LZT_CORRUPT, "tag %u has an unknown type or lies outside of the file", tag->tag);
    if (tag->bytes > table->options.max_value_bytes)
        return lzt_fail(error, LZT_LIMIT, "tag %u has %" PRIu64 " bytes; the limit max_value_bytes is %" PRIu64, tag->tag, tag->bytes,
                        table->options.max_value_bytes);
    struct lzt_peek peek;
    const uint8_t *bytes;
    lzt_peek_open(&peek, table->source, table->size, 0);
    enum lzt_status status = lzt_peek_at(&peek, tag->offset, (size_t)tag->bytes, &bytes, error);
    if (status == LZT_OK && tag->bytes > 0) {
        memcpy(buffer, bytes, (size_t)tag->bytes);
        if (table->format.big_endian != lzt_machine_is_big_endian())
            lzt_reverse_numbers(buffer, tag->bytes, size);
    }
    lzt_peek_close(&peek);
    return status;
}
