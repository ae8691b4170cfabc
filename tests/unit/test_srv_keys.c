/* API keys: the file's form, finding a key, what it may use. */
#include "keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void keys_are_found_whole_and_only_whole(void **state)
{
    (void)state;
    struct srv_keys keys;
    char error[200];
    assert_true(
        srv_keys_parse(&keys, "# cameras\n\nalpha-12345\r\n  \nbeta-1234567 heed-s other\n", error, sizeof error));
    assert_int_equal(keys.count, 2);
    assert_non_null(srv_keys_find(&keys, "alpha-12345"));
    assert_null(srv_keys_find(&keys, "alpha-1234"));
    assert_null(srv_keys_find(&keys, "alpha-123456"));
    assert_null(srv_keys_find(&keys, "Alpha-12345"));
    assert_null(srv_keys_find(&keys, ""));
    assert_null(srv_keys_find(&keys, "heed-s"));
    srv_keys_deinit(&keys);
}

static void limited_key_is_for_its_models_alone(void **state)
{
    (void)state;
    struct srv_keys keys;
    char error[200];
    assert_true(srv_keys_parse(&keys, "alpha-12345\nbeta-1234567 heed-s\tmaskrcnn", error, sizeof error));
    const struct srv_key *const all = srv_keys_find(&keys, "alpha-12345");
    const struct srv_key *const some = srv_keys_find(&keys, "beta-1234567");
    assert_true(srv_key_allows(all, "anything"));
    assert_true(srv_key_allows(some, "heed-s"));
    assert_true(srv_key_allows(some, "maskrcnn"));
    assert_false(srv_key_allows(some, "heed"));
    assert_false(srv_key_allows(some, "rcnn"));
    assert_false(srv_key_allows(some, "other"));
    srv_keys_deinit(&keys);
}

static void comment_begins_a_line_or_stands_behind_white_space(void **state)
{
    (void)state;
    struct srv_keys keys;
    char error[200];
    assert_true(
        srv_keys_parse(&keys,
                       "#no-key-12345\nhash#key#01\nalpha-12345 # the door camera\n  beta-1234567\theed-s\t#only\n"
                       " # nothing",
                       error, sizeof error));
    assert_int_equal(keys.count, 3);
    assert_non_null(srv_keys_find(&keys, "hash#key#01"));
    assert_true(srv_key_allows(srv_keys_find(&keys, "alpha-12345"), "anything"));
    const struct srv_key *const some = srv_keys_find(&keys, "beta-1234567");
    assert_int_equal(some->line, 4);
    assert_true(srv_key_allows(some, "heed-s"));
    assert_false(srv_key_allows(some, "#only"));
    srv_keys_deinit(&keys);
}

static void unknown_models_are_named_with_their_line(void **state)
{
    (void)state;
    static const struct heed_model_info info = { .name = "heed-s" };
    static struct srv_model model = { .info = &info };
    static const struct srv_models models = { .items = &model, .count = 1 };
    struct srv_keys keys;
    char error[200];
    assert_true(srv_keys_parse(&keys, "alpha-12345\nbeta-1234567 heed-s\n", error, sizeof error));
    assert_true(srv_keys_check(&keys, &models, error, sizeof error));
    srv_keys_deinit(&keys);
    assert_true(srv_keys_parse(&keys, "alpha-12345\n\nbeta-1234567 heed-s heed\n", error, sizeof error));
    assert_false(srv_keys_check(&keys, &models, error, sizeof error));
    assert_string_equal(error, "line 3: there is no model \"heed\"");
    srv_keys_deinit(&keys);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "# nothing\n", "short\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct srv_keys keys;
        char error[200] = "";
        assert_false(srv_keys_parse(&keys, bad[i], error, sizeof error));
        assert_true(strlen(error) > 10);
        srv_keys_deinit(&keys);
    }
    struct srv_keys keys;
    char error[200] = "";
    assert_false(srv_keys_load(&keys, "/no/such/keys", error, sizeof error));
    assert_non_null(strstr(error, "/no/such/keys"));
    srv_keys_deinit(&keys);
}

static void refused(const char *text, const char *named)
{
    struct srv_keys keys;
    char error[200] = "";
    assert_false(srv_keys_parse(&keys, text, error, sizeof error));
    if (!strstr(error, named))
        fail_msg("\"%s\" does not name %s", error, named);
    srv_keys_deinit(&keys);
}

static void keys_no_header_can_bring_are_refused_with_their_line(void **state)
{
    (void)state;
    refused("\xef\xbb\xbfkeys-12345\n", "line 1: the key holds the byte 0xef");
    refused("\xef\xbb\xbf# cameras\nalpha-12345\n", "byte order mark");
    refused("alpha-12345\nbeta-caf\xc3\xa9-67 heed-s\n", "line 2: the key holds the byte 0xc3");
    refused("alpha-12345\n\nbeta-1234567\v\n", "line 3: the key holds the byte 0x0b");
    refused("alpha-12345\x7f\n", "0x7f");
}

static void key_on_two_lines_is_refused(void **state)
{
    (void)state;
    refused("alpha-12345 heed-s\nbeta-1234567\nalpha-12345\n", "line 3: the key is that of line 1 again");
    refused("alpha-12345\nalpha-12345\n", "line 2");
}

/* What is read from a file of these bytes; `error` has 300. */
static bool load(const void *bytes, size_t size, char *error)
{
    char path[] = "/tmp/heed-keys-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    struct srv_keys keys;
    const bool ok = srv_keys_load(&keys, path, error, 300);
    srv_keys_deinit(&keys);
    close(fd);
    unlink(path);
    return ok;
}

static void files_that_cannot_be_read_whole_are_refused(void **state)
{
    (void)state;
    static char large[1 << 20];
    memset(large, '\n', sizeof large);
    char error[300] = "";
    assert_true(load("alpha-12345\n", 12, error));
    assert_false(load("alpha-12345\nbeta-12345\0klm\n", 27, error));
    assert_non_null(strstr(error, "line 2: there is a NUL byte"));
    assert_false(load(large, sizeof large, error));
    assert_non_null(strstr(error, "1 MiB"));
    struct srv_keys keys;
    assert_false(srv_keys_load(&keys, "/", error, sizeof error));
    assert_string_equal(error, "/: Is a directory");
    srv_keys_deinit(&keys);
}

static void key_is_sent_in_either_header(void **state)
{
    (void)state;
    assert_string_equal(srv_keys_sent("Bearer k1", NULL), "k1");
    assert_string_equal(srv_keys_sent("bearer  k1", "k2"), "k1");
    assert_string_equal(srv_keys_sent("Basic eA==", "k2"), "k2");
    assert_null(srv_keys_sent(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_whole_and_only_whole),
        cmocka_unit_test(limited_key_is_for_its_models_alone),
        cmocka_unit_test(comment_begins_a_line_or_stands_behind_white_space),
        cmocka_unit_test(unknown_models_are_named_with_their_line),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(keys_no_header_can_bring_are_refused_with_their_line),
        cmocka_unit_test(key_on_two_lines_is_refused),
        cmocka_unit_test(files_that_cannot_be_read_whole_are_refused),
        cmocka_unit_test(key_is_sent_in_either_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
