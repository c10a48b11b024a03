/* os.h - what lazytiff asks of the operating system. os_posix*.c and os_win32*.c each answer all of it. */
#ifndef LZT_OS_H
#define LZT_OS_H

#include "lazytiff.h"

/* ---- Files (struct lzt_file: safe to share between threads, for no call moves a common position) -------------------------- */

/* Open a regular file for reading, and for writing if asked, without blocking on other kinds, which are LZT_NOT_TIFF. Not inherited by
 * child programs. */
enum lzt_status lzt_file_open(const char *path, int writable, struct lzt_file **file, struct lzt_error *error);
/* A new file for reading and writing, in the folder of path but without a name; it is gone when it is closed before lzt_file_publish. */
enum lzt_status lzt_file_create(const char *path, struct lzt_file **file, struct lzt_error *error);
/* Give a new file its name, at once and for good. LZT_SYSTEM with EEXIST when the name is taken. */
enum lzt_status lzt_file_publish(struct lzt_file *file, struct lzt_error *error);
/* Wait until the name of a file that was published is on the disk; if that fails, the name is taken back. */
enum lzt_status lzt_file_sync_name(struct lzt_file *file, struct lzt_error *error);
/* Another handle on the same open file, with its locks, which last until both are closed. */
enum lzt_status lzt_file_share(const struct lzt_file *file, struct lzt_file **other, struct lzt_error *error);
void lzt_file_close(struct lzt_file *file);

enum lzt_status lzt_file_size(struct lzt_file *file, uint64_t *size, struct lzt_error *error);
/* When it was last written to, in nanoseconds since 1970. */
enum lzt_status lzt_file_modified(struct lzt_file *file, int64_t *when, struct lzt_error *error);
/* The size, and a number that is another one whenever the file was written to in between. 0: nobody knows, as clocks tick, some only every
 * 2 seconds, and this file was written to just now; or it is on another machine. */
enum lzt_status lzt_file_stamp(struct lzt_file *file, uint64_t *size, uint64_t *stamp, struct lzt_error *error);
/* Read until length bytes came or the file ends; got says how many came. Interrupted calls are repeated. */
enum lzt_status lzt_file_read(struct lzt_file *file, uint64_t offset, void *buffer, size_t length, size_t *got,
                              struct lzt_error *error);
/* Write all of length bytes. Interrupted calls are repeated. */
enum lzt_status lzt_file_write(struct lzt_file *file, uint64_t offset, const void *buffer, size_t length, struct lzt_error *error);
/* Write pieces one behind the other, none of them copied where the system can do that. Interrupted calls are repeated. */
struct lzt_piece {
    const void *bytes;
    size_t length;
};
enum lzt_status lzt_file_write_pieces(struct lzt_file *file, uint64_t offset, const struct lzt_piece *pieces, size_t count,
                                      struct lzt_error *error);
/* Wait until all that was written is on the disk. */
enum lzt_status lzt_file_sync(struct lzt_file *file, struct lzt_error *error);
/* The same without what nobody needs to find the bytes again, such as the time of change. */
enum lzt_status lzt_file_sync_data(struct lzt_file *file, struct lzt_error *error);
/* Have disk space for the first length bytes; the file grows to that length where it is shorter. *done becomes 0 when the file system
 * cannot promise that. */
enum lzt_status lzt_file_allocate(struct lzt_file *file, uint64_t length, int *done, struct lzt_error *error);
/* 1: less of the file is on the disk than its size says. */
enum lzt_status lzt_file_is_sparse(struct lzt_file *file, int *sparse, struct lzt_error *error);
/* The name of the file system when it is another machine's, otherwise NULL. */
const char *lzt_file_remote(struct lzt_file *file);
/* Take an advisory lock, shared or exclusive, on a byte beyond any possible end of a file, until the file is closed; an exclusive one until the
 * process that took it closes this handle, whatever its forked children do. LZT_LOCKED when another handle holds one that does not go with it. */
enum lzt_status lzt_file_lock(struct lzt_file *file, int exclusive, struct lzt_error *error);
/* *held becomes 1 when another handle has that lock, exclusively; handles of lzt_file_share are the same. LZT_UNSUPPORTED where the file
 * system has no locks, or another machine has the file, whose programs need not see each other's. */
enum lzt_status lzt_file_has_writer(struct lzt_file *file, int *held, struct lzt_error *error);

/* ---- Memory ---------------------------------------------------------------------------------------------------------------- */

/* The first length bytes of the file at *address. */
enum lzt_status lzt_memory_map(struct lzt_file *file, enum lzt_map_mode mode, uint64_t length, uint8_t **address,
                               struct lzt_error *error);
void lzt_memory_unmap(uint8_t *address, uint64_t length);
/* Wait until what was written to memory is in the file, and the file on the disk. */
enum lzt_status lzt_memory_sync(struct lzt_file *file, uint8_t *address, uint64_t length, struct lzt_error *error);
/* Bytes of a page of memory. */
size_t lzt_memory_page(void);
/* Put zeros, that belong to no file, in the place of mapped memory; address at a page. 0: not possible. For signal handlers too. */
int lzt_memory_blank(uint8_t *address, uint64_t length, int writable);

/* What to do about a touch of mapped memory that has no bytes: return 1 when it has some now, 0 when that address is none of ours. Called
 * with NULL: whether any address is. In a signal handler. */
typedef int (*lzt_mend)(const uint8_t *address);
/* Have mend called at such touches, from now on. May be called again, with the same mend. LZT_UNSUPPORTED where there is no such signal. */
enum lzt_status lzt_faults_catch(lzt_mend mend, struct lzt_error *error);

/* A number that tells this process from others that are alive. */
uint64_t lzt_process(void);

/* Milliseconds on a clock that never goes back. */
uint64_t lzt_milliseconds(void);

#endif
