/* Errors carry everything about themselves and nothing from before. */
#define _DEFAULT_SOURCE
#include "check.h"
#include "error.h"

/* An error in which every byte holds something. */
static struct lzt_error used(void)
{
    struct lzt_error error;
    memset(&error, 0x7f, sizeof error);
    return error;
}

static void test_fail_fills_everything(void)
{
    struct lzt_error error = used();
    CHECK(lzt_fail(&error, LZT_CORRUPT, "%d tags at %s", 12, "offset 8") == LZT_CORRUPT);
    CHECK(error.status == LZT_CORRUPT);
    CHECK(error.os_errno == 0);
    CHECK(error.page == -1 && error.chunk == -1);
    CHECK(strcmp(error.text, "12 tags at offset 8") == 0);
    for (size_t i = strlen(error.text); i < sizeof error.text; i++)
        CHECK(error.text[i] == 0);
}

static void test_long_text_is_cut(void)
{
    struct lzt_error error = used();
    char longer[2 * sizeof error.text];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    lzt_fail(&error, LZT_LIMIT, "%s", longer);
    CHECK(strlen(error.text) == sizeof error.text - 1);
}

static void test_system_keeps_errno(void)
{
    struct lzt_error error = used();
    CHECK(lzt_fail_system(&error, 2, "100 %s") == LZT_SYSTEM);
    CHECK(error.status == LZT_SYSTEM && error.os_errno == 2);
    CHECK(error.page == -1 && error.chunk == -1);
    CHECK(strcmp(error.text, "100 %s") == 0); /* a text, not a format */
}

static void test_memory_says_how_much(void)
{
    struct lzt_error error = used();
    CHECK(lzt_fail_memory(&error, UINT64_MAX) == LZT_NO_MEMORY);
    CHECK(error.status == LZT_NO_MEMORY && error.os_errno == 0);
    CHECK(strstr(error.text, "18446744073709551615") != NULL);
}

static void test_the_first_place_stays(void)
{
    struct lzt_error error = used();
    lzt_fail(&error, LZT_DECODE, "damaged");
    CHECK(lzt_fail_at(&error, LZT_DECODE, 7, 3) == LZT_DECODE);
    CHECK(error.page == 7 && error.chunk == 3);
    CHECK(lzt_fail_at(&error, LZT_DECODE, 8, 4) == LZT_DECODE);
    CHECK(error.page == 7 && error.chunk == 3);
    CHECK(strcmp(error.text, "damaged") == 0);
}

static void test_nobody_needs_to_listen(void)
{
    CHECK(lzt_fail(NULL, LZT_USAGE, "%d", 1) == LZT_USAGE);
    CHECK(lzt_fail_system(NULL, 2, "text") == LZT_SYSTEM);
    CHECK(lzt_fail_memory(NULL, 1) == LZT_NO_MEMORY);
    CHECK(lzt_fail_at(NULL, LZT_DECODE, 1, 2) == LZT_DECODE);
}

int main(void)
{
    test_fail_fills_everything();
    test_long_text_is_cut();
    test_system_keeps_errno();
    test_memory_says_how_much();
    test_the_first_place_stays();
    test_nobody_needs_to_listen();
    return 0;
}
