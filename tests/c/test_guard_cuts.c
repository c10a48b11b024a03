/* The page-fault guard in the corners: what was there before it, small cuts, threads that write, entries of the registry, failed disks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "os.h"

enum { PAGES = 100, TAIL = 100, THREADS = 8 };

static char name[] = "test_guard_cuts.tif", foreign_name[] = "test_guard_cuts_foreign";
static size_t page;
static struct lzt_map *kept; /* what a child leaves open when a signal ends it */

#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void);
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_sigbus=0"; /* the tests look at handlers themselves */
}

static size_t allocated(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
static size_t allocated(void)
{
    return 0; /* nobody tells */
}
#endif

/* A disk that fails: takes the place of the C library's. */
static int disk_error;

int fsync(int file)
{
    (void)file;
    errno = disk_error;
    return disk_error == 0 ? 0 : -1;
}

static size_t size(void)
{
    return PAGES * page + TAIL;
}

static void write_file(const char *path)
{
    uint8_t *ones = malloc(size());
    memset(ones, 1, size());
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(file >= 0 && write(file, ones, size()) == (ssize_t)size() && close(file) == 0);
    free(ones);
}

static struct lzt_map *map_file(enum lzt_map_mode mode, int guard)
{
    struct lzt_source *source;
    struct lzt_map *map;
    write_file(name);
    CHECK(lzt_source_open_writable(name, &source, NULL) == LZT_OK);
    CHECK(lzt_map_open(lzt_source_file(source), mode, size(), guard, &map, NULL) == LZT_OK);
    lzt_source_close(source);
    return map;
}

static void shorten(const char *path, size_t length)
{
    CHECK(truncate(path, (off_t)length) == 0);
}

static uint8_t look(const struct lzt_map *map, size_t at)
{
    return ((volatile uint8_t *)lzt_map_bytes(map))[at];
}

/* How a child ends that does this: its status, or 1000 + the signal. */
static int end_of(void (*action)(void))
{
    int status;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        action();
        lzt_map_close(kept);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- What is cut off ------------------------------------------------------------------------------------------------------ */

static void cut_where(enum lzt_map_mode mode, size_t left)
{
    struct lzt_map *map = map_file(mode, 1);
    const size_t end = (left + page - 1) / page * page; /* of what the file still has in memory */
    shorten(name, left);
    for (size_t at = 0; at < left; at += page)
        CHECK(look(map, at) == 1);
    CHECK(lzt_map_check(map, NULL) == LZT_OK);
    for (size_t at = left; at < size() && at < end; at++)
        CHECK(look(map, at) == 0);
    CHECK(lzt_map_check(map, NULL) == LZT_OK);
    errno = 77;
    for (size_t at = end; at < size(); at += page)
        CHECK(look(map, at) == 0);
    CHECK(errno == 77);
    CHECK(lzt_map_check(map, NULL) == (end < size() ? LZT_CHANGED : LZT_OK));
    CHECK(lzt_map_flush(map, NULL) == (end < size() ? LZT_CHANGED : LZT_OK));
    if (left > 0)
        CHECK(look(map, 0) == 1);
    lzt_map_close(map);
}

static void test_cuts(void)
{
    for (enum lzt_map_mode mode = LZT_MAP_READ; mode <= LZT_MAP_COPY; mode++) {
        cut_where(mode, 0);
        cut_where(mode, 1);
        cut_where(mode, page);
        cut_where(mode, PAGES / 2 * page);
        cut_where(mode, PAGES / 2 * page + 1);
        cut_where(mode, PAGES * page);
        cut_where(mode, PAGES * page + 1);
        cut_where(mode, size() - 1);
    }
}

/* What was written first where nothing is left stays readable, and goes nowhere. */
static void test_writing(enum lzt_map_mode mode)
{
    struct lzt_map *map = map_file(mode, 1);
    lzt_map_bytes(map)[90 * page] = 5;
    shorten(name, 10 * page);
    lzt_map_bytes(map)[60 * page + 7] = 9; /* the first touch of what is gone is a write */
    CHECK(look(map, 60 * page + 7) == 9 && look(map, 60 * page) == 0 && look(map, 50 * page) == 0);
    CHECK(look(map, 90 * page) == 0 || mode == LZT_MAP_COPY);
    CHECK(lzt_map_check(map, NULL) == LZT_CHANGED);
    lzt_map_close(map);
    struct lzt_file *file;
    uint64_t left;
    CHECK(lzt_file_open(name, 0, &file, NULL) == LZT_OK && lzt_file_size(file, &left, NULL) == LZT_OK && left == 10 * page);
    lzt_file_close(file);
}

/* A file that is as long as before when the fault is mended is poisoned all the same: it may be another one by now. */
static void test_restored(void)
{
    struct lzt_map *map = map_file(LZT_MAP_READ, 1);
    shorten(name, 0);
    CHECK(look(map, 0) == 0);
    write_file(name);
    CHECK(look(map, 50 * page) == 0 && lzt_map_check(map, NULL) == LZT_CHANGED);
    lzt_map_close(map);
}

struct work {
    struct lzt_map *map;
    int writes;
};

static void *touch_all(void *context)
{
    const struct work *work = context;
    for (int turn = 0; turn < 20; turn++)
        for (size_t i = 0; i < PAGES; i++) {
            if (work->writes)
                ((volatile uint8_t *)lzt_map_bytes(work->map))[(i * 37 % PAGES) * page + 3] = 1;
            CHECK(look(work->map, (i * 37 % PAGES) * page) <= 1);
        }
    return NULL;
}

static void test_threads(enum lzt_map_mode mode)
{
    for (int turn = 0; turn < 20; turn++) {
        struct work work = {map_file(mode, 1), mode != LZT_MAP_READ};
        pthread_t threads[THREADS];
        shorten(name, turn % 2 == 0 ? 0 : PAGES / 2 * page);
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, touch_all, &work) == 0);
        shorten(name, 0);
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(lzt_map_check(work.map, NULL) == LZT_CHANGED);
        lzt_map_close(work.map);
    }
}

