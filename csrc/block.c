#include "block.h"

#include <stdlib.h>

#include "bytes.h"
#include "error.h"

#define BLOCK_MOST (UINT64_C(1) << 30)

static const struct lzt_format formats[LZT_CHAINS] = {[LZT_CLASSIC] = {0, 0}, [LZT_BIG] = {1, 0}};

/* ---- Entries -------------------------------------------------------------------------------------------------------------- */

uint64_t lzt_entry_bytes(const struct lzt_entry *entry)
{
    return entry->count * lzt_type_size(entry->type);
}

/* The one offset of a page with one chunk is as wide as those of the IFD; several are in an array, which both IFDs share. */
static uint16_t type_in(const struct lzt_plan *plan, const struct lzt_entry *entry, int chain)
{
    if (entry->role == LZT_VALUES)
        return entry->type;
    if (entry->role == LZT_CHUNK_LENGTHS && entry->type == LZT_LONG)
        return LZT_LONG;
    const int narrow = entry->count == 1 ? chain == LZT_CLASSIC : plan->has[LZT_CLASSIC];
    return narrow ? LZT_LONG : LZT_LONG8;
}

static int fits_in(const struct lzt_plan *plan, const struct lzt_entry *entry, int chain)
{
    return entry->count * lzt_type_size(type_in(plan, entry, chain)) <= lzt_offset_size(formats[chain]);
}

/* Bytes outside of the IFDs. Offsets of chunks have room for wide ones from the beginning, so that blocks stay as long as they are when
 * the file outgrows classic TIFF. */
static uint64_t room_of(const struct lzt_plan *plan, const struct lzt_entry *entry)
{
    const int classic = plan->has[LZT_CLASSIC] || plan->room_for_classic;
    int needed = plan->has[LZT_BIG] && !fits_in(plan, entry, LZT_BIG);
    needed |= classic && entry->count * lzt_type_size(entry->role == LZT_CHUNK_OFFSETS ? LZT_LONG : entry->type) > 4;
    if (!needed || entry->place != 0)
        return 0;
    const unsigned size = entry->role == LZT_CHUNK_OFFSETS && (plan->has[LZT_BIG] || plan->room_for_classic) ? 8 : lzt_type_size(entry->type);
    return entry->count * size;
}

/* ---- Places --------------------------------------------------------------------------------------------------------------- */

static size_t ifd_length(const struct lzt_plan *plan, int chain)
{
    const struct lzt_format format = formats[chain];
    return lzt_count_size(format) + plan->entry_count * lzt_entry_size(format) + lzt_offset_size(format);
}

/* Places the IFDs so that their links are aligned, and returns where they end. */
static size_t place_ifds(struct lzt_block *block, const struct lzt_plan *plan)
{
    size_t end = 0;
    for (int chain = LZT_CLASSIC; chain < LZT_CHAINS; chain++) {
        const unsigned word = lzt_offset_size(formats[chain]);
        const size_t length = ifd_length(plan, chain);
        if (!plan->has[chain] && !(chain == LZT_CLASSIC && plan->room_for_classic))
            continue;
        end = (size_t)lzt_round_up(end + length, word);
        block->ifds[chain] = end - length;
        block->links[chain] = end - word;
    }
    return end;
}

/* 0: that would be a block that nobody wants to keep in memory. */
static int place_values(const struct lzt_plan *plan, size_t *end)
{
    for (size_t i = 0; i < plan->entry_count; i++) {
        const uint64_t room = room_of(plan, &plan->entries[i]);
        plan->entries[i].inside = room > 0 ? (size_t)lzt_round_up(*end, 8) : 0;
        if (room > BLOCK_MOST || *end > BLOCK_MOST - room)
            return 0;
        *end = room > 0 ? plan->entries[i].inside + (size_t)room : *end;
    }
    return 1;
}

/* ---- Bytes ---------------------------------------------------------------------------------------------------------------- */

static void put(struct lzt_block *block, size_t at, unsigned width, uint64_t value)
{
    lzt_put(block->bytes + at, width, value, block->big_endian);
}

