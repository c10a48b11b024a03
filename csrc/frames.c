/* Stacks with one IFD and the pixels of all frames behind each other: ImageJ writes those above 4 GiB so, tifffile those with
 * truncate=True. Only the description tells how many frames there are, and anybody may have written that: it is believed when the file
 * has them all. */
#include "frames.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "layout.h"
#include "page.h"

enum { MOST_TEXT = 64 << 10 };

static const char imagej[] = "ImageJ=", tifffile[] = "{\"shape\": [";

/* ---- What the description says ------------------------------------------------------------------------------------------ */

static int is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* The number that text begins with; returns what follows it, NULL when there is no number, or none of 64 bits. */
static const char *read_number(const char *text, uint64_t *number)
{
    if (!is_digit(*text))
        return NULL;
    for (*number = 0; is_digit(*text); text++) {
        const unsigned digit = (unsigned)(*text - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return NULL;
        *number = *number * 10 + digit;
    }
    return text;
}

/* A line "images=N" (ImageJ, FileInfo.getDescriptionString). */
static uint64_t imagej_frames(const char *text)
{
    static const char word[] = "\nimages=";
    uint64_t frames;
    const char *line = strstr(text, word);
    const char *end = line == NULL ? NULL : read_number(line + sizeof word - 1, &frames);
    return end != NULL && (*end == '\n' || *end == '\r' || *end == '\0') ? frames : 0;
}

/* JSON with the shape of the whole stack (tifffile, json_description). */
static uint64_t tifffile_frames(const char *text, const struct lzt_layout *layout)
{
    const uint64_t page = (uint64_t)layout->rows * layout->columns * layout->samples; /* below 2^62, like its bytes */
    uint64_t items = 1, length;
    if (strstr(text, "\"truncated\": true") == NULL)
        return 0;
    for (text += sizeof tifffile - 1;; text += 2) {
        text = read_number(text, &length);
        if (text == NULL || length == 0 || items > UINT64_MAX / length)
            return 0;
        items *= length;
        if (strncmp(text, ", ", 2) != 0)
            break;
    }
    return *text == ']' && items % page == 0 ? items / page : 0;
}

/* The beginning of the text at tag, in *text (to be freed by the caller); NULL when it cannot tell of frames. */
static enum lzt_status read_text(struct lzt_peek *peek, const struct lzt_tag *tag, char **text, struct lzt_error *error)
{
    enum { BEGINNING = 8 }; /* of 'ImageJ=' or '{"shape"' */
    const uint8_t *bytes;
    size_t length = tag->bytes < MOST_TEXT ? (size_t)tag->bytes : MOST_TEXT;
    if (length < BEGINNING)
        return LZT_OK;
    enum lzt_status status = lzt_peek_at(peek, tag->offset, BEGINNING, &bytes, error);
    if (status != LZT_OK || (memcmp(bytes, imagej, sizeof imagej - 1) != 0 && memcmp(bytes, tifffile, BEGINNING) != 0))
        return status;
    status = lzt_peek_at(peek, tag->offset, length, &bytes, error);
    if (status != LZT_OK)
        return status;
    while (length < tag->bytes && length > 0 && is_digit((char)bytes[length - 1])) /* half a number is none */
        length--;
    *text = malloc(length + 1);
    if (*text == NULL)
        return lzt_fail_memory(error, length + 1);
    memcpy(*text, bytes, length);
    (*text)[length] = '\0';
    return LZT_OK;
}

/* How many frames the description of the table's only page tells of; 0: it does not say. */
static enum lzt_status read_claim(const struct lzt_table *table, struct lzt_peek *peek, uint64_t *frames, struct lzt_error *error)
{
    struct lzt_tag *tags;
    size_t count;
    char *text = NULL;
    *frames = 0;
    enum lzt_status status = lzt_table_tags(table, peek, 0, &tags, &count, error);
    if (status != LZT_OK)
        return status;
    const struct lzt_tag *tag = lzt_find_tag(tags, count, LZT_TAG_DESCRIPTION);
    if (tag != NULL && !tag->problem && lzt_type_size(tag->type) == 1)
        status = read_text(peek, tag, &text, error);
    if (text != NULL && memcmp(text, imagej, sizeof imagej - 1) == 0)
        *frames = imagej_frames(text);
    else if (text != NULL && strncmp(text, tifffile, sizeof tifffile - 1) == 0)
        *frames = tifffile_frames(text, &table->layouts[table->rows[0].layout]);
    free(text);
    free(tags);
    return status;
}

/* ---- What the file holds ------------------------------------------------------------------------------------------------ */

/* *first becomes where the page's pixels are, when all of its chunks lie one after the other; otherwise 0. */
static enum lzt_status find_pixels(struct lzt_page *page, uint64_t *first, struct lzt_error *error)
{
    const struct lzt_layout *layout = page->layout;
    const uint64_t chunks = (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
    uint64_t begin = 0, next = 0, offset, length;
    if (layout->tiled && (layout->chunk_rows != layout->rows || layout->chunk_columns != layout->columns))
        return LZT_OK;
    for (uint64_t i = 0; i < chunks; i++) {
        const uint64_t bytes = lzt_page_plain_bytes(layout, i);
        enum lzt_status status = lzt_page_chunk(page, i, &offset, &length, error);
        if (status != LZT_OK)
            return status;
        begin = i == 0 ? offset : begin;
        if ((i > 0 && offset != next) || length < bytes)
            return LZT_OK;
        next = offset + bytes;
    }
    *first = begin;
    return LZT_OK;
}

/* Where the pixels of the table's only page are, when they are in one piece; otherwise 0. */
static enum lzt_status find_piece(const struct lzt_table *table, uint64_t *first, struct lzt_error *error)
{
    struct lzt_page page = {.table = NULL};
    *first = 0;
    enum lzt_status status = lzt_page_open(&page, table, 0, error);
    if (status == LZT_OK)
        status = find_pixels(&page, first, error);
    lzt_page_close(&page);
    return status == LZT_CORRUPT ? LZT_OK : status; /* without all of its chunks the page harms only itself */
}

static enum lzt_status add_rows(struct lzt_table *table, uint64_t count, uint64_t frame_bytes, struct lzt_error *error)
{
    enum lzt_status status = lzt_table_claim(table, count - table->pages, error);
    if (status != LZT_OK)
        return status;
    struct lzt_row *rows = table->rows;
    for (uint64_t i = 1; i < count; i++) {
        rows[i] = rows[0];
        rows[i].data += rows[0].data != 0 ? i * frame_bytes : 0;
    }
    table->pages = count;
    table->frame_bytes = frame_bytes;
    return LZT_OK;
}

/* As many of the frames as may be; all of them are in the file. */
static enum lzt_status take(struct lzt_table *table, uint64_t frames, uint64_t frame_bytes, struct lzt_error *error)
{
    const uint64_t most = table->options.max_pages;
    if (frames > most)
        lzt_table_warn(table, "the description claims %" PRIu64 " frames; %" PRIu64 " are taken: that is the limit max_pages", frames,
                       most);
    return add_rows(table, frames < most ? frames : most, frame_bytes, error);
}

enum lzt_status lzt_frames_add(struct lzt_table *table, struct lzt_peek *peek, int known, struct lzt_error *error)
{
    const struct lzt_layout *layout = &table->layouts[table->rows[0].layout];
    uint64_t frames, first;
    if (layout->problem || !layout->direct || !lzt_table_allows(table, layout->compression))
        return LZT_OK;
    int written = 0;
    enum lzt_status status = read_claim(table, peek, &frames, error);
    if (status != LZT_OK || frames <= 1)
        return status;
    /* Who writes page by page, with the lock, gives each its IFD: what lies behind this one's pixels is not all pixels. */
    if (!known && lzt_source_has_writer(table->source, &written, NULL) == LZT_OK && written)
        return LZT_OK;
    status = find_piece(table, &first, error);
    if (status != LZT_OK)
        return status;
    const uint64_t frame_bytes = lzt_stored_bytes(layout, layout->rows, layout->columns) * layout->planes;
    const uint64_t room = first == 0 || first > table->size ? 0 : (table->size - first) / frame_bytes;
    if (frames <= room)
        return take(table, frames, frame_bytes, error);
    if (first == 0)
        lzt_table_warn(table, "the description claims %" PRIu64 " frames, but the only page does not lie in one piece", frames);
    else
        lzt_table_warn(table, "the description claims %" PRIu64 " frames, the file has room for %" PRIu64, frames, room);
    return LZT_OK;
}
