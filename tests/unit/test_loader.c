/* The loader: one error is kept, and all that follows does nothing. */
#include "layers/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static uint8_t file[256];
static struct heed_loader loader;
static struct heed_error error;

static int open_loader(void **state)
{
    (void)state;
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";
    const uint64_t length = strlen(header);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    memcpy(file + 8 + length, (float[]){ 1, 2, 3, 4, 5, 6 }, 24);
    loader = (struct heed_loader){ .error = &error };
    error = (struct heed_error){ 0 };
    return heed_weights_open_memory("file", file, 8 + length + 24, &loader.weights, &error) != HEED_OK ||
           heed_keep_create(&loader.keep, &error) != HEED_OK;
}

static int close_loader(void **state)
{
    (void)state;
    heed_weights_free(loader.weights);
    heed_keep_free(loader.keep);
    return 0;
}

static void tensors_are_read_into_aligned_memory_and_counted(void **state)
{
    (void)state;
    const size_t shape[] = { 2, 3 };
    const float *const x = heed_loader_read(&loader, "x", 2, shape);
    assert_non_null(x);
    assert_int_equal((uintptr_t)x % HEED_ALIGN, 0);
    assert_true(x[0] == 1 && x[5] == 6);
    assert_int_equal(loader.parameters, 6);
    assert_int_equal(heed_keep_bytes(loader.keep), 24);
}

static void temporary_memory_is_not_kept(void **state)
{
    (void)state;
    const size_t shape[] = { 2, 3 };
    const float *const x = heed_loader_read_temporary(&loader, "x", 2, shape);
    assert_non_null(x);
    assert_true(x[5] == 6);
    assert_int_equal(loader.parameters, 6);
    assert_int_equal(heed_keep_bytes(loader.keep), 0);
    heed_keep_seal(loader.keep);
}

static void an_error_is_kept_and_stops_what_follows(void **state)
{
    (void)state;
    const size_t wrong[] = { 3, 2 }, right[] = { 2, 3 };
    assert_null(heed_loader_read(&loader, "x", 2, wrong));
    assert_int_equal(loader.status, HEED_BAD_WEIGHTS);
    char text[sizeof error.text];
    strcpy(text, error.text);
    assert_null(heed_loader_read(&loader, "x", 2, right));
    assert_null(heed_loader_read_temporary(&loader, "y", 2, right));
    assert_null(heed_loader_floats(&loader, 1));
    assert_null(heed_loader_bytes(&loader, 1));
    assert_string_equal(heed_loader_name(&loader, "x"), "");
    assert_string_equal(error.text, text);
}

static void sizes_that_overflow_are_errors(void **state)
{
    (void)state;
    const size_t shape[] = { SIZE_MAX / 2, 3 };
    assert_null(heed_loader_read(&loader, "x", 2, shape));
    assert_int_equal(loader.status, HEED_BAD_MODEL);
    loader.status = HEED_OK;
    assert_null(heed_loader_floats(&loader, SIZE_MAX / 2));
    assert_int_equal(loader.status, HEED_NO_MEMORY);
    loader.status = HEED_OK;
    assert_null(heed_loader_bytes(&loader, SIZE_MAX));
    assert_int_equal(loader.status, HEED_NO_MEMORY);
}

static void names_and_structs_live_in_the_keep(void **state)
{
    (void)state;
    assert_string_equal(heed_loader_name(&loader, "layer%d.%s", 3, "conv1"), "layer3.conv1");
    const uint8_t *const bytes = heed_loader_bytes(&loader, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(bytes[i], 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_loader, close_loader)
    const struct CMUnitTest tests[] = {
        TEST(tensors_are_read_into_aligned_memory_and_counted),
        TEST(temporary_memory_is_not_kept),
        TEST(an_error_is_kept_and_stops_what_follows),
        TEST(sizes_that_overflow_are_errors),
        TEST(names_and_structs_live_in_the_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
