/* The bytes before a page's pixels: IFDs of both kinds, aligned, with values in them, beside them, or where they are in the file already. */
#include "block.h"
#include "check.h"
#include "entries.h"
#include "layout.h"
#include "tiff_builder.h"

enum { PLACE = 4096 - 8, HUGE_OFFSET = 0x7FFF0000 };

static const uint16_t shorts[] = {1, 2, 300, 65535, 5};
static const char text[] = "hello";
static const uint32_t fraction[] = {300, 7};

static struct lzt_form some_form(uint32_t samples, uint32_t chunk_rows, uint32_t chunk_columns)
{
    return (struct lzt_form){.size = sizeof(struct lzt_form), .rows = 40, .columns = 7, .samples = samples, .kind = LZT_UINT, .item_size = 2,
                             .compression = 1, .predictor = 1, .chunk_rows = chunk_rows, .chunk_columns = chunk_columns, .photometric = 1, .level = -1};
}

static struct lzt_entries entries_of(const struct lzt_form *form, int big_endian)
{
    struct lzt_entries entries;
    CHECK(lzt_entries_of_form(&entries, form, big_endian, NULL) == LZT_OK);
    for (size_t i = 1; i < entries.count; i++)
        CHECK(entries.items[i - 1].tag < entries.items[i].tag);
    return entries;
}

static struct lzt_plan plan_of(const struct lzt_entries *entries, int classic, int big, int room, int big_endian)
{
    return (struct lzt_plan){.has = {[LZT_CLASSIC] = classic, [LZT_BIG] = big}, .room_for_classic = room, .big_endian = big_endian,
                             .entries = entries->items, .entry_count = entries->count};
}

/* The block in a file where it says that it is, as one that tiff_builder.h's functions can look into. */
static struct tiff_builder in_file(const struct lzt_block *block, int bigtiff)
{
    struct tiff_builder tiff = {.bigtiff = bigtiff, .big_endian = block->big_endian};
    tiff_reserve(&tiff, PLACE);
    tiff_append(&tiff, block->bytes, block->length);
    return tiff;
}

static struct tiff_page page_in(const struct lzt_block *block, int chain)
{
    return (struct tiff_page){PLACE + block->ifds[chain], PLACE + block->links[chain]};
}

static void check_value(const struct tiff_builder *tiff, struct tiff_page page, uint16_t tag, uint16_t type, uint64_t count, uint64_t index, uint64_t value)
{
    const size_t entry = tiff_entry_at(tiff, page, tag), size = tiff_value_size(type);
    CHECK(tiff_get(tiff, entry + 2, 2) == type && tiff_get(tiff, entry + 4, tiff_word(tiff)) == count && index < count);
    CHECK(tiff_get(tiff, tiff_value_at(tiff, page, tag) + index * size, size) == value);
}

/* ---- IFDs ---- */

/* CHECK the IFD of one chain: every tag of the form, in order, and where its chunks are said to be. */
static void check_ifd(const struct lzt_block *block, const struct lzt_form *form, int chain, uint16_t offset_type)
{
    const int bigtiff = chain == LZT_BIG;
    const struct tiff_builder tiff = in_file(block, bigtiff);
    const struct tiff_page page = page_in(block, chain);
    const uint64_t chunks = form->chunk_columns ? 3 : (40 + form->chunk_rows - 1) / form->chunk_rows;
    const size_t tags = tiff_get(&tiff, page.ifd, bigtiff ? 8 : 2), entry = bigtiff ? 20 : 12;
    CHECK(page.link == page.ifd + (bigtiff ? 8 : 2) + tags * entry && tiff_get(&tiff, page.link, tiff_word(&tiff)) == 0);
    CHECK(page.link % tiff_word(&tiff) == 0 && page.link + tiff_word(&tiff) <= PLACE + block->length);
    for (size_t i = 1; i < tags; i++)
        CHECK(tiff_get(&tiff, page.ifd + (bigtiff ? 8 : 2) + (i - 1) * entry, 2) < tiff_get(&tiff, page.ifd + (bigtiff ? 8 : 2) + i * entry, 2));
    check_value(&tiff, page, 256, FIELD_LONG, 1, 0, 7);
    check_value(&tiff, page, 257, FIELD_LONG, 1, 0, 40);
    for (uint32_t i = 0; i < form->samples; i++) {
        check_value(&tiff, page, 258, FIELD_SHORT, form->samples, i, 16);
        check_value(&tiff, page, 339, FIELD_SHORT, form->samples, i, 1);
    }
    for (size_t i = 0; i < sizeof text; i++)
        check_value(&tiff, page, 270, FIELD_ASCII, sizeof text, i, (uint8_t)text[i]);
    for (size_t i = 0; i < 5; i++)
        check_value(&tiff, page, 65000, FIELD_SHORT, 5, i, shorts[i]);
    CHECK(tiff_get(&tiff, tiff_value_at(&tiff, page, 282), 4) == 300 && tiff_get(&tiff, tiff_value_at(&tiff, page, 282) + 4, 4) == 7);
    for (uint64_t i = 0; i < chunks; i++) {
        check_value(&tiff, page, form->chunk_columns ? 324 : 273, offset_type, chunks, i, HUGE_OFFSET + 1000 * i);
        check_value(&tiff, page, form->chunk_columns ? 325 : 279, FIELD_LONG, chunks, i, 100 + i);
    }
    tiff_free((struct tiff_builder *)&tiff);
}

