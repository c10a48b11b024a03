/*
 * lazytiff.h - open TIFF stacks that are larger than memory and decode only the pixels that are asked for.
 *
 * The way of a read:
 *
 *     lzt_source   where bytes come from: a file, memory, or callbacks
 *     lzt_table    every page of the file, found by walking the chain of IFDs; immutable once open
 *     lzt_reader   what one thread needs to decode: buffers and a libtiff codec
 *     lzt_batch    many chunks of many pages to be read into the caller's arrays, shared by any number of readers
 *
 * The way of a mapping, for pages whose pixels are stored as they are read:
 *
 *     lzt_extent   where the chunks of a page are
 *     lzt_map      the file in memory: to read, to write, or to change without writing
 *
 * The way of a page into a growing file:
 *
 *     lzt_source   a file that was made (lzt_source_create) or opened (lzt_source_open_locked) for its one writer
 *     lzt_table    the pages that it has, perhaps none
 *     lzt_writer   goes on behind the last of them
 *     lzt_parcel   a page whose chunks are being encoded, by any number of threads; only where one thread is not enough
 *
 * Words: a page is one image file directory (IFD) and its image; a chunk is one strip or one tile; a strip is a tile as wide
 * as the image. Chunks of a page are numbered as in TIFF: row by row, and plane after plane when the planes are apart.
 *
 * Errors: a call that can fail returns an enum lzt_status and, unless that is LZT_OK, fills the caller's struct lzt_error (which
 * may be NULL). Handles are set to NULL on failure; closing NULL does nothing.
 *
 * Threads: a source and a table may be used by any number of threads at a time, a reader by one at a time, a batch by one reader
 * in each of any number of threads, a map by any number of threads; a writer by one at a time, a parcel by any number of threads.
 * The library starts no thread; it keeps no global state and installs no handler, but for maps that are opened with a guard.
 *
 * Lifetime: a table borrows its source, a reader its table, a batch its table and the caller's arrays: close in reverse order. A map
 * borrows nothing. A writer borrows its source, a parcel its writer and the caller's pixels.
 */
#ifndef LAZYTIFF_H
#define LAZYTIFF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* [python] What stands between this line and its end is what lazytiff's Python module sees (build_ffi.py cuts it out). */

enum lzt_status {
    LZT_OK = 0,
    LZT_AGAIN,       /* the time is over and work is left: call again */
    LZT_NOT_TIFF,    /* not a TIFF file at all */
    LZT_CORRUPT,     /* a TIFF file that breaks the format's rules */
    LZT_UNSUPPORTED, /* within the rules, but nothing here can read it */
    LZT_DECODE,      /* the bytes of one chunk are damaged: error.page and error.chunk say which */
    LZT_LIMIT,       /* one of the limits in struct lzt_options is exceeded */
    LZT_CHANGED,     /* the file is no longer the one that was opened: shorter, or rewritten in place */
    LZT_SYSTEM,      /* the operating system refused: error.os_errno says why */
    LZT_NO_MEMORY,
    LZT_CANCELLED, /* lzt_batch_cancel was called */
    LZT_CALLBACK,  /* the caller's own callback failed */
    LZT_NOT_MAPPABLE, /* pixels are not in the file as they are in memory, or the file is none to be mapped: error.text says why */
    LZT_LOCKED,       /* another handle or process holds a lock on the file that does not go with the one that is needed */
    LZT_FULL,         /* a classic TIFF file would grow past 4 GiB */
    LZT_USAGE      /* an argument is out of range: a bug in the calling program */
};

struct lzt_error {
    int32_t status;   /* the enum lzt_status that was returned */
    int32_t os_errno; /* for LZT_SYSTEM, otherwise 0 */
    int64_t page;     /* -1 when no page is meant */
    int64_t chunk;    /* -1 when no chunk is meant */
    char text[256];   /* what and why, in English, without the file's name */
};

/* ---- Source ------------------------------------------------------------------------------------------------------------ */

struct lzt_source;
struct lzt_file;

struct lzt_range {
    uint64_t offset;
    uint64_t length;
    uint8_t *buffer; /* at least length bytes */
};

