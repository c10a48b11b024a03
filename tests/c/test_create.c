/* New files: read back by our own table and by libtiff, and links that are never torn. */
#include "creating.h"

#include <stddef.h>
#include <tiffio.h>

/* ---- Making ---- */

static void make(const struct lzt_new_stack *stack)
{
    struct lzt_error error;
    const int descriptor = next_descriptor();
    check_status(lzt_create_zeros(path, stack, &error), LZT_OK, &error, "");
    CHECK(files_left() == 1 && next_descriptor() == descriptor);
}

static uint64_t bytes_of(const struct lzt_new_stack *stack)
{
    return (uint64_t)stack->rows * stack->columns * stack->samples * stack->item_size;
}

/* ---- Reading by our own table ---- */

static struct opened open_made(void)
{
    struct opened opened;
    struct lzt_source *source;
    struct lzt_error error;
    check_status(lzt_source_open(path, &source, &error), LZT_OK, &error, "");
    check_status(try_source(&opened, source, NULL, &error), LZT_OK, &error, "");
    return opened;
}

static void check_layout(const struct lzt_layout *layout, const struct lzt_new_stack *stack)
{
    CHECK(layout->rows == stack->rows && layout->columns == stack->columns && layout->samples == stack->samples);
    CHECK(layout->kind == stack->kind && layout->item_size == stack->item_size && layout->bits == 8 * stack->item_size);
    CHECK(layout->grid_rows == 1 && layout->grid_columns == 1 && layout->chunk_rows == stack->rows && !layout->tiled);
    CHECK(layout->direct == 1 && layout->problem == 0 && layout->compression == 1 && layout->planar == 1);
    CHECK(layout->swapped == (stack->big_endian && stack->item_size > 1));
}

/* Every IFD's link is aligned to its own size, and pixels follow each other to the end of the file. */
static void check_places(const struct opened *opened, const struct lzt_new_stack *stack)
{
    const struct lzt_row *rows = lzt_table_rows(opened->table);
    const int bigtiff = lzt_table_is_bigtiff(opened->table);
    const uint64_t pages = lzt_table_pages(opened->table), bytes = bytes_of(stack), size = lzt_table_size(opened->table);
    for (uint64_t i = 0; i < pages; i++) {
        CHECK(bigtiff ? (rows[i].ifd + 8 + 20 * (uint64_t)rows[i].tags) % 8 == 0 : rows[i].ifd % 4 == 2);
        CHECK(i == 0 || rows[i].ifd > rows[i - 1].ifd);
        CHECK(rows[i].layout == 0 && rows[i].length == bytes);
        CHECK(rows[i].data == rows[0].data + i * bytes);
    }
    CHECK(rows[0].data % (size < 65536 ? 64 : 4096) == 0);
    CHECK(rows[0].data >= rows[pages - 1].ifd + (bigtiff ? 16 + 20 * rows[0].tags : 6 + 12 * rows[0].tags));
    CHECK(size == rows[0].data + pages * bytes);
}

static void check_zeros(const struct opened *opened, uint64_t page)
{
    struct guarded pixels = read_pixels(opened, page);
    const uint64_t bytes = page_bytes(layout_of(opened, page));
    for (uint64_t i = 0; i < bytes; i++)
        CHECK(pixels.bytes[i] == 0);
    guarded_free(&pixels);
}

/* What an IFD has, in ascending order; ExtraSamples where there are some. */
static void check_tags(const struct opened *opened, uint64_t page)
{
    static const uint16_t numbers[] = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 338, 339};
    struct lzt_tag tags[16];
    size_t count, next = 0;
    CHECK(lzt_tags_read(opened->table, page, tags, 16, &count, NULL) == LZT_OK);
    for (size_t i = 0; i < count; i++, next++) {
        next += numbers[next] == 338 && tags[i].tag == 339;
        CHECK(next < 12 && tags[i].tag == numbers[next] && tags[i].problem == 0);
    }
    CHECK(next == 12);
}

static void check_ours(const struct lzt_new_stack *stack, int bigtiff)
{
    struct opened opened = open_made();
    CHECK(lzt_table_pages(opened.table) == stack->pages && lzt_table_layouts(opened.table) == 1 && warning_count(&opened) == 0);
    CHECK(lzt_table_is_bigtiff(opened.table) == bigtiff && lzt_table_is_big_endian(opened.table) == stack->big_endian);
    check_layout(lzt_table_layout(opened.table, 0), stack);
    check_places(&opened, stack);
    for (uint64_t page = 0; page < stack->pages && page < 10; page++)
        check_zeros(&opened, page);
    check_tags(&opened, 0);
    check_tags(&opened, stack->pages - 1);
    close_all(&opened);
}

