/* Sources: whole ranges or an error, never a byte from outside, from any number of threads. */
#define _GNU_SOURCE /* leases; everything else is POSIX */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "os.h"
#include "source.h"

enum { SIZE = 10000, THREADS = 8 };

static uint8_t content[SIZE]; /* of every source here */
static char folder[64];       /* ours, and empty again after each test */

/* ---- Files to read ---- */

static const char *path_to(const char *name, char *path, size_t room)
{
    CHECK(snprintf(path, room, "%s/%s", folder, name) < (int)room);
    return path;
}

static const char *new_file(char *path, size_t room)
{
    path_to("file", path, room);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(file >= 0);
    CHECK(write(file, content, SIZE) == SIZE);
    CHECK(close(file) == 0);
    return path;
}

static struct lzt_source *open_file(const char *path)
{
    struct lzt_source *source;
    CHECK(lzt_source_open(path, &source, NULL) == LZT_OK);
    CHECK(source != NULL);
    return source;
}

/* A file that has no name any more. */
static struct lzt_source *open_content(void)
{
    char path[100];
    struct lzt_source *source = open_file(new_file(path, sizeof path));
    CHECK(unlink(path) == 0);
    return source;
}

/* The number that the next open file gets: the same before and after means that nothing was left open. */
static int next_descriptor(void)
{
    int descriptor = dup(STDERR_FILENO);
    CHECK(descriptor >= 0);
    close(descriptor);
    return descriptor;
}

/* ---- Callback sources ---- */

struct calls {
    int count, result;
    const struct lzt_range *ranges[4];
    size_t counts[4];
};

static int fetch(void *context, const struct lzt_range *ranges, size_t count)
{
    struct calls *calls = context;
    CHECK(calls->count < 4);
    calls->ranges[calls->count] = ranges;
    calls->counts[calls->count++] = count;
    for (size_t i = 0; i < count; i++)
        memcpy(ranges[i].buffer, content + ranges[i].offset, (size_t)ranges[i].length);
    return calls->result;
}

/* For threads: changes nothing. */
static int fetch_only(void *context, const struct lzt_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy(ranges[i].buffer, (const uint8_t *)context + ranges[i].offset, (size_t)ranges[i].length);
    return 0;
}

/* ---- The same for all kinds ---- */

static void check_read(struct lzt_source *source, uint64_t offset, uint64_t length)
{
    struct guarded buffer = guarded_new((size_t)length);
    struct lzt_range range = {offset, length, buffer.bytes};
    CHECK(lzt_source_read(source, &range, 1, NULL) == LZT_OK);
    CHECK(memcmp(buffer.bytes, content + offset, (size_t)length) == 0);
    guarded_free(&buffer);
}

static void check_ranges(struct lzt_source *source)
{
    check_read(source, 0, SIZE);
    check_read(source, 0, 1);
    check_read(source, SIZE - 1, 1);
    check_read(source, 4095, 2);
    struct guarded buffer = guarded_new(SIZE);
    struct lzt_range ranges[] = {
        {5000, 1000, buffer.bytes},        {6000, 500, buffer.bytes + 1000}, {6500, 0, buffer.bytes + 1500},
        {6500, 10, buffer.bytes + 1500},   {6510, 10, buffer.bytes + 3000},  {0, 100, buffer.bytes + 3010},
        {9999, 1, buffer.bytes + SIZE - 1}, {5000, 1000, buffer.bytes + 4000},
    };
    const size_t count = sizeof ranges / sizeof *ranges;
    memset(buffer.bytes, 0, SIZE);
    CHECK(lzt_source_read(source, ranges, count, NULL) == LZT_OK);
    for (size_t i = 0; i < count; i++)
        CHECK(memcmp(ranges[i].buffer, content + ranges[i].offset, (size_t)ranges[i].length) == 0);
    CHECK(buffer.bytes[1510] == 0 && buffer.bytes[2999] == 0); /* nothing beside the ranges */
    CHECK(lzt_source_read(source, NULL, 0, NULL) == LZT_OK);
    guarded_free(&buffer);
}

