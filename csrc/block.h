/* block.h - the bytes before a page's pixels: its IFDs, and the values that do not fit into them. */
#ifndef LZT_BLOCK_H
#define LZT_BLOCK_H

#include "directory.h"

/* The chains of IFDs that a file has. One that has both is a classic file whose header also tells where a BigTIFF chain of the same pages
 * begins, in bytes 8 to 15, which nobody else looks at. */
enum { LZT_CLASSIC, LZT_BIG, LZT_CHAINS };

/* Whose numbers an entry's values are. */
enum lzt_role { LZT_VALUES, LZT_CHUNK_OFFSETS, LZT_CHUNK_LENGTHS };

/* A tag of IFDs to come. */
struct lzt_entry {
    uint16_t tag, type;
    enum lzt_role role;
    uint64_t count;
    uint8_t *values; /* in the file's byte order; of chunks: NULL */
    uint64_t place;  /* where in the file they stand; 0: nowhere yet */
    size_t inside;   /* of the block that brings them, where in it; otherwise 0 */
};

/* Bytes of the entry's values. */
uint64_t lzt_entry_bytes(const struct lzt_entry *entry);

/* What the block is to hold. Entries are in ascending order of their tags. */
struct lzt_plan {
    int has[LZT_CHAINS];
    int room_for_classic; /* 1: as long as if it had a classic IFD */
    int big_endian;
    struct lzt_entry *entries;
    size_t entry_count;
};

/* A number in the block that depends on where in the file the block is. */
struct lzt_fixup {
    size_t at, inside;
    unsigned width;
};

/* Where chunk numbers of one IFD stand, and how wide they are. */
struct lzt_column {
    size_t at;
    unsigned width;
};

/* Start with a zeroed struct. */
struct lzt_block {
    uint8_t *bytes;
    size_t length; /* a multiple of 8 */
    int has[LZT_CHAINS], big_endian;
    size_t ifds[LZT_CHAINS], links[LZT_CHAINS]; /* where in the block */
    struct lzt_column offsets[LZT_CHAINS], lengths[LZT_CHAINS];
    struct lzt_fixup *fixups;
    size_t fixup_count;
};

/* Build the block; what it held before is freed. Values that stand nowhere yet are in it, at their entry's `inside`. A block that begins at a
 * multiple of 8 has aligned links: whoever reads one that is being written gets the old one or the new one, never a part of each. LZT_LIMIT: it
 * would have more than 1 GiB. */
enum lzt_status lzt_block_build(struct lzt_block *block, const struct lzt_plan *plan, struct lzt_error *error);
void lzt_block_free(struct lzt_block *block);

/* Have the block begin at that place of the file. */
void lzt_block_move(struct lzt_block *block, uint64_t place);
/* Have it tell where a chunk of the page is. */
void lzt_block_set_chunk(struct lzt_block *block, uint64_t chunk, uint64_t offset, uint64_t length);

#endif