/* ---- Reading by libtiff ---- */

static void complain(const char *module, const char *format, va_list arguments)
{
    fprintf(stderr, "libtiff: %s: ", module);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    CHECK(!"without a complaint");
}

/* "c": large strips stay whole. */
static TIFF *open_libtiff(void)
{
    TIFF *tiff = TIFFOpen(path, "rc");
    CHECK(tiff != NULL);
    return tiff;
}

static uint32_t number_of(TIFF *tiff, uint32_t tag)
{
    uint32_t value = 0;
    uint16_t small = 0;
    const int is_long = tag == TIFFTAG_IMAGEWIDTH || tag == TIFFTAG_IMAGELENGTH || tag == TIFFTAG_ROWSPERSTRIP;
    CHECK(TIFFGetField(tiff, tag, is_long ? (void *)&value : (void *)&small) == 1); /* 1: it stands in the IFD */
    return is_long ? value : small;
}

static void check_strip(TIFF *tiff, uint64_t bytes)
{
    struct guarded strip = guarded_new((size_t)bytes);
    memset(strip.bytes, 0xA5, (size_t)bytes);
    CHECK(TIFFNumberOfStrips(tiff) == 1);
    CHECK(TIFFReadEncodedStrip(tiff, 0, strip.bytes, (tmsize_t)bytes) == (tmsize_t)bytes);
    for (uint64_t i = 0; i < bytes; i++)
        CHECK(strip.bytes[i] == 0);
    guarded_free(&strip);
}

static void check_libtiff_page(TIFF *tiff, const struct lzt_new_stack *stack)
{
    static const uint32_t formats[] = {[LZT_UINT] = 1, [LZT_INT] = 2, [LZT_FLOAT] = 3, [LZT_COMPLEX] = 6};
    uint32_t subfile;
    CHECK(number_of(tiff, TIFFTAG_IMAGEWIDTH) == stack->columns && number_of(tiff, TIFFTAG_IMAGELENGTH) == stack->rows);
    CHECK(number_of(tiff, TIFFTAG_ROWSPERSTRIP) == stack->rows && number_of(tiff, TIFFTAG_SAMPLESPERPIXEL) == stack->samples);
    CHECK(number_of(tiff, TIFFTAG_BITSPERSAMPLE) == 8u * stack->item_size);
    CHECK(number_of(tiff, TIFFTAG_SAMPLEFORMAT) == formats[stack->kind]);
    CHECK(number_of(tiff, TIFFTAG_COMPRESSION) == COMPRESSION_NONE && number_of(tiff, TIFFTAG_PLANARCONFIG) == PLANARCONFIG_CONTIG);
    CHECK(TIFFGetField(tiff, TIFFTAG_SUBFILETYPE, &subfile) == 0);
    check_strip(tiff, bytes_of(stack));
}

static void check_libtiff(const struct lzt_new_stack *stack)
{
    TIFF *tiff = open_libtiff();
    CHECK(TIFFNumberOfDirectories(tiff) == stack->pages);
    for (uint64_t page = 0; page < stack->pages; page++) {
        CHECK(TIFFSetDirectory(tiff, (uint16_t)page) == 1);
        check_libtiff_page(tiff, stack);
    }
    TIFFClose(tiff);
}

/* ---- What is made ---- */

static void check_made(const struct lzt_new_stack *stack, int bigtiff)
{
    make(stack);
    check_ours(stack, bigtiff);
    check_libtiff(stack);
    CHECK(unlink(path) == 0);
}

static void test_every_kind(void)
{
    static const uint16_t kinds[][2] = {
        {LZT_UINT, 1}, {LZT_UINT, 2},  {LZT_UINT, 4},  {LZT_UINT, 8},  {LZT_INT, 1},     {LZT_INT, 2},      {LZT_INT, 4},
        {LZT_INT, 8},  {LZT_FLOAT, 2}, {LZT_FLOAT, 4}, {LZT_FLOAT, 8}, {LZT_COMPLEX, 8}, {LZT_COMPLEX, 16},
    };
    static const uint32_t samples[] = {1, 3, 4, 7};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (size_t i = 0; i < 16; i++) {
            struct lzt_new_stack stack = new_stack(kinds[kind][0], kinds[kind][1], samples[i % 4]);
            stack.big_endian = i / 4 % 2;
            stack.bigtiff = (int32_t)(i / 8);
            check_made(&stack, (int)(i / 8));
        }
}

