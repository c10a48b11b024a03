/* A page whose chunks are being encoded, by any number of threads. */
#include <stdatomic.h>
#include <stdlib.h>

#include "error.h"
#include "form.h"
#include "writer.h"

struct lzt_parcel {
    const struct lzt_writer *writer; /* whose pages it is for, as long as its form is this one; not looked into */
    uint64_t forms;
    struct lzt_form form;
    int big_endian;
    struct lzt_pixels pixels;
    uint64_t chunks;
    struct lzt_piece *encoded; /* one a chunk */
    atomic_uint_fast64_t next, done;
    atomic_int cancelled, failed; /* failed: 1 when error is being told, 2 when it is told */
    struct lzt_error error;
};

enum lzt_status lzt_parcel_open(const struct lzt_writer *writer, const struct lzt_pixels *pixels, struct lzt_parcel **parcel,
                                struct lzt_error *error)
{
    *parcel = NULL;
    if (!writer->is_formed || pixels == NULL || pixels->data == NULL)
        return lzt_fail(error, LZT_USAGE, "there are no pixels, or how they are stored was not said");
    const uint64_t chunks = lzt_form_chunks(&writer->form);
    struct lzt_parcel *made = calloc(1, sizeof *made);
    struct lzt_piece *encoded = calloc((size_t)chunks, sizeof *encoded);
    if (made == NULL || encoded == NULL) {
        free(made);
        free(encoded);
        return lzt_fail_memory(error, chunks * sizeof *encoded);
    }
    made->writer = writer;
    made->forms = writer->forms;
    made->form = writer->form;
    made->big_endian = writer->big_endian;
    made->pixels = *pixels;
    made->chunks = chunks;
    made->encoded = encoded;
    *parcel = made;
    return LZT_OK;
}

void lzt_parcel_close(struct lzt_parcel *parcel)
{
    if (parcel == NULL)
        return;
    for (uint64_t i = 0; i < parcel->chunks; i++)
        free((void *)parcel->encoded[i].bytes);
    free(parcel->encoded);
    free(parcel);
}

void lzt_parcel_cancel(struct lzt_parcel *parcel)
{
    atomic_store(&parcel->cancelled, 1);
}

uint64_t lzt_parcel_chunks(const struct lzt_parcel *parcel)
{
    return parcel->chunks;
}

struct lzt_piece lzt_parcel_chunk(const struct lzt_parcel *parcel, uint64_t chunk)
{
    return parcel->encoded[chunk];
}

int lzt_parcel_is_complete(const struct lzt_parcel *parcel)
{
    return atomic_load(&((struct lzt_parcel *)parcel)->done) == parcel->chunks;
}

int lzt_parcel_is_for(const struct lzt_parcel *parcel, const struct lzt_writer *writer)
{
    return parcel->writer == writer && parcel->forms == writer->forms;
}

/* The chunk's bytes go over to the parcel. */
static enum lzt_status encode(struct lzt_parcel *parcel, struct lzt_encoder *encoder, uint64_t chunk, struct lzt_error *error)
{
    enum lzt_status status = lzt_encode_chunk(encoder, &parcel->form, parcel->big_endian, &parcel->pixels, chunk, error);
    if (status != LZT_OK)
        return status;
    uint8_t *shorter = realloc(encoder->bytes, encoder->length > 0 ? encoder->length : 1);
    parcel->encoded[chunk] = (struct lzt_piece){shorter != NULL ? shorter : encoder->bytes, encoder->length};
    encoder->bytes = NULL;
    encoder->length = encoder->room = 0;
    atomic_fetch_add(&parcel->done, 1);
    return LZT_OK;
}

/* The first failure is everybody's. */
static enum lzt_status fail(struct lzt_parcel *parcel, const struct lzt_error *why, struct lzt_error *error)
{
    int none = 0;
    if (why != NULL && atomic_compare_exchange_strong(&parcel->failed, &none, 1)) {
        parcel->error = *why;
        atomic_store(&parcel->failed, 2);
    }
    const struct lzt_error *told = atomic_load(&parcel->failed) == 2 ? &parcel->error : why;
    if (told == NULL)
        return lzt_fail(error, LZT_CANCELLED, "another thread's chunk failed");
    if (error != NULL)
        *error = *told;
    return (enum lzt_status)told->status;
}

static enum lzt_status work(struct lzt_parcel *parcel, struct lzt_encoder *encoder, uint32_t milliseconds, struct lzt_error *error)
{
    const uint64_t start = lzt_milliseconds();
    struct lzt_error why;
    while (atomic_load(&parcel->next) < parcel->chunks) {
        if (atomic_load(&parcel->cancelled))
            return lzt_fail(error, LZT_CANCELLED, "it was cancelled");
        if (atomic_load(&parcel->failed))
            return fail(parcel, NULL, error);
        const uint64_t chunk = atomic_fetch_add(&parcel->next, 1);
        if (chunk >= parcel->chunks)
            break;
        if (encode(parcel, encoder, chunk, &why) != LZT_OK)
            return fail(parcel, &why, error);
        if (milliseconds > 0 && lzt_milliseconds() - start >= milliseconds && atomic_load(&parcel->next) < parcel->chunks)
            return LZT_AGAIN;
    }
    return atomic_load(&parcel->failed) ? fail(parcel, NULL, error) : LZT_OK;
}

enum lzt_status lzt_parcel_encode(struct lzt_parcel *parcel, uint32_t milliseconds, struct lzt_error *error)
{
    struct lzt_encoder encoder = {.bytes = NULL};
    enum lzt_status status = work(parcel, &encoder, milliseconds, error);
    lzt_encoder_close(&encoder);
    return status;
}

enum lzt_status lzt_parcel_encode_alone(struct lzt_parcel *parcel, struct lzt_encoder *encoder, struct lzt_error *error)
{
    return work(parcel, encoder, 0, error);
}
