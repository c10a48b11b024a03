/* Where a file ends that is to go on: the last page's links, the chains that it has, and what of it can be pointed to. */
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "form.h"
#include "ifd.h"
#include "layout.h"
#include "page.h"
#include "writer.h"

enum { LINE = 64, CARRYING_HEADER = 16 };

/* ---- Links ---------------------------------------------------------------------------------------------------------------- */

/* The link behind so many pages of the table. */
static uint64_t link_behind(const struct lzt_table *table, uint64_t pages)
{
    if (pages == 0)
        return table->format.bigtiff ? LZT_FIRST_BIG : LZT_FIRST_CLASSIC;
    return lzt_link_of(table->format, table->rows[pages - 1].ifd, table->rows[pages - 1].tags);
}

static uint64_t last_link(const struct lzt_table *table)
{
    return link_behind(table, table->pages);
}

/* A processor writes what lies within a line of its cache at once. */
static int is_crooked(struct lzt_format format, uint64_t link)
{
    return link / LINE != (link + lzt_offset_size(format) - 1) / LINE;
}

/* The pages from the last one back whose links are crooked: all of their IFDs are copied, and the link before them leads to the copies. */
static enum lzt_status find_crooked(struct lzt_writer *writer, const struct lzt_table *table, int chain, struct lzt_error *error)
{
    uint64_t first = table->pages;
    while (first > 0 && is_crooked(table->format, link_behind(table, first)))
        first--;
    writer->crooked_count = (size_t)(table->pages - first);
    if (writer->crooked_count == 0)
        return LZT_OK;
    writer->crooked = malloc(writer->crooked_count * sizeof *writer->crooked);
    if (writer->crooked == NULL)
        return lzt_fail_memory(error, writer->crooked_count * sizeof *writer->crooked);
    for (uint64_t page = first; page < table->pages; page++)
        writer->crooked[page - first] = (struct lzt_crooked){table->rows[page].ifd, table->rows[page].tags};
    writer->published[chain] = link_behind(table, first);
    return LZT_OK;
}

/* ---- The other chain ------------------------------------------------------------------------------------------------------ */

/* 1: the big chain's pages are the classic one's from that page on, as far as both have any. The first one may have got a description in one
 * chain only (lzt_writer_redescribe), when it was cut off between the two. */
static int are_same_pages(const struct lzt_table *classic, uint64_t first, const struct lzt_table *big)
{
    const uint64_t pages = lzt_min64(classic->pages - first, big->pages);
    for (uint64_t i = 0; i < pages; i++) {
        const struct lzt_row *a = &classic->rows[first + i], *b = &big->rows[i];
        if (a->data != b->data || a->length != b->length || (first + i > 0 && a->tags != b->tags) ||
            memcmp(&classic->layouts[a->layout], &big->layouts[b->layout], sizeof *classic->layouts) != 0)
            return 0;
    }
    return 1;
}

/* Of a page that both chains have, the BigTIFF IFD follows the classic one (block.c, place_ifds). */
static uint64_t big_ifd_behind(const struct lzt_row *classic)
{
    const struct lzt_format old = {0, 0}, big = {1, 0};
    const uint64_t end = lzt_link_of(old, classic->ifd, classic->tags) + lzt_offset_size(old);
    const uint64_t length = lzt_link_of(big, 0, classic->tags) + lzt_offset_size(big);
    return lzt_round_up(end + length, lzt_offset_size(big)) - length;
}

/* After a power failure the pages that were published last may be missing in the chain that was linked first. They are whole, and linked to each
 * other: both links came after them. */
static enum lzt_status complete_big_chain(struct lzt_writer *writer, const struct lzt_table *classic, const struct lzt_table *big, int *found,
                                          struct lzt_error *error)
{
    const uint64_t ifd = big_ifd_behind(&classic->rows[big->pages]), missing = classic->pages - big->pages;
    struct lzt_table *rest;
    *found = 0;
    enum lzt_status status = lzt_table_open_chain(classic, big->format, ifd, &rest, error);
    if (status != LZT_OK)
        return status == LZT_CORRUPT || status == LZT_LIMIT ? LZT_OK : status;
    *found = rest->ended == LZT_OK && rest->pages >= missing && are_same_pages(classic, big->pages, rest);
    if (*found)
        status = lzt_writer_set_link(writer, LZT_BIG, last_link(big), ifd, error);
    if (*found)
        writer->links[LZT_BIG] = link_behind(rest, missing);
    lzt_table_close(rest);
    return status;
}

