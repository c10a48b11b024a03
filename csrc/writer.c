/* What every part of a writer does with its file, and whether it still may. */
#include "writer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "layout.h"

/* ---- The file ------------------------------------------------------------------------------------------------------------- */

/* A call of the system failed: nobody knows what the file holds behind the last page that was published, and what it does not hold must not be
 * linked. The file is as good as it was. */
enum lzt_status lzt_writer_die(struct lzt_writer *writer, enum lzt_status status, struct lzt_error *error)
{
    if (status != LZT_OK) {
        lzt_fail(&writer->dead, status, "an earlier append failed; what was acknowledged is in it, and it can be opened again to go on");
        writer->dead.os_errno = error != NULL ? error->os_errno : 0;
    }
    return status;
}

enum lzt_status lzt_writer_read(struct lzt_writer *writer, uint64_t offset, void *bytes, size_t length, struct lzt_error *error)
{
    size_t got;
    enum lzt_status status = lzt_file_read(writer->file, offset, bytes, length, &got, error);
    if (status == LZT_OK && got < length)
        return lzt_fail(error, LZT_CHANGED, "the file ended at %" PRIu64 ", %" PRIu64 " bytes were expected at %" PRIu64, offset + got,
                        (uint64_t)length, offset);
    return status;
}

enum lzt_status lzt_writer_write_pieces(struct lzt_writer *writer, uint64_t offset, const struct lzt_piece *pieces, size_t count,
                                        struct lzt_error *error)
{
    return lzt_writer_die(writer, lzt_file_write_pieces(writer->file, offset, pieces, count, error), error);
}

enum lzt_status lzt_writer_set_link(struct lzt_writer *writer, int chain, uint64_t link, uint64_t target, struct lzt_error *error)
{
    uint8_t bytes[8];
    const unsigned word = chain == LZT_BIG ? 8 : 4;
    lzt_put(bytes, word, target, writer->big_endian);
    return lzt_writer_die(writer, lzt_file_write(writer->file, link, bytes, word, error), error);
}

enum lzt_status lzt_writer_sync(struct lzt_writer *writer, struct lzt_error *error)
{
    return writer->durable ? lzt_writer_die(writer, lzt_file_sync_data(writer->file, error), error) : LZT_OK;
}

enum lzt_status lzt_writer_flush(struct lzt_writer *writer, struct lzt_error *error)
{
    enum lzt_status status = lzt_writer_check_alive(writer, error);
    return status == LZT_OK ? lzt_writer_die(writer, lzt_file_sync_data(writer->file, error), error) : status;
}

/* The first half of a BigTIFF header takes the place of a classic one: its second half has been there all the time. */
enum lzt_status lzt_writer_turn(struct lzt_writer *writer, struct lzt_error *error)
{
    uint8_t header[8] = {0};
    memset(header, writer->big_endian ? 'M' : 'I', 2);
    lzt_put(header + 2, 2, 43, writer->big_endian);
    lzt_put(header + 4, 2, 8, writer->big_endian); /* bytes of an offset */
    enum lzt_status status = lzt_writer_die(writer, lzt_file_write(writer->file, 0, header, sizeof header, error), error);
    if (status == LZT_OK)
        writer->turns = writer->grows = 0;
    return status;
}

enum lzt_status lzt_writer_stay_classic(struct lzt_writer *writer, struct lzt_error *error)
{
    enum { NOWHERE = 1 }; /* within the header: who goes on with the file finds no BigTIFF chain (resume.c, find_big_chain) */
    enum lzt_status status = lzt_writer_check_alone(writer, error);
    if (status != LZT_OK || !writer->grows)
        return status;
    if (writer->waiting > 0 || !writer->has[LZT_CLASSIC])
        return lzt_fail(error, LZT_USAGE, "pages wait to be published, or the file has outgrown 4 GiB");
    status = lzt_writer_set_link(writer, LZT_BIG, LZT_FIRST_BIG, NOWHERE, error);
    if (status != LZT_OK)
        return status;
    writer->has[LZT_BIG] = writer->grows = 0;
    lzt_block_free(&writer->block); /* to be built anew */
    return lzt_writer_sync(writer, error);
}

/* ---- Whether it may be done ----------------------------------------------------------------------------------------------- */

enum lzt_status lzt_writer_check_alive(const struct lzt_writer *writer, struct lzt_error *error)
{
    if (lzt_process() != writer->process)
        return lzt_fail(error, LZT_LOCKED, "the process that this one was forked from writes to it; only that one may");
    if (writer->dead.status != LZT_OK) {
        if (error != NULL)
            *error = writer->dead;
        return (enum lzt_status)writer->dead.status;
    }
    return LZT_OK;
}

/* Others that write without asking for the lock would make the file longer. Not asked at each of many appends in a row: it would take a tenth
 * of the time of a small one. */
enum lzt_status lzt_writer_check_alone(struct lzt_writer *writer, struct lzt_error *error)
{
    enum { TRUST = 10 }; /* milliseconds */
    const uint64_t now = lzt_milliseconds();
    uint64_t size;
    enum lzt_status status = lzt_writer_check_alive(writer, error);
    if (status != LZT_OK)
        return status;
    if (writer->checked != 0 && now - writer->checked < TRUST)
        return LZT_OK;
    status = lzt_file_size(writer->file, &size, error);
    if (status == LZT_OK && size != writer->size)
        status = lzt_fail(error, LZT_CHANGED, "the file had %" PRIu64 " bytes and has %" PRIu64 " now: somebody else writes to it", writer->size, size);
    writer->checked = now;
    return lzt_writer_die(writer, status, error);
}

enum lzt_status lzt_writer_check_ready(struct lzt_writer *writer, struct lzt_error *error)
{
    enum lzt_status status = lzt_writer_check_alone(writer, error);
    if (status == LZT_OK && !writer->is_formed)
        status = lzt_fail(error, LZT_USAGE, "how pages are stored was not said");
    return status;
}

/* ---- The writer ----------------------------------------------------------------------------------------------------------- */

const struct lzt_form *lzt_writer_form(const struct lzt_writer *writer)
{
    return &writer->form;
}

int lzt_writer_encodes(const struct lzt_writer *writer)
{
    const struct lzt_form *form = &writer->form;
    return form->compression != LZT_NONE || form->chunk_columns != 0 || form->kind == LZT_BOOL;
}

uint64_t lzt_writer_pages(const struct lzt_writer *writer)
{
    return writer->pages;
}

int lzt_writer_is_bigtiff(const struct lzt_writer *writer)
{
    return writer->has[LZT_BIG] && !writer->grows;
}

void lzt_writer_close(struct lzt_writer *writer)
{
    if (writer == NULL)
        return;
    lzt_entries_free(&writer->entries);
    lzt_block_free(&writer->block);
    lzt_encoder_close(&writer->encoder);
    free(writer->known);
    free(writer->crooked);
    free(writer);
}
