/* Disks that fail under a writer, at every call: an error says why, the writer is dead, the file has every page that was acknowledged, and the
 * next writer goes on. */
#include "appending.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* ---- The system, which fails ---- */

static enum { WELL, NO_SPACE, BROKEN, SHORT, INTERRUPTED } mode;
enum { LINK = 8 };     /* bytes: no system writes a part of so few, at their place */
static uint64_t calls; /* of those below, since that was said */
static uint64_t fails; /* from this one on */

static void fail_from(int how, uint64_t call)
{
    mode = (unsigned)how;
    calls = 0;
    fails = call;
}

/* 1: errno says what is wrong with this call. *most becomes how many bytes are written before that. */
static int goes_wrong(size_t *most)
{
    const uint64_t call = calls++;
    if (mode == WELL || call < fails)
        return 0;
    if (mode == INTERRUPTED && (call - fails) % 2 == 0) {
        errno = EINTR;
        return 1;
    }
    if ((mode == SHORT && call == fails && *most > LINK) || mode == INTERRUPTED) {
        *most = *most > LINK ? *most / 2 : *most;
        return 0;
    }
    errno = mode == BROKEN ? EIO : ENOSPC;
    return 1;
}

/* These take the place of the C library's. */
ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset)
{
    return goes_wrong(&length) ? -1 : (ssize_t)syscall(SYS_pwrite64, file, bytes, length, offset);
}

ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t offset)
{
    size_t all = 0, left = 0;
    for (int i = 0; i < count; i++)
        all += pieces[i].iov_len;
    left = all;
    if (goes_wrong(&left))
        return -1;
    if (left == all)
        return (ssize_t)syscall(SYS_pwritev, file, pieces, (long)count, (long)offset, 0L);
    ssize_t done = 0;
    for (int i = 0; i < count && left > 0; i++) {
        const size_t length = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        CHECK(syscall(SYS_pwrite64, file, pieces[i].iov_base, length, offset + done) == (long)length);
        done += (ssize_t)length;
        left -= length;
    }
    return done;
}

int fdatasync(int file)
{
    size_t most = 0;
    return goes_wrong(&most) ? -1 : (int)syscall(SYS_fdatasync, file);
}

/* ---- Pages ---- */

static void reopen(struct growing *growing, int durable)
{
    resume(growing);
    lzt_writer_close(growing->writer);
    CHECK(lzt_writer_open(growing->table, durable, &growing->writer, NULL) == LZT_OK);
    form_as_before(growing);
}

/* CHECK that the writer takes nothing more, and says what happened. */
static void check_dead(struct growing *growing, const struct lzt_error *why)
{
    const struct lzt_form form = made_form(5, 7, 1, 2);
    struct lzt_error error;
    check_status(try_append(growing, 9, &error), LZT_SYSTEM, &error, "an earlier append failed; what was acknowledged is in it");
    CHECK(error.os_errno == why->os_errno && try_append(growing, 9, NULL) == LZT_SYSTEM);
    check_status(lzt_writer_publish(growing->writer, &error), LZT_SYSTEM, &error, "can be opened again");
    CHECK(lzt_writer_set_form(growing->writer, &form, NULL) == LZT_SYSTEM);
}

/* CHECK that the file has pages pages, or those that were to be published too: the last call may have failed after it did its work. */
static uint64_t pages_there(const struct growing *growing, uint64_t pages, uint64_t more)
{
    struct opened opened = read_file(growing);
    const uint64_t found = lzt_table_pages(opened.table);
    close_all(&opened);
    CHECK(found == pages || found == pages + more);
    check_made(growing, found);
    return found;
}

/* Write batch pages and publish them. */
static enum lzt_status try_batch(struct growing *growing, uint64_t first, uint64_t batch, struct lzt_error *error)
{
    const struct lzt_form *form = lzt_writer_form(growing->writer);
    struct lzt_pixels pixels = strides_of(form, DENSE);
    enum lzt_status status = LZT_OK;
    for (uint64_t i = 0; i < batch && status == LZT_OK; i++) {
        uint8_t *items = made_items(form, first + i);
        pixels.data = items;
        status = lzt_writer_write(growing->writer, NULL, &pixels, NULL, 0, error);
        free(items);
    }
    return status == LZT_OK ? lzt_writer_publish(growing->writer, error) : status;
}