static enum lzt_status compare_chains(struct lzt_writer *writer, const struct lzt_table *classic, const struct lzt_table *big,
                                      struct lzt_error *error)
{
    int found = classic->ended == LZT_OK && big->ended == LZT_OK && are_same_pages(classic, 0, big);
    enum lzt_status status = LZT_OK;
    if (found && big->pages < classic->pages)
        status = complete_big_chain(writer, classic, big, &found, error);
    else if (found) /* pages that are in the BigTIFF chain alone were not acknowledged; others take their place */
        writer->links[LZT_BIG] = link_behind(big, classic->pages);
    writer->has[LZT_BIG] = writer->grows = writer->roomy = found;
    return status;
}

/* Whether the classic file carries a BigTIFF chain of the same pages; where it does not, it is plain. */
static enum lzt_status find_big_chain(struct lzt_writer *writer, const struct lzt_table *table, struct lzt_error *error)
{
    const struct lzt_format format = {1, writer->big_endian};
    uint8_t header[CARRYING_HEADER];
    struct lzt_table *big;
    if (table->size < CARRYING_HEADER)
        return LZT_OK;
    enum lzt_status status = lzt_writer_read(writer, 0, header, sizeof header, error);
    if (status != LZT_OK)
        return status;
    const uint64_t first = lzt_get64(header + LZT_FIRST_BIG, writer->big_endian);
    if (first != 0 && first < CARRYING_HEADER)
        return LZT_OK;
    status = lzt_table_open_chain(table, format, first, &big, error);
    if (status != LZT_OK)
        return status == LZT_CORRUPT || status == LZT_LIMIT ? LZT_OK : status;
    status = compare_chains(writer, table, big, error);
    lzt_table_close(big);
    return status;
}

/* ---- The last page -------------------------------------------------------------------------------------------------------- */

static enum lzt_status look_at_last_page(struct lzt_writer *writer, const struct lzt_table *table, struct lzt_error *error)
{
    const uint64_t pages[2] = {table->pages > 1 ? table->pages - 2 : 0, table->pages - 1};
    struct lzt_extent extents[2];
    struct lzt_peek peek;
    if (table->pages == 0)
        return LZT_OK;
    lzt_peek_open(&peek, table->source, table->size, 4096);
    enum lzt_status status = lzt_table_tags(table, &peek, pages[1], &writer->known, &writer->known_count, error);
    lzt_peek_close(&peek);
    writer->known_big = table->format.bigtiff;
    if (status != LZT_OK)
        return status;
    status = lzt_table_extents(table, pages, 2, extents, error);
    if (status == LZT_OK) {
        const struct lzt_layout *layout = &table->layouts[table->rows[pages[1]].layout];
        writer->tail = extents[1].offset + lzt_stored_bytes(layout, layout->rows, layout->columns) * layout->planes;
        writer->spacing = extents[1].offset > extents[0].offset ? extents[1].offset - extents[0].offset : 0;
        if (last_link(table) >= writer->tail) /* a page there would be hit by the link that leads to it */
            writer->tail = 0;
    }
    const int matters = status == LZT_SYSTEM || status == LZT_NO_MEMORY || status == LZT_CHANGED;
    return matters ? status : LZT_OK; /* otherwise the pixels are not stored as they are, or not all there */
}

static int has_values(struct lzt_writer *writer, const struct lzt_tag *tag, const struct lzt_entry *entry)
{
    uint8_t bytes[512];
    const uint64_t all = lzt_entry_bytes(entry);
    if (tag->problem || tag->type != entry->type || tag->count != entry->count)
        return 0;
    for (uint64_t done = 0; done < all; done += sizeof bytes) {
        const size_t length = (size_t)lzt_min64(all - done, sizeof bytes);
        if (lzt_writer_read(writer, tag->offset + done, bytes, length, NULL) != LZT_OK || memcmp(bytes, entry->values + done, length) != 0)
            return 0;
    }
    return 1;
}

/* Bytes of an uncompressed page in the file: tiles at its edges are whole. */
static uint64_t stored_bytes(const struct lzt_form *form)
{
    const uint64_t tile = form->chunk_rows * lzt_form_row_bytes(form, form->chunk_columns);
    return form->chunk_columns == 0 ? lzt_form_page_bytes(form) : lzt_form_chunks(form) * tile;
}

