/* Writers that go on: behind pages that libtiff wrote, behind links that cannot be switched at once, behind chains that are broken. */
#include "appending.h"

/* ---- Pages of libtiff's ---- */

static const char *const modes[] = {"wl", "wb", "wl8", "wb8"};

/* A file of two pages that libtiff wrote, each the picture of encode(). */
static struct growing written_by_libtiff(const struct encoding *given, const char *mode)
{
    const struct encoding encoding = with_defaults(given);
    struct growing growing = {.writer = NULL};
    choose_name(growing.path);
    for (unsigned page = 0; page < 2; page++) {
        char append_mode[] = {'a', mode[1], mode[2], 0};
        TIFF *tiff = TIFFOpen(growing.path, page == 0 ? mode : append_mode);
        CHECK(tiff != NULL);
        set_tags(tiff, &encoding);
        const uint32_t width = encoding.tile_columns ? encoding.tile_columns : encoding.columns;
        uint32_t number = 0;
        for (uint32_t top = 0; top < encoding.rows; top += encoding.chunk_rows)
            for (uint32_t left = 0; left < encoding.columns; left += width)
                write_chunk(tiff, &encoding, number++, 0, top, left);
        TIFFClose(tiff);
    }
    return growing;
}

static uint8_t *picture_items(const struct lzt_form *form)
{
    struct encoding encoding = {.bits = (uint16_t)(8 * form->item_size)};
    uint8_t *items = malloc(form_bytes(form));
    CHECK(items != NULL);
    for (uint32_t r = 0; r < form->rows; r++)
        for (uint32_t i = 0; i < form->columns * form->samples; i++)
            put_picture(&encoding, items + (size_t)r * form->columns * form->samples * form->item_size, i,
                        picture(r, i / form->samples, i % form->samples));
    return items;
}

/* Append the same picture twice, by two writers; all pages are the same then, and stored in the same way. */
static void test_libtiff(const struct encoding *encoding, const char *mode)
{
    struct growing growing = written_by_libtiff(encoding, mode);
    struct lzt_error error;
    for (uint64_t page = 2; page < 4; page++) {
        resume(&growing);
        CHECK(lzt_table_pages(growing.table) == page && lzt_table_is_big_endian(growing.table) == (mode[1] == 'b'));
        CHECK(lzt_writer_is_bigtiff(growing.writer) == (mode[2] == '8'));
        form_as_before(&growing);
        const struct lzt_form *form = lzt_writer_form(growing.writer);
        uint8_t *items = picture_items(form);
        struct lzt_pixels pixels = strides_of(form, DENSE);
        uint64_t number;
        pixels.data = items;
        check_status(lzt_writer_append(growing.writer, &pixels, NULL, 0, &number, &error), LZT_OK, &error, "");
        CHECK(number == page);
        free(items);
    }
    struct opened opened = read_file(&growing);
    CHECK(lzt_table_pages(opened.table) == 4 && lzt_table_layouts(opened.table) == 1 && warning_count(&opened) == 0);
    struct guarded first = read_pixels(&opened, 0);
    for (uint64_t page = 1; page < 4; page++) {
        struct guarded pixels = read_pixels(&opened, page);
        CHECK(memcmp(first.bytes, pixels.bytes, page_bytes(layout_of(&opened, 0))) == 0);
        guarded_free(&pixels);
    }
    guarded_free(&first);
    close_all(&opened);
    check_by_libtiff(&growing, 4);
    end(&growing);
}

/* ---- Links across a line ---- */

/* CHECK that the IFD that is page number page now has the entries that it had, wherever it is. */
static void check_same_entries(const struct tiff_builder *before, const struct lzt_table *old, const struct tiff_builder *after,
                               const struct lzt_table *table, uint64_t page)
{
    const struct lzt_row *a = &lzt_table_rows(old)[page], *b = &lzt_table_rows(table)[page];
    CHECK(a->tags == b->tags && a->data == b->data && a->hash == b->hash);
    CHECK(memcmp(before->bytes + a->ifd, after->bytes + b->ifd, link_at(old, page) - a->ifd) == 0);
}

