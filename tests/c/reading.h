/* reading.h - what the C tests that read TIFFs share: opening what tiff_builder.h made, and judging what came of it. */
#ifndef READING_H
#define READING_H

#include "check.h"
#include "lazytiff.h"
#include "tiff_builder.h"

struct opened {
    struct lzt_source *source;
    struct lzt_table *table;
    struct lzt_reader *reader;
};

static inline void close_all(struct opened *opened)
{
    lzt_reader_close(opened->reader);
    lzt_table_close(opened->table);
    lzt_source_close(opened->source);
    *opened = (struct opened){NULL, NULL, NULL};
}

/* On failure everything is closed again, and the members are NULL. */
static inline enum lzt_status try_source(struct opened *opened, struct lzt_source *source, const struct lzt_options *options,
                                         struct lzt_error *error)
{
    *opened = (struct opened){source, NULL, NULL};
    enum lzt_status status = lzt_table_open(source, options, &opened->table, error);
    CHECK((status == LZT_OK) == (opened->table != NULL));
    if (status == LZT_OK)
        status = lzt_reader_open(opened->table, &opened->reader, error);
    if (status != LZT_OK)
        close_all(opened);
    return status;
}

static inline enum lzt_status try_bytes(struct opened *opened, const void *bytes, uint64_t size, const struct lzt_options *options,
                                        struct lzt_error *error)
{
    struct lzt_source *source;
    CHECK(lzt_source_open_memory(bytes, size, &source, error) == LZT_OK);
    return try_source(opened, source, options, error);
}

/* CHECK that the status is this one, and that error agrees and speaks. */
static inline void check_status(enum lzt_status status, enum lzt_status expected, const struct lzt_error *error, const char *text)
{
    if (status != expected || (status != LZT_OK && (error->status != (int32_t)status || strstr(error->text, text) == NULL))) {
        fprintf(stderr, "status %d instead of %d; \"%s\" instead of \"%s\"\n", status, expected, status == LZT_OK ? "" : error->text, text);
        CHECK(!"as expected");
    }
}

static inline struct opened open_with(const struct tiff_builder *tiff, const struct lzt_options *options)
{
    struct opened opened;
    struct lzt_error error;
    check_status(try_bytes(&opened, tiff->bytes, tiff->size, options, &error), LZT_OK, &error, "");
    return opened;
}

static inline struct opened open_built(const struct tiff_builder *tiff) { return open_with(tiff, NULL); }

static inline const struct lzt_layout *layout_of(const struct opened *opened, uint64_t page)
{
    CHECK(page < lzt_table_pages(opened->table));
    return lzt_table_layout(opened->table, lzt_table_rows(opened->table)[page].layout);
}

static inline uint64_t page_bytes(const struct lzt_layout *layout)
{
    return (uint64_t)layout->rows * layout->columns * layout->samples * layout->item_size;
}

static inline uint64_t chunk_count(const struct lzt_layout *layout)
{
    return (uint64_t)layout->grid_rows * layout->grid_columns * layout->planes;
}

static inline enum lzt_status try_page(const struct opened *opened, uint64_t page, uint8_t *pixels, struct lzt_error *error)
{
    return lzt_read_page(opened->reader, page, pixels, page_bytes(layout_of(opened, page)), error);
}

/* The page's items, poisoned before they are read, with a guard behind them. */
static inline struct guarded read_pixels(const struct opened *opened, uint64_t page)
{
    struct lzt_error error;
    struct guarded pixels = guarded_new(page_bytes(layout_of(opened, page)));
    memset(pixels.bytes, 0xA5, page_bytes(layout_of(opened, page)));
    check_status(try_page(opened, page, pixels.bytes, &error), LZT_OK, &error, "");
    return pixels;
}

/* CHECK that the page, of up to 64 unsigned bits a sample, is what tiff_sample made of the seed. */
static inline void check_made_page(const struct opened *opened, uint64_t page, uint64_t seed)
{
    const struct lzt_layout *layout = layout_of(opened, page);
    struct guarded pixels = read_pixels(opened, page);
    const uint8_t *item = pixels.bytes;
    for (uint32_t r = 0; r < layout->rows; r++)
        for (uint32_t c = 0; c < layout->columns; c++)
            for (uint32_t s = 0; s < layout->samples; s++, item += layout->item_size) {
                const uint64_t value = tiff_sample(seed, r, c, s, layout->bits);
                for (unsigned i = 0; i < layout->item_size; i++) /* the tests run on little-endian machines */
                    CHECK(item[i] == (uint8_t)(value >> 8 * i));
            }
    guarded_free(&pixels);
}

static inline size_t warning_count(const struct opened *opened)
{
    size_t count = 0;
    while (lzt_table_warning(opened->table, count) != NULL)
        count++;
    return count;
}

static inline void check_warning(const struct opened *opened, const char *text)
{
    const char *warning;
    for (size_t i = 0; (warning = lzt_table_warning(opened->table, i)) != NULL; i++)
        if (strstr(warning, text) != NULL)
            return;
    fprintf(stderr, "no warning says \"%s\", the first says \"%s\"\n", text, warning_count(opened) ? lzt_table_warning(opened->table, 0) : "");
    CHECK(!"as expected");
}

/* What valgrind makes slow, or complains of in other libraries, can be told to do less. */
static inline int is_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "valgrind") != NULL;
}

/* Numbers that look random and are always the same. */
static inline uint32_t any_below(uint64_t *state, uint32_t end)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % end);
}

#endif
