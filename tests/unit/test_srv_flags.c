/* The commands' flags: what is right is stored where the table points, what is wrong ends with 2. */
#include "commands/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "commands/commands.h"

static bool loud;
static unsigned count, mode;
static double score;
static const char *model;

static const struct srv_flag items[] = {
    { "loud", SRV_FLAG_ON, &loud, 0, 0, NULL, "more" },
    { "count", SRV_FLAG_COUNT, &count, 1, 10, "N", "how many" },
    { "score", SRV_FLAG_NUMBER, &score, 0, 1, "S", "how sure" },
    { "model", SRV_FLAG_TEXT, &model, 0, 0, "PATH", "which" },
    { "mode", SRV_FLAG_CHOICE, &mode, 0, 0, "a|bc|d", "how" },
};
static const struct srv_flags flags = { .usage = "heed x", .about = "x", .items = items, .count = 5 };

static int rest, exit_status;
static char *arguments[8];

/* Up to seven arguments, NULL after the last. */
static bool read(const char *const *given)
{
    loud = false;
    count = 5;
    score = 0.5;
    model = NULL;
    mode = 0;
    exit_status = -1;
    int argc = 0;
    for (; given[argc]; argc++)
        arguments[argc] = (char *)given[argc];
    return srv_flags_read(&flags, argc, arguments, &rest, &exit_status);
}
#define READ(...) read((const char *const[]){ __VA_ARGS__, NULL })

static void defaults_stay_where_nothing_is_given(void **state)
{
    (void)state;
    assert_true(READ(NULL));
    assert_int_equal(rest, 0);
    assert_true(!loud && count == 5 && score == 0.5 && !model && mode == 0);
}

static void values_are_read_in_both_spellings_and_the_rest_is_left_in_order(void **state)
{
    (void)state;
    assert_true(READ("one", "--count", "7", "-", "--score=0.25", "--loud", "two"));
    assert_true(loud && count == 7 && score == 0.25);
    assert_int_equal(rest, 3);
    assert_string_equal(arguments[0], "one");
    assert_string_equal(arguments[1], "-");
    assert_string_equal(arguments[2], "two");
    assert_true(READ("--mode", "bc", "--model=a=b"));
    assert_int_equal(mode, 1);
    assert_string_equal(model, "a=b");
    assert_true(READ("--mode=d"));
    assert_int_equal(mode, 2);
}

static void two_dashes_end_the_flags(void **state)
{
    (void)state;
    assert_true(READ("--", "--loud", "x"));
    assert_false(loud);
    assert_int_equal(rest, 2);
    assert_string_equal(arguments[0], "--loud");
}

static void what_is_wrong_ends_with_the_status_of_wrong_usage(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        { "--loudly" },      { "-l" },         { "--loud=1" },       { "--count" },    { "--count", "0" },
        { "--count", "11" }, { "--count=" },   { "--count", "1.5" }, { "--count=x" },  { "--score", "nan" },
        { "--score=-0.1" },  { "--score=0x" }, { "--mode", "b" },    { "--mode=a|b" }, { "--mode=" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(read((const char *const[]){ wrong[i][0], wrong[i][1], NULL }));
        assert_int_equal(exit_status, SRV_EXIT_USAGE);
    }
}

static void help_ends_with_success(void **state)
{
    (void)state;
    assert_false(READ("--count", "3", "--help"));
    assert_int_equal(exit_status, SRV_EXIT_OK);
    assert_false(READ("-h"));
    assert_int_equal(exit_status, SRV_EXIT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stay_where_nothing_is_given),
        cmocka_unit_test(values_are_read_in_both_spellings_and_the_rest_is_left_in_order),
        cmocka_unit_test(two_dashes_end_the_flags),
        cmocka_unit_test(what_is_wrong_ends_with_the_status_of_wrong_usage),
        cmocka_unit_test(help_ends_with_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
