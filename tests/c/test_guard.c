/* The page-fault guard: memory whose bytes the file does not have any more reads as zeros, and only that. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "os.h"
#include "reading.h"

enum { PAGES = 2000 };

static char folder[] = "/tmp/lazytiff-guard-XXXXXX", name[64], foreign_name[64];
static size_t page;
/* What children leave open when a signal ends them. */
static struct lzt_map *kept;
static struct lzt_file *kept_file;

static void write_file(const char *path)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    for (size_t i = 0; i < PAGES * page + 100; i++)
        CHECK(fputc(1, file) != EOF);
    CHECK(fclose(file) == 0);
}

static struct lzt_map *map_file(enum lzt_map_mode mode, int guard)
{
    struct lzt_source *source;
    struct lzt_map *map;
    write_file(name);
    CHECK(lzt_source_open_writable(name, &source, NULL) == LZT_OK);
    CHECK(lzt_map_open(lzt_source_file(source), mode, PAGES * page + 100, guard, &map, NULL) == LZT_OK);
    lzt_source_close(source);
    return map;
}

static void shorten(const char *path, size_t length) { CHECK(truncate(path, (off_t)length) == 0); }

static int sum(const struct lzt_map *map, size_t first, size_t last)
{
    int total = 0;
    for (size_t i = first; i < last; i++)
        total += ((volatile uint8_t *)lzt_map_bytes(map))[i * page];
    return total;
}

static void test_tail(void)
{
    struct lzt_error error;
    for (enum lzt_map_mode mode = LZT_MAP_READ; mode <= LZT_MAP_COPY; mode++) {
        struct lzt_map *map = map_file(mode, 1);
        CHECK(sum(map, 0, PAGES) == PAGES && lzt_map_check(map, &error) == LZT_OK);
        shorten(name, 10 * page + 1);
        CHECK(sum(map, PAGES - 5, PAGES) == 0);
        CHECK(lzt_map_check(map, &error) == LZT_CHANGED && lzt_map_flush(map, &error) == LZT_CHANGED);
        CHECK(sum(map, 0, PAGES) == 11); /* the rest of the last page is the file's */
        if (mode != LZT_MAP_READ)
            lzt_map_bytes(map)[50 * page] = 9; /* to nowhere */
        shorten(name, 0);
        CHECK(sum(map, 0, 11) == 0);
        lzt_map_close(map);
    }
}

/* A map may have 65,530 parts (vm.max_map_count): so many patches would be the end. */
static void test_random_access(void)
{
    struct lzt_map *map = map_file(LZT_MAP_READ, 1);
    uint64_t at = 1;
    shorten(name, 0);
    for (int i = 0; i < 1000000; i++) {
        at = at * UINT64_C(6364136223846793005) + 1442695040888963407u;
        CHECK(((volatile uint8_t *)lzt_map_bytes(map))[(at >> 33) % (PAGES * page)] == 0);
    }
    lzt_map_close(map);
}

static void test_others_are_unharmed(void)
{
    struct lzt_error error;
    struct lzt_map *maps[5];
    for (int i = 0; i < 5; i++) {
        maps[i] = map_file(LZT_MAP_READ, 1); /* of one inode: write_file keeps it */
        CHECK(lzt_map_check(maps[i], &error) == LZT_OK);
    }
    shorten(name, page);
    CHECK(sum(maps[2], 5, 6) == 0);
    for (int i = 0; i < 5; i++)
        CHECK(lzt_map_check(maps[i], &error) == (i == 2 ? LZT_CHANGED : LZT_OK));
    for (int i = 0; i < 5; i++)
        lzt_map_close(maps[i]);
    struct lzt_map *next = map_file(LZT_MAP_READ, 1); /* in a used entry of the registry */
    CHECK(lzt_map_check(next, &error) == LZT_OK && sum(next, 0, PAGES) == PAGES);
    lzt_map_close(next);
}

static void *touch(void *map)
{
    for (int i = 0; i < 50; i++)
        sum(map, 0, PAGES);
    return NULL;
}

static void test_threads(void)
{
    struct lzt_map *map = map_file(LZT_MAP_READ, 1);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, touch, map) == 0);
    for (size_t left = PAGES; left > 0; left -= 100)
        shorten(name, left * page);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    lzt_map_close(map);
}

static void *open_and_close(void *end)
{
    struct lzt_file *file;
    struct lzt_map *map;
    CHECK(lzt_file_open(name, 0, &file, NULL) == LZT_OK);
    while (!atomic_load((atomic_int *)end)) {
        CHECK(lzt_map_open(file, LZT_MAP_READ, page, 1, &map, NULL) == LZT_OK);
        CHECK(sum(map, 0, 1) == 1 && lzt_map_check(map, NULL) == LZT_OK);
        lzt_map_close(map);
    }
    lzt_file_close(file);
    return NULL;
}

/* A child guards its maps, whatever other threads were at when it was made. */
static void test_forks(void)
{
    atomic_int end = 0;
    pthread_t threads[4];
    int status;
    lzt_map_close(map_file(LZT_MAP_READ, 1));
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, open_and_close, &end) == 0);
    for (int i = 0; i < 200; i++) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            struct lzt_source *source;
            CHECK(lzt_source_open(name, &source, NULL) == LZT_OK);
            CHECK(lzt_map_open(lzt_source_file(source), LZT_MAP_READ, page, 1, &kept, NULL) == LZT_OK);
            _exit(sum(kept, 0, 1) == 1 ? 9 : 1);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9);
    }
    atomic_store(&end, 1);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- Signals that are none of ours: each in a child ------------------------------------------------------------------------ */