void lzt_writer_recall(struct lzt_writer *writer)
{
    const uint64_t inline_bytes = writer->known_big ? 8 : 4, pixels = stored_bytes(&writer->form);
    for (size_t i = 0; i < writer->entries.count; i++) {
        struct lzt_entry *entry = &writer->entries.items[i];
        const struct lzt_tag *tag = lzt_find_tag(writer->known, writer->known_count, entry->tag);
        if (entry->role == LZT_VALUES && lzt_entry_bytes(entry) > inline_bytes && tag != NULL && has_values(writer, tag, entry))
            entry->place = tag->offset;
    }
    const int keeps = writer->form.compression == LZT_NONE && writer->spacing > pixels && writer->spacing % LINE == 0;
    if (keeps && writer->spacing - pixels <= lzt_max64(4096, pixels / 8))
        writer->reserved = writer->spacing - pixels;
    if (!keeps || writer->tail >= writer->size)
        writer->tail = 0;
}

enum lzt_status lzt_writer_has_begun(struct lzt_writer *writer, const struct lzt_block *block, uint64_t start, int *begun, struct lzt_error *error)
{
    const uint64_t after = writer->size > start ? writer->size - start : 0;
    const size_t length = (size_t)lzt_min64(block->length, after);
    uint8_t *there = malloc(length + 1);
    *begun = 0;
    if (there == NULL)
        return lzt_fail_memory(error, length);
    enum lzt_status status = lzt_writer_read(writer, start, there, length, error);
    *begun = status == LZT_OK && memcmp(there, block->bytes, length) == 0;
    free(there);
    return status;
}

/* ---- What the last link must not share a byte with ------------------------------------------------------------------------ */

/* An IFD whose number of tags is damaged seems to have its link in the middle of something. */
static enum lzt_status check_apart(const struct lzt_table *table, uint64_t page, uint64_t offset, uint64_t length, struct lzt_error *error)
{
    const uint64_t link = last_link(table);
    if (link < offset ? offset - link >= lzt_offset_size(table->format) : link - offset >= length)
        return LZT_OK;
    lzt_fail(error, LZT_CORRUPT, "the link to a next page would lie in this one's pixels or tags, and writing it would spoil them");
    return lzt_fail_at(error, LZT_CORRUPT, (int64_t)page, -1);
}

static enum lzt_status check_chunks_apart(const struct lzt_table *table, struct lzt_page *page, uint64_t number, struct lzt_error *error)
{
    const struct lzt_layout *layout = &table->layouts[table->rows[number].layout];
    const int plain = layout->compression == LZT_NONE;
    enum lzt_status status = lzt_page_open(page, table, number, error);
    if (status != LZT_OK) /* nobody can read it */
        return status == LZT_SYSTEM || status == LZT_NO_MEMORY || status == LZT_CHANGED ? status : LZT_OK;
    const uint64_t chunks = lzt_min64((uint64_t)layout->grid_rows * layout->grid_columns * layout->planes, page->offsets.tag.count);
    for (uint64_t chunk = 0; chunk < chunks && status == LZT_OK; chunk++) {
        uint64_t offset = 0, length = 0;
        if (lzt_page_chunk(page, chunk, &offset, &length, error) == LZT_OK && offset != 0)
            status = check_apart(table, number, offset, plain ? lzt_page_plain_bytes(layout, chunk) : length, error);
    }
    return status;
}

/* Of a chain that ends in damage all pages count: anything may be where its end seems to be. */
static enum lzt_status check_pages_apart(const struct lzt_writer *writer, const struct lzt_table *table, struct lzt_error *error)
{
    const uint64_t pages = table->pages;
    struct lzt_page page = {.table = NULL};
    enum lzt_status status = LZT_OK;
    for (size_t i = 0; i < writer->known_count && status == LZT_OK; i++)
        status = writer->known[i].problem ? LZT_OK : check_apart(table, pages - 1, writer->known[i].offset, writer->known[i].bytes, error);
    for (uint64_t i = table->ended == LZT_OK && pages > 0 ? pages - 1 : 0; i < pages && status == LZT_OK; i++)
        status = check_chunks_apart(table, &page, i, error);
    lzt_page_close(&page);
    return status;
}

/* ---- The writer ----------------------------------------------------------------------------------------------------------- */

static enum lzt_status check_table(const struct lzt_table *table, struct lzt_error *error)
{
    if (table->frame_bytes != 0)
        return lzt_fail(error, LZT_UNSUPPORTED, "its frames share one IFD, so that no page can be appended: make a new file of them");
    if (table->listed)
        return lzt_fail(error, LZT_USAGE, "the table is of IFDs that were listed: pages are appended to a chain");
    if (lzt_source_file(table->source) == NULL)
        return lzt_fail(error, LZT_USAGE, "only files can be written to");
    return LZT_OK;
}