/* Fill every range whole. Return 0, or anything else to end the call with LZT_CALLBACK. Called from any thread that reads. */
typedef int (*lzt_read_ranges)(void *context, const struct lzt_range *ranges, size_t count);

/* A regular file, opened for reading; other kinds of file are LZT_NOT_TIFF at once. path: as the system spells it (POSIX: bytes;
 * Windows: UTF-8). A deleted or renamed file stays readable. */
enum lzt_status lzt_source_open(const char *path, struct lzt_source **source, struct lzt_error *error);
/* The same, for reading and writing. */
enum lzt_status lzt_source_open_writable(const char *path, struct lzt_source **source, struct lzt_error *error);
/* size bytes at data, which stay the caller's and must outlive the source. */
enum lzt_status lzt_source_open_memory(const void *data, uint64_t size, struct lzt_source **source, struct lzt_error *error);
/* size bytes that read_ranges fetches. */
enum lzt_status lzt_source_open_callback(lzt_read_ranges read_ranges, void *context, uint64_t size, struct lzt_source **source,
                                         struct lzt_error *error);
/* A new file for reading and writing, without a name: it is gone when it is closed before lzt_source_publish. LZT_SYSTEM with EEXIST when the
 * name is taken. It is locked for its one writer, until it is closed; so is what lzt_source_open_locked opens: LZT_LOCKED when others
 * write to it. */
enum lzt_status lzt_source_create(const char *path, struct lzt_source **source, struct lzt_error *error);
enum lzt_status lzt_source_open_locked(const char *path, struct lzt_source **source, struct lzt_error *error);
/* Give a new file its name, at once and for good; durable 1: so that a power failure does not take it away. LZT_SYSTEM with EEXIST when the
 * name is taken meanwhile. After any failure the file has none. */
enum lzt_status lzt_source_publish(struct lzt_source *source, int durable, struct lzt_error *error);
/* The size now: a file may have grown or shrunk since it was opened. */
enum lzt_status lzt_source_size(struct lzt_source *source, uint64_t *size, struct lzt_error *error);
/* When a file was last written to, in nanoseconds since 1970, as far as its file system counts them. LZT_UNSUPPORTED of bytes that come from no
 * file. */
enum lzt_status lzt_source_modified(struct lzt_source *source, int64_t *when, struct lzt_error *error);
/* Fill every range whole. A range that ends past the end of a file is LZT_CHANGED: ask for bytes that were there, as lzt_source_size tells. */
enum lzt_status lzt_source_read(struct lzt_source *source, const struct lzt_range *ranges, size_t count, struct lzt_error *error);
/* *held becomes 1 when another handle holds a writer's lock on the file. LZT_UNSUPPORTED where nobody can tell: bytes that come from no file,
 * file systems without locks. */
enum lzt_status lzt_source_has_writer(struct lzt_source *source, int *held, struct lzt_error *error);
/* The open file, which stays the source's; NULL when the bytes are in memory or come from callbacks. */
struct lzt_file *lzt_source_file(struct lzt_source *source);
void lzt_source_close(struct lzt_source *source);

/* ---- Table of pages ---------------------------------------------------------------------------------------------------- */

struct lzt_table;

/* Set size to sizeof(struct lzt_options); members that are 0 take the default. */
struct lzt_options {
    size_t size;
    uint64_t max_pages;       /* pages in one chain; default 2^24 */
    uint64_t max_layouts;     /* different layouts among the pages; default 65,536 */
    uint64_t max_tags;        /* tags in one IFD; default 4,096 */
    uint64_t max_value_bytes; /* bytes in one tag's value; default 16 MiB. Chunk offsets are bounded by the file's size */
    uint64_t max_chunk_bytes; /* one decoded compressed chunk; default 1 GiB */
    const uint16_t *codecs;   /* Compression values that may be decoded; default: all but the legacy codecs */
    size_t codec_count;
    const uint64_t *ifds; /* read these IFDs, and no chain, instead of the chain that starts in the header (SubIFDs) */
    size_t ifd_count;
    uint64_t whole; /* 1: take pages of a growing file only when they are whole, as lzt_table_refresh does, and warn of none that is not */
    uint64_t lenient; /* 1: one of ifds that is no IFD is a page without tags, whose layout has a problem, and no error */
};

