/* Files as the maps use them, and maps without a guard: on every system. What is about signals is in test_guard.c, what is Windows' own
 * in windows_files.c. Without check.h, whose guarded memory is POSIX's. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lazytiff.h"
#include "os.h"

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

#define NAME "test_map.tif"
#define OTHER "test_map_other.tif"

enum { SIZE = 200001 }; /* not whole pages of memory */

static const enum lzt_map_mode modes[] = {LZT_MAP_READ, LZT_MAP_WRITE, LZT_MAP_COPY};

/* ---- The same by stdio ---------------------------------------------------------------------------------------------------- */

static uint8_t byte_at(unsigned i)
{
    return (uint8_t)(i * 11 + i / 256);
}

static void make_file(const char *name)
{
    FILE *file = fopen(name, "wb");
    CHECK(file != NULL);
    for (unsigned i = 0; i < SIZE; i++)
        CHECK(fputc(byte_at(i), file) != EOF);
    CHECK(fclose(file) == 0);
}

/* What the file holds there; -1: it is not so long. */
static int byte_in_file(const char *name, long offset)
{
    FILE *file = fopen(name, "rb");
    CHECK(file != NULL && fseek(file, offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    CHECK(fclose(file) == 0);
    return byte;
}

/* Entries of this folder that are called so; all of them with NULL. */
static int names_here(const char *name)
{
    DIR *folder = opendir(".");
    int count = 0;
    CHECK(folder != NULL);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += name == NULL || strcmp(entry->d_name, name) == 0;
    CHECK(closedir(folder) == 0);
    return count;
}

/* ---- Files ---------------------------------------------------------------------------------------------------------------- */

static struct lzt_file *open_file(int writable)
{
    struct lzt_file *file;
    CHECK(lzt_file_open(NAME, writable, &file, NULL) == LZT_OK && file != NULL);
    return file;
}

static uint64_t size_of(struct lzt_file *file)
{
    uint64_t size;
    CHECK(lzt_file_size(file, &size, NULL) == LZT_OK);
    return size;
}

static void test_open(void)
{
    struct lzt_error error;
    struct lzt_file *file;
    CHECK(lzt_file_open("test_map_missing.tif", 1, &file, &error) == LZT_SYSTEM && error.os_errno == ENOENT && file == NULL);
    CHECK(lzt_file_open(".", 1, &file, &error) == LZT_NOT_TIFF && file == NULL);
    make_file(NAME);
    file = open_file(0);
    CHECK(lzt_file_write(file, 0, "x", 1, &error) == LZT_SYSTEM && error.os_errno != 0);
    lzt_file_close(file);
    lzt_file_close(NULL);
    CHECK(byte_in_file(NAME, 0) == byte_at(0));
    CHECK(remove(NAME) == 0);
}

static void test_write(void)
{
    struct lzt_error error;
    uint8_t bytes[20];
    size_t got;
    make_file(NAME);
    struct lzt_file *file = open_file(1);
    CHECK(lzt_file_write(file, 5000, "middle", 6, NULL) == LZT_OK);
    CHECK(lzt_file_write(file, SIZE + 3, "end", 3, NULL) == LZT_OK); /* past the end: zeros in between */
    CHECK(lzt_file_write(file, 70, "", 0, NULL) == LZT_OK);
    CHECK(lzt_file_write(file, INT64_MAX, "xy", 2, &error) == LZT_SYSTEM && error.os_errno == EFBIG);
    CHECK(lzt_file_write(file, UINT64_MAX, "x", 1, &error) == LZT_SYSTEM && error.os_errno == EFBIG);
    CHECK(lzt_file_sync(file, NULL) == LZT_OK);
    CHECK(size_of(file) == SIZE + 6);
    CHECK(lzt_file_read(file, 4998, bytes, 10, &got, NULL) == LZT_OK && got == 10);
    CHECK(bytes[1] == byte_at(4999) && memcmp(bytes + 2, "middle", 6) == 0 && bytes[8] == byte_at(5006));
    CHECK(lzt_file_read(file, SIZE - 1, bytes, 20, &got, NULL) == LZT_OK && got == 7);
    CHECK(bytes[0] == byte_at(SIZE - 1) && memcmp(bytes + 1, "\0\0\0end", 6) == 0);
    lzt_file_close(file);
    CHECK(remove(NAME) == 0);
}

/* A second handle works on when the first is closed, and the other way round. */
static void test_share(void)
{
    struct lzt_file *other;
    for (int first = 0; first < 2; first++) {
        make_file(NAME);
        struct lzt_file *file = open_file(1);
        CHECK(lzt_file_share(file, &other, NULL) == LZT_OK && other != file);
        struct lzt_file *stays = first ? file : other;
        lzt_file_close(first ? other : file);
        CHECK(lzt_file_write(stays, 9, "s", 1, NULL) == LZT_OK && size_of(stays) == SIZE);
        lzt_file_close(stays);
        CHECK(byte_in_file(NAME, 9) == 's');
    }
    CHECK(remove(NAME) == 0);
}

static void test_allocate(void)
{
    struct lzt_error error;
    int done, sparse;
    make_file(NAME);
    struct lzt_file *file = open_file(1);
    CHECK(lzt_file_allocate(file, SIZE / 2, &done, NULL) == LZT_OK && size_of(file) == SIZE);
    CHECK(lzt_file_allocate(file, 3 * SIZE, &done, NULL) == LZT_OK && size_of(file) == 3 * SIZE);
    CHECK(lzt_file_is_sparse(file, &sparse, NULL) == LZT_OK && (!done || !sparse));
    CHECK(byte_in_file(NAME, SIZE - 1) == byte_at(SIZE - 1) && byte_in_file(NAME, SIZE) == 0 && byte_in_file(NAME, 3 * SIZE - 1) == 0);
    CHECK(lzt_file_allocate(file, (uint64_t)INT64_MAX + 1, &done, &error) == LZT_SYSTEM && error.os_errno == EFBIG && !done);
    lzt_file_close(file);
    CHECK(remove(NAME) == 0);
}

/* A file that was written to just now has no stamp: its clock may not have ticked since. */
static void test_stamp(void)
{
    uint64_t size, stamp = 1;
    make_file(NAME);
    struct lzt_file *file = open_file(1);
    CHECK(lzt_file_stamp(file, &size, &stamp, NULL) == LZT_OK && size == SIZE && stamp == 0);
    CHECK(lzt_file_write(file, SIZE, "x", 1, NULL) == LZT_OK);
    CHECK(lzt_file_stamp(file, &size, &stamp, NULL) == LZT_OK && size == SIZE + 1 && stamp == 0);
    lzt_file_close(file);
    CHECK(remove(NAME) == 0);
}

/* ---- Locks ---------------------------------------------------------------------------------------------------------------- */

static void test_locks(void)
{
    struct lzt_error error;
    struct lzt_file *shared;
    make_file(NAME);
    struct lzt_file *one = open_file(1), *two = open_file(1), *three = open_file(1);
    CHECK(lzt_file_lock(one, 0, NULL) == LZT_OK && lzt_file_lock(two, 0, NULL) == LZT_OK);
    CHECK(lzt_file_lock(three, 1, &error) == LZT_LOCKED && strstr(error.text, "open for writing elsewhere") != NULL);
    CHECK(lzt_file_write(three, 0, "x", 1, NULL) == LZT_OK && byte_in_file(NAME, 0) == 'x'); /* it only asks */
    CHECK(lzt_file_share(one, &shared, NULL) == LZT_OK);
    lzt_file_close(two);
    lzt_file_close(one);
    CHECK(lzt_file_lock(three, 1, NULL) == LZT_LOCKED); /* the shared handle has the lock still */
    lzt_file_close(shared);
    CHECK(lzt_file_lock(three, 1, NULL) == LZT_OK);
    one = open_file(1);
    CHECK(lzt_file_lock(one, 0, &error) == LZT_LOCKED && strstr(error.text, "being changed elsewhere") != NULL);
    CHECK(lzt_file_lock(one, 1, NULL) == LZT_LOCKED);
    lzt_file_close(three);
    CHECK(lzt_file_lock(one, 0, NULL) == LZT_OK);
    lzt_file_close(one);
    CHECK(remove(NAME) == 0);
}

/* ---- New files ------------------------------------------------------------------------------------------------------------ */

static struct lzt_file *create_file(const char *content)
{
    struct lzt_file *file;
    CHECK(lzt_file_create(NAME, &file, NULL) == LZT_OK);
    CHECK(lzt_file_write(file, 0, content, strlen(content), NULL) == LZT_OK);
    CHECK(names_here(NAME) == 0);
    return file;
}

static void test_create(void)
{
    struct lzt_error error;
    const int before = names_here(NULL);
    struct lzt_file *file = create_file("never"), *late;
    lzt_file_close(file);
    CHECK(names_here(NULL) == before);

    file = create_file("first");
    late = create_file("second");
    CHECK(lzt_file_publish(file, NULL) == LZT_OK && names_here(NAME) == 1);
    CHECK(lzt_file_publish(late, &error) == LZT_SYSTEM && error.os_errno == EEXIST);
    lzt_file_close(late);
    CHECK(names_here(NULL) == before + 1);
    CHECK(lzt_file_write(file, 0, "F", 1, NULL) == LZT_OK); /* it can be worked with, before and after it has its name */
    lzt_file_close(file);
    CHECK(names_here(NULL) == before + 1 && byte_in_file(NAME, 0) == 'F' && byte_in_file(NAME, 4) == 't');
    CHECK(lzt_file_create(NAME, &file, &error) == LZT_SYSTEM && error.os_errno == EEXIST && file == NULL);
    CHECK(lzt_file_create("no such folder/" NAME, &file, &error) == LZT_SYSTEM && error.os_errno == ENOENT && file == NULL);
    CHECK(remove(NAME) == 0 && names_here(NULL) == before);
}

/* ---- Maps ----------------------------------------------------------------------------------------------------------------- */

/* A map, whose source is closed already. */
static struct lzt_map *open_map(enum lzt_map_mode mode, uint64_t length)
{
    struct lzt_source *source;
    struct lzt_map *map;
    CHECK((mode == LZT_MAP_WRITE ? lzt_source_open_writable : lzt_source_open)(NAME, &source, NULL) == LZT_OK);
    CHECK(lzt_map_open(lzt_source_file(source), mode, length, 0, &map, NULL) == LZT_OK && map != NULL);
    lzt_source_close(source);
    return map;
}

static void test_bytes(enum lzt_map_mode mode)
{
    static const unsigned lengths[] = {1, 4095, 4096, 100000, SIZE};
    make_file(NAME);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct lzt_map *map = open_map(mode, lengths[i]);
        for (unsigned at = 0; at < lengths[i]; at++)
            CHECK(lzt_map_bytes(map)[at] == byte_at(at));
        CHECK(lzt_map_check(map, NULL) == LZT_OK && lzt_map_flush(map, NULL) == LZT_OK);
        lzt_map_close(map);
    }
    CHECK(remove(NAME) == 0);
}

/* What is written to memory: to the file and to all who map it, or to nobody else. */
static void test_modes(void)
{
    make_file(NAME);
    struct lzt_map *read = open_map(LZT_MAP_READ, SIZE), *copy = open_map(LZT_MAP_COPY, SIZE);
    struct lzt_map *write = open_map(LZT_MAP_WRITE, SIZE), *second = open_map(LZT_MAP_WRITE, SIZE);
    lzt_map_bytes(copy)[5] = 'c';
    CHECK(lzt_map_bytes(read)[5] == byte_at(5) && lzt_map_bytes(write)[5] == byte_at(5));
    lzt_map_bytes(write)[5] = 'w';
    lzt_map_bytes(second)[6] = 's';
    CHECK(memcmp(lzt_map_bytes(read) + 5, "ws", 2) == 0 && lzt_map_bytes(copy)[5] == 'c');
    CHECK(lzt_map_flush(copy, NULL) == LZT_OK && lzt_map_flush(write, NULL) == LZT_OK && lzt_map_flush(second, NULL) == LZT_OK);
    CHECK(byte_in_file(NAME, 5) == 'w' && byte_in_file(NAME, 6) == 's');
    lzt_map_close(write);
    lzt_map_close(read);
    lzt_map_close(copy);
    lzt_map_close(second);
    CHECK(remove(NAME) == 0);
}

/* Pieces arrive where they belong, whichever of them follow each other, and the last of those for one place stays. */
static void test_store(enum lzt_map_mode mode)
{
    static const struct {
        uint64_t count, length, offsets[6];
    } cases[] = {
        {6, 2, {10, 12, 14, 50, 52, 10000}},
        {6, 3, {SIZE - 3, SIZE - 6, 0, 3, 6, 6}},
        {5, 1, {4097, 4096, 4095, 4095, 4096}},
        {2, 4, {20, 22}},
        {1, 6, {SIZE - 6}},
        {3, 0, {0, SIZE, 7}},
        {0, 5, {0}},
    };
    static const char data[] = "ABCDEFGHIJKLMNOPQRS";
    static uint8_t expected[SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint64_t length = cases[i].length;
        make_file(NAME);
        for (unsigned at = 0; at < SIZE; at++)
            expected[at] = byte_at(at);
        for (uint64_t k = 0; k < cases[i].count; k++)
            memcpy(expected + cases[i].offsets[k], data + k * length, length);
        struct lzt_map *map = open_map(mode, SIZE);
        CHECK(lzt_map_store(map, cases[i].offsets, cases[i].count, length, data, NULL) == LZT_OK);
        CHECK(memcmp(lzt_map_bytes(map), expected, SIZE) == 0);
        lzt_map_close(map);
        struct lzt_map *file = open_map(LZT_MAP_READ, SIZE);
        CHECK((memcmp(lzt_map_bytes(file), expected, SIZE) == 0) == (mode == LZT_MAP_WRITE || cases[i].count * length == 0));
        lzt_map_close(file);
    }
    CHECK(remove(NAME) == 0);
}

/* Nothing at all is stored when a piece would leave the map, also where numbers of 64 bits end. */
static void test_store_bounds(enum lzt_map_mode mode)
{
    enum { LENGTH = 5000 };
    static const struct {
        uint64_t count, length, offsets[3];
    } cases[] = {
        {1, 1, {LENGTH}},
        {1, 2, {LENGTH - 1}},
        {1, 1, {UINT64_MAX}},
        {1, 2, {UINT64_MAX - 1}},
        {1, UINT64_MAX, {1}},
        {1, LENGTH + 1, {0}},
        {3, 2, {LENGTH - 4, LENGTH - 2, LENGTH}},
        {2, 1, {0, LENGTH}},
        {2, 2, {UINT64_MAX - 1, 0}},
        {2, UINT64_C(1) << 63, {0, UINT64_C(1) << 63}},
        {2, (UINT64_C(1) << 63) + 2, {0, (UINT64_C(1) << 63) + 2}},
    };
    struct lzt_error error;
    make_file(NAME);
    struct lzt_map *map = open_map(mode, LENGTH);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(lzt_map_store(map, cases[i].offsets, cases[i].count, cases[i].length, "abcdefgh", &error) == LZT_USAGE);
        CHECK(strstr(error.text, "not in the map") != NULL);
    }
    for (unsigned at = 0; at < LENGTH; at++)
        CHECK(lzt_map_bytes(map)[at] == byte_at(at));
    CHECK(byte_in_file(NAME, LENGTH) == byte_at(LENGTH));
    lzt_map_close(map);
    CHECK(remove(NAME) == 0);
}