static void check_empty_ranges(struct lzt_source *source)
{
    struct guarded end = guarded_new(0);
    const uint64_t offsets[] = {0, SIZE, SIZE + 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        struct lzt_range ranges[] = {{offsets[i], 0, end.bytes}, {offsets[i], 0, NULL}};
        CHECK(lzt_source_read(source, ranges, 2, NULL) == LZT_OK);
    }
    guarded_free(&end);
}

static void check_outside(struct lzt_source *source)
{
    uint8_t bytes[16];
    const struct lzt_range outside[] = {
        {SIZE, 1, bytes},           {SIZE - 1, 2, bytes},
        {SIZE + 5, 16, bytes},      {INT64_MAX, 1, bytes},
        {INT64_MAX - 15, 16, bytes}, {(uint64_t)INT64_MAX + 1, 16, bytes},
        {UINT64_MAX, 1, bytes},     {UINT64_MAX - 15, 16, bytes},
        {UINT64_MAX - 14, 16, bytes}, {1, UINT64_MAX, bytes},
        {SIZE, UINT64_MAX - SIZE + 1, bytes},
    };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        struct lzt_error error;
        struct lzt_range ranges[] = {{0, 8, bytes}, outside[i], {8, 8, bytes}};
        CHECK(lzt_source_read(source, ranges, 3, &error) == LZT_CHANGED);
        CHECK(error.status == LZT_CHANGED);
        char expected[100];
        snprintf(expected, sizeof expected, "the file ended at %d, %llu bytes were expected at %llu", SIZE,
                 (unsigned long long)outside[i].length, (unsigned long long)outside[i].offset);
        CHECK(strcmp(error.text, expected) == 0);
    }
}

static void check_source(struct lzt_source *source)
{
    uint64_t size = 0;
    CHECK(lzt_source_size(source, &size, NULL) == LZT_OK);
    CHECK(size == SIZE);
    check_ranges(source);
    check_empty_ranges(source);
    check_outside(source);
}

static void *read_everywhere(void *context)
{
    struct lzt_source *source = context;
    uint8_t bytes[3000];
    uint64_t offset = (uintptr_t)bytes / 64 % SIZE; /* another start in every thread */
    for (int i = 0; i < 500; i++) {
        offset = (offset * 31 + 7) % (SIZE - sizeof bytes);
        struct lzt_range ranges[] = {
            {offset, 1000, bytes}, {offset + 1000, 1000, bytes + 1000}, {offset + 1999, 1001, bytes + 1999}};
        uint64_t size;
        CHECK(lzt_source_read(source, ranges, 3, NULL) == LZT_OK);
        CHECK(memcmp(bytes, content + offset, sizeof bytes) == 0);
        CHECK(lzt_source_size(source, &size, NULL) == LZT_OK && size == SIZE);
    }
    return NULL;
}

static void check_threads(struct lzt_source *source)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, read_everywhere, source) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- Memory ---- */

static void test_memory(void)
{
    struct guarded copy = guarded_copy(content, SIZE);
    struct lzt_source *source;
    CHECK(lzt_source_open_memory(copy.bytes, SIZE, &source, NULL) == LZT_OK);
    check_source(source);
    check_threads(source);
    lzt_source_close(source);
    guarded_free(&copy);
}

static void test_no_memory(void)
{
    struct lzt_source *source;
    struct lzt_error error;
    uint64_t size = 1;
    int64_t when;
    uint8_t byte;
    CHECK(lzt_source_open_memory(NULL, 0, &source, NULL) == LZT_OK);
    CHECK(lzt_source_size(source, &size, NULL) == LZT_OK && size == 0);
    CHECK(lzt_source_modified(source, &when, &error) == LZT_UNSUPPORTED);
    CHECK(lzt_source_read(source, &(struct lzt_range){0, 0, NULL}, 1, NULL) == LZT_OK);
    CHECK(lzt_source_read(source, &(struct lzt_range){0, 1, &byte}, 1, NULL) == LZT_CHANGED);
    lzt_source_close(source);
    CHECK(lzt_source_open_memory(NULL, 1, &source, &error) == LZT_USAGE);
    CHECK(source == NULL && error.status == LZT_USAGE);
}

/* ---- Callbacks ---- */

