#include "lazytiff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "directory.h"
#include "error.h"
#include "form.h"
#include "layout.h"
#include "os.h"

/* Offsets in a classic file have 4 bytes. The last 64 KiB that these reach are left to who adds a tag to the file later, whose values go to
 * the end. */
#define CLASSIC_MOST ((UINT64_C(4) << 30) - (64 << 10))

/* Pixels begin at a page of memory, but in small files, which would consist of little else, at a line of the processor's cache. */
enum { PIXEL_ALIGNMENT = 4096, SMALL_ALIGNMENT = 64, SMALL_FILE = 64 << 10 };

/* Bytes that are made and written at a time. */
enum { BAND = 1 << 20 };

enum { MOST_TAGS = 12, MOST_IFD = 8 + 20 * MOST_TAGS + 8 };

_Static_assert(BAND > 16 + 3 * 2 * UINT16_MAX + MOST_IFD, "what lies before the first IFD is written at once, IFDs whole");

/* What the file holds, and where. */
struct plan {
    struct lzt_new_stack stack;
    struct lzt_format format;
    uint16_t photometric, sample_format, extra_samples, tags;
    uint64_t bits, formats, extra; /* values that do not fit into an IFD, which all IFDs share */
    uint64_t ifds, stride;         /* the first IFD, and from one to the next one */
    uint64_t page_bytes, pixels, size;
};

/* ---- What is wanted -------------------------------------------------------------------------------------------------------- */

static enum lzt_status take_stack(struct lzt_new_stack *own, const struct lzt_new_stack *stack, struct lzt_error *error)
{
    *own = (struct lzt_new_stack){.photometric = -1, .bigtiff = -1};
    if (stack->size < offsetof(struct lzt_new_stack, item_size) + sizeof stack->item_size)
        return lzt_fail(error, LZT_USAGE, "the size of struct lzt_new_stack is not set");
    memcpy(own, stack, stack->size < sizeof *own ? stack->size : sizeof *own);
    if (own->pages == 0 || own->rows == 0 || own->columns == 0 || own->samples == 0)
        return lzt_fail(error, LZT_USAGE,
                        "%" PRIu64 " pages of %" PRIu32 " x %" PRIu32 " pixels of %" PRIu32 " samples: nothing in TIFF is empty",
                        own->pages, own->rows, own->columns, own->samples);
    if (own->samples > UINT16_MAX)
        return lzt_fail(error, LZT_USAGE, "%" PRIu32 " samples a pixel, where TIFF has at most 65535", own->samples);
    if (own->bigtiff < -1 || own->bigtiff > 1)
        return lzt_fail(error, LZT_USAGE, "bigtiff is %" PRId32 ", where -1, 0 and 1 mean something", own->bigtiff);
    return LZT_OK;
}

static enum lzt_status choose_format(struct plan *plan, struct lzt_error *error)
{
    const struct lzt_new_stack *stack = &plan->stack;
    plan->sample_format = stack->kind == LZT_BOOL ? 0 : lzt_sample_format(stack->kind, stack->item_size);
    if (plan->sample_format == 0)
        return lzt_fail(error, LZT_USAGE, "there are no samples of kind %u with %u bytes", stack->kind, stack->item_size);
    return LZT_OK;
}

static enum lzt_status choose_photometric(struct plan *plan, struct lzt_error *error)
{
    struct lzt_new_stack *stack = &plan->stack;
    if (stack->photometric == LZT_PHOTOMETRIC_PALETTE || stack->photometric == LZT_PHOTOMETRIC_YCBCR) /* they take tags that are not written here */
        return lzt_fail(error, LZT_USAGE, "pages with the photometric interpretation %" PRId32 " are not made here", stack->photometric);
    enum lzt_status status = lzt_choose_photometric(&stack->photometric, stack->samples, stack->kind, stack->item_size, &plan->extra_samples, error);
    plan->photometric = (uint16_t)stack->photometric;
    plan->tags = plan->extra_samples > 0 ? MOST_TAGS : MOST_TAGS - 1;
    return status;
}

/* ---- Where it goes --------------------------------------------------------------------------------------------------------- */

static int multiply(uint64_t *product, uint64_t factor)
{
    if (factor != 0 && *product > INT64_MAX / factor)
        return 0;
    *product *= factor;
    return 1;
}