/* The type of a sample as it is read, which is not always as it is stored. */
enum lzt_kind { LZT_BOOL = 1, LZT_UINT, LZT_INT, LZT_FLOAT, LZT_COMPLEX };

/* How a page is stored and what it looks like when it is read. Pages with equal members are stored alike. */
struct lzt_layout {
    uint32_t rows, columns;             /* of the page */
    uint32_t chunk_rows, chunk_columns; /* of a chunk; chunks at the lower and right edge hold fewer pixels of the page */
    uint32_t grid_rows, grid_columns;   /* chunks down and across */
    uint32_t planes;                    /* 1, or as many as samples when each sample has chunks of its own */
    uint32_t samples;                   /* a pixel, as read */
    uint16_t kind, item_size;           /* of a sample, as read: enum lzt_kind, bytes */
    uint16_t stored_samples;            /* a pixel, as stored */
    uint16_t bits, sample_format;       /* of a sample, as stored */
    uint16_t compression, predictor, photometric, planar, fill_order;
    uint16_t subsampling_across, subsampling_down; /* of YCbCr pages, otherwise 1 */
    uint16_t tiled;                                /* 1: tiles, 0: strips */
    uint16_t swapped;                              /* 1: samples are stored in the other byte order than this machine's */
    uint16_t direct;  /* 1: samples are stored as they are read, but perhaps swapped: no codec, nothing packed, nothing converted */
    uint16_t problem; /* 0, or why no pixel can be read: see lzt_layout_problem */
};

struct lzt_row {
    uint64_t ifd;    /* where the page's IFD is in the file; frames behind the only IFD of a file share it */
    uint64_t hash;   /* of the IFD's entries, without the link to the next one */
    uint64_t data;   /* where the page's only chunk is in the file; 0 when it has several, or when only its IFD tells */
    uint64_t length; /* of that chunk, as its IFD says; 0: it does not say */
    uint32_t layout;
    uint32_t tags; /* in the IFD */
};

/* Walk the chain. What is wrong with the header or the first IFD is an error; whatever comes later ends the chain with a warning.
 * A file without pages gives a table of 0 pages. options may be NULL. */
enum lzt_status lzt_table_open(struct lzt_source *source, const struct lzt_options *options, struct lzt_table **table,
                               struct lzt_error *error);
/* A table of the same source with the pages that came since: it begins with those of this table, which stays as it is, and of which either may
 * be closed first. A page counts when all of it is in the file, and so do those behind it: some programs link pages before they write them.
 * LZT_CHANGED when the pages of this table are not there any more, or the file became shorter. What the table cost to read is not read again, so
 * that the time is that of the new pages; but where lazytiff made a BigTIFF file of a classic one meanwhile, the chain is another one. A table
 * of options.ifds has nothing that could come: it stays the same. */
enum lzt_status lzt_table_refresh(const struct lzt_table *table, struct lzt_table **newer, struct lzt_error *error);
void lzt_table_close(struct lzt_table *table);
uint64_t lzt_table_pages(const struct lzt_table *table);
const struct lzt_row *lzt_table_rows(const struct lzt_table *table); /* one a page */
size_t lzt_table_layouts(const struct lzt_table *table);
const struct lzt_layout *lzt_table_layout(const struct lzt_table *table, size_t index);
const char *lzt_table_warning(const struct lzt_table *table, size_t index); /* NULL after the last */
int lzt_table_is_bigtiff(const struct lzt_table *table);
int lzt_table_is_big_endian(const struct lzt_table *table);
uint64_t lzt_table_size(const struct lzt_table *table); /* of the source when the chain was walked */

/* LZT_CHANGED when the source has become shorter since, or when the IFD of one of these pages is not the one that was walked. Where the
 * system tells that nobody has written to the file since, no IFD is read. */