static void test_callback(void)
{
    struct lzt_source *source;
    CHECK(lzt_source_open_callback(fetch_only, content, SIZE, &source, NULL) == LZT_OK);
    check_source(source);
    check_threads(source);
    lzt_source_close(source);
    CHECK(lzt_source_open_callback(NULL, NULL, SIZE, &source, NULL) == LZT_USAGE);
    CHECK(source == NULL);
}

static void test_callback_is_called_once(void)
{
    struct calls calls = {0};
    struct lzt_source *source;
    uint8_t bytes[100];
    struct lzt_range ranges[] = {{5, 10, bytes}, {15, 10, bytes + 10}, {7000, 20, bytes + 50}};
    CHECK(lzt_source_open_callback(fetch, &calls, SIZE, &source, NULL) == LZT_OK);
    CHECK(lzt_source_read(source, ranges, 3, NULL) == LZT_OK);
    CHECK(calls.count == 1 && calls.ranges[0] == ranges && calls.counts[0] == 3);
    CHECK(memcmp(bytes + 50, content + 7000, 20) == 0);
    lzt_source_close(source);
}

/* An empty range may have any offset, which a caller's seek() could refuse. */
static void test_callback_never_sees_empty_ranges(void)
{
    struct calls calls = {0};
    struct lzt_source *source;
    uint8_t bytes[4];
    struct lzt_range ranges[] = {{UINT64_MAX, 0, NULL}, {1, 1, bytes}, {2, 1, bytes + 1}, {UINT64_MAX, 0, bytes},
                                 {UINT64_MAX, 0, NULL}, {3, 1, bytes + 2}, {SIZE, 0, bytes}};
    CHECK(lzt_source_open_callback(fetch, &calls, SIZE, &source, NULL) == LZT_OK);
    CHECK(lzt_source_read(source, ranges, 7, NULL) == LZT_OK);
    CHECK(calls.count == 2);
    CHECK(calls.ranges[0] == ranges + 1 && calls.counts[0] == 2);
    CHECK(calls.ranges[1] == ranges + 5 && calls.counts[1] == 1);
    CHECK(memcmp(bytes, content + 1, 3) == 0);
    CHECK(lzt_source_read(source, ranges, 1, NULL) == LZT_OK && lzt_source_read(source, ranges, 0, NULL) == LZT_OK);
    CHECK(calls.count == 2);
    lzt_source_close(source);
}

static void test_callback_that_fails(void)
{
    struct calls calls = {.result = -7};
    struct lzt_source *source;
    struct lzt_error error;
    uint8_t byte;
    CHECK(lzt_source_open_callback(fetch, &calls, SIZE, &source, NULL) == LZT_OK);
    CHECK(lzt_source_read(source, &(struct lzt_range){SIZE, 1, &byte}, 1, &error) == LZT_CHANGED);
    CHECK(calls.count == 0); /* what is not there is not asked for */
    CHECK(lzt_source_read(source, &(struct lzt_range){0, 1, &byte}, 1, &error) == LZT_CALLBACK);
    CHECK(calls.count == 1 && error.status == LZT_CALLBACK && strstr(error.text, "-7") != NULL);
    lzt_source_close(source);
}

/* ---- Files ---- */

static void test_file(void)
{
    struct lzt_source *source = open_content();
    check_source(source);
    check_threads(source);
    lzt_source_close(source);
}

