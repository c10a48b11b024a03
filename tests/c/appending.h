/* appending.h - what the C tests of writers share: a file in the folder where the test runs, its writer, and what is in the file then. */
#ifndef APPENDING_H
#define APPENDING_H

#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE /* mkstemp and pwritev; everything else is POSIX */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "forms.h"

enum { AUTO = -1, CLASSIC, BIG };

struct growing {
    char path[32];
    struct lzt_source *source;
    struct lzt_table *table; /* of the pages that were there when the writer was opened */
    struct lzt_writer *writer;
};

/* ---- Files ---- */

/* A name that nobody has. */
static inline void choose_name(char *path)
{
    strcpy(path, "growing_XXXXXX");
    const int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && close(descriptor) == 0 && unlink(path) == 0);
}

static inline void close_writer(struct growing *growing)
{
    lzt_writer_close(growing->writer);
    lzt_table_close(growing->table);
    lzt_source_close(growing->source);
    growing->writer = NULL;
    growing->table = NULL;
    growing->source = NULL;
}

static inline void end(struct growing *growing)
{
    close_writer(growing);
    CHECK(unlink(growing->path) == 0);
}

/* Open the file, with a writer. */
static inline enum lzt_status try_resume(struct growing *growing, const struct lzt_options *options, struct lzt_error *error)
{
    enum lzt_status status = lzt_source_open_locked(growing->path, &growing->source, error);
    if (status == LZT_OK)
        status = lzt_table_open(growing->source, options, &growing->table, error);
    if (status == LZT_OK)
        status = lzt_writer_open(growing->table, 0, &growing->writer, error);
    CHECK((status == LZT_OK) == (growing->writer != NULL));
    if (status != LZT_OK)
        close_writer(growing);
    return status;
}

static inline void resume(struct growing *growing)
{
    struct lzt_error error;
    close_writer(growing);
    check_status(try_resume(growing, NULL, &error), LZT_OK, &error, "");
}

static inline void set_form(struct growing *growing, const struct lzt_form *form)
{
    struct lzt_error error;
    check_status(lzt_writer_set_form(growing->writer, form, &error), LZT_OK, &error, "");
}

/* Store pages to come as the last one is. */
static inline void form_as_before(struct growing *growing)
{
    struct lzt_form form;
    CHECK(lzt_form_of_page(growing->table, lzt_table_pages(growing->table) - 1, &form, NULL) == LZT_OK);
    set_form(growing, &form);
}

/* A new file without pages. form may be NULL. */
static inline struct growing begin(int bigtiff, int big_endian, const struct lzt_form *form)
{
    struct growing growing = {.writer = NULL};
    struct lzt_error error;
    choose_name(growing.path);
    check_status(lzt_source_create(growing.path, &growing.source, &error), LZT_OK, &error, "");
    check_status(lzt_create_empty(lzt_source_file(growing.source), bigtiff, big_endian, &error), LZT_OK, &error, "");
    check_status(lzt_source_publish(growing.source, 0, &error), LZT_OK, &error, "");
    check_status(lzt_table_open(growing.source, NULL, &growing.table, &error), LZT_OK, &error, "");
    check_status(lzt_writer_open(growing.table, 0, &growing.writer, &error), LZT_OK, &error, "");
    if (form != NULL)
        set_form(&growing, form);
    return growing;
}

/* A file of these bytes, with a writer. */
static inline struct growing go_on(const struct tiff_builder *tiff)
{
    struct growing growing = {.writer = NULL};
    choose_name(growing.path);
    FILE *file = fopen(growing.path, "wbx");
    CHECK(file != NULL && fwrite(tiff->bytes, 1, tiff->size, file) == tiff->size && fclose(file) == 0);
    resume(&growing);
    return growing;
}

static inline struct tiff_builder bytes_of(const struct growing *growing, int bigtiff, int big_endian)
{
    struct tiff_builder tiff = {.bigtiff = bigtiff, .big_endian = big_endian};
    struct stat about;
    const int file = open(growing->path, O_RDONLY);
    CHECK(file >= 0 && fstat(file, &about) == 0);
    tiff_reserve(&tiff, (size_t)about.st_size);
    CHECK(pread(file, tiff.bytes, tiff.size, 0) == (ssize_t)tiff.size && close(file) == 0);
    return tiff;
}

static inline void put_bytes(const struct growing *growing, const void *bytes, size_t size, off_t offset)
{
    const int file = open(growing->path, O_WRONLY);
    CHECK(file >= 0 && pwrite(file, bytes, size, offset) == (ssize_t)size && close(file) == 0);
}

/* Add the image where its link lies at that place of a line of 64 bytes, an even one. */
static inline struct tiff_page add_at_line(struct tiff_builder *tiff, const struct tiff_image *image, size_t place)
{
    const size_t size = tiff->size, link = tiff->link;
    tiff_add_image(tiff, image);
    const size_t found = tiff->link;
    tiff->size = size;
    tiff->link = link;
    tiff_reserve(tiff, (64 + place - found % 64) % 64);
    const struct tiff_page page = tiff_add_image(tiff, image);
    CHECK(page.link % 64 == place);
    return page;
}

/* ---- Pages whose pixels are tiff_sample's: whole numbers of 8 to 64 bits ---- */

