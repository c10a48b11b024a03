/* IFDs that move: copies take the place of those whose links cannot be switched at once, and of the first one when its description changes. */
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "writer.h"

/* ---- Crooked links -------------------------------------------------------------------------------------------------------- */

static int crooked_chain(const struct lzt_writer *writer)
{
    return writer->has[LZT_BIG] ? LZT_BIG : LZT_CLASSIC;
}

/* Where a copy ends that is written behind so many bytes. */
static uint64_t end_of_copy(struct lzt_format format, const struct lzt_crooked *ifd, uint64_t size)
{
    const unsigned word = lzt_offset_size(format);
    return lzt_round_up(size + lzt_link_of(format, 0, ifd->tags) + word, word);
}

uint64_t lzt_writer_end_of_copies(const struct lzt_writer *writer)
{
    uint64_t end = writer->size;
    for (size_t i = 0; i < writer->crooked_count; i++)
        end = end_of_copy((struct lzt_format){crooked_chain(writer) == LZT_BIG, 0}, &writer->crooked[i], end);
    return end;
}

/* Writes a copy at the end, its link aligned, leading nowhere. */
static enum lzt_status copy_ifd(struct lzt_writer *writer, int chain, const struct lzt_crooked *ifd, uint64_t *copy, struct lzt_error *error)
{
    const struct lzt_format format = {chain == LZT_BIG, writer->big_endian};
    const unsigned word = lzt_offset_size(format);
    const size_t entries = (size_t)lzt_link_of(format, 0, ifd->tags), length = entries + word;
    const uint64_t end = end_of_copy(format, ifd, writer->size);
    uint8_t *bytes = calloc(1, length);
    if (bytes == NULL)
        return lzt_fail_memory(error, length);
    *copy = end - length;
    const struct lzt_piece piece = {bytes, length};
    enum lzt_status status = lzt_writer_read(writer, ifd->ifd, bytes, entries, error);
    if (status == LZT_OK)
        status = lzt_writer_write_pieces(writer, *copy, &piece, 1, error);
    if (status == LZT_OK)
        writer->size = writer->end = end;
    free(bytes);
    return status;
}

enum lzt_status lzt_writer_straighten(struct lzt_writer *writer, struct lzt_error *error)
{
    const int chain = crooked_chain(writer);
    const struct lzt_format format = {chain == LZT_BIG, 0};
    enum lzt_status status = LZT_OK;
    for (size_t i = 0; i < writer->crooked_count && status == LZT_OK; i++) {
        uint64_t copy = 0;
        status = copy_ifd(writer, chain, &writer->crooked[i], &copy, error);
        if (status == LZT_OK && i > 0)
            status = lzt_writer_set_link(writer, chain, writer->links[chain], copy, error);
        else if (status == LZT_OK)
            writer->heads[chain] = copy;
        writer->links[chain] = status == LZT_OK ? lzt_link_of(format, copy, writer->crooked[i].tags) : writer->links[chain];
    }
    if (status == LZT_OK) {
        const struct lzt_crooked *last = &writer->crooked[writer->crooked_count - 1];
        writer->crooked_link = lzt_link_of(format, last->ifd, last->tags);
        writer->crooked_next = writer->links[chain];
        writer->crooked_count = 0;
        writer->tail = 0;
    }
    return status;
}

enum lzt_status lzt_writer_help_old_readers(struct lzt_writer *writer, struct lzt_error *error)
{
    const int chain = crooked_chain(writer);
    const struct lzt_format format = {chain == LZT_BIG, writer->big_endian};
    const uint64_t link = writer->crooked_link;
    uint8_t bytes[8];
    writer->crooked_link = 0;
    enum lzt_status status = lzt_writer_read(writer, writer->crooked_next, bytes, lzt_offset_size(format), error);
    return status == LZT_OK ? lzt_writer_set_link(writer, chain, link, lzt_get_offset(bytes, format), error) : status;
}

/* ---- Another description -------------------------------------------------------------------------------------------------- */

enum { ROOM = 24 }; /* for one more entry */