static void test_file_is_not_inherited(void)
{
    const int descriptor = next_descriptor();
    struct lzt_source *source = open_content();
    CHECK(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
    lzt_source_close(source);
    CHECK(fcntl(descriptor, F_GETFD) == -1 && errno == EBADF);
}

static void test_file_that_grows_and_shrinks(void)
{
    char path[100];
    struct lzt_source *source = open_file(new_file(path, sizeof path));
    struct lzt_error error;
    uint8_t bytes[SIZE];
    uint64_t size;
    int64_t before, after;
    CHECK(lzt_source_modified(source, &before, NULL) == LZT_OK && before > 0);
    CHECK(utimensat(AT_FDCWD, path, (const struct timespec[]){{0, UTIME_OMIT}, {7, 8}}, 0) == 0);
    CHECK(lzt_source_modified(source, &after, NULL) == LZT_OK && after == 7000000008);
    CHECK(truncate(path, SIZE + 1) == 0);
    CHECK(lzt_source_size(source, &size, NULL) == LZT_OK && size == SIZE + 1);
    CHECK(lzt_source_read(source, &(struct lzt_range){SIZE, 1, bytes}, 1, NULL) == LZT_OK && bytes[0] == 0);
    CHECK(truncate(path, 5000) == 0);
    CHECK(lzt_source_size(source, &size, NULL) == LZT_OK && size == 5000);
    check_read(source, 0, 5000);
    CHECK(lzt_source_read(source, &(struct lzt_range){4000, 2000, bytes}, 1, &error) == LZT_CHANGED);
    CHECK(strcmp(error.text, "the file ended at 5000, 2000 bytes were expected at 4000") == 0);
    CHECK(lzt_source_read(source, &(struct lzt_range){6000, 10, bytes}, 1, &error) == LZT_CHANGED);
    CHECK(strcmp(error.text, "the file ended at 5000, 10 bytes were expected at 6000") == 0);
    CHECK(unlink(path) == 0);
    lzt_source_close(source);
}

/* More than one system call can fetch, from beyond 4 GiB: the file is a hole but for its last MiB, the buffer one MiB that is
 * mapped again and again, so that neither disk nor memory is needed. */
static void test_large_file(void)
{
    const size_t mib = 1 << 20, length = 1030 * mib;
    const uint64_t size = (uint64_t)6 << 30;
    char path[100];
    if (sizeof(void *) < 8)
        return;
    int file = open(path_to("file", path, sizeof path), O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(file >= 0 && pwrite(file, content, SIZE, (off_t)(size - SIZE)) == SIZE);
    int room = open(path_to("room", path, sizeof path), O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(room >= 0 && ftruncate(room, (off_t)mib) == 0 && unlink(path) == 0);
    uint8_t *buffer = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(buffer != MAP_FAILED);
    for (size_t i = 0; i < length; i += mib)
        CHECK(mmap(buffer + i, mib, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, room, 0) == buffer + i);
    struct lzt_source *source = open_file(path_to("file", path, sizeof path));
    struct lzt_range ranges[] = {{size - length, mib, buffer}, {size - length + mib, length - mib, buffer + mib}};
    CHECK(lzt_source_read(source, ranges, 2, NULL) == LZT_OK);
    CHECK(memcmp(buffer + length - SIZE, content, SIZE) == 0);
    CHECK(lzt_source_read(source, &(struct lzt_range){size - 1, 2, buffer}, 1, NULL) == LZT_CHANGED);
    lzt_source_close(source);
    CHECK(munmap(buffer, length) == 0 && close(room) == 0 && close(file) == 0 && unlink(path) == 0);
}

/* The system itself may not be asked for offsets that look negative to it. */
static void test_file_offsets_end_at_2_63(void)
{
    char path[100];
    struct lzt_file *file;
    struct lzt_error error;
    uint8_t byte;
    size_t got = 1;
    CHECK(lzt_file_open(new_file(path, sizeof path), 0, &file, NULL) == LZT_OK);
    CHECK(lzt_file_read(file, (uint64_t)INT64_MAX + 1, &byte, 1, &got, &error) == LZT_SYSTEM);
    CHECK(got == 0 && error.os_errno == EINVAL);
    CHECK(lzt_file_read(file, INT64_MAX, &byte, 1, &got, &error) == LZT_SYSTEM);
    CHECK(lzt_file_read(file, SIZE + 1, &byte, 1, &got, NULL) == LZT_OK && got == 0);
    lzt_file_close(file);
    CHECK(unlink(path) == 0);
}

/* ---- What is no file ---- */

static void check_refused(const char *path, const char *text)
{
    const int descriptor = next_descriptor();
    struct lzt_source *source;
    struct lzt_error error;
    CHECK(lzt_source_open(path, &source, &error) == LZT_NOT_TIFF);
    CHECK(source == NULL && error.status == LZT_NOT_TIFF);
    CHECK(strcmp(error.text, text) == 0);
    CHECK(next_descriptor() == descriptor);
}

static void check_missing(const char *path, int os_errno)
{
    struct lzt_source *source;
    struct lzt_error error;
    CHECK(lzt_source_open(path, &source, &error) == LZT_SYSTEM);
    CHECK(source == NULL && error.status == LZT_SYSTEM && error.os_errno == os_errno);
}

static void test_other_kinds_are_refused(void)
{
    char path[100];
    check_refused(folder, "a directory, not a file");
    check_refused("/dev/null", "a character device, not a file");
    CHECK(symlink(folder, path_to("link", path, sizeof path)) == 0);
    check_refused(path, "a directory, not a file");
    CHECK(unlink(path) == 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    path_to("socket", address.sun_path, sizeof address.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    check_refused(address.sun_path, "a socket, not a file");
    CHECK(close(listener) == 0 && unlink(address.sun_path) == 0);
}

static void test_missing_files(void)
{
    char path[100];
    struct lzt_source *source;
    check_missing(path_to("missing", path, sizeof path), ENOENT);
    check_missing("", ENOENT);
    new_file(path, sizeof path);
    strcat(path, "/inside");
    check_missing(path, ENOTDIR);
    *strrchr(path, '/') = 0;
    CHECK(chmod(path, 0) == 0);
    if (geteuid() != 0) /* root may read everything */
        check_missing(path, EACCES);
    CHECK(unlink(path) == 0);
    CHECK(lzt_source_open(NULL, &source, NULL) == LZT_USAGE && source == NULL);
    lzt_source_close(NULL);
}

/* Neither do we wait for a writer, nor does a waiting writer take us for a reader. */
static void test_pipe(void)
{
    char path[100];
    CHECK(mkfifo(path_to("pipe", path, sizeof path), 0600) == 0);
    check_refused(path, "a pipe (FIFO), not a file");
    pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0)
        _exit(open(path, O_WRONLY) >= 0);
    usleep(50000); /* until it waits; if that was too short, the test passes without having seen much */
    check_refused(path, "a pipe (FIFO), not a file");
    usleep(50000);
    CHECK(waitpid(writer, NULL, WNOHANG) == 0);
    CHECK(kill(writer, SIGKILL) == 0 && waitpid(writer, NULL, 0) == writer);
    CHECK(unlink(path) == 0);
}

#ifdef __linux__
static int leased;

static void give_up_lease(int number)
{
    (void)number;
    fcntl(leased, F_SETLEASE, F_UNLCK);
}

/* File servers hold leases. To open without blocking is then refused, while waiting for a moment is enough. */
static void test_leased_file(void)
{
    char path[100], ready = 0;
    int pipes[2];
    new_file(path, sizeof path);
    CHECK(pipe(pipes) == 0);
    pid_t holder = fork();
    CHECK(holder >= 0);
    if (holder == 0) {
        leased = open(path, O_RDWR);
        signal(SIGIO, give_up_lease);
        ready = fcntl(leased, F_SETLEASE, F_WRLCK) == 0 ? 'y' : 'n'; /* not on every file system */
        if (write(pipes[1], &ready, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    CHECK(read(pipes[0], &ready, 1) == 1);
    if (ready == 'y')
        lzt_source_close(open_file(path));
    CHECK(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);
    CHECK(close(pipes[0]) == 0 && close(pipes[1]) == 0 && unlink(path) == 0);
}
#else
static void test_leased_file(void) {}
#endif

static void test_clock(void)
{
    uint64_t start = lzt_milliseconds();
    usleep(20000);
    uint64_t passed = lzt_milliseconds() - start;
    CHECK(passed >= 19 && passed < 60000);
}

int main(void)
{
    alarm(120); /* a call that blocks ends the test */
    strcpy(folder, "/tmp/lazytiff-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 167 + i / 251 + 1);
    test_memory();
    test_no_memory();
    test_callback();
    test_callback_is_called_once();
    test_callback_never_sees_empty_ranges();
    test_callback_that_fails();
    test_file();
    test_file_is_not_inherited();
    test_file_that_grows_and_shrinks();
    test_large_file();
    test_file_offsets_end_at_2_63();
    test_other_kinds_are_refused();
    test_missing_files();
    test_pipe();
    test_leased_file();
    test_clock();
    CHECK(rmdir(folder) == 0);
    return 0;
}
