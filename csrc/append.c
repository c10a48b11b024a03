/* Pages into a growing file: each is written whole behind everything else, and then linked by one aligned write. */
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "form.h"
#include "layout.h"
#include "passage.h"

/* What every page may have before its pixels without being asked, so that pages with fewer tags lie at the same distance. */
enum { RESERVED_MOST = 4096 };

/* ---- One page ------------------------------------------------------------------------------------------------------------- */

/* Values of the form's tags that are in the file now are pointed to from now on. */
static void remember_places(struct lzt_writer *writer, const struct lzt_entries *written, uint64_t start)
{
    size_t at = 0;
    for (size_t i = 0; i < written->count; i++) {
        const struct lzt_entry *entry = &written->items[i];
        while (at < writer->entries.count && writer->entries.items[at].tag < entry->tag)
            at++;
        struct lzt_entry *own = at < writer->entries.count ? &writer->entries.items[at] : NULL;
        if (own == NULL || own->tag != entry->tag || own->values != entry->values || entry->inside == 0 || entry->role != LZT_VALUES)
            continue;
        own->place = start + entry->inside;
        writer->block.length = 0; /* to be built anew */
    }
}

/* Link the page to those that wait, or let it be the first one of them. */
static enum lzt_status line_up(struct lzt_writer *writer, const struct lzt_passage *passage, struct lzt_error *error)
{
    enum lzt_status status = LZT_OK;
    for (int chain = LZT_CHAINS - 1; chain >= 0 && status == LZT_OK; chain--) {
        const uint64_t ifd = passage->start + passage->block->ifds[chain];
        if (!passage->block->has[chain])
            continue;
        if (writer->heads[chain] != 0)
            status = lzt_writer_set_link(writer, chain, writer->links[chain], ifd, error);
        else
            writer->heads[chain] = ifd;
        writer->links[chain] = passage->start + passage->block->links[chain];
    }
    return status;
}

/* Whether the page can take the place of one that was begun by a writer that was killed. */
static enum lzt_status try_tail(struct lzt_writer *writer, struct lzt_passage *passage, struct lzt_entries *entries, struct lzt_error *error)
{
    int begun = 0;
    writer->end = writer->tail;
    writer->tail = 0;
    enum lzt_status status = lzt_passage_place(writer, passage, entries, error);
    if (status == LZT_OK && writer->size <= passage->end)
        status = lzt_writer_has_begun(writer, passage->block, passage->start, &begun, error);
    if (!begun)
        writer->end = writer->size;
    return status;
}

/* Pages of a stack lie at equal distances: what the second one took before its pixels, others take too, or leave empty. */
static void reserve(struct lzt_writer *writer, const struct lzt_passage *passage)
{
    const uint64_t before = passage->first - writer->end, pixels = passage->end - passage->first;
    if (writer->pages + writer->waiting == 1 && lzt_is_plain(&writer->form) && before <= lzt_max64(RESERVED_MOST, pixels / 8))
        writer->reserved = before;
}

/* The first page behind IFDs that have to be copied: nothing is written before it is known to fit behind the copies. */
static enum lzt_status place_behind_copies(struct lzt_writer *writer, struct lzt_passage *passage, struct lzt_entries *entries,
                                           struct lzt_error *error)
{
    writer->end = lzt_writer_end_of_copies(writer);
    enum lzt_status status = lzt_passage_place(writer, passage, entries, error);
    if (status == LZT_OK)
        return lzt_writer_straighten(writer, error);
    writer->end = writer->size;
    return status;
}

static enum lzt_status place(struct lzt_writer *writer, struct lzt_passage *passage, struct lzt_entries *entries, struct lzt_error *error)
{
    if (writer->crooked_count > 0)
        return place_behind_copies(writer, passage, entries, error);
    enum lzt_status status = writer->tail != 0 ? try_tail(writer, passage, entries, error) : LZT_OK;
    return status == LZT_OK ? lzt_passage_place(writer, passage, entries, error) : status;
}