/* What stands in the entry's field: the values, or where they are. */
static void put_field(struct lzt_block *block, const struct lzt_plan *plan, const struct lzt_entry *entry, int chain, size_t field)
{
    const unsigned width = lzt_offset_size(formats[chain]);
    const int fits = fits_in(plan, entry, chain);
    if (!fits && entry->place != 0)
        put(block, field, width, entry->place);
    else if (!fits)
        block->fixups[block->fixup_count++] = (struct lzt_fixup){field, entry->inside, width};
    else if (entry->values != NULL)
        memcpy(block->bytes + field, entry->values, (size_t)lzt_entry_bytes(entry));
    const struct lzt_column column = {fits ? field : entry->inside, lzt_type_size(type_in(plan, entry, chain))};
    if (entry->role == LZT_CHUNK_OFFSETS)
        block->offsets[chain] = column;
    else if (entry->role == LZT_CHUNK_LENGTHS)
        block->lengths[chain] = column;
}

static void put_ifd(struct lzt_block *block, const struct lzt_plan *plan, int chain)
{
    const struct lzt_format format = formats[chain];
    size_t at = block->ifds[chain];
    put(block, at, lzt_count_size(format), plan->entry_count);
    at += lzt_count_size(format);
    for (size_t i = 0; i < plan->entry_count; i++, at += lzt_entry_size(format)) {
        const struct lzt_entry *entry = &plan->entries[i];
        put(block, at, 2, entry->tag);
        put(block, at + 2, 2, type_in(plan, entry, chain));
        put(block, at + 4, lzt_offset_size(format), entry->count);
        put_field(block, plan, entry, chain, at + 4 + lzt_offset_size(format));
    }
}

enum lzt_status lzt_block_build(struct lzt_block *block, const struct lzt_plan *plan, struct lzt_error *error)
{
    lzt_block_free(block);
    block->big_endian = plan->big_endian;
    size_t end = place_ifds(block, plan);
    if (!place_values(plan, &end))
        return lzt_fail(error, LZT_LIMIT, "what tells of the page has more than 1 GiB: make its chunks fewer, or its tags smaller");
    block->length = (size_t)lzt_round_up(end, 8);
    block->bytes = calloc(1, block->length);
    block->fixups = malloc(LZT_CHAINS * plan->entry_count * sizeof *block->fixups);
    if (block->bytes == NULL || block->fixups == NULL) {
        lzt_block_free(block);
        return lzt_fail_memory(error, end);
    }
    for (size_t i = 0; i < plan->entry_count; i++)
        if (plan->entries[i].inside > 0 && plan->entries[i].values != NULL)
            memcpy(block->bytes + plan->entries[i].inside, plan->entries[i].values, (size_t)lzt_entry_bytes(&plan->entries[i]));
    for (int chain = LZT_CLASSIC; chain < LZT_CHAINS; chain++) {
        block->has[chain] = plan->has[chain];
        if (plan->has[chain])
            put_ifd(block, plan, chain);
    }
    return LZT_OK;
}

void lzt_block_free(struct lzt_block *block)
{
    free(block->bytes);
    free(block->fixups);
    memset(block, 0, sizeof *block);
}

/* ---- What differs from page to page --------------------------------------------------------------------------------------- */

void lzt_block_move(struct lzt_block *block, uint64_t place)
{
    for (size_t i = 0; i < block->fixup_count; i++)
        put(block, block->fixups[i].at, block->fixups[i].width, place + block->fixups[i].inside);
}

void lzt_block_set_chunk(struct lzt_block *block, uint64_t chunk, uint64_t offset, uint64_t length)
{
    for (int chain = LZT_CLASSIC; chain < LZT_CHAINS; chain++) {
        if (!block->has[chain])
            continue;
        const struct lzt_column *offsets = &block->offsets[chain], *lengths = &block->lengths[chain];
        put(block, offsets->at + (size_t)chunk * offsets->width, offsets->width, offset);
        put(block, lengths->at + (size_t)chunk * lengths->width, lengths->width, length);
    }
}