enum lzt_status lzt_table_verify(const struct lzt_table *table, const uint64_t *pages, size_t count, struct lzt_error *error);

/* Why pages of this layout cannot be read: fills error and returns its status, LZT_OK when they can. */
enum lzt_status lzt_layout_problem(const struct lzt_layout *layout, struct lzt_error *error);

/* ---- Tags -------------------------------------------------------------------------------------------------------------- */

struct lzt_tag {
    uint16_t tag, type;
    uint32_t problem; /* 1: its value cannot be read (unknown type, or outside of the file) */
    uint64_t count;   /* of values */
    uint64_t bytes;   /* of all values together */
    uint64_t offset;  /* where the values are in the file */
};

/* The page's tags in the file's order, at most capacity of them; lzt_row.tags says how many there are. */
enum lzt_status lzt_tags_read(const struct lzt_table *table, uint64_t page, struct lzt_tag *tags, size_t capacity, size_t *count,
                              struct lzt_error *error);
/* The tag's values in this machine's byte order; buffer holds at least tag->bytes. */
enum lzt_status lzt_tag_value(const struct lzt_table *table, const struct lzt_tag *tag, void *buffer, struct lzt_error *error);
/* How many values one tag has in each of these pages, counting no more than most (0 where it is missing or unreadable), and, unless values is
 * NULL, the values, one page's behind the other's: there is room for capacity of them. Those that are no whole positive numbers are 0.
 * LZT_LIMIT above max_value_bytes. */
enum lzt_status lzt_table_numbers(const struct lzt_table *table, uint16_t tag, const uint64_t *pages, size_t count, uint64_t most,
                                  uint64_t *counts, uint64_t *values, uint64_t capacity, struct lzt_error *error);

/* ---- Reading ----------------------------------------------------------------------------------------------------------- */

struct lzt_reader;
struct lzt_batch;

/* first, first + step, ...: count pixels along one axis; step >= 1. */
struct lzt_span {
    uint32_t first, step, count;
};

/* The wanted pixels of a page, and how they lie in the caller's array: bytes from one wanted row, column and sample to the next
 * (negative to write backwards). */
struct lzt_window {
    struct lzt_span rows, columns, samples;
    int64_t row_stride, column_stride, sample_stride;
};

/* One chunk to be read. */
struct lzt_job {
    uint64_t page;
    uint64_t chunk;
    uint64_t window; /* index of the window */
    uint8_t *target; /* the window's first pixel in the caller's array; NULL: the window is not wanted */
    uint8_t *keep;   /* NULL, or room for every pixel of the page in this chunk: rows, columns, samples, in C order */
};

enum lzt_status lzt_reader_open(const struct lzt_table *table, struct lzt_reader **reader, struct lzt_error *error);
void lzt_reader_close(struct lzt_reader *reader);

/* Jobs are taken in their order; the arrays stay the caller's. Fails when a job or window is out of range for its page, when a
 * page has a problem, or when the file became shorter. */
enum lzt_status lzt_batch_open(const struct lzt_table *table, const struct lzt_window *windows, size_t window_count,
                               const struct lzt_job *jobs, size_t job_count, struct lzt_batch **batch, struct lzt_error *error);
/* Work on the batch for about milliseconds (0: until it is done), together with all other readers that were given it.
 * LZT_OK: nothing is left to begin; the batch is complete when every reader's call has returned that.
 * Other than LZT_OK and LZT_AGAIN: the batch failed; the error is that of the first job that has failed by now, whichever reader met it.
 * Once every reader has returned, a further call says which job was the first of all. */
enum lzt_status lzt_batch_run(struct lzt_batch *batch, struct lzt_reader *reader, uint32_t milliseconds, struct lzt_error *error);
/* Make every lzt_batch_run on this batch return LZT_CANCELLED soon. May be called from any thread. */
void lzt_batch_cancel(struct lzt_batch *batch);
/* How many of its jobs readers have taken by now. May be called from any thread. */
uint64_t lzt_batch_begun(const struct lzt_batch *batch);
void lzt_batch_close(struct lzt_batch *batch);

