/* writer.h - a stack that is being written, for the rooms that do it: append.c, count.c, copies.c, resume.c, parcel.c. */
#ifndef LZT_WRITER_H
#define LZT_WRITER_H

#include "block.h"
#include "encode.h"
#include "entries.h"
#include "os.h"

/* An IFD whose link nobody could change at once: it lies across a line of the processor's cache. A copy of it takes its place. */
struct lzt_crooked {
    uint64_t ifd, tags;
};

/* Eight digits in the first page's description, written anew when pages were published. Of a file that has pages the place is known. */
struct lzt_counter {
    uint64_t inside;      /* of the description, where in it */
    uint64_t per, least;  /* pages a step, 0: nothing is counted; the least number of steps */
    uint64_t place;       /* in the file; 0: not known yet */
    uint64_t shown;       /* the number that stands there */
};

struct lzt_writer {
    struct lzt_file *file;
    uint64_t process; /* that opened it: a forked child is another one */
    int durable, big_endian;
    int has[LZT_CHAINS]; /* in which chains pages to come are linked */
    int grows;           /* 1: a classic file that becomes BigTIFF when it outgrows 4 GiB */
    int roomy;           /* 1: blocks have room for a classic IFD even when they have none any more */
    int turns;           /* 1: pages that wait make it BigTIFF when they are published */
    uint64_t pages;      /* published */
    uint64_t most;       /* pages that a table of the file may have */
    uint64_t size;       /* of the file, as far as this writer knows */
    uint64_t checked;    /* when it was seen last that the file has this size, in milliseconds; 0: never */
    uint64_t end;        /* where the next block may begin */
    struct lzt_error dead;

    /* Pages that were written and wait to be published. Links are where in the file. */
    uint64_t waiting;
    uint64_t heads[LZT_CHAINS];     /* the first one's IFDs; 0: none */
    uint64_t published[LZT_CHAINS]; /* links that will lead to it */
    uint64_t links[LZT_CHAINS];     /* of the last page that was written */

    /* How pages to come are stored. */
    int is_formed;
    uint64_t forms; /* how often it was said */
    struct lzt_form form;
    struct lzt_entries entries;
    struct lzt_block block; /* of a page without tags of its own; length 0: to be built */
    uint64_t reserved;      /* bytes before pixels, so that pages lie at equal distances; 0: not known yet */

    struct lzt_counter counter;

    struct lzt_encoder encoder; /* for pages that the writer's own thread encodes */

    /* What a writer finds that goes on. */
    struct lzt_tag *known; /* tags of the last page, whose values need not be written again */
    size_t known_count;
    int known_big;                /* 1: in a BigTIFF IFD */
    uint64_t tail, spacing;       /* where the last page's pixels end; from the page before to it; 0: not known */
    struct lzt_crooked *crooked;  /* IFDs to be copied */
    size_t crooked_count;
    uint64_t crooked_link, crooked_next; /* the link of the last of them, and where its copy leads; 0: none */
};

/* LZT_LOCKED in a forked process; what made an end of the writer, if anything has. */
enum lzt_status lzt_writer_check_alive(const struct lzt_writer *writer, struct lzt_error *error);
/* check_alone, and LZT_USAGE before the form is known. */
enum lzt_status lzt_writer_check_ready(struct lzt_writer *writer, struct lzt_error *error);
/* check_alive, and LZT_CHANGED when somebody else writes to the file. */
enum lzt_status lzt_writer_check_alone(struct lzt_writer *writer, struct lzt_error *error);
/* A status that is not LZT_OK is the writer's end; returns it. */
enum lzt_status lzt_writer_die(struct lzt_writer *writer, enum lzt_status status, struct lzt_error *error);

/* Bytes from one place of the file on. Fails when the file has fewer. */
enum lzt_status lzt_writer_read(struct lzt_writer *writer, uint64_t offset, void *bytes, size_t length, struct lzt_error *error);
/* Let one link, or the header's, lead to target, by one write. A failure of this and of those that follow is the writer's end. */
enum lzt_status lzt_writer_set_link(struct lzt_writer *writer, int chain, uint64_t link, uint64_t target, struct lzt_error *error);
/* Make the file BigTIFF by one write. */
enum lzt_status lzt_writer_turn(struct lzt_writer *writer, struct lzt_error *error);
/* Wait for the disk, if the writer is durable. */
enum lzt_status lzt_writer_sync(struct lzt_writer *writer, struct lzt_error *error);
/* Write behind everything else. */
enum lzt_status lzt_writer_write_pieces(struct lzt_writer *writer, uint64_t offset, const struct lzt_piece *pieces, size_t count,
                                        struct lzt_error *error);

/* Point to values that the last page of a file has already, and keep the distance of its pages. Once the form is known. */
void lzt_writer_recall(struct lzt_writer *writer);
/* *begun: the file has this very block there, or ends within it. It was written by a writer that was killed before it linked the page; and what
 * is no more than the beginning of a block can be anybody's, since it stays as it is. */
enum lzt_status lzt_writer_has_begun(struct lzt_writer *writer, const struct lzt_block *block, uint64_t start, int *begun, struct lzt_error *error);
/* Write copies of IFDs whose links lie across a line; they wait with the pages to come, which may begin at the end of the copies. */
uint64_t lzt_writer_end_of_copies(const struct lzt_writer *writer);
enum lzt_status lzt_writer_straighten(struct lzt_writer *writer, struct lzt_error *error);
/* Let the last IFD that was copied lead to where its copy does, once it is published: for those who opened the file before. */
enum lzt_status lzt_writer_help_old_readers(struct lzt_writer *writer, struct lzt_error *error);

/* The first IFD of a chain, as it is in the file; bytes are the caller's to free. */
struct lzt_first {
    struct lzt_format format;
    uint64_t tags;
    uint8_t *bytes;
    size_t length; /* with the link */
};
enum lzt_status lzt_writer_read_first(struct lzt_writer *writer, int chain, struct lzt_first *first, struct lzt_error *error);
/* Its first entry with that tag or a higher one; the link when there is none. */
uint8_t *lzt_first_entry(const struct lzt_first *first, uint16_t tag);

/* LZT_USAGE when the first page's entries do not have the digits of the least number where they are to be counted. */
enum lzt_status lzt_counter_check(const struct lzt_counter *counter, const struct lzt_entries *entries, struct lzt_error *error);
/* The first page was written with these entries, its block at start. */
void lzt_counter_settle(struct lzt_counter *counter, const struct lzt_entries *entries, uint64_t start);
/* Have the digits tell of so many pages, all of which are linked. */
enum lzt_status lzt_writer_count(struct lzt_writer *writer, uint64_t pages, struct lzt_error *error);

/* A parcel's chunks, in their order, once it is complete. */
struct lzt_piece lzt_parcel_chunk(const struct lzt_parcel *parcel, uint64_t chunk);
uint64_t lzt_parcel_chunks(const struct lzt_parcel *parcel);
int lzt_parcel_is_complete(const struct lzt_parcel *parcel);
/* Encode all of it in this thread, with what an encoder has kept of the page before. */
enum lzt_status lzt_parcel_encode_alone(struct lzt_parcel *parcel, struct lzt_encoder *encoder, struct lzt_error *error);
/* 1: it was opened for this writer, whose form is still the same. */
int lzt_parcel_is_for(const struct lzt_parcel *parcel, const struct lzt_writer *writer);

#endif