static enum lzt_status pass(struct lzt_writer *writer, struct lzt_passage *passage, struct lzt_entries *entries, struct lzt_error *error)
{
    const int counts = writer->counter.per != 0 && writer->pages + writer->waiting == 0;
    enum lzt_status status = counts ? lzt_counter_check(&writer->counter, entries, error) : LZT_OK;
    if (status == LZT_OK)
        status = place(writer, passage, entries, error);
    if (status != LZT_OK)
        return status;
    status = lzt_passage_write(writer, passage, error);
    if (status == LZT_OK)
        status = line_up(writer, passage, error);
    if (status != LZT_OK)
        return status;
    if (counts)
        lzt_counter_settle(&writer->counter, entries, passage->start);
    reserve(writer, passage);
    remember_places(writer, entries, passage->start);
    writer->size = lzt_max64(writer->size, passage->end);
    writer->end = passage->end;
    writer->turns |= writer->grows && !passage->block->has[LZT_CLASSIC];
    writer->waiting++;
    return LZT_OK;
}

/* A page with tags of its own has a block of its own; so has the first one, which brings the values that the others point to. */
static enum lzt_status pass_with_tags(struct lzt_writer *writer, struct lzt_passage *passage, const struct lzt_new_tag *tags, size_t count,
                                      struct lzt_error *error)
{
    struct lzt_entries entries;
    struct lzt_block block = {.length = 0};
    enum lzt_status status = lzt_entries_with(&entries, &writer->entries, &writer->form, tags, count, writer->big_endian, error);
    if (status != LZT_OK)
        return status;
    passage->block = &block;
    if (writer->has[LZT_CLASSIC] && lzt_entries_need_bigtiff(&entries))
        status = lzt_fail(error, LZT_USAGE, "only BigTIFF has tags of 8-byte whole numbers");
    if (status == LZT_OK)
        status = pass(writer, passage, &entries, error);
    lzt_block_free(&block);
    lzt_entries_free(&entries);
    return status;
}

static enum lzt_status write_page(struct lzt_writer *writer, const struct lzt_parcel *parcel, const struct lzt_pixels *pixels,
                                  const struct lzt_new_tag *tags, size_t count, struct lzt_error *error)
{
    struct lzt_passage passage = {.block = &writer->block, .parcel = parcel, .pixels = pixels};
    return count > 0 ? pass_with_tags(writer, &passage, tags, count, error) : pass(writer, &passage, &writer->entries, error);
}

/* Encode in this thread alone, with a copy of the page. */
static enum lzt_status encode_and_write(struct lzt_writer *writer, const struct lzt_pixels *pixels, const struct lzt_new_tag *tags,
                                        size_t count, struct lzt_error *error)
{
    struct lzt_parcel *parcel;
    enum lzt_status status = lzt_parcel_open(writer, pixels, &parcel, error);
    if (status == LZT_OK)
        status = lzt_parcel_encode_alone(parcel, &writer->encoder, error);
    if (status == LZT_OK)
        status = write_page(writer, parcel, NULL, tags, count, error);
    lzt_parcel_close(parcel);
    return status;
}

enum lzt_status lzt_writer_write(struct lzt_writer *writer, const struct lzt_parcel *parcel, const struct lzt_pixels *pixels,
                                 const struct lzt_new_tag *tags, size_t count, struct lzt_error *error)
{
    struct lzt_error own;
    error = error != NULL ? error : &own;
    enum lzt_status status = lzt_writer_check_ready(writer, error);
    if (status != LZT_OK)
        return status;
    if (parcel == NULL && (pixels == NULL || pixels->data == NULL))
        return lzt_fail(error, LZT_USAGE, "there are no pixels");
    if (writer->pages + writer->waiting >= writer->most)
        return lzt_fail(error, LZT_LIMIT, "the file has %" PRIu64 " pages; that is the limit max_pages", writer->most);
    if (parcel != NULL && !lzt_parcel_is_for(parcel, writer))
        return lzt_fail(error, LZT_USAGE, "the parcel is another writer's, or of an earlier form");
    if (parcel != NULL && !lzt_parcel_is_complete(parcel))
        return lzt_fail(error, LZT_USAGE, "chunks of the parcel are left to be encoded");
    if (parcel == NULL && !lzt_passage_is_direct(writer, pixels))
        return encode_and_write(writer, pixels, tags, count, error);
    return write_page(writer, parcel, pixels, tags, count, error);
}

