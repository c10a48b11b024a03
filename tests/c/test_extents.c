/* Where pixels are that are stored as they are read: distances between chunks, and their offsets. */
#include "extents.h"

/* ---- Finding pixels ---- */

/* Where a chunk is by the page's distances. */
static uint64_t by_distances(const struct lzt_extent *extent, const struct lzt_layout *layout, uint64_t chunk)
{
    const int64_t x = (int64_t)(chunk % layout->grid_columns), y = (int64_t)(chunk / layout->grid_columns % layout->grid_rows);
    const int64_t z = (int64_t)(chunk / layout->grid_columns / layout->grid_rows);
    return (uint64_t)((int64_t)extent->offset + x * extent->across + y * extent->down + z * extent->plane);
}

static uint64_t place_of(const struct lzt_layout *layout, const uint64_t *chunks, uint32_t row, uint32_t column, uint32_t sample)
{
    const uint32_t together = layout->planes > 1 ? 1 : layout->samples, plane = sample / together;
    const uint64_t grid_row = (uint64_t)plane * layout->grid_rows + row / layout->chunk_rows;
    const uint64_t chunk = grid_row * layout->grid_columns + column / layout->chunk_columns;
    const uint64_t pixel = (uint64_t)(row % layout->chunk_rows) * layout->chunk_columns + column % layout->chunk_columns;
    return chunks[chunk] + (pixel * together + sample % together) * layout->item_size;
}

/* CHECK that the distances lead to every chunk, and that there are the samples that were made of the seed. */
static void check_page(const struct opened *opened, const struct tiff_builder *tiff, uint64_t page, uint64_t seed, int regular)
{
    const struct lzt_layout *layout = layout_of(opened, page);
    const struct lzt_extent extent = extent_of(opened, page);
    uint64_t *chunks = chunks_of(opened, page);
    CHECK(extent.regular == (uint64_t)regular && extent.offset == chunks[0]);
    for (uint64_t i = 0; i < chunk_count(layout) && regular; i++)
        CHECK(by_distances(&extent, layout, i) == chunks[i]);
    CHECK(layout->grid_columns > 1 || extent.across == 0);
    CHECK(layout->grid_rows > 1 || extent.down == 0);
    CHECK(layout->planes > 1 || extent.plane == 0);
    for (uint32_t r = 0; r < layout->rows; r++)
        for (uint32_t c = 0; c < layout->columns; c++)
            for (uint32_t s = 0; s < layout->samples; s++) {
                const uint64_t place = place_of(layout, chunks, r, c, s), value = tiff_sample(seed, r, c, s, layout->bits);
                CHECK(tiff_get(tiff, (size_t)place, layout->item_size) == value);
            }
    free(chunks);
}

/* ---- Layouts ---- */