static inline struct lzt_form made_form(uint32_t rows, uint32_t columns, uint32_t samples, uint16_t item_size)
{
    return (struct lzt_form){.size = sizeof(struct lzt_form), .rows = rows, .columns = columns, .samples = samples, .kind = LZT_UINT,
                             .item_size = item_size, .photometric = 1, .level = -1};
}

/* In C order, to be freed. */
static inline uint8_t *made_items(const struct lzt_form *form, uint64_t seed)
{
    uint8_t *items = malloc(form_bytes(form)), *item = items;
    CHECK(items != NULL);
    for (uint32_t r = 0; r < form->rows; r++)
        for (uint32_t c = 0; c < form->columns; c++)
            for (uint32_t s = 0; s < form->samples; s++, item += form->item_size) {
                const uint64_t value = tiff_sample(seed, r, c, s, 8 * form->item_size);
                memcpy(item, &value, form->item_size); /* the tests run on little-endian machines */
            }
    return items;
}

static inline enum lzt_status try_tagged(struct growing *growing, uint64_t seed, const struct lzt_new_tag *tags, size_t count, struct lzt_error *error)
{
    const struct lzt_form *form = lzt_writer_form(growing->writer);
    uint8_t *items = made_items(form, seed);
    const uint64_t before = lzt_writer_pages(growing->writer);
    struct lzt_pixels pixels = strides_of(form, DENSE);
    uint64_t page = UINT64_MAX;
    pixels.data = items;
    const enum lzt_status status = lzt_writer_append(growing->writer, &pixels, tags, count, &page, error);
    CHECK(status == LZT_OK ? page >= before && page + 1 == lzt_writer_pages(growing->writer)
                           : page == UINT64_MAX && lzt_writer_pages(growing->writer) == before);
    free(items);
    return status;
}

static inline enum lzt_status try_append(struct growing *growing, uint64_t seed, struct lzt_error *error)
{
    return try_tagged(growing, seed, NULL, 0, error);
}

static inline void append(struct growing *growing, uint64_t seed)
{
    struct lzt_error error;
    check_status(try_append(growing, seed, &error), LZT_OK, &error, "");
}

/* Without publishing it. */
static inline void write_one(struct growing *growing, uint64_t seed)
{
    const struct lzt_form *form = lzt_writer_form(growing->writer);
    uint8_t *items = made_items(form, seed);
    struct lzt_error error;
    struct lzt_pixels pixels = strides_of(form, DENSE);
    pixels.data = items;
    check_status(lzt_writer_write(growing->writer, NULL, &pixels, NULL, 0, &error), LZT_OK, &error, "");
    free(items);
}

/* ---- What is in the file ---- */

static inline struct opened read_file(const struct growing *growing)
{
    struct opened opened;
    struct lzt_error error;
    struct lzt_source *source;
    check_status(lzt_source_open(growing->path, &source, &error), LZT_OK, &error, "");
    check_status(try_source(&opened, source, NULL, &error), LZT_OK, &error, "");
    return opened;
}

/* Complaints of libtiff's are failures. */
static inline void fail_loudly(const char *module, const char *format, va_list arguments)
{
    fprintf(stderr, "libtiff, %s: ", module != NULL ? module : "");
    vfprintf(stderr, format, arguments);
    CHECK(!"libtiff complains");
}

/* CHECK that libtiff finds so many pages, and reads all of their chunks. */
static inline void check_by_libtiff(const struct growing *growing, uint64_t pages)
{
    TIFFSetErrorHandler(fail_loudly);
    TIFFSetWarningHandler(NULL); /* private tags */
    TIFF *tiff = TIFFOpen(growing->path, "rm");
    uint64_t found = 1;
    CHECK(tiff != NULL);
    for (;; found++) {
        const uint32_t chunks = TIFFIsTiled(tiff) ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
        const tmsize_t size = TIFFIsTiled(tiff) ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
        void *bytes = malloc((size_t)size);
        CHECK(bytes != NULL);
        for (uint32_t i = 0; i < chunks; i++)
            CHECK((TIFFIsTiled(tiff) ? TIFFReadEncodedTile(tiff, i, bytes, size) : TIFFReadEncodedStrip(tiff, i, bytes, size)) > 0);
        free(bytes);
        if (!TIFFReadDirectory(tiff))
            break;
    }
    CHECK(found == pages);
    TIFFClose(tiff);
}

/* CHECK that page i of the file is what was made of seed i, for all of them, by this library and by libtiff. */
static inline void check_made(const struct growing *growing, uint64_t pages)
{
    struct opened opened = read_file(growing);
    CHECK(lzt_table_pages(opened.table) == pages && warning_count(&opened) == 0);
    for (uint64_t i = 0; i < pages; i++)
        check_made_page(&opened, i, i);
    close_all(&opened);
    if (pages > 0)
        check_by_libtiff(growing, pages);
}

/* Where the page's link to the next one is. */
static inline uint64_t link_at(const struct lzt_table *table, uint64_t page)
{
    const struct lzt_row *row = &lzt_table_rows(table)[page];
    return lzt_table_is_bigtiff(table) ? row->ifd + 8 + 20 * (uint64_t)row->tags : row->ifd + 2 + 12 * (uint64_t)row->tags;
}

#endif