/* The link that is written now may be torn, so that by then nobody's way to the pages may lead over it, after a power failure either. */
static enum lzt_status help_old_readers(struct lzt_writer *writer, struct lzt_error *error)
{
    enum lzt_status status = lzt_writer_sync(writer, error);
    return status == LZT_OK ? lzt_writer_die(writer, lzt_writer_help_old_readers(writer, error), error) : status;
}

enum lzt_status lzt_writer_publish(struct lzt_writer *writer, struct lzt_error *error)
{
    struct lzt_error own;
    error = error != NULL ? error : &own;
    enum lzt_status status = lzt_writer_check_alive(writer, error);
    if (status != LZT_OK || writer->waiting == 0)
        return status;
    status = lzt_writer_sync(writer, error);
    if (status == LZT_OK && writer->heads[LZT_BIG] != 0)
        status = lzt_writer_set_link(writer, LZT_BIG, writer->published[LZT_BIG], writer->heads[LZT_BIG], error);
    if (status == LZT_OK && writer->turns)
        status = lzt_writer_turn(writer, error);
    else if (status == LZT_OK && writer->heads[LZT_CLASSIC] != 0)
        status = lzt_writer_set_link(writer, LZT_CLASSIC, writer->published[LZT_CLASSIC], writer->heads[LZT_CLASSIC], error);
    if (status == LZT_OK && writer->crooked_link != 0)
        status = help_old_readers(writer, error);
    if (status == LZT_OK)
        status = lzt_writer_sync(writer, error);
    if (status == LZT_OK)
        status = lzt_writer_count(writer, writer->pages + writer->waiting, error);
    if (status != LZT_OK)
        return status;
    writer->pages += writer->waiting;
    writer->waiting = 0;
    memcpy(writer->published, writer->links, sizeof writer->links);
    memset(writer->heads, 0, sizeof writer->heads);
    return LZT_OK;
}

enum lzt_status lzt_writer_append(struct lzt_writer *writer, const struct lzt_pixels *pixels, const struct lzt_new_tag *tags, size_t count,
                                  uint64_t *page, struct lzt_error *error)
{
    enum lzt_status status = lzt_writer_write(writer, NULL, pixels, tags, count, error);
    if (status == LZT_OK)
        status = lzt_writer_publish(writer, error);
    if (status == LZT_OK && page != NULL)
        *page = writer->pages - 1;
    return status;
}

/* ---- The form ------------------------------------------------------------------------------------------------------------- */

static enum lzt_status take_form(struct lzt_writer *writer, const struct lzt_form *form, struct lzt_error *error)
{
    enum lzt_status status = lzt_form_complete(&writer->form, form, error);
    if (status == LZT_OK)
        status = lzt_encode_check(&writer->form, error);
    if (status == LZT_OK)
        status = lzt_entries_of_form(&writer->entries, &writer->form, writer->big_endian, error);
    if (status != LZT_OK)
        return status;
    writer->form.tags = NULL;
    writer->form.tag_count = 0;
    if (writer->has[LZT_CLASSIC] && lzt_entries_need_bigtiff(&writer->entries))
        return lzt_fail(error, LZT_USAGE, "only BigTIFF has tags of 8-byte whole numbers");
    lzt_writer_recall(writer);
    return LZT_OK;
}

enum lzt_status lzt_writer_set_form(struct lzt_writer *writer, const struct lzt_form *form, struct lzt_error *error)
{
    enum lzt_status status = lzt_writer_check_alive(writer, error);
    if (status == LZT_OK && writer->is_formed && writer->pages + writer->waiting > 0)
        status = lzt_fail(error, LZT_USAGE, "how pages are stored was said already");
    if (status != LZT_OK)
        return status;
    lzt_entries_free(&writer->entries);
    lzt_block_free(&writer->block);
    writer->forms++;
    status = take_form(writer, form, error);
    writer->is_formed = status == LZT_OK;
    return status;
}