static const struct tiff_image layouts[] = {
    {.rows = 5, .columns = 7, .bits = 8},
    {.rows = 5, .columns = 7, .bits = 16},
    {.rows = 6, .columns = 7, .chunk_rows = 2, .bits = 32},
    {.rows = 5, .columns = 7, .chunk_rows = 2, .bits = 64, .samples = 2},
    {.rows = 5, .columns = 7, .chunk_rows = 1, .bits = 8, .samples = 3, .photometric = 2},
    {.rows = 1, .columns = 1, .bits = 8},
    {.rows = 5, .columns = 7, .bits = 16, .samples = 3, .planar = 2},
    {.rows = 5, .columns = 7, .chunk_rows = 2, .bits = 8, .samples = 4, .planar = 2},
    {.rows = 16, .columns = 32, .chunk_rows = 16, .chunk_columns = 32, .bits = 16},
    {.rows = 20, .columns = 50, .chunk_rows = 16, .chunk_columns = 32, .bits = 16},
    {.rows = 48, .columns = 10, .chunk_rows = 16, .chunk_columns = 16, .bits = 8, .samples = 2},
    {.rows = 10, .columns = 48, .chunk_rows = 16, .chunk_columns = 16, .bits = 32, .samples = 3},
    {.rows = 33, .columns = 35, .chunk_rows = 16, .chunk_columns = 16, .bits = 16, .samples = 3, .planar = 2},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

/* All in one file, asked for at once and out of order. */
static void test_layouts(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    uint64_t pages[LAYOUTS + 1];
    struct lzt_extent extents[LAYOUTS + 1];
    for (size_t i = 0; i < LAYOUTS; i++) {
        struct tiff_image image = layouts[i];
        image.seed = i;
        tiff_add_image(&tiff, &image);
    }
    struct opened opened = open_built(&tiff);
    for (size_t i = 0; i <= LAYOUTS; i++)
        pages[i] = i * 5 % LAYOUTS;
    CHECK(lzt_table_extents(opened.table, pages, LAYOUTS + 1, extents, NULL) == LZT_OK);
    for (size_t i = 0; i <= LAYOUTS; i++) {
        const struct lzt_extent one = extent_of(&opened, pages[i]);
        CHECK(memcmp(&one, &extents[i], sizeof one) == 0);
        check_page(&opened, &tiff, pages[i], pages[i], 1);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

/* Every kind of sample that has whole bytes of its own. */
static void test_kinds(int bigtiff, int big_endian)
{
    static const uint16_t kinds[][2] = {{1, 8}, {1, 16}, {1, 32}, {1, 64}, {2, 8}, {2, 64}, {3, 16}, {3, 32}, {3, 64}, {4, 16}, {6, 64}, {6, 128}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
        const uint64_t bits = kinds[i][1], bytes = 3 * 4 * bits / 8;
        const size_t place = tiff_reserve(&tiff, (size_t)bytes);
        const struct tiff_entry entries[] = {{256, FIELD_SHORT, 1, NULL, 4},     {257, FIELD_SHORT, 1, NULL, 3},  {258, FIELD_SHORT, 1, NULL, bits},
                                             {273, FIELD_LONG, 1, NULL, place},  {279, FIELD_LONG, 1, NULL, bytes},
                                             {339, FIELD_SHORT, 1, NULL, kinds[i][0]}};
        tiff_add_page(&tiff, entries, 6);
        struct opened opened = open_built(&tiff);
        const struct lzt_extent extent = extent_of(&opened, 0);
        CHECK(extent.offset == place && extent.regular == 1 && extent.across == 0 && extent.down == 0 && extent.plane == 0);
        close_all(&opened);
        tiff_free(&tiff);
    }
}

/* ---- Chunks in other places ---- */

/* Add a page whose chunk number i is where chunk order[i] would be. */
static void add_shuffled(struct tiff_builder *tiff, const struct tiff_image *image, const unsigned *order, unsigned count)
{
    const size_t word = tiff_word(tiff);
    uint64_t offsets[16];
    const struct tiff_page page = tiff_add_image(tiff, image);
    const size_t table = tiff_value_at(tiff, page, image->chunk_columns ? 324 : 273);
    CHECK(count <= 16 && tiff_get(tiff, tiff_entry_at(tiff, page, image->chunk_columns ? 324 : 273) + 4, word) == count);
    for (unsigned i = 0; i < count; i++)
        offsets[i] = tiff_get(tiff, table + i * word, word);
    for (unsigned i = 0; i < count; i++)
        tiff_put(tiff, table + i * word, word, offsets[order[i]]);
}

/* In any order: what is told are the offsets in the file. */
static void check_shuffled(const struct tiff_image *image, const unsigned *order, unsigned count, int regular)
{
    for (int kind = 0; kind < 4; kind++) {
        struct tiff_builder tiff = tiff_new(kind / 2, kind % 2);
        tiff_add_image(&tiff, image);
        add_shuffled(&tiff, image, order, count);
        struct opened opened = open_built(&tiff);
        uint64_t *straight = chunks_of(&opened, 0), *shuffled = chunks_of(&opened, 1);
        const struct lzt_extent extent = extent_of(&opened, 1);
        CHECK(extent.regular == (uint64_t)regular && extent.offset == shuffled[0]);
        for (unsigned i = 0; i < count; i++) {
            CHECK(shuffled[i] - shuffled[0] == straight[order[i]] - straight[order[0]]);
            CHECK(!regular || by_distances(&extent, layout_of(&opened, 1), i) == shuffled[i]);
        }
        free(straight);
        free(shuffled);
        close_all(&opened);
        tiff_free(&tiff);
    }
}

static void test_other_places(void)
{
    const struct tiff_image strips = {.rows = 8, .columns = 3, .chunk_rows = 2}, two = {.rows = 2, .columns = 3, .chunk_rows = 1};
    const struct tiff_image tiles = {.rows = 32, .columns = 48, .chunk_rows = 16, .chunk_columns = 16};
    const struct tiff_image planes = {.rows = 32, .columns = 32, .chunk_rows = 16, .chunk_columns = 16, .samples = 2, .planar = 2};
    check_shuffled(&two, (const unsigned[]){1, 0}, 2, 1); /* backwards is at equal distances too */
    check_shuffled(&strips, (const unsigned[]){3, 2, 1, 0}, 4, 1);
    check_shuffled(&strips, (const unsigned[]){2, 2, 2, 2}, 4, 1); /* all the same: a distance of 0 */
    check_shuffled(&strips, (const unsigned[]){0, 2, 1, 3}, 4, 0);
    check_shuffled(&strips, (const unsigned[]){0, 1, 2, 2}, 4, 0);
    check_shuffled(&tiles, (const unsigned[]){0, 2, 4, 1, 3, 5}, 6, 1); /* column by column */
    check_shuffled(&tiles, (const unsigned[]){5, 4, 3, 2, 1, 0}, 6, 1);
    check_shuffled(&tiles, (const unsigned[]){0, 1, 2, 3, 5, 4}, 6, 0); /* only the last rows tell */
    check_shuffled(&tiles, (const unsigned[]){0, 1, 3, 2, 4, 5}, 6, 0);
    check_shuffled(&planes, (const unsigned[]){0, 2, 4, 6, 1, 3, 5, 7}, 8, 1); /* tile by tile, its planes together */
    check_shuffled(&planes, (const unsigned[]){7, 6, 5, 4, 3, 2, 1, 0}, 8, 1);
    check_shuffled(&planes, (const unsigned[]){0, 1, 2, 3, 4, 5, 7, 6}, 8, 0);
    check_shuffled(&planes, (const unsigned[]){0, 1, 2, 3, 4, 6, 5, 7}, 8, 0);
    check_shuffled(&planes, (const unsigned[]){0, 2, 1, 3, 4, 5, 6, 7}, 8, 0); /* the second plane is not like the first */
}

/* Lengths that say more than the pixels need say nothing of where they are. */
static void test_longer_chunks(int bigtiff, int big_endian)
{
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    const struct tiff_page page = tiff_add_image(&tiff, &(struct tiff_image){.rows = 6, .columns = 5, .chunk_rows = 2, .seed = 3});
    for (size_t i = 0; i < 3; i++)
        tiff_put(&tiff, tiff_value_at(&tiff, page, 279) + i * tiff_word(&tiff), tiff_word(&tiff), i == 0 ? 0 : UINT32_MAX);
    struct opened opened = open_built(&tiff);
    check_page(&opened, &tiff, 0, 3, 1);
    close_all(&opened);
    tiff_free(&tiff);
}

/* ---- Frames ---- */

/* All frames have the distances of the first; the next one begins where it ends. */
static void check_frames(const struct tiff_image *shape, int bigtiff, int big_endian)
{
    static const char text[] = "ImageJ=1.53t\nimages=4\n";
    const struct tiff_entry description = {270, FIELD_ASCII, sizeof text, text, 0};
    struct tiff_builder tiff = tiff_new(bigtiff, big_endian);
    struct tiff_image image = *shape;
    image.extra = &description;
    image.extra_count = 1;
    const struct tiff_page page = tiff_add_image(&tiff, &image);
    const uint64_t start = tiff_get(&tiff, tiff_value_at(&tiff, page, 273), tiff_word(&tiff));
    const uint64_t bytes = (uint64_t)image.rows * image.columns * image.samples * image.bits / 8;
    tiff_reserve(&tiff, (size_t)(start + 4 * bytes - tiff.size)); /* the IFD lies in the second frame: nobody minds */
    struct opened opened = open_built(&tiff);
    const struct lzt_extent first = extent_of(&opened, 0);
    const uint64_t pages[] = {3, 0, 2, 1};
    struct lzt_extent extents[4];
    CHECK(lzt_table_pages(opened.table) == 4 && first.offset == start && first.regular == 1);
    CHECK(lzt_table_extents(opened.table, pages, 4, extents, NULL) == LZT_OK);
    for (size_t i = 0; i < 4; i++) {
        uint64_t *chunks = chunks_of(&opened, pages[i]);
        CHECK(extents[i].offset == start + pages[i] * bytes && chunks[0] == extents[i].offset);
        CHECK(extents[i].down == first.down && extents[i].plane == first.plane && extents[i].regular == 1);
        for (uint64_t chunk = 0; chunk < chunk_count(layout_of(&opened, 0)); chunk++)
            CHECK(by_distances(&extents[i], layout_of(&opened, 0), chunk) == chunks[chunk]);
        free(chunks);
    }
    close_all(&opened);
    tiff_free(&tiff);
}

static void test_frames(int bigtiff, int big_endian)
{
    const struct tiff_image shapes[] = {
        {.rows = 50, .columns = 70, .bits = 16, .samples = 1},
        {.rows = 50, .columns = 70, .chunk_rows = 20, .bits = 8, .samples = 1},
        {.rows = 50, .columns = 70, .chunk_rows = 20, .bits = 8, .samples = 3, .photometric = 2, .planar = 2},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_frames(&shapes[i], bigtiff, big_endian);
}

int main(void)
{
    for (int kind = 0; kind < 4; kind++) {
        test_layouts(kind / 2, kind % 2);
        test_kinds(kind / 2, kind % 2);
        test_longer_chunks(kind / 2, kind % 2);
        test_frames(kind / 2, kind % 2);
    }
    test_other_places();
    return 0;
}
