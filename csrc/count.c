/* The digits in the first page's description that tell how many steps of the slowest axis a file has. */
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"
#include "writer.h"

enum { DIGITS = 8, STEPS_MOST = 99999999 };

/* ---- Digits --------------------------------------------------------------------------------------------------------------- */

/* 0: these are not eight digits. */
static int get_digits(const uint8_t *digits, uint64_t *number)
{
    *number = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        *number = *number * 10 + (uint64_t)(digits[i] - '0');
    }
    return 1;
}

static void put_digits(uint8_t *digits, uint64_t number)
{
    for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
        digits[i] = (uint8_t)('0' + number % 10);
}

/* ---- Counting ------------------------------------------------------------------------------------------------------------- */

/* Nobody reads a part of the old number and a part of the new one: it is aligned, and written at once. */
enum lzt_status lzt_writer_count(struct lzt_writer *writer, uint64_t pages, struct lzt_error *error)
{
    struct lzt_counter *counter = &writer->counter;
    uint8_t digits[DIGITS];
    if (counter->place == 0)
        return LZT_OK;
    const uint64_t steps = lzt_min64(lzt_max64(pages / counter->per, counter->least), STEPS_MOST);
    if (steps == counter->shown)
        return LZT_OK;
    put_digits(digits, steps);
    enum lzt_status status = lzt_writer_die(writer, lzt_file_write(writer->file, counter->place, digits, DIGITS, error), error);
    if (status != LZT_OK)
        return status;
    counter->shown = steps;
    return lzt_writer_sync(writer, error);
}

/* ---- Where the digits are ------------------------------------------------------------------------------------------------- */

static enum lzt_status no_digits(const struct lzt_counter *counter, struct lzt_error *error)
{
    return lzt_fail(error, LZT_USAGE, "the first page's description has no eight digits at byte %" PRIu64 " that could be counted", counter->inside);
}

enum lzt_status lzt_counter_check(const struct lzt_counter *counter, const struct lzt_entries *entries, struct lzt_error *error)
{
    uint64_t number;
    for (size_t i = 0; i < entries->count; i++) {
        const struct lzt_entry *entry = &entries->items[i];
        if (entry->tag == LZT_TAG_DESCRIPTION && entry->type == LZT_ASCII && counter->inside + DIGITS < entry->count &&
            get_digits(entry->values + counter->inside, &number) && number == counter->least)
            return LZT_OK;
    }
    return no_digits(counter, error);
}

void lzt_counter_settle(struct lzt_counter *counter, const struct lzt_entries *entries, uint64_t start)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].tag == LZT_TAG_DESCRIPTION)
            counter->place = start + entries->items[i].inside + counter->inside;
    counter->shown = counter->least;
}

/* Where the text of the first page that readers find begins; LZT_USAGE when it cannot hold the digits. */
static enum lzt_status find_text(struct lzt_writer *writer, const struct lzt_counter *counter, uint64_t *place, struct lzt_error *error)
{
    struct lzt_first first;
    enum lzt_status status = lzt_writer_read_first(writer, lzt_writer_is_bigtiff(writer) ? LZT_BIG : LZT_CLASSIC, &first, error);
    if (status != LZT_OK)
        return status;
    const unsigned word = lzt_offset_size(first.format);
    const uint8_t *entry = lzt_first_entry(&first, LZT_TAG_DESCRIPTION);
    int fits = (size_t)(entry - first.bytes) + word < first.length;
    fits = fits && lzt_get16(entry, first.format.big_endian) == LZT_TAG_DESCRIPTION;
    fits = fits && lzt_get16(entry + 2, first.format.big_endian) == LZT_ASCII;
    fits = fits && lzt_get_offset(entry + 4, first.format) > counter->inside + DIGITS; /* so many do not fit into the entry itself */
    *place = fits ? lzt_get_offset(entry + 4 + word, first.format) : 0;
    fits = fits && *place % DIGITS == 0 && *place < writer->size && writer->size - *place > counter->inside + DIGITS;
    free(first.bytes);
    return fits ? LZT_OK : no_digits(counter, error);
}

static enum lzt_status find_digits(struct lzt_writer *writer, struct lzt_counter *counter, struct lzt_error *error)
{
    uint8_t digits[DIGITS];
    uint64_t text;
    enum lzt_status status = find_text(writer, counter, &text, error);
    if (status == LZT_OK)
        status = lzt_writer_read(writer, text + counter->inside, digits, DIGITS, error);
    if (status == LZT_OK && !get_digits(digits, &counter->shown))
        return no_digits(counter, error);
    counter->place = text + counter->inside;
    return status;
}

enum lzt_status lzt_writer_set_counter(struct lzt_writer *writer, uint64_t inside, uint64_t per, uint64_t least, struct lzt_error *error)
{
    struct lzt_counter counter = {.inside = inside, .per = per, .least = least};
    enum lzt_status status = lzt_writer_check_alive(writer, error);
    if (status != LZT_OK)
        return status;
    if (inside % DIGITS != 0 || inside > UINT32_MAX || per == 0 || least > STEPS_MOST)
        return lzt_fail(error, LZT_USAGE, "digits at byte %" PRIu64 ", %" PRIu64 " pages a step and %" PRIu64 " steps are no counter", inside, per, least);
    if (writer->waiting > 0)
        return lzt_fail(error, LZT_USAGE, "pages wait to be published: it is too late, or too early, to count");
    if (writer->pages > 0)
        status = find_digits(writer, &counter, error);
    if (status != LZT_OK)
        return status;
    writer->counter = counter;
    return lzt_writer_count(writer, writer->pages, error);
}
