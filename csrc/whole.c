/* Programs that link a page before they write it leave, for a while, an IFD whose entries, values or chunks are beyond the end of the file or
 * still zeros. What is damaged for good looks the same: a growing file ends there until it is opened anew. */
#include "whole.h"

#include <inttypes.h>

#include "bytes.h"
#include "codec.h"
#include "layout.h"
#include "page.h"

struct check {
    const struct lzt_table *table;
    const struct lzt_directory *directory;
    const struct lzt_layout *layout;
    struct lzt_peek *peek;
    struct lzt_error *error;
};

static enum lzt_status lacks(const struct check *check, const char *what)
{
    return lzt_fail(check->error, LZT_CORRUPT, "page %" PRIu64 " is not there as a whole: %s", check->table->pages - 1, what);
}

static struct lzt_tag tag_at(const struct check *check, uint32_t index)
{
    return lzt_directory_tag(check->directory, check->table->format, index, check->table->size);
}

/* Types that nobody knows may be anything; an entry of zeros is none yet. */
static enum lzt_status check_entries(const struct check *check)
{
    for (uint32_t i = 0; i < check->directory->count; i++) {
        const struct lzt_tag tag = tag_at(check, i);
        if (tag.tag == 0 && tag.type == 0)
            return lacks(check, "an entry of its IFD is empty");
        if (tag.problem && lzt_type_size(tag.type) != 0)
            return lacks(check, "a tag's value lies behind the end of the file");
    }
    return LZT_OK;
}

/* 1: one of the tag's numbers is 0. */
static enum lzt_status find_zero(const struct check *check, const struct lzt_tag *tag, int *found)
{
    const uint64_t count = lzt_min64(tag->count, UINT16_MAX);
    enum lzt_status status = LZT_OK;
    for (uint64_t i = 0; i < count && status == LZT_OK && !*found; i++) {
        uint64_t value;
        int fits;
        status = lzt_tag_number(check->peek, check->table->format, tag, i, &value, &fits, check->error);
        *found = value == 0;
    }
    return status;
}

/* A page that nothing here can read counts, unless it may become another one yet. */
static enum lzt_status check_layout(const struct check *check)
{
    int zero = 0;
    enum lzt_status status = lzt_layout_problem(check->layout, NULL);
    if (status == LZT_OK)
        return LZT_OK;
    if (status == LZT_CORRUPT)
        return lacks(check, "its tags do not agree");
    status = LZT_OK;
    for (uint32_t i = 0; i < check->directory->count && status == LZT_OK; i++) {
        const struct lzt_tag tag = tag_at(check, i);
        if (tag.tag == LZT_TAG_BITS || tag.tag == LZT_TAG_SAMPLE_FORMAT)
            status = find_zero(check, &tag, &zero);
    }
    return status == LZT_OK && zero ? lacks(check, "the type of its samples is not written yet") : status;
}

/* Chunks that a sparse file leaves out have offset 0 and length 0. */
static enum lzt_status check_chunk(const struct check *check, uint64_t chunk, uint64_t offset, uint64_t length)
{
    const uint64_t size = check->table->size;
    const int plain = check->layout->compression == LZT_NONE && !check->layout->problem;
    const uint64_t needed = plain ? lzt_page_plain_bytes(check->layout, chunk) : length;
    if (offset == 0 && length == 0)
        return LZT_OK;
    if (offset == 0 || length == 0 || length < needed)
        return lacks(check, "it does not say yet where its pixels are");
    if (offset > size || needed > size - offset)
        return lacks(check, "pixels lie behind the end of the file");
    return LZT_OK;
}

static enum lzt_status check_lists(const struct check *check, struct lzt_page *page, uint64_t *looked)
{
    const struct lzt_layout *layout = check->layout;
    const uint64_t chunks = (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
    enum lzt_status status = LZT_OK;
    *looked += page->offsets.tag.bytes + page->lengths.tag.bytes;
    for (uint64_t i = 0; i < chunks && status == LZT_OK; i++) {
        uint64_t offset, length;
        status = lzt_page_chunk(page, i, &offset, &length, check->error);
        if (status == LZT_OK)
            status = check_chunk(check, i, offset, length);
    }
    return status;
}

static enum lzt_status check_pixels(const struct check *check, uint64_t *looked)
{
    const struct lzt_table *table = check->table;
    const struct lzt_row *row = &table->rows[table->pages - 1];
    const uint16_t codec = check->layout->compression;
    struct lzt_page page = {.table = NULL};
    if (row->data != 0 && row->length == 0 && codec == LZT_NONE && !check->layout->problem)
        return check_chunk(check, 0, row->data, lzt_page_plain_bytes(check->layout, 0));
    if (row->data != 0)
        return check_chunk(check, 0, row->data, row->length);
    if (check->layout->problem || codec == LZT_OLD_JPEG || !lzt_table_allows(table, codec) || !lzt_codec_available(codec))
        return LZT_OK; /* nobody knows where its pixels are */
    enum lzt_status status = lzt_page_open(&page, table, table->pages - 1, check->error);
    if (status == LZT_OK)
        status = check_lists(check, &page, looked);
    lzt_page_close(&page);
    return status == LZT_CHANGED ? lacks(check, "it is being written") : status;
}

enum lzt_status lzt_whole_check(const struct lzt_table *table, const struct lzt_directory *directory, struct lzt_peek *peek,
                                uint64_t *looked, struct lzt_error *error)
{
    const struct check check = {table, directory, &table->layouts[table->rows[table->pages - 1].layout], peek, error};
    enum lzt_status status = check_entries(&check);
    if (status == LZT_OK)
        status = check_layout(&check);
    return status == LZT_OK ? check_pixels(&check, looked) : status;
}