/* As many samples as there can be, whose values fill more than one IFD could. */
static void test_many_samples(void)
{
    for (int32_t bigtiff = 0; bigtiff < 2; bigtiff++)
        for (uint16_t big_endian = 0; big_endian < 2; big_endian++) {
            struct lzt_new_stack stack = {sizeof stack, 2, 1, 1, 65535, LZT_UINT, 2, big_endian, -1, bigtiff};
            check_made(&stack, bigtiff);
        }
}

/* On both sides of what is written at a time: 4096 IFDs of 256 bytes, 7489 of 140. */
static void test_many_pages(void)
{
    static const struct {
        uint64_t pages;
        uint32_t samples;
        int32_t bigtiff;
    } cases[] = {{4095, 2, 1}, {4096, 2, 1}, {4097, 2, 1}, {7489, 1, 0}, {7490, 1, 0}, {20000, 7, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lzt_new_stack stack = {sizeof stack, cases[i].pages, 1, 1, cases[i].samples, LZT_UINT, 2, 0, -1, cases[i].bigtiff};
        make(&stack);
        check_ours(&stack, cases[i].bigtiff);
        CHECK(unlink(path) == 0);
    }
}

/* The pixels begin at 64 bytes in files below 64 KiB, at 4096 in others: check_places; here the border. */
static void test_small_files(void)
{
    struct stat about;
    for (uint32_t more = 0; more < 2; more++) {
        struct lzt_new_stack stack = {sizeof stack, 1, 1, 65536 - 192 - 1 + more, 1, LZT_UINT, 1, 0, -1, 0};
        make(&stack);
        CHECK(stat(path, &about) == 0 && about.st_size == (more ? 4096 + 65536 - 192 : 65535));
        check_ours(&stack, 0);
        CHECK(unlink(path) == 0);
    }
}

static void check_meaning(struct lzt_new_stack *stack, uint16_t photometric, uint16_t extra, uint16_t meaning)
{
    uint16_t count = 0, *meanings = NULL;
    make(stack);
    check_ours(stack, 0);
    TIFF *tiff = open_libtiff();
    CHECK(number_of(tiff, TIFFTAG_PHOTOMETRIC) == photometric);
    CHECK(TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &meanings) == (extra > 0) && count == extra);
    for (uint16_t i = 0; i < extra; i++)
        CHECK(meanings[i] == meaning);
    TIFFClose(tiff);
    CHECK(unlink(path) == 0);
}