/* Others open and close guarded maps while one faults. */
static atomic_int stop;

static void *open_and_close(void *context)
{
    struct lzt_file *file = context;
    while (!stop) {
        struct lzt_map *map;
        CHECK(lzt_map_open(file, LZT_MAP_READ, page, 1, &map, NULL) == LZT_OK && look(map, 5) == 1);
        CHECK(lzt_map_check(map, NULL) == LZT_OK);
        lzt_map_close(map);
    }
    return NULL;
}

static void test_registry_under_load(void)
{
    struct lzt_file *file;
    pthread_t threads[2];
    write_file(foreign_name);
    CHECK(lzt_file_open(foreign_name, 0, &file, NULL) == LZT_OK);
    stop = 0;
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, open_and_close, file) == 0);
    for (int turn = 0; turn < 300; turn++) {
        struct lzt_map *map = map_file(LZT_MAP_READ, 1);
        shorten(name, 0);
        CHECK(look(map, (size_t)turn % PAGES * page) == 0 && lzt_map_check(map, NULL) == LZT_CHANGED);
        lzt_map_close(map);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    lzt_file_close(file);
    CHECK(unlink(foreign_name) == 0);
}

static void test_entries_are_reused(void)
{
    lzt_map_close(map_file(LZT_MAP_READ, 1));
    const size_t before = allocated();
    for (int i = 0; i < 200; i++)
        lzt_map_close(map_file(LZT_MAP_READ, 1));
    CHECK(allocated() == before);
}

static void test_failed_flush(void)
{
    struct lzt_error error;
    struct lzt_map *map = map_file(LZT_MAP_WRITE, 0), *other = map_file(LZT_MAP_WRITE, 0), *reader = map_file(LZT_MAP_READ, 0);
    lzt_map_bytes(map)[5] = 3;
    disk_error = EIO;
    CHECK(lzt_map_flush(map, &error) == LZT_SYSTEM && error.os_errno == EIO);
    CHECK(lzt_map_flush(reader, &error) == LZT_OK);
    disk_error = 0;
    CHECK(lzt_map_flush(map, &error) == LZT_SYSTEM && error.os_errno == EIO && strstr(error.text, "may be lost") != NULL);
    CHECK(lzt_map_flush(map, NULL) == LZT_SYSTEM);
    CHECK(lzt_map_flush(other, &error) == LZT_OK);
    lzt_map_close(map);
    lzt_map_close(other);
    lzt_map_close(reader);
}

/* ---- Signals: each in a child --------------------------------------------------------------------------------------------- */