/* One whole page into pixels: rows x columns x samples items of the page's layout, in C order; bytes is the room there. */
enum lzt_status lzt_read_page(struct lzt_reader *reader, uint64_t page, void *pixels, uint64_t bytes, struct lzt_error *error);

/* ---- Where pixels are -------------------------------------------------------------------------------------------------- */

/* Where the chunks of a page are, whose pixels are stored as they are read (layout.direct): bytes from one chunk to the next one. */
struct lzt_extent {
    uint64_t offset;             /* of the first chunk in the file */
    int64_t across, down, plane; /* to the next chunk on its right, below it, in the next plane; 0 where there is none */
    uint64_t regular;            /* 1: all chunks lie at these distances; 0: lzt_table_chunks tells where they are */
};

/* The extents of these pages. LZT_NOT_MAPPABLE when pixels of one are not in the file as they are in memory: error.text says which, and why. */
enum lzt_status lzt_table_extents(const struct lzt_table *table, const uint64_t *pages, size_t count, struct lzt_extent *extents,
                                  struct lzt_error *error);
/* Where each chunk of the page is, for pages that have an extent; offsets has room for capacity of them. */
enum lzt_status lzt_table_chunks(const struct lzt_table *table, uint64_t page, uint64_t *offsets, uint64_t capacity,
                                 struct lzt_error *error);
/* LZT_NOT_MAPPABLE when chunks of these pages overlap each other or anything else that the file's IFDs tell of: to write to the one would
 * change the other. */
enum lzt_status lzt_table_check_apart(const struct lzt_table *table, const uint64_t *pages, size_t count, struct lzt_error *error);

/* ---- Mapping ----------------------------------------------------------------------------------------------------------- */

struct lzt_map;

enum lzt_map_mode {
    LZT_MAP_READ = 1,
    LZT_MAP_WRITE, /* what is written to memory goes to the file, which must have been opened for writing */
    LZT_MAP_COPY   /* what is written to memory stays there */
};

/* Map the first length bytes of the file, which must have as many. The map has its own handle on the file.
 *
 * LZT_MAP_WRITE takes a shared lock for as long as the map is open: many may fill disjoint pixels, and nobody changes the structure
 * meanwhile (LZT_LOCKED when somebody does). It gives the file the disk space that it lacks (a sparse file), so that writing to memory finds
 * no full disk, and is LZT_NOT_MAPPABLE on the file systems of other machines, which promise nothing to those who write through maps.
 *
 * Memory whose bytes the file does not have any more, or the disk cannot read, kills the process that touches it (SIGBUS). With guard 1, which
 * only POSIX systems have (LZT_UNSUPPORTED), it reads as zeros instead, and the map is poisoned: see lzt_map_check. The guard installs a
 * handler for SIGBUS when the first such map of the process is opened, and passes on whatever is not about one of them. */
enum lzt_status lzt_map_open(struct lzt_file *file, enum lzt_map_mode mode, uint64_t length, int guard, struct lzt_map **map,
                             struct lzt_error *error);
uint8_t *lzt_map_bytes(const struct lzt_map *map);
/* LZT_CHANGED when the guard has put zeros into the map. */
enum lzt_status lzt_map_check(const struct lzt_map *map, struct lzt_error *error);
/* Write count pieces of length bytes, one after the other in data, to these offsets of the file (LZT_MAP_WRITE: by a write, so that what
 * goes wrong is an error and no signal) or of memory (LZT_MAP_COPY). */
enum lzt_status lzt_map_store(struct lzt_map *map, const uint64_t *offsets, uint64_t count, uint64_t length, const void *data,
                              struct lzt_error *error);
/* Wait until everything that was written is on the disk; other modes have nothing to wait for. After a failure, what was written may be lost
 * (the system forgets it), so that every later call fails too. */
enum lzt_status lzt_map_flush(struct lzt_map *map, struct lzt_error *error);
void lzt_map_close(struct lzt_map *map);

/* ---- Creating ---------------------------------------------------------------------------------------------------------- */