static void test_store_in_a_map_for_reading(void)
{
    static const uint64_t offset = 7;
    struct lzt_error error;
    make_file(NAME);
    struct lzt_map *map = open_map(LZT_MAP_READ, SIZE);
    CHECK(lzt_map_store(map, &offset, 1, 1, "x", &error) == LZT_USAGE && strstr(error.text, "for reading") != NULL);
    lzt_map_close(map);
    CHECK(byte_in_file(NAME, 7) == byte_at(7));
    CHECK(remove(NAME) == 0);
}

/* Those who write hold a shared lock until the map is closed, not only the file that it was made of; others ask for none. */
static void test_map_locks(void)
{
    struct lzt_error error;
    struct lzt_map *refused;
    make_file(NAME);
    struct lzt_map *one = open_map(LZT_MAP_WRITE, SIZE), *two = open_map(LZT_MAP_WRITE, 100);
    struct lzt_file *file = open_file(1), *writer = open_file(1);
    CHECK(lzt_file_lock(file, 1, NULL) == LZT_LOCKED);
    lzt_map_close(one);
    CHECK(lzt_file_lock(file, 1, NULL) == LZT_LOCKED);
    lzt_map_close(two);
    CHECK(lzt_file_lock(file, 1, NULL) == LZT_OK);
    CHECK(lzt_map_open(writer, LZT_MAP_WRITE, SIZE, 0, &refused, &error) == LZT_LOCKED && refused == NULL);
    one = open_map(LZT_MAP_READ, SIZE);
    two = open_map(LZT_MAP_COPY, SIZE);
    lzt_file_close(file);
    file = open_file(1);
    CHECK(lzt_file_lock(file, 1, NULL) == LZT_OK);
    lzt_map_close(one);
    lzt_map_close(two);
    lzt_file_close(file);
    CHECK(lzt_map_open(writer, LZT_MAP_WRITE, SIZE, 0, &one, NULL) == LZT_OK);
    lzt_map_close(one);
    lzt_file_close(writer);
    CHECK(remove(NAME) == 0);
}

