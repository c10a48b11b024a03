/* Pages that are appended: from any place in memory, with any tags, and what is in the file then. */
#include "appending.h"

static const int formats[] = {CLASSIC, BIG, AUTO};

/* ---- Pixels ---- */

/* CHECK that page number page of the file has these items. */
static void check_items(const struct growing *growing, uint64_t page, const struct lzt_form *form, const uint8_t *items)
{
    struct opened opened = read_file(growing);
    const struct lzt_layout *layout = layout_of(&opened, page);
    CHECK(layout->rows == form->rows && layout->columns == form->columns && layout->samples == form->samples);
    CHECK(layout->kind == form->kind && layout->item_size == form->item_size && page_bytes(layout) == form_bytes(form));
    struct guarded pixels = read_pixels(&opened, page);
    CHECK(memcmp(pixels.bytes, items, form_bytes(form)) == 0);
    guarded_free(&pixels);
    close_all(&opened);
}

static void append_arranged(struct growing *growing, const struct lzt_form *form, const uint8_t *items, int arrangement, int swapped)
{
    struct lzt_error error;
    struct arranged arranged = arrange(form, items, arrangement, swapped);
    uint64_t page;
    check_status(lzt_writer_append(growing->writer, &arranged.pixels, NULL, 0, &page, &error), LZT_OK, &error, "");
    guarded_free(&arranged.memory);
    check_items(growing, page, form, items);
}

/* Every kind of sample, from every arrangement in memory, in both byte orders of the memory and of the file. */
static void test_pixels(int bigtiff, int big_endian, uint32_t samples)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct lzt_form form = form_of(all_kinds[kind][0], all_kinds[kind][1], samples, LZT_NONE);
        uint8_t *items = make_items(&form);
        form.chunk_rows = kind % 2 ? 0 : 16; /* one strip, or some */
        struct growing growing = begin(bigtiff, big_endian, &form);
        for (int arrangement = 0; arrangement < ARRANGEMENTS; arrangement++)
            for (int swapped = 0; swapped < 2; swapped++)
                append_arranged(&growing, &form, items, arrangement, swapped);
        check_by_libtiff(&growing, 2 * ARRANGEMENTS);
        end(&growing);
        free(items);
    }
}

/* A page of one row, or column, or pixel: strides along it may be anything. */
static void test_narrow_pages(void)
{
    static const uint32_t shapes[][2] = {{1, 9}, {9, 1}, {1, 1}};
    for (size_t i = 0; i < 3; i++) {
        const struct lzt_form form = made_form(shapes[i][0], shapes[i][1], 1, 2);
        struct growing growing = begin(AUTO, 0, &form);
        uint8_t *items = made_items(&form, 0);
        struct lzt_pixels pixels = strides_of(&form, DENSE);
        pixels.data = items;
        pixels.row_stride = form.rows == 1 ? INT64_MIN : pixels.row_stride;
        pixels.column_stride = form.columns == 1 ? INT64_MAX : pixels.column_stride;
        pixels.sample_stride = 12345;
        CHECK(lzt_writer_append(growing.writer, &pixels, NULL, 0, NULL, NULL) == LZT_OK);
        check_made(&growing, 1);
        free(items);
        end(&growing);
    }
}

/* Many pages; pixels begin at multiples of 64, at equal distances. */
static void test_many(int bigtiff, int big_endian)
{
    enum { MANY = 200 };
    const struct lzt_form form = made_form(5, 7, 3, 2);
    struct growing growing = begin(bigtiff, big_endian, &form);
    CHECK(lzt_writer_pages(growing.writer) == 0 && !lzt_writer_encodes(growing.writer));
    CHECK(lzt_writer_is_bigtiff(growing.writer) == (bigtiff == BIG));
    for (uint64_t i = 0; i < MANY; i++)
        append(&growing, i);
    check_made(&growing, MANY);
    struct opened opened = read_file(&growing);
    const struct lzt_row *rows = lzt_table_rows(opened.table);
    CHECK(lzt_table_layouts(opened.table) == 1);
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK(rows[i].data % 64 == 0 && (i == 0 || rows[i].data - rows[i - 1].data == rows[1].data - rows[0].data));
        CHECK(link_at(opened.table, i) % (bigtiff == BIG ? 8 : 4) == 0);
    }
    close_all(&opened);
    end(&growing);
}