/* A file of equal uncompressed pages, one strip each, pixel after pixel and page after page without a gap. Set size to
 * sizeof(struct lzt_new_stack). */
struct lzt_new_stack {
    size_t size;
    uint64_t pages;
    uint32_t rows, columns, samples;
    uint16_t kind, item_size; /* of a sample: enum lzt_kind but for LZT_BOOL, bytes */
    uint16_t big_endian;      /* 1: numbers begin with their most significant byte */
    int32_t photometric;      /* -1: RGB (2) for 3 or 4 unsigned samples of 8 bits, otherwise min-is-black (1) */
    int32_t bigtiff;          /* 1: yes; 0: no (LZT_FULL when it does not fit into 4 GiB); -1: where it does not fit into a classic file */
};

/* Make the file at path, whose pixels are 0 and have their disk space; a full disk is an error now. LZT_SYSTEM with EEXIST when there is
 * such a file. The name appears when the file is complete. */
enum lzt_status lzt_create_zeros(const char *path, const struct lzt_new_stack *stack, struct lzt_error *error);

/* ---- Writing page by page ------------------------------------------------------------------------------------------------ */

/* What is appended is there for good as soon as the call returns: the page is written first, behind everything else, and then linked by one
 * aligned write, so that a program that dies at any moment leaves a valid file with every page that it was told of, and readers see whole
 * pages only. tests/c/test_acquire.c is the smallest program that does it.
 *
 * Errors: after LZT_USAGE, LZT_UNSUPPORTED, LZT_LIMIT, LZT_NO_MEMORY, LZT_FULL and LZT_CANCELLED no page was added, and the writer is as good as
 * before. LZT_LOCKED: the process was forked from that of the writer, which alone goes on. When a write fails (LZT_SYSTEM), or the file is not as
 * long as this writer left it (LZT_CHANGED: somebody wrote to it without asking for the lock), nobody knows what is behind the last page: from
 * then on this writer says so at every call. The file is valid and keeps all that was acknowledged; close the writer, the table and the source,
 * and open them again to go on.
 *
 * Memory: none is taken from the third page on when pages need no encoding (lzt_writer_encodes), have no tags of their own, and lie in memory
 * as in the file: samples and columns side by side, rows at any distance, numbers in the file's byte order. Others are copied while they are
 * encoded. Nothing refers to the caller's pixels and tags when a call has returned, but a parcel to its pixels.
 *
 * Threads: one at a time in a writer; parcels are opened by that thread, encoded by any, while the writer may write other pages. A writer does
 * not use its table after lzt_writer_open; who reads what was appended has a table of its own (of this source or another one of the same file),
 * at any time and in any thread, and learns of new pages by lzt_table_refresh, now and then: nothing wakes it up. It knows that no more
 * will come when lzt_source_has_writer says so, and one lzt_table_refresh after that has brought nothing. */

struct lzt_writer;
struct lzt_parcel;

/* Begin a TIFF file without pages in a new, empty file, lzt_source_file of lzt_source_create; LZT_USAGE when it has bytes. bigtiff 1: BigTIFF; 0:
 * classic, which ends at 4 GiB (LZT_FULL); -1: classic, with all that it takes to become BigTIFF by a single write when it outgrows 4 GiB.
 * big_endian as in struct lzt_new_stack; this machine's order costs least. */
enum lzt_status lzt_create_empty(struct lzt_file *file, int bigtiff, int big_endian, struct lzt_error *error);

/* A tag to be written; types as TIFF 6.0 and BigTIFF number them, but for IFDs. LZT_USAGE: tags that tell how pixels are stored, or where other
 * IFDs are; ExtraSamples for another number of them; whole numbers of 8 bytes where the file is not BigTIFF yet; more than 4,096 in an IFD. */
struct lzt_new_tag {
    uint16_t tag, type;
    uint64_t count;     /* of values, at least 1; of text: its bytes, with the 0 at its end */
    const void *values; /* in this machine's byte order; a fraction is two numbers */
};

