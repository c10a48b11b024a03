/* The smallest useful program that writes: frames of a camera into a stack that others may read meanwhile.
 *
 *     cc -Icsrc tests/c/test_acquire.c csrc/*.c -ltiff -lm -o acquire
 *     ./acquire stack.tif 1000 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lazytiff.h"

enum { ROWS = 48, COLUMNS = 64 };

/* Stands for the camera. */
static void take_frame(uint16_t *pixels, uint64_t number)
{
    for (uint32_t i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] = (uint16_t)(i * 3 + number);
}

/* A new file without pages. Its name appears now: followers may wait for its frames. */
static int begin(const char *path, struct lzt_source **source, struct lzt_table **table, struct lzt_writer **writer, struct lzt_error *error)
{
    static const char description[] = "a test of the camera";
    const struct lzt_new_tag tag = {.tag = 270, .type = 2, .count = sizeof description, .values = description};
    const struct lzt_form form = {.size = sizeof form, .rows = ROWS, .columns = COLUMNS, .samples = 1, .kind = LZT_UINT, .item_size = 2,
                                  .photometric = -1, .level = -1, .tags = &tag, .tag_count = 1};
    return lzt_source_create(path, source, error) == LZT_OK && lzt_create_empty(lzt_source_file(*source), -1, 0, error) == LZT_OK &&
           lzt_source_publish(*source, 0, error) == LZT_OK && lzt_table_open(*source, NULL, table, error) == LZT_OK &&
           lzt_writer_open(*table, 0, writer, error) == LZT_OK && lzt_writer_set_form(*writer, &form, error) == LZT_OK;
}

int main(int argc, char **argv)
{
    static uint16_t frame[ROWS * COLUMNS];
    const struct lzt_pixels pixels = {.data = frame, .row_stride = COLUMNS * 2, .column_stride = 2, .sample_stride = 2};
    const char *const path = argc > 1 ? argv[1] : "test_acquire.tif";
    const uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10;
    struct lzt_source *source = NULL;
    struct lzt_table *table = NULL;
    struct lzt_writer *writer = NULL;
    struct lzt_error error;
    uint64_t page;
    int done = begin(path, &source, &table, &writer, &error);
    for (uint64_t i = 0; done && i < count; i++) {
        take_frame(frame, i);
        done = lzt_writer_append(writer, &pixels, NULL, 0, &page, &error) == LZT_OK && page == i;
    }
    done ? printf("%s: %llu pages\n", path, (unsigned long long)lzt_writer_pages(writer)) : fprintf(stderr, "%s: %s\n", path, error.text);
    lzt_writer_close(writer);
    lzt_table_close(table);
    lzt_source_close(source);
    if (argc == 1 && unlink(path) != 0)
        return 1;
    return done ? 0 : 1;
}