/* ---- Tags ---- */

static struct lzt_tag find_tag(const struct opened *opened, uint64_t page, uint16_t number)
{
    struct lzt_tag tags[64];
    size_t count;
    CHECK(lzt_tags_read(opened->table, page, tags, 64, &count, NULL) == LZT_OK);
    for (size_t i = 0; i < count; i++)
        if (tags[i].tag == number)
            return tags[i];
    return (struct lzt_tag){.tag = 0};
}

/* CHECK that the page has the tag, or with values NULL that it has not. */
static void check_tag(const struct growing *growing, uint64_t page, const struct lzt_new_tag *expected)
{
    struct opened opened = read_file(growing);
    const struct lzt_tag tag = find_tag(&opened, page, expected->tag);
    if (expected->values == NULL) {
        CHECK(tag.tag == 0);
    } else {
        CHECK(tag.tag == expected->tag && tag.type == expected->type && tag.count == expected->count && !tag.problem);
        struct guarded values = guarded_new(tag.bytes);
        CHECK(lzt_tag_value(opened.table, &tag, values.bytes, NULL) == LZT_OK);
        CHECK(memcmp(values.bytes, expected->values, tag.bytes) == 0);
        guarded_free(&values);
    }
    close_all(&opened);
}

static const uint16_t shorts[] = {1, 2, 300, 65535, 5};
static const uint32_t fraction[] = {300, 7};
static const double real = 2.5;
static const uint64_t large[] = {UINT64_C(1) << 40};
static const struct lzt_new_tag of_form[] = {{270, 2, 6, "hello"}, {305, 2, 3, "me"}, {282, 5, 1, fraction}, {65000, 3, 5, shorts}};
static const struct lzt_new_tag of_page[] = {{65001, 12, 1, &real}, {270, 2, 9, "page two"}, {65000, 3, 1, shorts}};

/* A page's own tags stand beside those of the form, and replace them on that page alone. */
static void test_tags(int bigtiff, int big_endian)
{
    struct lzt_form form = made_form(5, 7, 1, 1);
    struct lzt_new_tag tags[4];
    memcpy(tags, of_form, sizeof tags);
    form.tags = tags;
    form.tag_count = 4;
    struct growing growing = begin(bigtiff, big_endian, &form);
    memset(tags, 0, sizeof tags); /* they were copied */
    CHECK(lzt_writer_form(growing.writer)->tag_count == 0 && lzt_writer_form(growing.writer)->tags == NULL);
    append(&growing, 0);
    CHECK(try_tagged(&growing, 1, of_page, 3, NULL) == LZT_OK);
    append(&growing, 2);
    check_made(&growing, 3);
    for (uint64_t page = 0; page < 3; page++)
        for (size_t i = 0; i < 4; i++)
            check_tag(&growing, page, page == 1 && i % 3 == 0 ? &of_page[i == 0 ? 1 : 2] : &of_form[i]);
    check_tag(&growing, 1, &of_page[0]);
    check_tag(&growing, 0, &(struct lzt_new_tag){.tag = 65001});
    end(&growing);
}

/* Values that pages have in common are in the file once. */
static void test_shared_values(void)
{
    static uint8_t values[5000];
    const struct lzt_new_tag tag = {65000, 1, sizeof values, values};
    struct lzt_form form = made_form(2, 2, 1, 1);
    form.tags = &tag;
    form.tag_count = 1;
    struct growing growing = begin(AUTO, 0, &form);
    uint64_t size[3];
    for (uint64_t i = 0; i < 3; i++) {
        append(&growing, i);
        CHECK(lzt_source_size(growing.source, &size[i], NULL) == LZT_OK);
    }
    CHECK(size[0] > sizeof values && size[2] - size[1] < 1000);
    resume(&growing); /* and a later writer finds them */
    set_form(&growing, &form);
    append(&growing, 3);
    check_tag(&growing, 3, &tag);
    CHECK(lzt_source_size(growing.source, &size[0], NULL) == LZT_OK && size[0] - size[2] == size[2] - size[1]);
    check_made(&growing, 4);
    end(&growing);
}