/* Space for that many SHORTs at *end, unless they fit into an entry. */
static uint64_t place_values(const struct plan *plan, uint64_t count, uint64_t *end)
{
    const uint64_t place = *end;
    if (2 * count > lzt_offset_size(plan->format))
        *end += 2 * count;
    return place;
}

/* The link that ends each IFD is aligned: who reads it while it is rewritten, as the file grows, gets the old one or the new one, never a
 * part of each. */
static void place_ifds(struct plan *plan)
{
    const uint64_t word = lzt_offset_size(plan->format);
    const uint64_t link = lzt_count_size(plan->format) + (uint64_t)plan->tags * lzt_entry_size(plan->format);
    uint64_t end = plan->format.bigtiff ? 16 : 8;
    plan->bits = place_values(plan, plan->stack.samples, &end);
    plan->formats = place_values(plan, plan->stack.samples, &end);
    plan->extra = place_values(plan, plan->extra_samples, &end);
    plan->ifds = lzt_round_up(end + link, word) - link;
    plan->stride = lzt_round_up(link + word, word);
}

static uint64_t end_of_ifds(const struct plan *plan)
{
    return plan->ifds + plan->stack.pages * plan->stride;
}

/* 0: more bytes than any file can have. */
static int place_all(struct plan *plan, int bigtiff)
{
    const struct lzt_new_stack *stack = &plan->stack;
    plan->format = (struct lzt_format){bigtiff, stack->big_endian != 0};
    place_ifds(plan);
    uint64_t all_ifds = stack->pages, all_pixels = stack->pages;
    plan->page_bytes = stack->rows;
    if (!multiply(&plan->page_bytes, stack->columns) || !multiply(&plan->page_bytes, (uint64_t)stack->samples * stack->item_size) ||
        !multiply(&all_pixels, plan->page_bytes) || !multiply(&all_ifds, plan->stride))
        return 0;
    plan->pixels = lzt_round_up(end_of_ifds(plan), SMALL_ALIGNMENT);
    if (plan->pixels + all_pixels >= SMALL_FILE)
        plan->pixels = lzt_round_up(plan->pixels, PIXEL_ALIGNMENT);
    if (plan->pixels > INT64_MAX - all_pixels)
        return 0;
    plan->size = plan->pixels + all_pixels;
    return 1;
}

static enum lzt_status make_plan(struct plan *plan, const struct lzt_new_stack *stack, struct lzt_error *error)
{
    enum lzt_status status = take_stack(&plan->stack, stack, error);
    if (status == LZT_OK)
        status = choose_format(plan, error);
    if (status == LZT_OK)
        status = choose_photometric(plan, error);
    if (status != LZT_OK)
        return status;
    const int32_t bigtiff = plan->stack.bigtiff;
    int possible = place_all(plan, bigtiff == 1);
    if (possible && bigtiff == 0 && plan->size > CLASSIC_MOST)
        return lzt_fail(error, LZT_FULL,
                        "%" PRIu64 " bytes are needed, more than a classic TIFF file can hold; a BigTIFF file can",
                        plan->size);
    if (possible && bigtiff == -1 && plan->size > CLASSIC_MOST)
        possible = place_all(plan, 1);
    if (!possible)
        return lzt_fail(error, LZT_LIMIT, "%" PRIu64 " pages of %" PRIu32 " x %" PRIu32 " pixels are more than 2^63 bytes, where files end",
                        plan->stack.pages, plan->stack.rows, plan->stack.columns);
    return LZT_OK;
}

/* ---- What is written ------------------------------------------------------------------------------------------------------- */

static void put(const struct plan *plan, uint8_t *bytes, unsigned size, uint64_t value)
{
    lzt_put(bytes, size, value, plan->format.big_endian);
}

static void put_offset(const struct plan *plan, uint8_t *bytes, uint64_t value)
{
    put(plan, bytes, lzt_offset_size(plan->format), value);
}

static void put_shorts(const struct plan *plan, uint8_t *bytes, uint32_t count, uint16_t value)
{
    for (uint32_t i = 0; i < count; i++)
        put(plan, bytes + 2 * (size_t)i, 2, value);
}

static uint16_t extra_meaning(const struct plan *plan)
{
    return lzt_extra_meaning(plan->photometric, plan->stack.kind, plan->stack.item_size, plan->extra_samples);
}