/* How pages look and are stored. Set size to sizeof(struct lzt_form); members that are 0 take the default, but photometric and level -1.
 *
 * level (libtiff has a pseudo-tag for each, TIFFTAG_ZIPQUALITY and so on; tiff.h):
 *     Deflate   effort, 0 to 12; default 4. Above 9: as 9, where libtiff has no libdeflate
 *     ZSTD      effort, 1 to 22; default 3
 *     LZMA      effort, 0 to 9; default 6
 *     JPEG      quality, 1 to 100; default 90
 *     WebP      quality, 1 to 100; default: lossless
 *     LERC      the most that a sample may differ; default 0, lossless but for the kinds of NaN and the sign of 0
 * The other codecs have none. */
struct lzt_form {
    size_t size;
    uint32_t rows, columns, samples;
    uint16_t kind, item_size;           /* of a sample: enum lzt_kind, bytes; LZT_BOOL is stored in 1 bit */
    uint16_t compression, predictor;    /* default: none, 1 */
    uint32_t chunk_rows, chunk_columns; /* chunk_columns 0: strips. chunk_rows 0: all rows when uncompressed, otherwise about 256 KiB */
    int32_t photometric;                /* -1: RGB (2) for 3 or 4 unsigned samples of 8 bits, otherwise min-is-black (1) */
    double level;                       /* of the codec, see above; -1: default */
    const struct lzt_new_tag *tags;     /* of every page, in any order; the last of a number counts. Their values are in the file once */
    size_t tag_count;
};

/* Pixels of a page, (row, column, sample), wherever they are in the caller's memory. */
struct lzt_pixels {
    const void *data;                                 /* the first one */
    int64_t row_stride, column_stride, sample_stride; /* bytes */
    uint32_t swapped;                                 /* 1: in the other byte order than this machine's */
};

/* Go on behind the last page of the table, which is of a source that is locked for its one writer, and lives until the writer is closed. durable
 * 1: what is acknowledged survives a power failure too, at the price of waiting for the disk twice a publication. A last link that leads to
 * nothing is overwritten; IFDs whose links nobody could switch at once are copied when the first page is appended. LZT_UNSUPPORTED when frames
 * share the only IFD, LZT_LIMIT when there are more pages than a limit let the table see, LZT_CHANGED when there are by now, LZT_USAGE for
 * bytes that are in no file and for tables of options.ifds. */
enum lzt_status lzt_writer_open(const struct lzt_table *table, int durable, struct lzt_writer **writer, struct lzt_error *error);
/* How page number page of the table is stored, as a form for more such pages, without tags. LZT_UNSUPPORTED when its pixels cannot be read, or are
 * not read as they would be written; whether its codec can be encoded is told by lzt_writer_set_form. */
enum lzt_status lzt_form_of_page(const struct lzt_table *table, uint64_t page, struct lzt_form *form, struct lzt_error *error);
/* How the pages to come are stored: for a writer that was just opened, whatever pages the file has; as long as the file has none, and none was
 * written, it can be said anew. The form and what it points to are copied. LZT_USAGE, LZT_UNSUPPORTED or LZT_LIMIT when no page can be stored
 * like that; then no form is set. */
enum lzt_status lzt_writer_set_form(struct lzt_writer *writer, const struct lzt_form *form, struct lzt_error *error);
/* The form with its defaults filled in, without its tags; it is the writer's. */
const struct lzt_form *lzt_writer_form(const struct lzt_writer *writer);
/* 1: pages are encoded before they are written (a codec, tiles, single bits), which parcels let several threads do. */
int lzt_writer_encodes(const struct lzt_writer *writer);
/* Append a page with these tags beside those of the form, which they replace where they have the same number. *page becomes its number;
 * page may be NULL. Pages that wait (lzt_writer_write) are published too.
 * LZT_FULL: it would pass the 4 GiB of classic TIFF; LZT_LIMIT: the table was opened with a max_pages that lets nobody read it. Nothing of it was
 * written. */
enum lzt_status lzt_writer_append(struct lzt_writer *writer, const struct lzt_pixels *pixels, const struct lzt_new_tag *tags, size_t tag_count,
                                  uint64_t *page, struct lzt_error *error);