/* CHECK that neither a page nor a form takes the tag, and that nothing is written. */
static void refuse_tag(const struct lzt_new_tag *tag, const char *text)
{
    struct lzt_form form = made_form(5, 7, 5, 1);
    struct lzt_error error;
    uint64_t before, after;
    struct growing growing = begin(CLASSIC, 0, &form);
    append(&growing, 0);
    CHECK(lzt_source_size(growing.source, &before, NULL) == LZT_OK);
    check_status(try_tagged(&growing, 1, tag, 1, &error), LZT_USAGE, &error, text);
    CHECK(try_tagged(&growing, 1, tag, 1, NULL) == LZT_USAGE);
    CHECK(lzt_source_size(growing.source, &after, NULL) == LZT_OK && after == before);
    append(&growing, 1);
    check_made(&growing, 2);
    end(&growing);
    growing = begin(CLASSIC, 0, NULL);
    form.tags = tag;
    form.tag_count = 1;
    check_status(lzt_writer_set_form(growing.writer, &form, &error), LZT_USAGE, &error, text);
    check_status(try_append(&growing, 0, &error), LZT_USAGE, &error, "was not said");
    end(&growing);
}

static void test_refused_tags(void)
{
    static const uint16_t reserved[] = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 330, 339, 347, 530, 34665};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        refuse_tag(&(struct lzt_new_tag){reserved[i], 3, 1, shorts}, "comes from the form");
    refuse_tag(&(struct lzt_new_tag){65000, 3, 0, shorts}, "0 values");
    refuse_tag(&(struct lzt_new_tag){65000, 3, 1, NULL}, "1 values");
    refuse_tag(&(struct lzt_new_tag){65000, 3, UINT64_MAX, shorts}, "");
    refuse_tag(&(struct lzt_new_tag){65000, 3, UINT64_MAX / 2, shorts}, "");
    for (uint16_t type = 0; type < 30; type++)
        if (type == 0 || type == 13 || type == 14 || type == 15 || type >= 18)
            refuse_tag(&(struct lzt_new_tag){65000, type, 1, shorts}, "cannot be written with type");
    refuse_tag(&(struct lzt_new_tag){338, 3, 3, shorts}, "takes 4 values");
    refuse_tag(&(struct lzt_new_tag){338, 4, 4, shorts}, "takes 4 values");
    refuse_tag(&(struct lzt_new_tag){65000, 16, 1, large}, "only BigTIFF");
}

/* What the extra samples are can be said. */
static void test_extra_samples(void)
{
    const struct lzt_new_tag tag = {338, 3, 2, shorts};
    struct lzt_form form = made_form(5, 7, 3, 1);
    form.tags = &tag;
    form.tag_count = 1;
    struct growing growing = begin(AUTO, 1, &form);
    append(&growing, 0);
    check_tag(&growing, 0, &tag);
    end(&growing);
}

static void test_wide_numbers_in_bigtiff(void)
{
    const struct lzt_new_tag tag = {65000, 16, 1, large};
    const struct lzt_form form = made_form(5, 7, 1, 1);
    struct growing growing = begin(BIG, 1, &form);
    CHECK(try_tagged(&growing, 0, &tag, 1, NULL) == LZT_OK);
    check_tag(&growing, 0, &tag);
    end(&growing);
    growing = begin(AUTO, 1, &form); /* still a classic file */
    CHECK(try_tagged(&growing, 0, &tag, 1, NULL) == LZT_USAGE);
    end(&growing);
}