/* What an entry begins with; its value follows. */
static uint8_t *put_entry(const struct plan *plan, uint8_t **end, uint16_t tag, uint16_t type, uint64_t count)
{
    const unsigned word = lzt_offset_size(plan->format);
    uint8_t *entry = *end;
    put(plan, entry, 2, tag);
    put(plan, entry + 2, 2, type);
    put(plan, entry + 4, word, count);
    *end += lzt_entry_size(plan->format);
    return entry + 4 + word;
}

static void put_short(const struct plan *plan, uint8_t **end, uint16_t tag, uint16_t value)
{
    put(plan, put_entry(plan, end, tag, LZT_SHORT, 1), 2, value);
}

static void put_long(const struct plan *plan, uint8_t **end, uint16_t tag, uint32_t value)
{
    put(plan, put_entry(plan, end, tag, LZT_LONG, 1), 4, value);
}

/* The same value for each of count samples, which stands at place where an entry has no room for them. */
static void put_repeated(const struct plan *plan, uint8_t **end, uint16_t tag, uint32_t count, uint16_t value, uint64_t place)
{
    uint8_t *field = put_entry(plan, end, tag, LZT_SHORT, count);
    if (2 * (uint64_t)count <= lzt_offset_size(plan->format))
        put_shorts(plan, field, count, value);
    else
        put_offset(plan, field, place);
}

/* An IFD of MOST_IFD bytes that were 0, without what differs between pages: where the strip is, which is *strip, and the link, *link. */
static void make_ifd(const struct plan *plan, uint8_t *ifd, size_t *strip, size_t *link)
{
    const struct lzt_new_stack *stack = &plan->stack;
    const uint16_t offset = plan->format.bigtiff ? LZT_LONG8 : LZT_LONG;
    uint8_t *end = ifd + lzt_count_size(plan->format);
    put(plan, ifd, lzt_count_size(plan->format), plan->tags);
    put_long(plan, &end, LZT_TAG_COLUMNS, stack->columns);
    put_long(plan, &end, LZT_TAG_ROWS, stack->rows);
    put_repeated(plan, &end, LZT_TAG_BITS, stack->samples, (uint16_t)(8 * stack->item_size), plan->bits);
    put_short(plan, &end, LZT_TAG_COMPRESSION, LZT_NONE);
    put_short(plan, &end, LZT_TAG_PHOTOMETRIC, plan->photometric);
    *strip = (size_t)(put_entry(plan, &end, LZT_TAG_STRIP_OFFSETS, offset, 1) - ifd);
    put_short(plan, &end, LZT_TAG_SAMPLES, (uint16_t)stack->samples);
    put_long(plan, &end, LZT_TAG_ROWS_PER_STRIP, stack->rows);
    put_offset(plan, put_entry(plan, &end, LZT_TAG_STRIP_COUNTS, offset, 1), plan->page_bytes);
    put_short(plan, &end, LZT_TAG_PLANAR, 1);
    if (plan->extra_samples > 0)
        put_repeated(plan, &end, LZT_TAG_EXTRA_SAMPLES, plan->extra_samples, extra_meaning(plan), plan->extra);
    put_repeated(plan, &end, LZT_TAG_SAMPLE_FORMAT, stack->samples, plan->sample_format, plan->formats);
    *link = (size_t)(end - ifd);
}

/* The header (TIFF 6.0, section 2; BigTIFF: offsets of 8 bytes, so said, and a word of 0); returns how long it is. */
static size_t put_header(uint8_t *bytes, struct lzt_format format, uint64_t first)
{
    memset(bytes, format.big_endian ? 'M' : 'I', 2);
    lzt_put(bytes + 2, 2, format.bigtiff ? 43 : 42, format.big_endian);
    if (format.bigtiff)
        lzt_put(bytes + 4, 2, lzt_offset_size(format), format.big_endian);
    lzt_put(bytes + (format.bigtiff ? 8 : 4), lzt_offset_size(format), first, format.big_endian);
    return format.bigtiff ? 16 : 8;
}