/* A file with holes gets its disk space from those who write, and from nobody else. */
static void test_sparse(void)
{
    enum { LONG = 1 << 22 };
    struct lzt_map *map;
    int sparse, done;
    struct lzt_file *file = create_file("holes");
    CHECK(lzt_file_write(file, LONG - 1, "x", 1, NULL) == LZT_OK && lzt_file_publish(file, NULL) == LZT_OK);
    CHECK(lzt_file_is_sparse(file, &sparse, NULL) == LZT_OK);
    const int was_sparse = sparse;
    lzt_map_close(open_map(LZT_MAP_READ, LONG));
    map = open_map(LZT_MAP_COPY, LONG);
    lzt_map_bytes(map)[LONG / 2] = 'c';
    lzt_map_close(map);
    CHECK(lzt_file_is_sparse(file, &sparse, NULL) == LZT_OK && sparse == was_sparse);
    const enum lzt_status status = lzt_map_open(file, LZT_MAP_WRITE, LONG, 0, &map, NULL);
    CHECK(lzt_file_is_sparse(file, &sparse, NULL) == LZT_OK && (status == LZT_OK) == !sparse);
    lzt_map_close(map);
    CHECK(lzt_file_allocate(file, LONG, &done, NULL) == LZT_OK);
    CHECK(status == (done ? LZT_OK : LZT_NOT_MAPPABLE) && size_of(file) == LONG);
    lzt_file_close(file);
    CHECK(byte_in_file(NAME, 0) == 'h' && byte_in_file(NAME, LONG / 2) == 0 && byte_in_file(NAME, LONG - 1) == 'x');
    CHECK(remove(NAME) == 0);
}

