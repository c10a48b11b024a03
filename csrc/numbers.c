#include <inttypes.h>

#include "bytes.h"
#include "ifd.h"

enum { VALUE_STRETCH = 512 };

/* What is asked of many pages, and the windows on the way: over the IFDs, and over the values that are not in them. */
struct question {
    const struct lzt_table *table;
    uint16_t tag;
    uint64_t most;
    struct lzt_peek ifds, values;
    struct lzt_error *error;
};

/* The first tag of that number in the page's IFD; one without values when it is not there, or unreadable. */
static enum lzt_status find_tag(struct question *question, uint64_t page, struct lzt_tag *tag)
{
    const struct lzt_table *table = question->table;
    struct lzt_directory directory = {.count = 0};
    enum lzt_status status = lzt_table_ifd(table, &question->ifds, page, &directory, question->error);
    *tag = (struct lzt_tag){.tag = question->tag};
    for (uint32_t i = 0; i < directory.count && status == LZT_OK; i++) {
        const struct lzt_tag found = lzt_directory_tag(&directory, table->format, i, table->size);
        if (found.tag != question->tag)
            continue;
        if (!found.problem)
            *tag = found;
        break;
    }
    if (tag->bytes <= table->options.max_value_bytes)
        return status;
    return lzt_fail(question->error, LZT_LIMIT, "tag %u has %" PRIu64 " bytes; the limit max_value_bytes is %" PRIu64, tag->tag, tag->bytes,
                    table->options.max_value_bytes);
}

static enum lzt_status read_values(struct question *question, const struct lzt_tag *tag, uint64_t count, uint64_t *values)
{
    const struct lzt_format format = question->table->format;
    const int inside = tag->bytes <= lzt_offset_size(format);
    struct lzt_peek *peek = inside ? &question->ifds : &question->values;
    const uint8_t *bytes;
    int fits;
    enum lzt_status status = LZT_OK;
    if (count > 0) /* all by one read */
        status = lzt_peek_at(peek, tag->offset, (size_t)(count * lzt_type_size(tag->type)), &bytes, question->error);
    for (uint64_t i = 0; i < count && status == LZT_OK; i++)
        status = lzt_tag_number(peek, format, tag, i, &values[i], &fits, question->error);
    return status;
}

static enum lzt_status ask(struct question *question, uint64_t page, uint64_t *count, uint64_t *values, uint64_t capacity)
{
    struct lzt_tag tag;
    if (page >= question->table->pages)
        return lzt_fail(question->error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, page, question->table->pages);
    enum lzt_status status = find_tag(question, page, &tag);
    *count = lzt_min64(tag.count, question->most);
    if (status != LZT_OK || values == NULL)
        return status;
    if (*count > capacity)
        return lzt_fail(question->error, LZT_USAGE, "there is no room for the values of tag %u", question->tag);
    return read_values(question, &tag, *count, values);
}

static enum lzt_status ask_all(struct question *question, const uint64_t *pages, size_t count, uint64_t *counts, uint64_t *values,
                               uint64_t capacity)
{
    const struct lzt_table *table = question->table;
    for (size_t i = 0; i < count; i++) {
        enum lzt_status status = ask(question, pages[i], &counts[i], values, capacity);
        if (status != LZT_OK)
            return lzt_fail_at(question->error, status, (int64_t)pages[i], -1);
        if (values != NULL) {
            values += counts[i];
            capacity -= counts[i];
        }
        if (i + 1 < count && pages[i + 1] < table->pages)
            question->ifds.stretch = lzt_ifd_stretch(table->rows[pages[i]].ifd, table->rows[pages[i + 1]].ifd);
    }
    return LZT_OK;
}

enum lzt_status lzt_table_numbers(const struct lzt_table *table, uint16_t tag, const uint64_t *pages, size_t count, uint64_t most,
                                  uint64_t *counts, uint64_t *values, uint64_t capacity, struct lzt_error *error)
{
    struct question question = {.table = table, .tag = tag, .most = most, .error = error};
    lzt_peek_open(&question.ifds, table->source, table->size, VALUE_STRETCH);
    lzt_peek_open(&question.values, table->source, table->size, VALUE_STRETCH);
    enum lzt_status status = ask_all(&question, pages, count, counts, values, capacity);
    lzt_peek_close(&question.ifds);
    lzt_peek_close(&question.values);
    return status;
}
