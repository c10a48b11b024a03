/* ifd.h - the table of pages, for the rooms that read from it. */
#ifndef LZT_IFD_H
#define LZT_IFD_H

#include "directory.h"
#include "error.h"
#include "rows.h"

enum { LZT_MAX_WARNINGS = 8 };

struct lzt_table {
    struct lzt_source *source;
    uint64_t size;    /* of the source when the chain was walked */
    uint64_t stamp;   /* see lzt_source_stamp; taken before the chain was walked */
    uint64_t stamped; /* the first page that was walked after that: those before it are an older table's */
    struct lzt_format format;
    struct lzt_options options; /* every member filled in; codecs and ifds point nowhere */
    uint16_t *codecs;
    enum lzt_status ended; /* why the chain has no more pages: LZT_OK, by its own word; otherwise what came is broken, or beyond a limit */
    int listed; /* 1: the IFDs were listed, and no chain was walked */
    uint64_t pages, room;
    uint64_t highest; /* offset of an IFD */
    uint64_t frame_bytes; /* from one page's pixels to the next one's, when all share the only IFD; 0: each page has its own */
    struct lzt_rows *shared; /* with tables that continue this one, or that this one continues */
    struct lzt_row *rows;    /* the first of them */
    size_t layout_count, layout_room;
    struct lzt_layout *layouts;
    size_t warning_count;
    size_t chain_end; /* which of the warnings, counted from 1, says where the chain ends; 0: none */
    char warnings[LZT_MAX_WARNINGS][320];
};

/* Keep a warning, if there are not too many already. */
void lzt_table_warn(struct lzt_table *table, const char *format, ...) LZT_PRINTF(2, 3);

/* The file's header: how it spells its numbers, and where its first IFD is. */
enum lzt_status lzt_header_read(struct lzt_source *source, uint64_t size, struct lzt_format *format, uint64_t *first,
                                struct lzt_error *error);

/* Have room for the rows of more pages. */
enum lzt_status lzt_table_claim(struct lzt_table *table, uint64_t more, struct lzt_error *error);

/* How many bytes to read at once where the IFD at next is read after the one at offset. */
size_t lzt_ifd_stretch(uint64_t offset, uint64_t next);

/* The size now: the file may have grown since it was opened; LZT_CHANGED when it has shrunk. */
enum lzt_status lzt_table_check_size(const struct lzt_table *table, uint64_t *size, struct lzt_error *error);

/* The size and lzt_source_stamp's stamp now; LZT_CHANGED when the file has shrunk. */
enum lzt_status lzt_table_stamp(const struct lzt_table *table, uint64_t *size, uint64_t *stamp, struct lzt_error *error);

/* 1: the codec was asked for when the table was opened. */
int lzt_table_allows(const struct lzt_table *table, uint16_t compression);

/* The pages of another chain of the same source, with the same options. */
enum lzt_status lzt_table_open_chain(const struct lzt_table *table, struct lzt_format format, uint64_t first, struct lzt_table **other,
                                     struct lzt_error *error);

/* The page's IFD; LZT_CHANGED when it is not the one that was walked. */
enum lzt_status lzt_table_ifd(const struct lzt_table *table, struct lzt_peek *peek, uint64_t page, struct lzt_directory *directory,
                              struct lzt_error *error);

/* The tags of the page's IFD, in the file's order, in *tags (to be freed by the caller) and *count. The peek is the caller's; it sees
 * the IFD. LZT_CHANGED when the IFD is not the one that was walked. */
enum lzt_status lzt_table_tags(const struct lzt_table *table, struct lzt_peek *peek, uint64_t page, struct lzt_tag **tags,
                               size_t *count, struct lzt_error *error);

#endif
