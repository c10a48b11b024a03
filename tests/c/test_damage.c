/* Every cut and every flip of a byte of small files: no crash, no wait, no invented pixel, and a status that the manual names. */
#include "encoding.h"
#include "reading.h"

/* Three pages, little in common: strips and tiles, codecs, a predictor, packed bits, separate planes, text outside of the IFD. */
static struct tiff_builder make_file(int bigtiff, int big_endian)
{
    static const char text[] = "a description that does not fit";
    const struct tiff_entry extra[] = {{270, FIELD_ASCII, sizeof text, text, 0}, {339, FIELD_SHORT, 1, NULL, 1}};
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 5, .columns = 4, .bits = 16, .chunk_rows = 2, .extra = extra, .extra_count = 2});
    tiff_add_coded(&tiff, &(struct tiff_image){.rows = 3, .columns = 5, .samples = 2, .bits = 16, .compression = 8, .planar = 2}, 2);
    tiff_add_image(&tiff, &(struct tiff_image){.rows = 3, .columns = 18, .bits = 5, .chunk_rows = 16, .chunk_columns = 16});
    return tiff;
}

static void check_among(enum lzt_status status, const enum lzt_status *allowed, size_t count, const struct lzt_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (status == allowed[i]) {
            CHECK(status == LZT_OK || (error->status == (int32_t)status && error->text[0] != 0 && memchr(error->text, 0, 256) != NULL));
            return;
        }
    fprintf(stderr, "status %d: %s\n", status, error->text);
    CHECK(!"a documented status");
}

static void check_read_status(enum lzt_status status, const struct lzt_error *error)
{
    static const enum lzt_status allowed[] = {LZT_OK, LZT_CORRUPT, LZT_UNSUPPORTED, LZT_DECODE, LZT_LIMIT};
    check_among(status, allowed, 5, error);
    CHECK(status == LZT_OK || error->page >= 0);
    CHECK(status != LZT_DECODE || error->chunk >= 0);
}

static void read_all_tags(const struct opened *opened, uint64_t page)
{
    struct lzt_tag tags[4096];
    struct lzt_error error;
    size_t count;
    check_status(lzt_tags_read(opened->table, page, tags, 4096, &count, &error), LZT_OK, &error, "");
    for (size_t i = 0; i < count; i++) {
        uint8_t *buffer = malloc(tags[i].problem ? 1 : tags[i].bytes + 1);
        CHECK(buffer != NULL);
        check_status(lzt_tag_value(opened->table, &tags[i], buffer, &error), tags[i].problem ? LZT_CORRUPT : LZT_OK, &error, "");
        free(buffer);
    }
}

/* Read the page, or when it claims to be large its first pixel, over poison; 1: it was read into pixels. */
static int read_over(const struct opened *opened, uint64_t page, uint8_t poison, uint8_t *pixels, size_t room)
{
    const struct lzt_layout *layout = layout_of(opened, page);
    const struct lzt_window first = {{0, 1, 1}, {0, 1, 1}, {0, 1, 1}, 0, 0, 0};
    const struct lzt_job job = {page, 0, 0, pixels, NULL};
    struct lzt_batch *batch;
    struct lzt_error error;
    enum lzt_status status;
    memset(pixels, poison, room);
    if (layout->problem == 0 && page_bytes(layout) > room) {
        status = lzt_batch_open(opened->table, &first, 1, &job, 1, &batch, &error);
        if (status == LZT_OK)
            status = lzt_batch_run(batch, opened->reader, 0, &error);
        lzt_batch_close(batch);
    } else {
        status = lzt_read_page(opened->reader, page, pixels, room, &error);
    }
    check_read_status(status, &error);
    return status == LZT_OK;
}

static void read_page_twice(const struct opened *opened, uint64_t page)
{
    enum { ROOM = 1 << 12 };
    static uint8_t first[ROOM], second[ROOM];
    const struct lzt_layout *layout = layout_of(opened, page);
    const size_t bytes = layout->problem ? 0 : page_bytes(layout) <= ROOM ? page_bytes(layout) : layout->item_size;
    const int read = read_over(opened, page, 0x5A, first, ROOM);
    CHECK(read == read_over(opened, page, 0xA5, second, ROOM));
    CHECK(!read || memcmp(first, second, bytes) == 0);
}

/* Open the file and read all that there is in it. */
static void use(const uint8_t *bytes, size_t size)
{
    static const enum lzt_status allowed[] = {LZT_OK, LZT_NOT_TIFF, LZT_CORRUPT, LZT_LIMIT};
    const struct lzt_options options = {.size = sizeof options, .max_chunk_bytes = 1 << 20};
    struct opened opened;
    struct lzt_error error;
    const enum lzt_status status = try_bytes(&opened, bytes, size, &options, &error);
    check_among(status, allowed, 4, &error);
    for (uint64_t page = 0; status == LZT_OK && page < lzt_table_pages(opened.table); page++) {
        read_all_tags(&opened, page);
        read_page_twice(&opened, page);
    }
    close_all(&opened);
}

/* A file that is cut has the pages whose IFDs are there, and their pixels are right or not readable. */
static void test_cuts(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = make_file(bigtiff, big_endian);
    struct opened whole = open_built(&tiff);
    struct guarded truth[3];
    CHECK(lzt_table_pages(whole.table) == 3 && warning_count(&whole) == 0);
    for (uint64_t i = 0; i < 3; i++) {
        check_made_page(&whole, i, 0);
        truth[i] = read_pixels(&whole, i);
    }
    for (size_t size = 0; size <= tiff.size; size++) {
        struct guarded file = guarded_copy(tiff.bytes, size);
        struct opened cut;
        struct lzt_error error;
        use(file.bytes, size);
        if (try_bytes(&cut, file.bytes, size, NULL, &error) == LZT_OK)
            for (uint64_t i = 0; i < lzt_table_pages(cut.table); i++) {
                uint8_t pixels[100];
                CHECK(lzt_table_rows(cut.table)[i].hash == lzt_table_rows(whole.table)[i].hash);
                if (layout_of(&cut, i)->problem == 0 && lzt_read_page(cut.reader, i, pixels, 100, &error) == LZT_OK)
                    CHECK(memcmp(pixels, truth[i].bytes, page_bytes(layout_of(&whole, i))) == 0);
            }
        close_all(&cut);
        guarded_free(&file);
    }
    for (uint64_t i = 0; i < 3; i++)
        guarded_free(&truth[i]);
    close_all(&whole);
    tiff_free(&tiff);
}

static void test_flips(int bigtiff, int big_endian)
{
    static const uint8_t masks[] = {0xFF, 0x80, 0x01, 0x10};
    struct tiff_builder tiff = make_file(bigtiff, big_endian);
    struct guarded file = guarded_copy(tiff.bytes, tiff.size);
    for (size_t i = 0; i < tiff.size; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            file.bytes[i] ^= masks[k];
            use(file.bytes, tiff.size);
            file.bytes[i] ^= masks[k];
        }
    guarded_free(&file);
    tiff_free(&tiff);
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        test_cuts(i / 2, i % 2);
        test_flips(i / 2, i % 2);
    }
    return 0;
}