static void test_photometric(void)
{
    static const struct {
        uint32_t samples;
        uint16_t kind, item_size;
        int32_t given;
        uint16_t photometric, extra, meaning;
    } cases[] = {
        {1, LZT_UINT, 1, -1, 1, 0, 0}, {2, LZT_UINT, 1, -1, 1, 1, 0},  {3, LZT_UINT, 1, -1, 2, 0, 0}, {4, LZT_UINT, 1, -1, 2, 1, 2},
        {5, LZT_UINT, 1, -1, 1, 4, 0}, {3, LZT_UINT, 2, -1, 1, 2, 0},  {4, LZT_INT, 1, -1, 1, 3, 0},  {3, LZT_FLOAT, 4, -1, 1, 2, 0},
        {4, LZT_UINT, 2, 2, 2, 1, 0},  {5, LZT_UINT, 1, 2, 2, 2, 0},   {1, LZT_UINT, 2, 0, 0, 0, 0},  {3, LZT_UINT, 1, 1, 1, 2, 0},
        {4, LZT_UINT, 1, 5, 5, 0, 0},  {7, LZT_UINT, 1, 5, 5, 3, 0},   {3, LZT_UINT, 1, 8, 8, 0, 0},  {3, LZT_UINT, 2, 9, 9, 0, 0},
        {4, LZT_UINT, 1, 1, 1, 3, 0},  {5, LZT_UINT, 1, 5, 5, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lzt_new_stack stack = new_stack(cases[i].kind, cases[i].item_size, cases[i].samples);
        stack.photometric = cases[i].given;
        check_meaning(&stack, cases[i].photometric, cases[i].extra, cases[i].meaning);
    }
}

/* A caller that was compiled when the struct ended earlier gets the defaults of what came later. */
static void test_shorter_struct(void)
{
    struct lzt_new_stack stack = new_stack(LZT_UINT, 1, 3);
    stack.size = offsetof(struct lzt_new_stack, item_size) + sizeof stack.item_size;
    stack.photometric = stack.bigtiff = 77;
    check_meaning(&stack, 2, 0, 0);
    stack.rows = stack.columns = 100000;
    mode = FULL_DISK;
    CHECK(refuse(&stack, LZT_SYSTEM, "").os_errno == ENOSPC); /* not LZT_FULL: BigTIFF is allowed */
    mode = WELL;
    stack.size--;
    refuse(&stack, LZT_USAGE, "size");
}

/* Where nobody promises disk space, every byte is written. */
static void test_no_promise(void)
{
    struct lzt_new_stack small = new_stack(LZT_UINT, 2, 3), large = {sizeof large, 3, 1000, 1001, 1, LZT_UINT, 1, 1, -1, 1};
    mode = NO_PROMISE;
    check_made(&small, 0);
    check_made(&large, 1);
    make(&small);
    mode = WELL;
    struct opened opened = open_made();
    const struct lzt_row *rows = lzt_table_rows(opened.table);
    uint8_t padding[64];
    const int file = open(path, O_RDONLY);
    const uint64_t end = rows[PAGES - 1].ifd + 6 + 12 * rows[0].tags;
    CHECK(file >= 0 && pread(file, padding, rows[0].data - end, (off_t)end) == (ssize_t)(rows[0].data - end) && close(file) == 0);
    for (uint64_t i = 0; i < rows[0].data - end; i++)
        CHECK(padding[i] == 0);
    close_all(&opened);
    CHECK(unlink(path) == 0);
}

/* ---- 4 GiB ---- */

#define CLASSIC_MOST ((UINT64_C(4) << 30) - 65536)

/* Without its disk space, but with all its IFDs: offsets past 4 GiB, and one strip longer than that. */
static void test_bigtiff_where_needed(void)
{
    const struct lzt_new_stack stacks[] = {
        {sizeof *stacks, 3, 65536, 32768, 1, LZT_UINT, 1, 0, -1, -1},
        {sizeof *stacks, 1, 65537, 65536, 1, LZT_UINT, 1, 1, -1, -1},
    };
    mode = NO_SPACE_NEEDED;
    for (const struct lzt_new_stack *stack = stacks; stack < stacks + 2; stack++) {
        make(stack);
        struct opened opened = open_made();
        CHECK(lzt_table_is_bigtiff(opened.table) && lzt_table_pages(opened.table) == stack->pages && warning_count(&opened) == 0);
        check_layout(lzt_table_layout(opened.table, 0), stack);
        check_places(&opened, stack);
        close_all(&opened);
        TIFF *tiff = open_libtiff();
        CHECK(TIFFNumberOfDirectories(tiff) == stack->pages && TIFFRawStripSize64(tiff, 0) == bytes_of(stack));
        TIFFClose(tiff);
        CHECK(unlink(path) == 0);
    }
    mode = WELL;
}

/* The last file that is classic, and the first that is not: 4096 bytes lie before the pixels. */
static void test_border_of_classic(void)
{
    struct lzt_new_stack stack = {sizeof stack, 1, 1, (uint32_t)(CLASSIC_MOST - 4096), 1, LZT_UINT, 1, 0, -1, 0};
    for (uint32_t more = 0; more < 2; more++, stack.columns++)
        for (stack.bigtiff = -1; stack.bigtiff < 1; stack.bigtiff++) {
            if (more && stack.bigtiff == 0) {
                refuse(&stack, LZT_FULL, "4294901761 bytes");
                refuse(&stack, LZT_FULL, "a BigTIFF file can");
                continue;
            }
            mode = NO_SPACE_NEEDED;
            make(&stack);
            mode = WELL;
            struct opened opened = open_made();
            CHECK(asked == CLASSIC_MOST + more && lzt_table_is_bigtiff(opened.table) == (int)more);
            close_all(&opened);
            CHECK(unlink(path) == 0);
        }
}

int main(void)
{
    make_folder();
    TIFFSetErrorHandler(complain);
    TIFFSetWarningHandler(complain);
    test_every_kind();
    test_many_samples();
    test_many_pages();
    test_small_files();
    test_photometric();
    test_shorter_struct();
    test_no_promise();
    test_bigtiff_where_needed();
    test_border_of_classic();
    CHECK(rmdir(folder) == 0);
    return 0;
}