static void foreign_fault(void)
{
    write_file(foreign_name);
    const int file = open(foreign_name, O_RDONLY);
    volatile uint8_t *bytes = mmap(NULL, size(), PROT_READ, MAP_SHARED, file, 0);
    CHECK(file >= 0 && close(file) == 0 && bytes != MAP_FAILED);
    shorten(foreign_name, 0);
    (void)bytes[5 * page];
}

static void install(void (*handler)(int))
{
    CHECK(sigaction(SIGBUS, &(struct sigaction){.sa_handler = handler}, NULL) == 0);
}

static void end_with_7(int number)
{
    _exit(number == SIGBUS ? 7 : 8);
}

static volatile sig_atomic_t calls;

static void count(int number)
{
    calls += number == SIGBUS;
}

static void send_from_a_child(void)
{
    int status;
    const sig_atomic_t called = calls;
    const pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(kill(parent, SIGBUS) != 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < 100 && calls == called; i++)
        usleep(1000); /* it may be on its way still */
}

static void plain_handler_foreign_fault(void)
{
    install(end_with_7);
    kept = map_file(LZT_MAP_READ, 1);
    foreign_fault();
}

static void ignored_foreign_fault(void)
{
    install(SIG_IGN);
    kept = map_file(LZT_MAP_READ, 1);
    foreign_fault();
}

static void ignored_sent(void)
{
    install(SIG_IGN);
    kept = map_file(LZT_MAP_READ, 1);
    send_from_a_child();
    raise(SIGBUS);
    raise(SIGBUS);
    raise(SIGBUS);
    shorten(name, 0);
    CHECK(look(kept, 0) == 0); /* and the guard is still on */
}

static void standard_sent(void)
{
    install(SIG_DFL);
    kept = map_file(LZT_MAP_READ, 1);
    send_from_a_child();
}

static void handler_sent(void)
{
    CHECK(sigaction(SIGBUS, &(struct sigaction){.sa_handler = count, .sa_flags = SA_RESTART}, NULL) == 0);
    kept = map_file(LZT_MAP_READ, 1);
    send_from_a_child();
    send_from_a_child();
    CHECK(calls == 2);
    shorten(name, 0);
    CHECK(look(kept, 0) == 0 && calls == 2);
}

static void touch_in_child(void)
{
    CHECK(look(kept, 20 * page) == 0 && lzt_map_check(kept, NULL) == LZT_CHANGED);
}

static void fork_with_map(void)
{
    install(SIG_DFL);
    kept = map_file(LZT_MAP_READ, 1);
    shorten(name, 0);
    CHECK(end_of(touch_in_child) == 0);
    CHECK(lzt_map_check(kept, NULL) == LZT_OK); /* its memory is its own */
    CHECK(look(kept, 20 * page) == 0 && lzt_map_check(kept, NULL) == LZT_CHANGED);
}

static struct sigaction before;

static void pass_on(int number)
{
    calls++;
    sigaction(number, &before, NULL);
    raise(number);
}

/* Without SA_NODEFER: the signal that it sends arrives when it returns. */
static void handler_that_came_later(void)
{
    install(SIG_DFL);
    kept = map_file(LZT_MAP_WRITE, 1);
    for (int turn = 0; turn < 3; turn++) {
        CHECK(sigaction(SIGBUS, &(struct sigaction){.sa_handler = pass_on}, &before) == 0);
        struct lzt_map *map = map_file(LZT_MAP_READ, 1);
        shorten(name, 0);
        CHECK(look(map, 0) == 0 && calls == turn + 1);
        lzt_map_close(map);
    }
}

int main(void)
{
    page = lzt_memory_page();
    CHECK(end_of(plain_handler_foreign_fault) == 7);
    CHECK(end_of(ignored_foreign_fault) == 1000 + SIGBUS);
    CHECK(end_of(ignored_sent) == 0);
    CHECK(end_of(standard_sent) == 1000 + SIGBUS);
    CHECK(end_of(handler_sent) == 0);
    CHECK(end_of(fork_with_map) == 0);
    CHECK(end_of(handler_that_came_later) == 0);
    test_cuts();
    test_writing(LZT_MAP_WRITE);
    test_writing(LZT_MAP_COPY);
    test_restored();
    for (enum lzt_map_mode mode = LZT_MAP_READ; mode <= LZT_MAP_COPY; mode++)
        test_threads(mode);
    test_registry_under_load();
    test_entries_are_reused();
    test_failed_flush();
    unlink(foreign_name);
    CHECK(unlink(name) == 0);
    return 0;
}