enum lzt_status lzt_writer_read_first(struct lzt_writer *writer, int chain, struct lzt_first *first, struct lzt_error *error)
{
    const struct lzt_format format = {chain == LZT_BIG, writer->big_endian};
    uint8_t word[8];
    *first = (struct lzt_first){.format = format};
    enum lzt_status status = lzt_writer_read(writer, format.bigtiff ? LZT_FIRST_BIG : LZT_FIRST_CLASSIC, word, lzt_offset_size(format), error);
    if (status != LZT_OK)
        return status;
    const uint64_t ifd = lzt_get_offset(word, format);
    status = lzt_writer_read(writer, ifd, word, lzt_count_size(format), error);
    if (status != LZT_OK)
        return status;
    first->tags = format.bigtiff ? lzt_get64(word, format.big_endian) : lzt_get16(word, format.big_endian);
    if (first->tags >= UINT16_MAX)
        return lzt_fail(error, LZT_CORRUPT, "the first page claims to have more tags than anybody has");
    first->length = (size_t)lzt_link_of(format, 0, first->tags) + lzt_offset_size(format);
    first->bytes = malloc(first->length + ROOM);
    if (first->bytes == NULL)
        return lzt_fail_memory(error, first->length);
    status = lzt_writer_read(writer, ifd, first->bytes, first->length, error);
    if (status != LZT_OK)
        free(first->bytes);
    return status;
}

uint8_t *lzt_first_entry(const struct lzt_first *first, uint16_t tag)
{
    uint8_t *entry = first->bytes + lzt_count_size(first->format);
    for (uint64_t i = 0; i < first->tags; i++, entry += lzt_entry_size(first->format))
        if (lzt_get16(entry, first->format.big_endian) >= tag)
            break;
    return entry;
}

/* Have the IFD point to a text, by the entry that it has or by one more. */
static void describe(struct lzt_first *first, uint64_t place, uint64_t length)
{
    const struct lzt_format format = first->format;
    const unsigned size = lzt_entry_size(format), word = lzt_offset_size(format);
    uint8_t *entry = lzt_first_entry(first, LZT_TAG_DESCRIPTION);
    const size_t at = (size_t)(entry - first->bytes);
    if (at + word == first->length || lzt_get16(entry, format.big_endian) != LZT_TAG_DESCRIPTION) {
        memmove(entry + size, entry, first->length - at);
        first->length += size;
        lzt_put(first->bytes, lzt_count_size(format), ++first->tags, format.big_endian);
    }
    lzt_put(entry, 2, LZT_TAG_DESCRIPTION, format.big_endian);
    lzt_put(entry + 2, 2, LZT_ASCII, format.big_endian);
    lzt_put(entry + 4, word, length, format.big_endian);
    lzt_put(entry + 4 + word, word, place, format.big_endian);
}

/* The first IFD of each chain that readers may walk, now or when the file has become BigTIFF, and where its copy goes: the BigTIFF one behind
 * the classic one, as in blocks. */
struct copies {
    int has[LZT_CHAINS];
    struct lzt_first firsts[LZT_CHAINS];
    uint64_t places[LZT_CHAINS];
    uint64_t text, end;
};

static void free_copies(struct copies *copies)
{
    for (int chain = LZT_CLASSIC; chain < LZT_CHAINS; chain++)
        if (copies->has[chain])
            free(copies->firsts[chain].bytes);
}

static enum lzt_status plan_copies(struct lzt_writer *writer, struct copies *copies, uint64_t length, struct lzt_error *error)
{
    const int reads[LZT_CHAINS] = {[LZT_CLASSIC] = !lzt_writer_is_bigtiff(writer), [LZT_BIG] = writer->has[LZT_BIG]};
    copies->text = lzt_round_up(writer->size, 8);
    copies->end = copies->text + length;
    for (int chain = LZT_CLASSIC; chain < LZT_CHAINS; chain++) {
        struct lzt_first *first = &copies->firsts[chain];
        enum lzt_status status = reads[chain] ? lzt_writer_read_first(writer, chain, first, error) : LZT_OK;
        if (status != LZT_OK)
            return status;
        copies->has[chain] = reads[chain];
        if (!reads[chain])
            continue;
        describe(first, copies->text, length);
        copies->end = lzt_round_up(copies->end + first->length, lzt_offset_size(first->format));
        copies->places[chain] = copies->end - first->length;
        if (chain == LZT_CLASSIC && copies->end > UINT32_MAX)
            return lzt_fail(error, LZT_FULL, "there is no room for another description before 4 GiB, where classic TIFF ends");
    }
    return LZT_OK;
}