static void test_ifds(const struct lzt_form *plain, int classic, int big, int big_endian)
{
    const struct lzt_new_tag tags[] = {{270, 2, sizeof text, text}, {282, 5, 1, fraction}, {65000, 3, 5, shorts}};
    struct lzt_form form = *plain;
    struct lzt_block block = {.length = 0};
    form.tags = tags;
    form.tag_count = 3;
    struct lzt_entries entries = entries_of(&form, big_endian);
    const struct lzt_plan plan = plan_of(&entries, classic, big, classic && big, big_endian);
    CHECK(lzt_block_build(&block, &plan, NULL) == LZT_OK && block.length % 8 == 0);
    const uint64_t chunks = form.chunk_columns ? 3 : (40 + form.chunk_rows - 1) / form.chunk_rows;
    for (int again = 0; again < 2; again++) { /* what differs between pages is overwritten */
        lzt_block_move(&block, again ? PLACE : 123456);
        for (uint64_t i = 0; i < chunks; i++)
            lzt_block_set_chunk(&block, i, again ? HUGE_OFFSET + 1000 * i : 1, again ? 100 + i : 2);
    }
    const uint16_t wide = chunks > 1 && classic ? FIELD_LONG : FIELD_LONG8; /* several are in a list that both IFDs share */
    if (classic)
        check_ifd(&block, &form, LZT_CLASSIC, FIELD_LONG);
    if (big)
        check_ifd(&block, &form, LZT_BIG, wide);
    lzt_block_free(&block);
    CHECK(block.bytes == NULL && block.length == 0);
    lzt_entries_free(&entries);
}

/* ---- Lengths ---- */

static size_t length_of(const struct lzt_plan *plan)
{
    struct lzt_block block = {.length = 0};
    CHECK(lzt_block_build(&block, plan, NULL) == LZT_OK);
    const size_t length = block.length;
    lzt_block_free(&block);
    return length;
}

/* Blocks stay as long as they are when the file outgrows classic TIFF. */
static void test_constant_length(const struct lzt_form *form)
{
    struct lzt_entries entries = entries_of(form, 0);
    struct lzt_plan plan = plan_of(&entries, 1, 1, 1, 0);
    const size_t both = length_of(&plan);
    plan.has[LZT_CLASSIC] = 0;
    CHECK(length_of(&plan) == both);
    plan.room_for_classic = 0;
    CHECK(length_of(&plan) < both);
    lzt_entries_free(&entries);
}

