/* The smallest useful program: the sum of the first page of a TIFF stack.
 *
 *     cc -Icsrc tests/c/test_sum.c csrc/*.c -ltiff -lm -o sum
 *     ./sum stack.tif */
#include <stdio.h>
#include <stdlib.h>

#include "example.h"
#include "lazytiff.h"

static double item(const struct lzt_layout *layout, const void *pixels, uint64_t i)
{
    switch (layout->kind * 100 + layout->item_size) {
    case LZT_BOOL * 100 + 1:
    case LZT_UINT * 100 + 1: return ((const uint8_t *)pixels)[i];
    case LZT_UINT * 100 + 2: return ((const uint16_t *)pixels)[i];
    case LZT_INT * 100 + 2: return ((const int16_t *)pixels)[i];
    case LZT_FLOAT * 100 + 4: return ((const float *)pixels)[i];
    default: return 0.0 / 0.0; /* left to the reader */
    }
}

int main(int argc, char **argv)
{
    double sum = 0, expected = 0;
    const char *path = argc > 1 ? argv[1] : make_example(&expected);
    struct lzt_source *source = NULL;
    struct lzt_table *table = NULL;
    struct lzt_reader *reader = NULL;
    struct lzt_error error = {.text = "it has no pages"};
    void *pixels = NULL;
    int done = lzt_source_open(path, &source, &error) == LZT_OK && lzt_table_open(source, NULL, &table, &error) == LZT_OK &&
               lzt_reader_open(table, &reader, &error) == LZT_OK && lzt_table_pages(table) > 0;
    if (done) {
        const struct lzt_layout *layout = lzt_table_layout(table, lzt_table_rows(table)[0].layout);
        const uint64_t count = (uint64_t)layout->rows * layout->columns * layout->samples, bytes = count * layout->item_size;
        pixels = malloc(bytes);
        done = pixels != NULL && lzt_read_page(reader, 0, pixels, bytes, &error) == LZT_OK;
        for (uint64_t i = 0; done && i < count; i++)
            sum += item(layout, pixels, i);
    }
    done ? printf("%.17g\n", sum) : fprintf(stderr, "%s: %s\n", path, error.text);
    free(pixels);
    lzt_reader_close(reader);
    lzt_table_close(table);
    lzt_source_close(source);
    return done && (argc > 1 || sum == expected) ? 0 : 1;
}