static enum lzt_status write_copies(struct lzt_writer *writer, const struct copies *copies, const char *text, uint64_t length,
                                    struct lzt_error *error)
{
    const uint64_t start = writer->size;
    uint8_t *bytes = calloc(1, (size_t)(copies->end - start));
    if (bytes == NULL)
        return lzt_fail_memory(error, copies->end - start);
    memcpy(bytes + (copies->text - start), text, (size_t)length);
    for (int chain = LZT_CLASSIC; chain < LZT_CHAINS; chain++)
        if (copies->has[chain])
            memcpy(bytes + (copies->places[chain] - start), copies->firsts[chain].bytes, copies->firsts[chain].length);
    const struct lzt_piece piece = {bytes, (size_t)(copies->end - start)};
    enum lzt_status status = lzt_writer_write_pieces(writer, start, &piece, 1, error);
    free(bytes);
    if (status != LZT_OK)
        return status;
    writer->size = writer->end = copies->end;
    writer->tail = 0;
    return lzt_writer_sync(writer, error);
}

/* Let the header lead to the copy; where the first page is the last one, too, or the last one before crooked ones, the next link is the copy's. */
static enum lzt_status switch_to(struct lzt_writer *writer, const struct copies *copies, int chain, struct lzt_error *error)
{
    const struct lzt_first *first = &copies->firsts[chain];
    const uint64_t link = lzt_link_of(first->format, copies->places[chain], first->tags);
    enum lzt_status status = lzt_writer_set_link(writer, chain, chain == LZT_BIG ? LZT_FIRST_BIG : LZT_FIRST_CLASSIC, copies->places[chain], error);
    if (status != LZT_OK)
        return status;
    if (writer->pages == 1)
        writer->links[chain] = link;
    if (writer->pages == 1 || writer->crooked_count == writer->pages)
        writer->published[chain] = link;
    return LZT_OK;
}

/* The copy's link is straight. */
static void forget_first_crooked(struct lzt_writer *writer)
{
    if (writer->crooked_count > 0 && writer->crooked_count == writer->pages)
        memmove(writer->crooked, writer->crooked + 1, --writer->crooked_count * sizeof *writer->crooked);
}

static enum lzt_status check_text(const struct lzt_writer *writer, const char *text, uint64_t length, struct lzt_error *error)
{
    enum { INLINE = 8 };
    if (writer->pages == 0 || writer->waiting > 0)
        return lzt_fail(error, LZT_USAGE, "only the description of a page that is published can change");
    if (text == NULL || length <= INLINE || length > UINT32_MAX / 2 || text[length - 1] != 0)
        return lzt_fail(error, LZT_USAGE, "a description has more than %d bytes here, and a 0 at its end", INLINE);
    return LZT_OK;
}

enum lzt_status lzt_writer_redescribe(struct lzt_writer *writer, const char *text, uint64_t length, struct lzt_error *error)
{
    struct copies copies = {.end = 0};
    enum lzt_status status = lzt_writer_check_alone(writer, error);
    if (status == LZT_OK)
        status = check_text(writer, text, length, error);
    if (status == LZT_OK)
        status = plan_copies(writer, &copies, length, error);
    if (status == LZT_OK)
        status = write_copies(writer, &copies, text, length, error);
    for (int chain = LZT_CHAINS - 1; chain >= 0 && status == LZT_OK; chain--)
        if (copies.has[chain])
            status = switch_to(writer, &copies, chain, error);
    free_copies(&copies);
    if (status != LZT_OK)
        return status;
    forget_first_crooked(writer);
    writer->counter = (struct lzt_counter){.per = 0};
    return lzt_writer_sync(writer, error);
}