/* Values that are in the file already are pointed to, by IFDs of both kinds, and are not in the block. */
static void test_places(int big_endian)
{
    const struct lzt_form form = some_form(5, 40, 0);
    struct lzt_block block = {.length = 0};
    struct lzt_entries entries = entries_of(&form, big_endian);
    const struct lzt_plan plan = plan_of(&entries, 1, 1, 1, big_endian);
    const size_t before = length_of(&plan);
    size_t placed = 0;
    for (size_t i = 0; i < entries.count; i++)
        if (entries.items[i].tag == 258 || entries.items[i].tag == 339)
            placed += (entries.items[i].place = 1000 + i) > 0;
    CHECK(placed == 2 && lzt_block_build(&block, &plan, NULL) == LZT_OK && before - block.length >= 16);
    for (int chain = 0; chain < LZT_CHAINS; chain++) {
        struct tiff_builder tiff = in_file(&block, chain == LZT_BIG);
        for (size_t i = 0; i < entries.count; i++)
            if (entries.items[i].place != 0) {
                CHECK(entries.items[i].inside == 0);
                CHECK(tiff_value_at(&tiff, page_in(&block, chain), entries.items[i].tag) == 1000 + i);
            }
        tiff_free(&tiff);
    }
    lzt_block_free(&block);
    lzt_entries_free(&entries);
}

/* An offset beyond 4 GiB is in the BigTIFF IFD whole. */
static void test_large_offsets(uint32_t chunk_rows)
{
    const struct lzt_form form = some_form(1, chunk_rows, 0);
    struct lzt_block block = {.length = 0};
    struct lzt_entries entries = entries_of(&form, 1);
    const struct lzt_plan plan = plan_of(&entries, 0, 1, 1, 1);
    CHECK(lzt_block_build(&block, &plan, NULL) == LZT_OK);
    lzt_block_move(&block, PLACE);
    const uint64_t chunks = 40 / chunk_rows, large = UINT64_C(0x123456789ABCDE00);
    for (uint64_t i = 0; i < chunks; i++)
        lzt_block_set_chunk(&block, i, large + i, 5);
    struct tiff_builder tiff = in_file(&block, 1);
    for (uint64_t i = 0; i < chunks; i++)
        check_value(&tiff, page_in(&block, LZT_BIG), 273, FIELD_LONG8, chunks, i, large + i);
    tiff_free(&tiff);
    lzt_block_free(&block);
    lzt_entries_free(&entries);
}

/* A page's entries replace those of the form, which stay as they are. */
static void test_replaced(void)
{
    const struct lzt_new_tag first = {65000, 3, 5, shorts}, other[] = {{65000, 2, sizeof text, text}, {254, 4, 1, fraction}};
    struct lzt_form form = some_form(1, 40, 0);
    struct lzt_entries own;
    form.tags = &first;
    form.tag_count = 1;
    struct lzt_entries entries = entries_of(&form, 0);
    CHECK(lzt_entries_with(&own, &entries, &form, other, 2, 0, NULL) == LZT_OK && own.count == entries.count + 1);
    CHECK(own.items[0].tag == 254 && own.items[own.count - 1].type == 2 && entries.items[entries.count - 1].type == 3);
    CHECK(own.items[1].values == entries.items[0].values); /* shared */
    CHECK(!lzt_entries_need_bigtiff(&own));
    lzt_entries_free(&own);
    lzt_entries_free(&entries);
    CHECK(entries.items == NULL && entries.count == 0);
}

/* 2^32 - 1 chunks, whose lists nobody wants in memory: refused before any is asked for. */
static void test_limit(void)
{
    struct lzt_form form = some_form(1, 1, 0);
    struct lzt_error error;
    struct lzt_block block = {.length = 0};
    form.rows = UINT32_MAX;
    struct lzt_entries entries = entries_of(&form, 0);
    const struct lzt_plan plan = plan_of(&entries, 1, 1, 1, 0);
    CHECK(lzt_block_build(&block, &plan, &error) == LZT_LIMIT && error.status == LZT_LIMIT && block.bytes == NULL && block.length == 0);
    lzt_entries_free(&entries);
}

int main(void)
{
    const struct lzt_form forms[] = {some_form(1, 40, 0), some_form(3, 40, 0), some_form(2, 7, 0), some_form(5, 39, 0), some_form(1, 16, 16), some_form(4, 1, 0)};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            test_ifds(&forms[i], 1, 0, big_endian);
            test_ifds(&forms[i], 0, 1, big_endian);
            test_ifds(&forms[i], 1, 1, big_endian);
        }
        test_constant_length(&forms[i]);
    }
    test_places(0);
    test_places(1);
    test_large_offsets(40);
    test_large_offsets(8);
    test_replaced();
    test_limit();
    return 0;
}
