/* example.h - a small stack in a temporary file, for the programs that are given none. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include "tiff_builder.h"

static char example_folder[64], example_path[80];

static void remove_example(void)
{
    unlink(example_path);
    rmdir(example_folder);
}

/* The path of a stack of pages of 30 x 40 bytes; *sum becomes that of the first page. The file goes when the program ends. */
static inline const char *make_example(double *sum)
{
    const char *const folder = getenv("TMPDIR");
    struct tiff_builder tiff = tiff_new(0, 0);
    for (uint64_t page = 0; page < 3; page++)
        tiff_add_image(&tiff, &(struct tiff_image){.rows = 30, .columns = 40, .chunk_rows = 7, .seed = page});
    CHECK(snprintf(example_folder, sizeof example_folder, "%s/lazytiff-XXXXXX", folder && strlen(folder) < 40 ? folder : "/tmp") > 0);
    CHECK(mkdtemp(example_folder) != NULL);
    atexit(remove_example);
    sprintf(example_path, "%s/stack.tif", example_folder);
    FILE *file = fopen(example_path, "wb");
    CHECK(file != NULL && fwrite(tiff.bytes, 1, tiff.size, file) == tiff.size && fclose(file) == 0);
    tiff_free(&tiff);
    *sum = 0;
    for (uint32_t i = 0; i < 30 * 40; i++)
        *sum += (double)tiff_sample(0, i / 40, i % 40, 0, 8);
    return example_path;
}

#endif
