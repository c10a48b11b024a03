/* Appends as its arguments say, by the functions of lazytiff.h alone, and prints how many pages are acknowledged after each call.
 *
 * calls PATH BIGTIFF PAGES BATCH DURABLE COUNTS
 *
 * BIGTIFF 2: go on with a file; otherwise -1, 0, 1: make one. COUNTS 1: in the first page's description, which a file that goes on gets anew.
 */
#include "lazytiff.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROWS = 6, COLUMNS = 50, CHANNELS = 2, DIGITS_AT = 112 };

static struct lzt_error error;

static void must(enum lzt_status status)
{
    if (status == LZT_OK)
        return;
    fprintf(stderr, "%s\n", error.text);
    exit(1);
}

/* stamped.py makes the same pages. */
static void draw(uint8_t *pixels, uint64_t number)
{
    for (uint32_t i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] = (uint8_t)((i * 2654435761u >> 13) + number % 251);
}

/* A description with its count at DIGITS_AT. */
static struct lzt_new_tag describe(char *text, size_t room, uint64_t pages)
{
    static const char form[] = "<OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\"><Image><Pixels SizeC=\"2\" SizeZ=\"1\""
                               "        SizeT=\"%08d\"><Channel ID=\"0\" SamplesPerPixel=\"1\"/></Pixels></Image></OME>";
    const int length = snprintf(text, room, form, (int)(pages < CHANNELS ? 1 : pages / CHANNELS));
    return (struct lzt_new_tag){.tag = 270, .type = 2, .count = (uint64_t)length + 1, .values = text};
}

static void say(uint64_t pages)
{
    printf("%d\n", (int)pages);
    fflush(stdout);
}

int main(int count, char **arguments)
{
    if (count != 7)
        return 2;
    const char *path = arguments[1];
    const int bigtiff = atoi(arguments[2]), pages = atoi(arguments[3]), batch = atoi(arguments[4]), durable = atoi(arguments[5]);
    const int counts = atoi(arguments[6]);
    char text[256];
    struct lzt_source *source;
    struct lzt_table *table;
    struct lzt_writer *writer;
    struct lzt_form form = {.size = sizeof form, .rows = ROWS, .columns = COLUMNS, .samples = 1, .kind = LZT_UINT, .item_size = 1,
                            .photometric = -1, .level = -1};
    uint8_t pixels[ROWS * COLUMNS];
    const struct lzt_pixels where = {.data = pixels, .row_stride = COLUMNS, .column_stride = 1, .sample_stride = 1};

    getppid(); /* calls.py counts from here on */
    must(bigtiff == 2 ? lzt_source_open_locked(path, &source, &error) : lzt_source_create(path, &source, &error));
    if (bigtiff != 2)
        must(lzt_create_empty(lzt_source_file(source), bigtiff, 0, &error));
    must(lzt_table_open(source, NULL, &table, &error));
    must(lzt_writer_open(table, durable, &writer, &error));
    must(lzt_writer_set_form(writer, &form, &error));
    if (bigtiff != 2)
        must(lzt_source_publish(source, durable, &error));
    const struct lzt_new_tag description = describe(text, sizeof text, lzt_writer_pages(writer));
    if (counts && lzt_writer_pages(writer) > 0)
        must(lzt_writer_redescribe(writer, text, description.count, &error));
    if (counts)
        must(lzt_writer_set_counter(writer, DIGITS_AT, CHANNELS, 1, &error)); /* OME has no axis of length 0 */
    say(lzt_writer_pages(writer));
    for (int i = 0; i < pages; i++) {
        draw(pixels, lzt_writer_pages(writer) + (uint64_t)(i % batch));
        must(lzt_writer_write(writer, NULL, &where, &description, counts && i == 0 && lzt_writer_pages(writer) == 0, &error));
        if (i % batch != batch - 1)
            continue;
        must(lzt_writer_publish(writer, &error));
        say(lzt_writer_pages(writer));
    }
    lzt_writer_close(writer);
    lzt_table_close(table);
    lzt_source_close(source);
    return 0;
}