/* A limit hides pages where the last link leads to what may be an IFD: one that leads elsewhere mostly claims more tags than anybody has, or
 * than the file has room for. */
static enum lzt_status check_limit(const struct lzt_table *table, uint64_t next, struct lzt_error *error)
{
    struct lzt_directory directory;
    struct lzt_peek peek;
    lzt_peek_open(&peek, table->source, table->size, 0);
    enum lzt_status status = lzt_directory_read(&peek, table->format, next, UINT16_MAX, &directory, error);
    lzt_peek_close(&peek);
    if (status == LZT_OK)
        return lzt_fail(error, LZT_LIMIT, "a limit hides pages behind the last one: to append would cut them off");
    return status == LZT_CORRUPT || status == LZT_LIMIT ? LZT_OK : status;
}

/* Where the chain ends by its own word, it does so still: an older table would cut off what came since. */
static enum lzt_status check_last_link(struct lzt_writer *writer, const struct lzt_table *table, struct lzt_error *error)
{
    uint8_t link[8];
    enum lzt_status status = lzt_writer_read(writer, last_link(table), link, lzt_offset_size(table->format), error);
    if (status != LZT_OK)
        return status;
    const uint64_t next = lzt_get_offset(link, table->format);
    if (table->ended == LZT_LIMIT)
        return check_limit(table, next, error);
    if (table->ended == LZT_OK && !table->options.whole && next != 0)
        return lzt_fail(error, LZT_CHANGED, "pages have come since the table was opened; refresh it, or open the file again");
    return LZT_OK;
}

static enum lzt_status find_end(struct lzt_writer *writer, const struct lzt_table *table, struct lzt_error *error)
{
    const int chain = table->format.bigtiff ? LZT_BIG : LZT_CLASSIC;
    writer->has[chain] = 1;
    writer->links[chain] = last_link(table);
    writer->pages = table->pages;
    writer->size = writer->end = table->size;
    enum lzt_status status = check_last_link(writer, table, error);
    if (status == LZT_OK && chain == LZT_CLASSIC)
        status = find_big_chain(writer, table, error);
    memcpy(writer->published, writer->links, sizeof writer->links);
    if (status == LZT_OK && !writer->grows)
        status = find_crooked(writer, table, chain, error);
    if (status == LZT_OK)
        status = look_at_last_page(writer, table, error);
    return status == LZT_OK ? check_pages_apart(writer, table, error) : status;
}

enum lzt_status lzt_writer_open(const struct lzt_table *table, int durable, struct lzt_writer **writer, struct lzt_error *error)
{
    *writer = NULL;
    enum lzt_status status = check_table(table, error);
    if (status != LZT_OK)
        return status;
    struct lzt_writer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return lzt_fail_memory(error, sizeof *made);
    made->file = lzt_source_file(table->source);
    made->process = lzt_process();
    made->durable = durable;
    made->big_endian = table->format.big_endian;
    made->most = table->options.max_pages;
    status = find_end(made, table, error);
    if (status == LZT_OK)
        *writer = made;
    else
        lzt_writer_close(made);
    return status;
}

enum lzt_status lzt_form_of_page(const struct lzt_table *table, uint64_t page, struct lzt_form *form, struct lzt_error *error)
{
    if (page >= table->pages)
        return lzt_fail(error, LZT_USAGE, "page %" PRIu64 " of %" PRIu64, page, table->pages);
    const struct lzt_layout *layout = &table->layouts[table->rows[page].layout];
    enum lzt_status status = lzt_layout_problem(layout, error);
    if (status == LZT_OK && lzt_layout_converts(layout))
        status = lzt_fail(error, LZT_UNSUPPORTED, "YCbCr pixels are read as RGB, and not written but as JPEG");
    if (status != LZT_OK)
        return lzt_fail_at(error, status, (int64_t)page, -1);
    *form = (struct lzt_form){
        .size = sizeof *form,
        .rows = layout->rows,
        .columns = layout->columns,
        .samples = layout->samples,
        .kind = layout->kind,
        .item_size = layout->item_size,
        .compression = layout->compression == LZT_DEFLATE_OLD ? LZT_DEFLATE : layout->compression, /* the same streams */
        .predictor = layout->predictor,
        .chunk_rows = layout->chunk_rows,
        .chunk_columns = layout->tiled ? layout->chunk_columns : 0,
        .photometric = layout->photometric,
        .level = -1,
    };
    return LZT_OK;
}
