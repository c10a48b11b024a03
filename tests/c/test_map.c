/* Mapped files: modes, stores, flushes, locks, and what outlives what. */
#include <errno.h>

#include "check.h"
#include "os.h"

enum { BYTES = 10000 };

static char folder[] = "/tmp/lazytiff-map-XXXXXX", name[64];

static void write_file(void)
{
    FILE *file = fopen(name, "wb");
    CHECK(file != NULL);
    for (int i = 0; i < BYTES; i++)
        CHECK(fputc(i % 251, file) != EOF);
    CHECK(fclose(file) == 0);
}

static int byte_at(long offset)
{
    FILE *file = fopen(name, "rb");
    CHECK(file != NULL && fseek(file, offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    CHECK(fclose(file) == 0);
    return byte;
}

static struct lzt_map *map_file(enum lzt_map_mode mode)
{
    struct lzt_source *source;
    struct lzt_map *map;
    const enum lzt_status status =
        mode == LZT_MAP_WRITE ? lzt_source_open_writable(name, &source, NULL) : lzt_source_open(name, &source, NULL);
    CHECK(status == LZT_OK);
    CHECK(lzt_map_open(lzt_source_file(source), mode, BYTES, 0, &map, NULL) == LZT_OK);
    lzt_source_close(source); /* a map has its own handle */
    for (int i = 0; i < BYTES; i += 77)
        CHECK(lzt_map_bytes(map)[i] == i % 251);
    return map;
}

static void test_modes(void)
{
    const uint64_t offsets[] = {20, 24, 28, 9000, 8996};
    const uint8_t data[20] = "aaaabbbbccccddddeeee";
    struct lzt_error error;
    for (enum lzt_map_mode mode = LZT_MAP_READ; mode <= LZT_MAP_COPY; mode++) {
        write_file();
        struct lzt_map *map = map_file(mode);
        const enum lzt_status status = lzt_map_store(map, offsets, 5, 4, data, &error);
        CHECK(status == (mode == LZT_MAP_READ ? LZT_USAGE : LZT_OK));
        CHECK(lzt_map_flush(map, &error) == LZT_OK && lzt_map_check(map, &error) == LZT_OK);
        if (mode != LZT_MAP_READ) {
            CHECK(memcmp(lzt_map_bytes(map) + 20, "aaaabbbbcccc", 12) == 0 && memcmp(lzt_map_bytes(map) + 8996, "eeeedddd", 8) == 0);
            CHECK(lzt_map_bytes(map)[19] == 19 && lzt_map_bytes(map)[32] == 32 && lzt_map_bytes(map)[9004] == 9004 % 251);
            lzt_map_bytes(map)[500] = 7;
        }
        lzt_map_close(map);
        CHECK(byte_at(20) == (mode == LZT_MAP_WRITE ? 'a' : 20) && byte_at(500) == (mode == LZT_MAP_WRITE ? 7 : 500 % 251));
    }
}

/* A later piece for the same bytes wins, as in an assignment by NumPy. */
static void test_order_of_stores(void)
{
    const uint64_t offsets[] = {100, 101, 100};
    write_file();
    struct lzt_map *map = map_file(LZT_MAP_WRITE);
    CHECK(lzt_map_store(map, offsets, 3, 1, "xyz", NULL) == LZT_OK);
    CHECK(lzt_map_bytes(map)[100] == 'z' && lzt_map_bytes(map)[101] == 'y');
    CHECK(lzt_map_store(map, offsets, 0, 1, "", NULL) == LZT_OK);
    lzt_map_close(map);
}

static void test_stores_stay_inside(void)
{
    const uint64_t offsets[] = {BYTES - 3, BYTES, UINT64_MAX, UINT64_MAX - 3}, halves[] = {0, UINT64_C(1) << 63};
    const uint8_t data[4] = {0};
    struct lzt_error error;
    write_file();
    for (int copy = 0; copy < 2; copy++) {
        struct lzt_map *map = map_file(copy ? LZT_MAP_COPY : LZT_MAP_WRITE);
        for (int i = 0; i < 4; i++)
            CHECK(lzt_map_store(map, &offsets[i], 1, 4, data, &error) == LZT_USAGE);
        CHECK(lzt_map_store(map, halves, 2, UINT64_C(1) << 63, data, &error) == LZT_USAGE); /* 2^64 bytes are not 0 */
        lzt_map_close(map);
    }
    CHECK(byte_at(BYTES - 1) == (BYTES - 1) % 251 && byte_at(BYTES) == EOF);
}

static void test_arguments(void)
{
    struct lzt_source *source;
    struct lzt_map *map;
    struct lzt_error error;
    write_file();
    CHECK(lzt_source_open(name, &source, NULL) == LZT_OK);
    struct lzt_file *file = lzt_source_file(source);
    CHECK(lzt_map_open(NULL, LZT_MAP_READ, BYTES, 0, &map, &error) == LZT_USAGE && map == NULL);
    CHECK(lzt_map_open(file, LZT_MAP_READ, 0, 0, &map, &error) == LZT_USAGE && map == NULL);
    CHECK(lzt_map_open(file, (enum lzt_map_mode)9, BYTES, 0, &map, &error) == LZT_USAGE && map == NULL);
    CHECK(lzt_map_open(file, LZT_MAP_READ, BYTES + 1, 0, &map, &error) == LZT_CHANGED && map == NULL);
    CHECK(lzt_map_open(file, LZT_MAP_WRITE, BYTES, 0, &map, &error) == LZT_SYSTEM && map == NULL && error.os_errno == EACCES);
    lzt_source_close(source);
    CHECK(lzt_source_open_memory("TIFF", 4, &source, NULL) == LZT_OK && lzt_source_file(source) == NULL);
    lzt_source_close(source);
    lzt_map_close(NULL);
}

static struct lzt_file *open_writable(void)
{
    struct lzt_file *file;
    CHECK(lzt_file_open(name, 1, &file, NULL) == LZT_OK);
    return file;
}

/* Maps that write share the file; who changes its structure has it alone, and waits for the last map. */
static void test_locks(void)
{
    struct lzt_error error;
    struct lzt_map *third;
    write_file();
    struct lzt_map *first = map_file(LZT_MAP_WRITE), *second = map_file(LZT_MAP_WRITE), *reading = map_file(LZT_MAP_READ);
    struct lzt_file *other = open_writable(), *writer = open_writable();
    CHECK(lzt_file_lock(writer, 1, &error) == LZT_LOCKED && strstr(error.text, "elsewhere") != NULL);
    lzt_map_close(first);
    CHECK(lzt_file_lock(writer, 1, &error) == LZT_LOCKED);
    lzt_map_close(second);
    CHECK(lzt_file_lock(writer, 1, &error) == LZT_OK);
    CHECK(lzt_map_open(other, LZT_MAP_WRITE, BYTES, 0, &third, &error) == LZT_LOCKED && third == NULL);
    lzt_file_close(writer);
    CHECK(lzt_map_open(other, LZT_MAP_WRITE, BYTES, 0, &third, &error) == LZT_OK);
    lzt_map_close(third);
    lzt_map_close(reading);
    lzt_file_close(other);
}

static void test_stamp(void)
{
    uint64_t size, stamp;
    write_file();
    struct lzt_file *file = open_writable();
    CHECK(lzt_file_stamp(file, &size, &stamp, NULL) == LZT_OK && size == BYTES && stamp == 0); /* written just now */
    CHECK(lzt_file_write(file, BYTES, "end", 3, NULL) == LZT_OK);
    CHECK(lzt_file_stamp(file, &size, &stamp, NULL) == LZT_OK && size == BYTES + 3 && stamp == 0);
    CHECK(lzt_file_sync(file, NULL) == LZT_OK);
    CHECK(lzt_file_write(file, UINT64_MAX - 1, "end", 3, NULL) == LZT_SYSTEM);
    lzt_file_close(file);
}

static void test_new_files(void)
{
    struct lzt_file *file;
    struct lzt_error error;
    char fresh[80];
    int done;
    snprintf(fresh, sizeof fresh, "%s/fresh", folder);
    CHECK(lzt_file_create(fresh, &file, &error) == LZT_OK);
    CHECK(lzt_file_allocate(file, 5000, &done, &error) == LZT_OK);
    CHECK(access(fresh, F_OK) != 0);
    lzt_file_close(file); /* and is gone */
    CHECK(access(fresh, F_OK) != 0);
    CHECK(lzt_file_create(fresh, &file, &error) == LZT_OK);
    CHECK(lzt_file_write(file, 0, "new", 3, &error) == LZT_OK && lzt_file_publish(file, &error) == LZT_OK);
    lzt_file_close(file);
    CHECK(access(fresh, F_OK) == 0);
    CHECK(lzt_file_create(fresh, &file, &error) == LZT_SYSTEM && error.os_errno == EEXIST && file == NULL);
    CHECK(unlink(fresh) == 0);
    CHECK(lzt_file_create("/no such folder/file", &file, &error) == LZT_SYSTEM && error.os_errno == ENOENT && file == NULL);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(name, sizeof name, "%s/file", folder);
    test_modes();
    test_order_of_stores();
    test_stores_stay_inside();
    test_arguments();
    test_locks();
    test_stamp();
    test_new_files();
    CHECK(unlink(name) == 0 && rmdir(folder) == 0);
    return 0;
}