/* The same in parts. Encode the page's chunks, in any number of threads together, about milliseconds each time (0: until all are done); LZT_AGAIN:
 * chunks are left to begin. The parcel is complete when every thread's call has returned LZT_OK; then the pixels are not needed any more. Each
 * parcel is for the writer that it was opened for, in its form of that time. One that failed or was cancelled can only be closed. */
enum lzt_status lzt_parcel_open(const struct lzt_writer *writer, const struct lzt_pixels *pixels, struct lzt_parcel **parcel,
                                struct lzt_error *error);
enum lzt_status lzt_parcel_encode(struct lzt_parcel *parcel, uint32_t milliseconds, struct lzt_error *error);
/* Make every lzt_parcel_encode on this parcel return LZT_CANCELLED soon. May be called from any thread. */
void lzt_parcel_cancel(struct lzt_parcel *parcel);
void lzt_parcel_close(struct lzt_parcel *parcel);
/* Write a page behind the last one without publishing it: from a complete parcel, or without one (NULL) from pixels, which this thread encodes
 * where they are not stored as they are. Nobody sees it before it is published; pages that wait when the writer is closed are lost. */
enum lzt_status lzt_writer_write(struct lzt_writer *writer, const struct lzt_parcel *parcel, const struct lzt_pixels *pixels,
                                 const struct lzt_new_tag *tags, size_t tag_count, struct lzt_error *error);
/* Publish all pages that were written, by one link: readers see all of them or none. */
enum lzt_status lzt_writer_publish(struct lzt_writer *writer, struct lzt_error *error);

/* Wait until all that was published is on the disk, whether the writer is durable or not. */
enum lzt_status lzt_writer_flush(struct lzt_writer *writer, struct lzt_error *error);

/* Some programs take the axes of a stack from the first page's ImageDescription. Have eight digits there, which begin at byte inside of the text, a
 * multiple of 8, always tell how many steps of per pages are published, and at least least: they are written after the pages are linked, by one
 * aligned write, so that readers see the old number or the new one, and never steps that are not there, but for least. Beyond 99,999,999 they
 * stay. Before the first page, whose description (of the form, or of the page) must have the digits of least there, or LZT_USAGE is what
 * becomes of it; or on a file that has pages, whose digits are set right at once: LZT_USAGE when it has none there. May be said anew. */
enum lzt_status lzt_writer_set_counter(struct lzt_writer *writer, uint64_t inside, uint64_t per, uint64_t least, struct lzt_error *error);
/* Give the first page another ImageDescription, of length bytes with the 0 at its end: its IFD is copied, and the header led to the copy by one
 * write, so that a program that dies leaves the old text or the new one; readers that have the file open keep the old one until they refresh.
 * The text begins at a multiple of 8. What was counted is not any more. LZT_USAGE before the first page, and while pages wait; LZT_FULL where
 * a classic file has no room. */
enum lzt_status lzt_writer_redescribe(struct lzt_writer *writer, const char *text, uint64_t length, struct lzt_error *error);
/* Have a classic file that would become BigTIFF when it outgrows 4 GiB end there (LZT_FULL), now and whenever a writer goes on with it, for programs
 * that read no BigTIFF. Nothing is done to other files. LZT_USAGE while pages wait. */
enum lzt_status lzt_writer_stay_classic(struct lzt_writer *writer, struct lzt_error *error);

uint64_t lzt_writer_pages(const struct lzt_writer *writer);  /* published, those of the table included */
int lzt_writer_is_bigtiff(const struct lzt_writer *writer); /* whether readers find a BigTIFF file by now */
void lzt_writer_close(struct lzt_writer *writer);

/* ---- About ------------------------------------------------------------------------------------------------------------- */

const char *lzt_libtiff_version(void);    /* of the library in use, "4.5.0" */
int lzt_codec_available(uint16_t compression); /* 1: this Compression value can be decoded here */
int lzt_codec_encodes(uint16_t compression);   /* 1: pages can be written with it */

/* [end] */

#ifdef __cplusplus
}
#endif

#endif
