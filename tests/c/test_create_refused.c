/* New files that cannot be: why, and nothing is left behind. */
#include "creating.h"

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

/* ---- What is refused ---- */

static void test_usage(void)
{
    static const struct {
        size_t member;
        uint32_t value;
        const char *text;
    } cases[] = {
        {offsetof(struct lzt_new_stack, rows), 0, "empty"},       {offsetof(struct lzt_new_stack, columns), 0, "empty"},
        {offsetof(struct lzt_new_stack, samples), 0, "empty"},    {offsetof(struct lzt_new_stack, samples), 65536, "65536 samples"},
        {offsetof(struct lzt_new_stack, samples), 2, "needs 3"},  {offsetof(struct lzt_new_stack, photometric), 5, "needs 4"},
        {offsetof(struct lzt_new_stack, photometric), 3, " 3 "},  {offsetof(struct lzt_new_stack, photometric), 6, " 6 "},
        {offsetof(struct lzt_new_stack, photometric), UINT32_MAX - 1, "-2"}, {offsetof(struct lzt_new_stack, bigtiff), 2, "bigtiff is 2"},
        {offsetof(struct lzt_new_stack, bigtiff), UINT32_MAX - 1, "bigtiff is -2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lzt_new_stack stack = new_stack(LZT_UINT, 1, 3);
        stack.photometric = 2;
        memcpy((uint8_t *)&stack + cases[i].member, &cases[i].value, 4);
        refuse(&stack, LZT_USAGE, cases[i].text);
    }
    struct lzt_new_stack none = new_stack(LZT_UINT, 1, 1);
    none.pages = 0;
    refuse(&none, LZT_USAGE, "0 pages");
}

/* Every kind has its sizes and no others. */
static void test_kinds_that_are_none(void)
{
    /* bit n: n bytes */
    static const uint32_t sizes[7] = {[LZT_UINT] = 0x116, [LZT_INT] = 0x116, [LZT_FLOAT] = 0x114, [LZT_COMPLEX] = 0x10100};
    for (uint16_t kind = 0; kind < 7; kind++)
        for (uint16_t size = 0; size < 32; size++) {
            struct lzt_new_stack stack = new_stack(kind, size, 1);
            if (!(sizes[kind] >> size & 1))
                refuse(&stack, LZT_USAGE, "there are no samples of kind");
        }
    struct lzt_new_stack stack = new_stack(UINT16_MAX, UINT16_MAX, 1);
    refuse(&stack, LZT_USAGE, "65535");
}

static void test_more_than_a_file_can_hold(void)
{
    const uint32_t most = UINT32_MAX, half = UINT32_C(1) << 31;
    const struct lzt_new_stack cases[] = {
        {sizeof *cases, UINT64_MAX, most, most, 65535, LZT_COMPLEX, 16, 0, -1, -1},
        {sizeof *cases, UINT64_MAX, 1, 1, 1, LZT_UINT, 1, 0, -1, -1},
        {sizeof *cases, 1, most, most, 1, LZT_UINT, 1, 0, -1, -1},                  /* just below 2^64 */
        {sizeof *cases, 1, half, half, 2, LZT_UINT, 1, 0, -1, -1},                  /* 2^63 */
        {sizeof *cases, UINT64_C(1) << 31, half, 4, 1, LZT_UINT, 1, 0, -1, -1},     /* 2^64, by the number of pages */
        {sizeof *cases, UINT64_C(1) << 60, 1, 1, 1, LZT_UINT, 1, 0, -1, -1},        /* the IFDs */
        {sizeof *cases, UINT64_C(1) << 55, 1, 120, 1, LZT_UINT, 1, 0, -1, -1},      /* IFDs and pixels together */
        {sizeof *cases, 1, UINT32_C(0x7FFFFFFF), most, 1, LZT_UINT, 1, 0, -1, -1},  /* fits: see below */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases - 1; i++)
        for (int32_t bigtiff = -1; bigtiff < 2; bigtiff++) {
            struct lzt_new_stack stack = cases[i];
            stack.bigtiff = bigtiff;
            refuse(&stack, LZT_LIMIT, "2^63 bytes");
        }
    mode = FULL_DISK;
    CHECK(refuse(&cases[7], LZT_SYSTEM, "").os_errno == ENOSPC && asked == 4096 + UINT64_C(0x7FFFFFFF) * most);
    mode = WELL;
}

/* ---- What fails ---- */

static void check_content(const char *text)
{
    char got[64] = {0};
    const int file = open(path, O_RDONLY);
    CHECK(file >= 0 && read(file, got, sizeof got - 1) >= 0 && close(file) == 0);
    CHECK(strcmp(got, text) == 0 && files_left() == 1);
}

/* A file that is there, or comes while the new one is made, stays as it is. */
static void test_name_is_taken(void)
{
    struct lzt_error error;
    const struct lzt_new_stack stack = new_stack(LZT_UINT, 1, 1);
    write_file("mine");
    check_status(lzt_create_zeros(path, &stack, &error), LZT_SYSTEM, &error, "");
    CHECK(error.os_errno == EEXIST);
    check_content("mine");
    CHECK(unlink(path) == 0);
    mode = NAME_IS_TAKEN;
    check_status(lzt_create_zeros(path, &stack, &error), LZT_SYSTEM, &error, "");
    mode = WELL;
    CHECK(error.os_errno == EEXIST);
    check_content("another's");
    CHECK(unlink(path) == 0);
}

static void test_failing_disks(void)
{
    const struct lzt_new_stack stack = {sizeof stack, 3, 300, 500, 1, LZT_UINT, 1, 0, -1, -1};
    mode = FULL_DISK;
    CHECK(refuse(&stack, LZT_SYSTEM, "").os_errno == ENOSPC);
    mode = NO_SYNC;
    CHECK(refuse(&stack, LZT_SYSTEM, "").os_errno == EIO);
    mode = WELL;
}

/* More than the disk has is not even asked for. */
static void test_small_disk(void)
{
    const struct lzt_new_stack small = new_stack(LZT_UINT, 1, 1), large = {sizeof large, 1, 200, 1024, 1, LZT_UINT, 1, 0, -1, -1};
    mode = SMALL_DISK;
    asked = 0;
    CHECK(refuse(&large, LZT_SYSTEM, "").os_errno == ENOSPC && asked == 0);
    CHECK(lzt_create_zeros(path, &small, NULL) == LZT_OK && unlink(path) == 0);
    mode = WELL;
}

/* A limit on the size of files, met when space is asked for, or when bytes are written. */
static void test_limited_files(void)
{
    const struct lzt_new_stack stack = {sizeof stack, 3, 300, 500, 1, LZT_UINT, 1, 0, -1, -1};
    struct rlimit before, low;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = 100000;
    CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
    CHECK(refuse(&stack, LZT_SYSTEM, "").os_errno == EFBIG);
    mode = NO_PROMISE;
    CHECK(refuse(&stack, LZT_SYSTEM, "").os_errno == EFBIG);
    mode = WELL;
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
}

/* CHECK that no file can have this name, and that this is said before any space is asked for. */
static void check_name(const char *name, int os_errno)
{
    struct lzt_error error;
    const struct lzt_new_stack stack = new_stack(LZT_UINT, 1, 1);
    const int descriptor = next_descriptor();
    asked = 0;
    check_status(lzt_create_zeros(name, &stack, &error), LZT_SYSTEM, &error, "");
    CHECK(error.os_errno == os_errno && asked == 0 && files_left() == 0 && next_descriptor() == descriptor);
}

static void test_names_that_are_none(void)
{
    struct lzt_error error;
    const struct lzt_new_stack stack = new_stack(LZT_UINT, 1, 1);
    char lost[120], slash[120], longest[400];
    snprintf(lost, sizeof lost, "%s/none/new.tif", folder);
    snprintf(slash, sizeof slash, "%s/", path);
    snprintf(longest, sizeof longest, "%s/%0300d", folder, 0);
    check_name("", ENOENT);
    check_name(lost, ENOENT);
    check_name(slash, ENOENT);
    check_name(longest, ENAMETOOLONG);
    check_name("/dev/null/new.tif", ENOTDIR);
    check_name(folder, EEXIST);
    check_status(lzt_create_zeros(NULL, &stack, &error), LZT_USAGE, &error, "NULL");
}

int main(void)
{
    make_folder();
    test_usage();
    test_kinds_that_are_none();
    test_more_than_a_file_can_hold();
    test_name_is_taken();
    test_failing_disks();
    test_limited_files();
    test_small_disk();
    test_names_that_are_none();
    CHECK(rmdir(folder) == 0);
    return 0;
}
