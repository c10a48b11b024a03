#include "entries.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "form.h"
#include "layout.h"

enum { MOST_TAGS = 4096 }; /* what our own reader takes when nobody says */

/* ---- Tags of the caller's ------------------------------------------------------------------------------------------------- */

/* Tags that tell how pixels are stored, or where something else is in the file. */
static int is_structural(uint16_t tag)
{
    static const uint16_t tags[] = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 288, 289, 292, 293, 317, 322, 323,
                                    324, 325, 330, 339, 347, 400, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 559, 34665, 34853, 40965, 50674};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tags[i] == tag)
            return 1;
    return 0;
}

static enum lzt_status check_tag(const struct lzt_form *form, const struct lzt_new_tag *tag, struct lzt_error *error)
{
    const unsigned size = lzt_type_size(tag->type);
    int32_t photometric = form->photometric;
    uint16_t extra = 0;
    if (size == 0 || tag->type == LZT_IFD || tag->type == LZT_IFD8)
        return lzt_fail(error, LZT_USAGE, "tag %u cannot be written with type %u", tag->tag, tag->type);
    if (tag->values == NULL || tag->count == 0 || tag->count > SIZE_MAX / 2 / size)
        return lzt_fail(error, LZT_USAGE, "tag %u has %" PRIu64 " values", tag->tag, tag->count);
    if (is_structural(tag->tag))
        return lzt_fail(error, LZT_USAGE, "tag %u tells how pixels are stored: it comes from the form", tag->tag);
    lzt_choose_photometric(&photometric, form->samples, form->kind, form->item_size, &extra, NULL);
    if (tag->tag == LZT_TAG_EXTRA_SAMPLES && (tag->type != LZT_SHORT || tag->count != extra))
        return lzt_fail(error, LZT_USAGE, "ExtraSamples takes %u values of type SHORT here", extra);
    return LZT_OK;
}

static void copy_values(uint8_t *target, const struct lzt_new_tag *tag, int big_endian)
{
    const size_t bytes = (size_t)tag->count * lzt_type_size(tag->type);
    memcpy(target, tag->values, bytes);
    if (big_endian != lzt_machine_is_big_endian())
        lzt_reverse_numbers(target, bytes, lzt_number_size(tag->type));
}

/* ---- Lists ---------------------------------------------------------------------------------------------------------------- */

/* A list with room for most tags whose values have that many bytes. */
static enum lzt_status make_list(struct lzt_entries *entries, size_t most, uint64_t bytes, struct lzt_error *error)
{
    *entries = (struct lzt_entries){.items = calloc(most + 1, sizeof *entries->items), .bytes = malloc((size_t)bytes + 1)};
    if (entries->items != NULL && entries->bytes != NULL)
        return LZT_OK;
    lzt_entries_free(entries);
    return lzt_fail_memory(error, bytes);
}

void lzt_entries_free(struct lzt_entries *entries)
{
    free(entries->items);
    free(entries->bytes);
    *entries = (struct lzt_entries){.items = NULL};
}

/* Into its place, perhaps that of another entry with its number. */
static void insert(struct lzt_entries *entries, struct lzt_entry entry)
{
    size_t at = entries->count;
    while (at > 0 && entries->items[at - 1].tag >= entry.tag)
        at--;
    if (at == entries->count || entries->items[at].tag != entry.tag) {
        memmove(entries->items + at + 1, entries->items + at, (entries->count - at) * sizeof entry);
        entries->count++;
    }
    entries->items[at] = entry;
}

static enum lzt_status add_tags(struct lzt_entries *entries, uint8_t *values, const struct lzt_form *form, const struct lzt_new_tag *tags,
                                size_t count, int big_endian, struct lzt_error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum lzt_status status = check_tag(form, &tags[i], error);
        if (status != LZT_OK)
            return status;
        copy_values(values, &tags[i], big_endian);
        insert(entries, (struct lzt_entry){.tag = tags[i].tag, .type = tags[i].type, .count = tags[i].count, .values = values});
        values += tags[i].count * lzt_type_size(tags[i].type);
    }
    if (entries->count > MOST_TAGS)
        return lzt_fail(error, LZT_USAGE, "%" PRIu64 " tags with those of the form, where %d are the most", (uint64_t)entries->count, MOST_TAGS);
    return LZT_OK;
}

/* Bytes of all values. */
static enum lzt_status sum_bytes(uint64_t *sum, const struct lzt_new_tag *tags, size_t count, struct lzt_error *error)
{
    *sum = 0;
    if (count > MOST_TAGS || (tags == NULL && count > 0))
        return lzt_fail(error, LZT_USAGE, "%" PRIu64 " tags at %p, where %d are the most", (uint64_t)count, (const void *)tags, MOST_TAGS);
    for (size_t i = 0; i < count; i++) {
        const unsigned size = lzt_type_size(tags[i].type);
        if (size != 0 && tags[i].count > (SIZE_MAX / 4 - *sum) / size)
            return lzt_fail(error, LZT_USAGE, "tag %u has %" PRIu64 " values, which no memory holds", tags[i].tag, tags[i].count);
        *sum += tags[i].count * size;
    }
    return LZT_OK;
}

enum lzt_status lzt_entries_with(struct lzt_entries *entries, const struct lzt_entries *base, const struct lzt_form *form,
                                 const struct lzt_new_tag *tags, size_t count, int big_endian, struct lzt_error *error)
{
    uint64_t bytes;
    enum lzt_status status = sum_bytes(&bytes, tags, count, error);
    if (status == LZT_OK)
        status = make_list(entries, base->count + count, bytes, error);
    if (status != LZT_OK)
        return status;
    memcpy(entries->items, base->items, base->count * sizeof *base->items);
    entries->count = base->count;
    status = add_tags(entries, entries->bytes, form, tags, count, big_endian, error);
    if (status != LZT_OK)
        lzt_entries_free(entries);
    return status;
}