static void foreign_fault(void)
{
    write_file(foreign_name);
    uint8_t *bytes;
    CHECK(lzt_file_open(foreign_name, 0, &kept_file, NULL) == LZT_OK);
    CHECK(lzt_memory_map(kept_file, LZT_MAP_READ, 10 * page, &bytes, NULL) == LZT_OK);
    shorten(foreign_name, 0);
    (void)((volatile uint8_t *)bytes)[5 * page];
}

static void end_with_7(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    _exit(info->si_addr != NULL ? 7 : 8);
}

static void handle(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    if (handler == NULL)
        action = (struct sigaction){.sa_handler = SIG_DFL};
    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

/* How a child ends that does this: its status, or 1000 + the signal. */
static int end_of(void (*action)(void))
{
    int status;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        action();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void fault_with_handler(void)
{
    handle(end_with_7);
    kept = map_file(LZT_MAP_READ, 1);
    foreign_fault();
}

static void fault_without_handler(void)
{
    handle(NULL);
    kept = map_file(LZT_MAP_READ, 1);
    foreign_fault();
}

static void unguarded_fault(void)
{
    handle(NULL);
    kept = map_file(LZT_MAP_READ, 0);
    shorten(name, 0);
    sum(kept, 5, 6);
}

static void send_twice(void)
{
    handle(NULL);
    kept = map_file(LZT_MAP_READ, 1);
    raise(SIGBUS); /* might be a fault that another handler passed on */
    raise(SIGBUS); /* cannot be */
}

static void send_without_maps(void)
{
    handle(NULL);
    lzt_map_close(map_file(LZT_MAP_READ, 1));
    raise(SIGBUS);
}

static struct sigaction before;

/* As Python's faulthandler does: put back what was there, send the signal again. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    sigaction(number, &before, NULL);
    raise(number);
}

static void handler_that_came_later(void)
{
    handle(NULL);
    kept = map_file(LZT_MAP_READ, 1);
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_NODEFER};
    CHECK(sigaction(SIGBUS, &action, &before) == 0);
    shorten(name, 0);
    CHECK(sum(kept, 0, 10) == 0);
    CHECK(lzt_map_check(kept, NULL) == LZT_CHANGED);
    _exit(9);
}

/* Nobody's page: the instruction that did it would be tried again for ever. */
static void fault_without_address(void)
{
#ifdef __linux__
    siginfo_t info = {.si_signo = SIGBUS, .si_code = SI_KERNEL};
    handle(NULL);
    kept = map_file(LZT_MAP_READ, 1);
    for (int i = 0; i < 2; i++) /* at the first one the guard leaves, as this is no instruction */
        CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info) == 0);
#else
    raise(SIGBUS);
#endif
}

/* SA_SIGINFO does not make a handler of SIG_DFL. */
static void fault_with_odd_flags(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    action.sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
    kept = map_file(LZT_MAP_READ, 1);
    foreign_fault();
}

/* Who was there first and goes puts back what was there before: as faulthandler.disable() does. */
static void handler_that_goes(void)
{
    handle(NULL);
    lzt_map_close(map_file(LZT_MAP_READ, 1));
    handle(NULL);
    kept = map_file(LZT_MAP_READ, 1);
    shorten(name, 0);
    CHECK(sum(kept, 0, 10) == 0 && lzt_map_check(kept, NULL) == LZT_CHANGED);
    _exit(9);
}

static void test_signals(void)
{
    CHECK(end_of(fault_with_handler) == 7);
    CHECK(end_of(fault_without_handler) == 1000 + SIGBUS);
    CHECK(end_of(unguarded_fault) == 1000 + SIGBUS);
    CHECK(end_of(send_twice) == 1000 + SIGBUS);
    CHECK(end_of(send_without_maps) == 1000 + SIGBUS);
    CHECK(end_of(handler_that_came_later) == 9);
    if (!is_under_valgrind()) /* which takes it for a fault of its own */
        CHECK(end_of(fault_without_address) == 1000 + SIGBUS);
    CHECK(end_of(fault_with_odd_flags) == 1000 + SIGBUS);
    CHECK(end_of(handler_that_goes) == 9);
}

#if defined(__SANITIZE_ADDRESS__)
/* The sanitizer's own handler would report faults that these tests make on purpose, and maps that their children leave open. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "handle_sigbus=0:detect_leaks=0"; }
#endif

int main(void)
{
    page = lzt_memory_page();
    CHECK(mkdtemp(folder) != NULL);
    snprintf(name, sizeof name, "%s/file", folder);
    snprintf(foreign_name, sizeof foreign_name, "%s/foreign", folder);
    test_signals(); /* first: children that have no handler of ours yet */
    test_tail();
    test_random_access();
    test_others_are_unharmed();
    test_threads();
    if (!is_under_valgrind()) /* which counts what belongs to the other threads as lost in the child */
        test_forks();
    unlink(foreign_name);
    CHECK(unlink(name) == 0 && rmdir(folder) == 0);
    return 0;
}