static void refuse(struct lzt_file *file, int mode, uint64_t length, enum lzt_status status, const char *text)
{
    struct lzt_error error;
    struct lzt_map *map = (struct lzt_map *)&error;
    CHECK(lzt_map_open(file, (enum lzt_map_mode)mode, length, 0, &map, &error) == status && map == NULL);
    CHECK(error.status == (int)status && strstr(error.text, text) != NULL);
    CHECK(lzt_map_open(file, (enum lzt_map_mode)mode, length, 0, &map, NULL) == status && map == NULL);
}

static void test_refused_maps(void)
{
    struct lzt_source *source;
    make_file(NAME);
    struct lzt_file *file = open_file(1), *reader = open_file(0);
    refuse(NULL, LZT_MAP_READ, 1, LZT_USAGE, "");
    refuse(file, LZT_MAP_READ, 0, LZT_USAGE, "");
    refuse(file, 0, 1, LZT_USAGE, "");
    refuse(file, LZT_MAP_COPY + 1, 1, LZT_USAGE, "");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        refuse(file, modes[i], SIZE + 1, LZT_CHANGED, "had 200002 bytes and has 200001 now");
        refuse(file, modes[i], UINT64_MAX, LZT_CHANGED, "");
    }
    refuse(reader, LZT_MAP_WRITE, SIZE, LZT_SYSTEM, "");
    CHECK(size_of(file) == SIZE);
    lzt_file_close(file);
    lzt_file_close(reader);
    lzt_map_close(NULL);
    CHECK(remove(NAME) == 0);

    CHECK(lzt_source_open_memory("abcd", 4, &source, NULL) == LZT_OK && lzt_source_file(source) == NULL);
    lzt_source_close(source);
}

/* No handle stays open: on Windows the name would not be free, elsewhere handles would run out. */
static void test_many_maps(void)
{
    enum { TIMES = 3000 };
    make_file(NAME);
    for (int i = 0; i < TIMES; i++) {
        lzt_map_close(open_map(modes[i % 3], SIZE));
        struct lzt_file *file = open_file(0);
        refuse(file, LZT_MAP_READ, SIZE + 1, LZT_CHANGED, "");
        lzt_file_close(file);
    }
    CHECK(rename(NAME, OTHER) == 0 && remove(OTHER) == 0);
}

int main(void)
{
    const int before = names_here(NULL);
    test_open();
    test_write();
    test_share();
    test_allocate();
    test_stamp();
    test_locks();
    test_create();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        test_bytes(modes[i]);
    test_modes();
    for (size_t i = 1; i < sizeof modes / sizeof *modes; i++) {
        test_store(modes[i]);
        test_store_bounds(modes[i]);
    }
    test_store_in_a_map_for_reading();
    test_map_locks();
    test_sparse();
    test_refused_maps();
    test_many_maps();
    CHECK(names_here(NULL) == before);
    return 0;
}