/* Of pages pages, the last crooked ones have their links at that place of a line, the others at its begin. */
static void test_crooked(int bigtiff, int big_endian, size_t place, uint64_t pages, uint64_t crooked)
{
    const size_t word = bigtiff ? 8 : 4, odd = place > 64 - word ? 1 : 0;
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    for (uint64_t i = 0; i < pages; i++)
        add_at_line(&tiff, &(struct tiff_image){.rows = 5, .columns = 21, .chunk_rows = i % 2 ? 2 : 5, .seed = i}, i + crooked < pages ? 0 : place);
    struct growing growing = go_on(&tiff);
    struct lzt_source *source;
    struct lzt_table *old, *newer;
    CHECK(lzt_source_open(growing.path, &source, NULL) == LZT_OK && lzt_table_open(source, NULL, &old, NULL) == LZT_OK);
    form_as_before(&growing);
    write_one(&growing, pages);
    check_made(&growing, pages); /* copies are not published either */
    append(&growing, pages + 1);
    append(&growing, pages + 2);
    check_made(&growing, pages + 3);
    struct opened opened = read_file(&growing);
    struct tiff_builder after = bytes_of(&growing, bigtiff, big_endian);
    for (uint64_t i = 0; i < pages; i++) {
        check_same_entries(&tiff, old, &after, opened.table, i);
        CHECK((lzt_table_rows(opened.table)[i].ifd != lzt_table_rows(old)[i].ifd) == (odd && i + crooked >= pages));
    }
    for (uint64_t i = odd ? pages - crooked : pages; i < pages + 2; i++)
        CHECK(link_at(opened.table, i) % word == 0);
    for (size_t i = tiff_word(&tiff) == 8 ? 16 : 8; i < tiff.size; i++) /* but for two links, nothing that was there is another */
        CHECK(tiff.bytes[i] == after.bytes[i] || (i >= link_at(old, pages - 1) && i < link_at(old, pages - 1) + word) ||
              (pages > crooked && i >= link_at(old, pages - crooked - 1) && i < link_at(old, pages - crooked - 1) + word));
    CHECK(lzt_table_refresh(old, &newer, NULL) == LZT_OK && lzt_table_pages(newer) == pages + 3);
    lzt_table_close(newer);
    lzt_table_close(old);
    lzt_source_close(source);
    close_all(&opened);
    tiff_free(&after);
    tiff_free(&tiff);
    resume(&growing);
    form_as_before(&growing);
    append(&growing, pages + 3);
    check_made(&growing, pages + 4);
    end(&growing);
}

/* Whoever walks the old chain while the new one is published: those who opened the file before may follow the last IFD that they know. */
static void test_old_end(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    add_at_line(&tiff, &(struct tiff_image){.rows = 5, .columns = 21}, 62);
    const size_t link = tiff.link;
    struct growing growing = go_on(&tiff);
    form_as_before(&growing);
    append(&growing, 1);
    struct tiff_builder after = bytes_of(&growing, 0, 0);
    struct opened opened = read_file(&growing);
    CHECK(tiff_get(&after, link, 4) == lzt_table_rows(opened.table)[1].ifd);
    close_all(&opened);
    tiff_free(&after);
    tiff_free(&tiff);
    end(&growing);
}

/* ---- Chains that are broken ---- */

/* A link that leads nowhere, or to no IFD, is overwritten: what is behind it nobody can read. */
static void test_dangling(int bigtiff, int big_endian, uint64_t target)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_page page = {0};
    for (uint64_t i = 0; i < 3; i++)
        page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 21, .seed = i});
    tiff_link(&tiff, page.link, target == 1 ? page.ifd : target);
    struct growing growing = go_on(&tiff);
    form_as_before(&growing);
    append(&growing, 3);
    append(&growing, 4);
    check_made(&growing, 5);
    resume(&growing);
    form_as_before(&growing);
    append(&growing, 5);
    check_made(&growing, 6);
    end(&growing);
    tiff_free(&tiff);
}

