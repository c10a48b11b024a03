/* page.h - what it takes to read one page's chunks: where they are, and what their codec must know. */
#ifndef LZT_PAGE_H
#define LZT_PAGE_H

#include "ifd.h"
#include "samples.h"

enum { LZT_LIST_ROOM = 1024, LZT_MAX_EXTRA_SAMPLES = 8 };

/* A tag of many numbers that stays in the file but for the stretch that was last looked at. */
struct lzt_list {
    struct lzt_tag tag; /* count 0: there is none */
    uint64_t start, length;
    uint64_t numbers[LZT_LIST_ROOM];
};

struct lzt_page {
    const struct lzt_table *table;
    const struct lzt_layout *layout;
    uint64_t number;
    struct lzt_list offsets, lengths;
    uint8_t *jpeg_tables;
    uint32_t jpeg_tables_length;
    uint32_t t4_options, t6_options;
    uint32_t lerc_parameters[2];
    uint16_t extra_samples[LZT_MAX_EXTRA_SAMPLES];
    uint16_t extra_sample_count;
    struct lzt_ycbcr ycbcr;
    uint8_t *old_jpeg; /* see oldjpeg.h; NULL until it is needed */
    size_t old_jpeg_length;
    double nodata; /* what a sparse chunk reads as (GDAL_NODATA, otherwise 0) */
};

/* Open page number of the table into page, which may hold another page; start with a zeroed struct. LZT_CHANGED when its IFD was
 * rewritten; the layout's problem when it has one; LZT_UNSUPPORTED when its codec is not allowed. */
enum lzt_status lzt_page_open(struct lzt_page *page, const struct lzt_table *table, uint64_t number, struct lzt_error *error);
void lzt_page_close(struct lzt_page *page);

/* Bytes that an uncompressed chunk must have. */
uint64_t lzt_page_plain_bytes(const struct lzt_layout *layout, uint64_t chunk);
/* Where chunk is in the file, as the page says: length bytes from offset on. Frames that share an IFD have its lengths, though the last may
 * be that of all frames together. */
enum lzt_status lzt_page_chunk(struct lzt_page *page, uint64_t chunk, uint64_t *offset, uint64_t *length, struct lzt_error *error);

#endif