/* The header and the values that IFDs share; so many extra samples that they stand here mean nothing, 0. */
static enum lzt_status write_head(const struct plan *plan, struct lzt_file *file, uint8_t *band, struct lzt_error *error)
{
    memset(band, 0, (size_t)plan->ifds);
    put_header(band, plan->format, plan->ifds);
    if (plan->formats > plan->bits) {
        put_shorts(plan, band + plan->bits, plan->stack.samples, (uint16_t)(8 * plan->stack.item_size));
        put_shorts(plan, band + plan->formats, plan->stack.samples, plan->sample_format);
    }
    return lzt_file_write(file, 0, band, (size_t)plan->ifds, error);
}

/* There may be millions of IFDs: never all of them are in memory. */
static enum lzt_status write_ifds(const struct plan *plan, struct lzt_file *file, uint8_t *band, struct lzt_error *error)
{
    const uint64_t pages = plan->stack.pages, most = BAND / plan->stride;
    uint8_t ifd[MOST_IFD] = {0};
    size_t strip, link;
    enum lzt_status status = LZT_OK;
    make_ifd(plan, ifd, &strip, &link);
    for (uint64_t first = 0; status == LZT_OK && first < pages; first += most) {
        const uint64_t count = lzt_min64(most, pages - first);
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t page = first + i;
            put_offset(plan, ifd + strip, plan->pixels + page * plan->page_bytes);
            put_offset(plan, ifd + link, page + 1 < pages ? plan->ifds + (page + 1) * plan->stride : 0);
            memcpy(band + i * plan->stride, ifd, (size_t)plan->stride);
        }
        status = lzt_file_write(file, plan->ifds + first * plan->stride, band, (size_t)(count * plan->stride), error);
    }
    return status;
}

/* The disk space of everything behind the IFDs, where the file system gives none but for bytes that are written. */
static enum lzt_status write_zeros(const struct plan *plan, struct lzt_file *file, uint8_t *band, struct lzt_error *error)
{
    enum lzt_status status = LZT_OK;
    memset(band, 0, BAND);
    for (uint64_t at = end_of_ifds(plan); status == LZT_OK && at < plan->size; at += BAND)
        status = lzt_file_write(file, at, band, (size_t)lzt_min64(BAND, plan->size - at), error);
    return status;
}

static enum lzt_status write_all(const struct plan *plan, struct lzt_file *file, struct lzt_error *error)
{
    int done;
    uint8_t *band = malloc(BAND);
    if (band == NULL)
        return lzt_fail_memory(error, BAND);
    enum lzt_status status = lzt_file_allocate(file, plan->size, &done, error);
    if (status == LZT_OK && !done)
        status = write_zeros(plan, file, band, error);
    if (status == LZT_OK)
        status = write_head(plan, file, band, error);
    if (status == LZT_OK)
        status = write_ifds(plan, file, band, error);
    free(band);
    return status == LZT_OK ? lzt_file_sync(file, error) : status;
}

enum lzt_status lzt_create_zeros(const char *path, const struct lzt_new_stack *stack, struct lzt_error *error)
{
    struct plan plan = {0};
    struct lzt_file *file;
    if (path == NULL)
        return lzt_fail(error, LZT_USAGE, "the path is NULL");
    enum lzt_status status = make_plan(&plan, stack, error);
    if (status == LZT_OK)
        status = lzt_file_create(path, &file, error);
    if (status != LZT_OK)
        return status;
    status = write_all(&plan, file, error);
    if (status == LZT_OK)
        status = lzt_file_publish(file, error);
    lzt_file_close(file);
    return status;
}

enum lzt_status lzt_create_empty(struct lzt_file *file, int bigtiff, int big_endian, struct lzt_error *error)
{
    uint8_t header[16] = {0};
    uint64_t size;
    if (file == NULL || bigtiff < -1 || bigtiff > 1)
        return lzt_fail(error, LZT_USAGE, "no file, or bigtiff is %d, where -1, 0 and 1 mean something", bigtiff);
    enum lzt_status status = lzt_file_size(file, &size, error);
    if (status == LZT_OK && size > 0)
        status = lzt_fail(error, LZT_USAGE, "there are %" PRIu64 " bytes in the file already", size);
    if (status != LZT_OK)
        return status;
    const size_t length = put_header(header, (struct lzt_format){bigtiff == 1, big_endian != 0}, 0);
    /* What becomes BigTIFF has that chain's first link already, where it will be looked for. */
    return lzt_file_write(file, 0, header, bigtiff == -1 ? sizeof header : length, error);
}