int lzt_entries_need_bigtiff(const struct lzt_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].role == LZT_VALUES && entries->items[i].type >= LZT_LONG8)
            return 1;
    return 0;
}

/* ---- Tags of a form ------------------------------------------------------------------------------------------------------- */

struct list {
    struct lzt_entries *entries;
    uint8_t *end; /* where the next values go */
    int big_endian;
};

static void add_numbers(struct list *list, uint16_t tag, uint16_t type, uint32_t count, uint32_t value)
{
    const unsigned size = lzt_type_size(type);
    for (uint32_t i = 0; i < count; i++)
        lzt_put(list->end + (size_t)i * size, size, value, list->big_endian);
    insert(list->entries, (struct lzt_entry){.tag = tag, .type = type, .count = count, .values = list->end});
    list->end += (size_t)count * size;
}

/* libtiff decodes nothing without it: the version of the streams, LERC_VERSION_2_4 of tiff.h, and that nothing compresses them again. */
static void add_lerc_parameters(struct list *list)
{
    uint8_t *version = list->end;
    add_numbers(list, LZT_TAG_LERC_PARAMETERS, LZT_LONG, 2, 0);
    lzt_put(version, 4, 4, list->big_endian);
}

static void add_chunks(struct list *list, const struct lzt_form *form)
{
    const int tiled = form->chunk_columns != 0;
    const uint64_t chunks = lzt_form_chunks(form);
    const uint64_t largest = form->chunk_rows * lzt_form_row_bytes(form, tiled ? form->chunk_columns : form->columns);
    struct lzt_entry offsets = {.type = LZT_LONG, .role = LZT_CHUNK_OFFSETS, .count = chunks};
    struct lzt_entry lengths = {.type = LZT_LONG, .role = LZT_CHUNK_LENGTHS, .count = chunks};
    offsets.tag = tiled ? LZT_TAG_TILE_OFFSETS : LZT_TAG_STRIP_OFFSETS;
    lengths.tag = tiled ? LZT_TAG_TILE_COUNTS : LZT_TAG_STRIP_COUNTS;
    lengths.type = largest > UINT32_MAX ? LZT_LONG8 : LZT_LONG;
    insert(list->entries, offsets);
    insert(list->entries, lengths);
    if (tiled) {
        add_numbers(list, LZT_TAG_TILE_COLUMNS, LZT_LONG, 1, form->chunk_columns);
        add_numbers(list, LZT_TAG_TILE_ROWS, LZT_LONG, 1, form->chunk_rows);
    } else {
        add_numbers(list, LZT_TAG_ROWS_PER_STRIP, LZT_LONG, 1, form->chunk_rows);
    }
}

static void add_form(struct list *list, const struct lzt_form *form)
{
    int32_t photometric = form->photometric;
    uint16_t extra = 0;
    lzt_choose_photometric(&photometric, form->samples, form->kind, form->item_size, &extra, NULL);
    add_numbers(list, LZT_TAG_COLUMNS, LZT_LONG, 1, form->columns);
    add_numbers(list, LZT_TAG_ROWS, LZT_LONG, 1, form->rows);
    add_numbers(list, LZT_TAG_BITS, LZT_SHORT, form->samples, lzt_form_bits(form));
    add_numbers(list, LZT_TAG_COMPRESSION, LZT_SHORT, 1, form->compression);
    add_numbers(list, LZT_TAG_PHOTOMETRIC, LZT_SHORT, 1, (uint32_t)photometric);
    add_numbers(list, LZT_TAG_SAMPLES, LZT_SHORT, 1, form->samples);
    add_numbers(list, LZT_TAG_PLANAR, LZT_SHORT, 1, 1);
    if (form->predictor != 1)
        add_numbers(list, LZT_TAG_PREDICTOR, LZT_SHORT, 1, form->predictor);
    if (extra > 0)
        add_numbers(list, LZT_TAG_EXTRA_SAMPLES, LZT_SHORT, extra,
                    lzt_extra_meaning(photometric, form->kind, form->item_size, extra));
    if (form->kind != LZT_BOOL)
        add_numbers(list, LZT_TAG_SAMPLE_FORMAT, LZT_SHORT, form->samples, lzt_sample_format(form->kind, form->item_size));
    if (photometric == LZT_PHOTOMETRIC_YCBCR) /* what libjpeg is told to do: half as many rows and columns of colour */
        add_numbers(list, LZT_TAG_YCBCR_SUBSAMPLING, LZT_SHORT, 2, 2);
    if (form->compression == LZT_LERC)
        add_lerc_parameters(list);
    add_chunks(list, form);
}

enum lzt_status lzt_entries_of_form(struct lzt_entries *entries, const struct lzt_form *form, int big_endian, struct lzt_error *error)
{
    enum { OWN_TAGS = 24, OWN_BYTES = 4 * OWN_TAGS }; /* besides three SHORTs for each sample */
    uint64_t bytes;
    enum lzt_status status = sum_bytes(&bytes, form->tags, form->tag_count, error);
    if (status == LZT_OK)
        status = make_list(entries, OWN_TAGS + form->tag_count, OWN_BYTES + 6 * (uint64_t)form->samples + bytes, error);
    if (status != LZT_OK)
        return status;
    struct list list = {entries, entries->bytes, big_endian};
    add_form(&list, form);
    status = add_tags(entries, list.end, form, form->tags, form->tag_count, big_endian, error);
    if (status != LZT_OK)
        lzt_entries_free(entries);
    return status;
}