/* A file that was cut: the chain ends before the IFD that is no more, and pixels of the last page may be missing, which is not mended. */
static void test_cut(void)
{
    struct tiff_builder tiff = tiff_new(0, 0);
    size_t sizes[4];
    for (uint64_t i = 0; i < 4; i++) {
        tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 21, .seed = i});
        sizes[i] = tiff.size;
    }
    tiff.size = sizes[3] - 1;
    struct growing growing = go_on(&tiff);
    CHECK(lzt_table_pages(growing.table) == 3);
    form_as_before(&growing);
    append(&growing, 3);
    check_made(&growing, 4);
    end(&growing);
    tiff_free(&tiff);
}

/* Files without pages, of whatever other programs left in them. */
static void test_without_pages(int bigtiff, int big_endian, size_t rest)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    for (size_t i = 0; i < rest; i++)
        tiff_append(&tiff, "Z", 1);
    struct growing growing = go_on(&tiff);
    set_form(&growing, &form);
    append(&growing, 0);
    append(&growing, 1);
    check_made(&growing, 2);
    end(&growing);
    tiff_free(&tiff);
}

/* ---- Layouts that are not written ---- */

static void test_forms_of_pages(void)
{
    struct encoding ycbcr = {.compression = COMPRESSION_JPEG, .samples = 3, .photometric = PHOTOMETRIC_YCBCR};
    struct encoding apart = {.compression = COMPRESSION_NONE, .samples = 3, .planar = 2, .photometric = 2};
    struct lzt_form form;
    struct lzt_error error;
    struct memory memory = encode(&apart);
    struct opened opened = open_built(&memory.file);
    CHECK(lzt_form_of_page(opened.table, 0, &form, NULL) == LZT_OK && form.samples == 3 && form.photometric == 2 && form.tag_count == 0);
    close_all(&opened);
    tiff_free(&memory.file);
    if (!can_encode(&ycbcr))
        return;
    memory = encode(&ycbcr);
    opened = open_built(&memory.file);
    const enum lzt_status status = lzt_form_of_page(opened.table, 0, &form, &error);
    CHECK(status == LZT_OK ? form.compression == COMPRESSION_JPEG : status == LZT_UNSUPPORTED);
    close_all(&opened);
    tiff_free(&memory.file);
}

int main(void)
{
    static const struct encoding encodings[] = {
        {.name = "one strip", .compression = COMPRESSION_NONE, .bits = 16, .chunk_rows = 37},
        {.name = "strips", .compression = COMPRESSION_NONE, .samples = 3, .photometric = PHOTOMETRIC_RGB, .chunk_rows = 5},
        {.name = "tiles", .compression = COMPRESSION_NONE, .tile_columns = 32},
        {.name = "LZW", .compression = COMPRESSION_LZW, .bits = 16, .predictor = 2},
        {.name = "Deflate tiles", .compression = COMPRESSION_ADOBE_DEFLATE, .bits = 16, .tile_columns = 16, .samples = 2},
        {.name = "PackBits", .compression = COMPRESSION_PACKBITS},
    };
    TIFFSetWarningHandler(NULL);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        for (size_t mode = 0; mode < 4; mode++)
            if (can_encode(&encodings[i]))
                test_libtiff(&encodings[i], modes[mode]);
    for (int bigtiff = 0; bigtiff < 2; bigtiff++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            for (size_t place = 0; place < 64; place += 2)
                for (uint64_t crooked = 1; crooked <= 3; crooked++)
                    test_crooked(bigtiff, big_endian, place, 3, crooked);
            test_crooked(bigtiff, big_endian, 62, 40, 30);
            test_dangling(bigtiff, big_endian, 0x7FFFFFF0);
            test_dangling(bigtiff, big_endian, 1); /* back to itself */
            test_dangling(bigtiff, big_endian, 2); /* into the header */
            for (size_t rest = 0; rest < 20; rest++)
                test_without_pages(bigtiff, big_endian, rest);
        }
    test_old_end();
    test_cut();
    test_forms_of_pages();
    return 0;
}