/* As many tags as a reader takes, and no more. */
static void test_many_tags(void)
{
    enum { MOST = 4096, OWN = 12 };
    static struct lzt_new_tag tags[MOST + 1];
    struct lzt_form form = made_form(5, 7, 1, 1);
    struct lzt_error error;
    for (uint16_t i = 0; i <= MOST; i++)
        tags[i] = (struct lzt_new_tag){(uint16_t)(45000 + i), 3, 5, shorts};
    form.tags = tags;
    for (form.tag_count = is_under_valgrind() ? MOST - OWN + 2 : MOST - OWN - 3; form.tag_count <= MOST + 1; form.tag_count += form.tag_count < MOST - OWN + 3 ? 1 : MOST / 2) {
        struct growing growing = begin(BIG, 0, NULL);
        const enum lzt_status status = lzt_writer_set_form(growing.writer, &form, &error);
        CHECK(status == LZT_OK || form.tag_count > MOST - OWN - 3);
        if (status == LZT_OK) {
            append(&growing, 0);
            check_made(&growing, 1);
        } else {
            check_status(status, LZT_USAGE, &error, "4096 are the most");
        }
        end(&growing);
    }
    struct growing growing = begin(BIG, 0, NULL);
    check_status(lzt_writer_set_form(growing.writer, &form, &error), LZT_USAGE, &error, "tags");
    end(&growing);
}

/* ---- Batches ---- */

/* Pages that are written are there when they are published, all at once, and not before. */
static void test_batches(int bigtiff, int big_endian)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct growing growing = begin(bigtiff, big_endian, &form);
    CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK); /* nothing waits */
    uint64_t pages = 0, written = 0;
    for (uint64_t batch = 1; batch < 6; batch++) {
        for (uint64_t i = 0; i < batch; i++) {
            write_one(&growing, written++);
            CHECK(lzt_writer_pages(growing.writer) == pages);
            check_made(&growing, pages);
        }
        CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
        pages += batch;
        CHECK(lzt_writer_pages(growing.writer) == pages);
        check_made(&growing, pages);
    }
    write_one(&growing, written++); /* who appends publishes those that wait, too */
    append(&growing, written++);
    check_made(&growing, written);
    write_one(&growing, 99); /* and who closes does not */
    resume(&growing);
    check_made(&growing, written);
    form_as_before(&growing);
    append(&growing, written++);
    check_made(&growing, written);
    end(&growing);
}

/* A table that was opened before finds what came since. */
static void test_refresh(int bigtiff)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct growing growing = begin(bigtiff, 0, &form);
    struct lzt_source *source;
    struct lzt_table *table, *newer;
    CHECK(lzt_source_open(growing.path, &source, NULL) == LZT_OK && lzt_table_open(source, NULL, &table, NULL) == LZT_OK);
    for (uint64_t i = 0; i < 20; i++) {
        write_one(&growing, i);
        CHECK(lzt_table_refresh(table, &newer, NULL) == LZT_OK && lzt_table_pages(newer) == i);
        lzt_table_close(table);
        CHECK(lzt_writer_publish(growing.writer, NULL) == LZT_OK);
        CHECK(lzt_table_refresh(newer, &table, NULL) == LZT_OK && lzt_table_pages(table) == i + 1);
        lzt_table_close(newer);
    }
    int held;
    CHECK(lzt_source_has_writer(source, &held, NULL) == LZT_OK && held);
    close_writer(&growing);
    CHECK(lzt_source_has_writer(source, &held, NULL) == LZT_OK && !held);
    lzt_table_close(table);
    lzt_source_close(source);
    end(&growing);
}

int main(void)
{
    for (size_t i = 0; i < 3; i++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            test_pixels(formats[i], big_endian, i == 1 ? 1 : 3);
            test_many(formats[i], big_endian);
            test_tags(formats[i], big_endian);
            test_batches(formats[i], big_endian);
            test_refresh(formats[i]);
        }
    test_narrow_pages();
    test_shared_values();
    test_refused_tags();
    test_extra_samples();
    test_wide_numbers_in_bigtiff();
    test_many_tags();
    return 0;
}