/* Fail at the first call, at the second one, and so on, until there are not so many calls. */
static void test_calls(int bigtiff, uint16_t compression, int durable, uint64_t batch, int how)
{
    struct lzt_form form = made_form(40, 7, 1, 2);
    form.compression = compression;
    form.chunk_rows = 16;
    struct growing growing = begin(bigtiff, 1, &form);
    append(&growing, 0);
    uint64_t pages = 1, call = 0, made;
    enum lzt_status status;
    do {
        struct lzt_error error;
        reopen(&growing, durable);
        fail_from(how, call++);
        status = try_batch(&growing, pages, batch, &error);
        made = calls;
        fail_from(WELL, 0);
        if (status != LZT_OK) {
            check_status(status, LZT_SYSTEM, &error, "");
            CHECK(error.os_errno == (how == BROKEN ? EIO : ENOSPC) && lzt_writer_pages(growing.writer) == pages);
            check_dead(&growing, &error);
        }
        pages = pages_there(&growing, pages, batch);
    } while (status != LZT_OK);
    CHECK(made >= batch + (bigtiff == AUTO ? 2 : 1) + (durable ? 2 : 0) && call == made + 1);
    end(&growing);
}

/* Calls that are interrupted, and those that do less than they were asked to, are nobody's business. */
static void test_interruptions(int how)
{
    const struct lzt_form form = made_form(40, 7, 1, 2);
    struct growing growing = begin(AUTO, 0, &form);
    fail_from(how, 0);
    for (uint64_t i = 0; i < 10; i++) {
        append(&growing, i);
        fail_from(how, i % 3);
    }
    fail_from(WELL, 0);
    check_made(&growing, 10);
    end(&growing);
}

/* A limit on the size of files, somewhere within the page. */
static void test_limited_files(void)
{
    struct rlimit before, low;
    struct stat about;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &before) == 0);
    for (unsigned room = 0; room < 800; room += 50) {
        const struct lzt_form form = made_form(40, 7, 1, 2);
        struct lzt_error error;
        struct growing growing = begin(AUTO, 0, &form);
        append(&growing, 0);
        CHECK(stat(growing.path, &about) == 0);
        low = before;
        low.rlim_cur = (rlim_t)about.st_size + room;
        CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
        check_status(try_append(&growing, 1, &error), LZT_SYSTEM, &error, "");
        CHECK(error.os_errno == EFBIG);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        check_dead(&growing, &error);
        check_made(&growing, 1);
        reopen(&growing, 0);
        append(&growing, 1);
        check_made(&growing, 2);
        end(&growing);
    }
}

/* The same while IFDs are copied whose links lie across a line, and while the old readers' link is set. */
static void test_crooked(int how)
{
    uint64_t made = 1;
    for (uint64_t call = 0; call < made; call++) {
        struct tiff_builder tiff = tiff_new(0, 0);
        struct lzt_error error;
        for (uint64_t i = 0; i < 3; i++)
            add_at_line(&tiff, &(struct tiff_image){.rows = 5, .columns = 21, .seed = i}, 62);
        struct growing growing = go_on(&tiff);
        form_as_before(&growing);
        fail_from(how, call);
        const enum lzt_status status = try_append(&growing, 3, &error);
        made = calls > made ? calls : made;
        fail_from(WELL, 0);
        if (status != LZT_OK) {
            check_status(status, LZT_SYSTEM, &error, "");
            check_dead(&growing, &error);
            made++;
        }
        const uint64_t pages = pages_there(&growing, 3, 1);
        reopen(&growing, 0);
        append(&growing, pages);
        check_made(&growing, pages + 1);
        end(&growing);
        tiff_free(&tiff);
    }
    CHECK(made > 5); /* three copies, two links to them, the page, its link, the old one */
}

int main(void)
{
    static const int formats[] = {CLASSIC, BIG, AUTO};
    static const int ways[] = {NO_SPACE, BROKEN, SHORT};
    for (size_t i = 0; i < 3; i++)
        for (size_t way = 0; way < 3; way++)
            for (int durable = 0; durable < 2; durable++) {
                test_calls(formats[i], LZT_NONE, durable, 1, ways[way]);
                test_calls(formats[i], LZT_NONE, durable, 3, ways[way]);
                test_calls(formats[i], LZT_LZW, durable, 1, ways[way]);
            }
    test_interruptions(INTERRUPTED);
    test_limited_files();
    for (size_t way = 0; way < 3; way++)
        test_crooked(ways[way]);
    return 0;
}
