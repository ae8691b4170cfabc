/* safetensors: what is right is read to the bit, what is wrong is refused by name, whatever the bytes are. */
#include "weights/file.h"
#include "weights/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipe.h"

/* A file in memory of exactly its size, so that the address sanitizer sees every byte read beyond it. */
struct file {
    uint8_t *bytes;
    size_t size;
};

static struct file make_file(const char *header, uint64_t header_length, const void *data, size_t data_size)
{
    struct file file = { .size = 8 + strlen(header) + data_size };
    file.bytes = malloc(file.size);
    memcpy(file.bytes, &header_length, 8);
    memcpy(file.bytes + 8, header, strlen(header));
    if (data_size)
        memcpy(file.bytes + 8 + strlen(header), data, data_size);
    return file;
}

static struct heed_weights *open_right(const struct file *file)
{
    struct heed_weights *weights = NULL;
    struct heed_error error = { 0 };
    const enum heed_status status = heed_weights_open_memory("right", file->bytes, file->size, &weights, &error);
    if (status != HEED_OK)
        fail_msg("%s", error.text);
    return weights;
}

/* The header with this data is refused, and the reason says so. */
static void refused(const char *header, size_t data_size, const char *reason)
{
    uint8_t data[64] = { 0 };
    struct file file = make_file(header, strlen(header), data, data_size);
    struct heed_weights *weights = NULL;
    struct heed_error error = { 0 };
    assert_int_equal(heed_weights_open_memory("wrong", file.bytes, file.size, &weights, &error), HEED_BAD_WEIGHTS);
    assert_int_equal(error.status, HEED_BAD_WEIGHTS);
    assert_null(weights);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", error.text, reason);
    free(file.bytes);
}

static const char three_header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[8,14]},"
                                   "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                   "\"c\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[14,16]}}  ";

static struct file three_tensors(void)
{
    uint8_t data[16];
    memcpy(data, (float[]){ 1.5f, -2.25f }, 8);
    memcpy(data + 8, (uint16_t[]){ 0x3c00, 0xc100, 0x0001 }, 6);
    memcpy(data + 14, (uint16_t[]){ 0x4049 }, 2);
    return make_file(three_header, strlen(three_header), data, sizeof data);
}

static void tensors_are_read_by_name_whatever_their_order_and_alignment(void **state)
{
    (void)state;
    struct file file = three_tensors();
    struct heed_weights *const weights = open_right(&file);
    struct heed_error error;
    float a[2], b[3], c[1];
    assert_int_equal(heed_weights_count(weights), 3);
    assert_int_equal(heed_weights_read(weights, "a", 2, (size_t[]){ 1, 2 }, a, &error), HEED_OK);
    assert_int_equal(heed_weights_read(weights, "b", 1, (size_t[]){ 3 }, b, &error), HEED_OK);
    assert_int_equal(heed_weights_read(weights, "c", 0, NULL, c, &error), HEED_OK);
    assert_true(a[0] == 1.5f && a[1] == -2.25f);
    assert_true(b[0] == 1 && b[1] == -2.5f && b[2] == 0x1p-24f);
    assert_true(c[0] == 3.140625f);
    heed_weights_free(weights);
    free(file.bytes);
}

/* The definition of a half float, written down plainly. */
static float half_value(uint16_t half)
{
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const float sign = half & 0x8000 ? -1.0f : 1.0f;
    return sign * (exponent ? ldexpf((float)(1024 + mantissa), exponent - 25) : ldexpf((float)mantissa, -24));
}

static bool half_is_finite(uint16_t half)
{
    return (half & 0x7c00) != 0x7c00;
}

static void every_half_float_becomes_its_value(void **state)
{
    (void)state;
    static uint16_t halves[65536];
    static float values[65536];
    for (unsigned i = 0; i < 65536; i++)
        halves[i] = half_is_finite((uint16_t)i) ? (uint16_t)i : 0;
    static const char header[] = "{\"x\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}";
    struct file file = make_file(header, strlen(header), halves, sizeof halves);
    struct heed_weights *const weights = open_right(&file);
    struct heed_error error;
    assert_int_equal(heed_weights_read(weights, "x", 1, (size_t[]){ 65536 }, values, &error), HEED_OK);
    for (unsigned i = 0; i < 65536; i++) {
        const float wanted = half_value(halves[i]);
        if (memcmp(&values[i], &wanted, sizeof wanted) != 0)
            fail_msg("half %04x is %a, wanted %a", i, (double)values[i], (double)wanted);
    }
    heed_weights_free(weights);
    free(file.bytes);
}

static void read_is_refused(const char *header, const void *data, size_t size)
{
    struct file file = make_file(header, strlen(header), data, size);
    struct heed_weights *const weights = open_right(&file);
    struct heed_error error;
    float out[3];
    assert_int_equal(heed_weights_read(weights, "x", 1, (size_t[]){ 3 }, out, &error), HEED_BAD_WEIGHTS);
    assert_string_equal(error.text, "right: tensor x holds a value that is not a finite number");
    heed_weights_free(weights);
    free(file.bytes);
}

static void values_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 65536; i++)
        if (!half_is_finite((uint16_t)i))
            read_is_refused("{\"x\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,6]}}",
                            (uint16_t[]){ 0, (uint16_t)i, 1 }, 6);
    static const float wrong[] = { NAN, -NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < 4; i++)
        read_is_refused("{\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}",
                        (float[]){ 1, 2, wrong[i] }, 12);
    read_is_refused("{\"x\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]}}",
                    (uint16_t[]){ 0x7f80, 0, 0x7f7f }, 6);
}

static void a_wrong_shape_is_refused_with_both_shapes(void **state)
{
    (void)state;
    struct file file = three_tensors();
    struct heed_weights *const weights = open_right(&file);
    struct heed_error error;
    float out[8];
    assert_int_equal(heed_weights_read(weights, "a", 2, (size_t[]){ 2, 1 }, out, &error), HEED_BAD_WEIGHTS);
    assert_string_equal(error.text, "right: tensor a has shape [1, 2], wanted is [2, 1]");
    assert_int_equal(heed_weights_read(weights, "a", 1, (size_t[]){ 2 }, out, &error), HEED_BAD_WEIGHTS);
    assert_int_equal(heed_weights_read(weights, "d", 1, (size_t[]){ 2 }, out, &error), HEED_BAD_WEIGHTS);
    assert_string_equal(error.text, "right: tensor d of shape [2] is missing");
    heed_weights_free(weights);
    free(file.bytes);
}

static void unused_tensors_are_told_but_not_batch_counters(void **state)
{
    (void)state;
    static const char header[] = "{\"bn.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                 "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}";
    struct file file = make_file(header, strlen(header), (float[3]){ 0 }, 12);
    struct heed_weights *const weights = open_right(&file);
    struct heed_error error;
    float out[1];
    assert_string_equal(heed_weights_unused(weights), "x");
    assert_int_equal(heed_weights_read(weights, "x", 1, (size_t[]){ 1 }, out, &error), HEED_OK);
    assert_null(heed_weights_unused(weights));
    assert_int_equal(heed_weights_read(weights, "bn.num_batches_tracked", 0, NULL, out, &error), HEED_BAD_WEIGHTS);
    assert_non_null(strstr(error.text, "I64"));
    heed_weights_free(weights);
    free(file.bytes);
}

static void find_tells_a_shape_and_what_is_not_there(void **state)
{
    (void)state;
    struct file file = three_tensors();
    struct heed_weights *const weights = open_right(&file);
    struct heed_weight weight;
    assert_true(heed_weights_find(weights, "b", &weight));
    assert_string_equal(weight.name, "b");
    assert_int_equal(weight.rank, 1);
    assert_int_equal(weight.count, 3);
    assert_false(heed_weights_find(weights, "", &weight));
    assert_false(heed_weights_find(weights, "__metadata__", &weight));
    heed_weights_free(weights);
    free(file.bytes);
}

static void an_empty_set_of_tensors_is_a_file(void **state)
{
    (void)state;
    struct file file = make_file("{}", 2, NULL, 0);
    struct heed_weights *const weights = open_right(&file);
    struct heed_weight weight;
    assert_int_equal(heed_weights_count(weights), 0);
    assert_false(heed_weights_find(weights, "a", &weight));
    assert_null(heed_weights_unused(weights));
    heed_weights_free(weights);
    free(file.bytes);
}

static void a_shape_with_a_zero_is_empty_however_large_the_rest(void **state)
{
    (void)state;
    static const char *const shapes[] = { "[4611686018427387904,4,0]", "[0,4611686018427387904,4]" };
    for (size_t i = 0; i < 2; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,0]}}", shapes[i]);
        struct file file = make_file(header, strlen(header), NULL, 0);
        struct heed_weights *const weights = open_right(&file);
        struct heed_weight weight;
        assert_true(heed_weights_find(weights, "x", &weight));
        assert_int_equal(weight.count, 0);
        heed_weights_free(weights);
        free(file.bytes);
    }
}

/* Batch counters are not the only tensors that a file may hold and no model reads. */
static void newer_types_may_stand_in_a_file(void **state)
{
    (void)state;
    static const char header[] = "{\"x\":{\"dtype\":\"F8_E8M0\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                 "\"y\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[3,11]}}";
    struct file file = make_file(header, strlen(header), (uint8_t[11]){ 0 }, 11);
    struct heed_weights *const weights = open_right(&file);
    float out[3];
    struct heed_error error;
    assert_int_equal(heed_weights_read(weights, "x", 1, (size_t[]){ 3 }, out, &error), HEED_BAD_WEIGHTS);
    assert_non_null(strstr(error.text, "dtype F8_E8M0; F32, F16 and BF16 are read"));
    heed_weights_free(weights);
    free(file.bytes);
}

static void a_header_beyond_the_limit_is_told_the_limit(void **state)
{
    (void)state;
    const uint64_t length = 100000001;
    uint8_t *const bytes = calloc(1, 8 + length); /* never touched */
    memcpy(bytes, &length, 8);
    struct heed_weights *weights;
    struct heed_error error;
    assert_int_equal(heed_weights_open_memory("x", bytes, 8 + length, &weights, &error), HEED_BAD_WEIGHTS);
    assert_string_equal(error.text, "x: a header of 100000001 bytes, limit is 100000000");
    free(bytes);
}

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    struct file file = three_tensors();
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *const cut = malloc(size ? size : 1);
        memcpy(cut, file.bytes, size);
        struct heed_weights *weights = NULL;
        struct heed_error error = { 0 };
        assert_int_equal(heed_weights_open_memory("cut", cut, size, &weights, &error), HEED_BAD_WEIGHTS);
        assert_null(weights);
        assert_true(error.text[0]);
        free(cut);
    }
    free(file.bytes);
}

/* Any byte wrong: refused, or read within bounds. */
static void a_file_wrong_at_any_byte_does_no_harm(void **state)
{
    (void)state;
    static const uint8_t values[] = { 0, 1, '"', '{', '}', '[', ']', ',', '-', '.', '0', '9', 'e', 0x7f, 0x80, 0xff };
    struct file file = three_tensors();
    for (size_t at = 0; at < 8 + strlen(three_header); at++) {
        const uint8_t right = file.bytes[at];
        for (size_t i = 0; i < sizeof values; i++) {
            file.bytes[at] = values[i];
            struct heed_weights *weights = NULL;
            struct heed_error error;
            if (heed_weights_open_memory("wrong", file.bytes, file.size, &weights, &error) != HEED_OK)
                continue;
            float out[8];
            (void)!heed_weights_read(weights, "a", 2, (size_t[]){ 1, 2 }, out, &error);
            (void)!heed_weights_read(weights, "b", 1, (size_t[]){ 3 }, out, &error);
            (void)!heed_weights_read(weights, "c", 0, NULL, out, &error);
            heed_weights_free(weights);
        }
        file.bytes[at] = right;
    }
    free(file.bytes);
}

static void impossible_header_lengths_are_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = { 3, 11, UINT64_MAX, UINT64_MAX - 8, (uint64_t)1 << 63, 100000001 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct file file = make_file("{}", lengths[i], NULL, 0);
        struct heed_weights *weights;
        struct heed_error error;
        assert_int_equal(heed_weights_open_memory("x", file.bytes, file.size, &weights, &error), HEED_BAD_WEIGHTS);
        free(file.bytes);
    }
}

static void headers_that_lie_are_refused_by_name(void **state)
{
    (void)state;
#define ONE(dtype, shape, offsets) "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    refused("", 0, "not JSON");
    refused("[]", 0, "not a JSON object");
    refused("{\"x\":1}", 0, "tensor x");
    refused("{\"x\":{}}", 0, "tensor x has no dtype");
    refused("{\"x\":{\"dtype\":\"F32\"}}", 0, "tensor x has no shape");
    refused("{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor x: data_offsets");
    refused(ONE("\"F31\"", "[1]", "[0,4]"), 4, "F31");
    refused(ONE("\"F4\"", "[2]", "[0,1]"), 1, "dtype F4, which is not read");
    refused(ONE("32", "[1]", "[0,4]"), 4, "dtype");
    refused(ONE("\"F32\"", "[-1]", "[0,4]"), 4, "dimension 0");
    refused(ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "dimension 0");
    refused(ONE("\"F32\"", "[1,\"2\"]", "[0,4]"), 4, "dimension 1");
    refused(ONE("\"F32\"", "[1,1,1,1,1,1]", "[0,4]"), 4, "6 dimensions");
    refused(ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "impossibly large");
    refused(ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "0 bytes for 4611686018427387904 values");
    refused(ONE("\"F32\"", "[99999999999999999999]", "[0,4]"), 4, "not JSON");
    refused(ONE("\"F32\"", "[1]", "[0,4,8]"), 4, "data_offsets");
    refused(ONE("\"F32\"", "[1]", "[-4,0]"), 4, "data_offsets");
    refused(ONE("\"F32\"", "[1]", "[4,0]"), 4, "bytes 4 to 0");
    refused(ONE("\"F32\"", "[1]", "[0,5]"), 4, "bytes 0 to 5 of 4");
    refused(ONE("\"F32\"", "[2]", "[0,4]"), 4, "4 bytes for 2 values of F32");
    refused(ONE("\"F16\"", "[1]", "[0,4]"), 4, "4 bytes for 1 values of F16");
    refused(ONE("\"F32\"", "[1]", "[4,8]"), 8, "begins at byte 4");
    refused(ONE("\"F32\"", "[1]", "[0,4]"), 8, "end at byte 4 of 8");
    refused("{\"x\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
            "\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
            4, "tensor y begins at byte 2");
    refused("{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, "duplicate");
}

static void files_are_mapped_and_missing_ones_named(void **state)
{
    (void)state;
    char path[] = "/tmp/heed-test-weights-XXXXXX";
    const int handle = mkstemp(path);
    struct file file = three_tensors();
    assert_int_equal(write(handle, file.bytes, file.size), file.size);
    close(handle);
    struct heed_weights *weights = NULL;
    struct heed_error error;
    assert_int_equal(heed_weights_open(path, &weights, &error), HEED_OK);
    float a[2];
    assert_int_equal(heed_weights_read(weights, "a", 2, (size_t[]){ 1, 2 }, a, &error), HEED_OK);
    heed_weights_free(weights);

    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(heed_weights_open(path, &weights, &error), HEED_BAD_WEIGHTS);
    unlink(path);
    assert_int_equal(heed_weights_open(path, &weights, &error), HEED_IO);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(heed_weights_open("/tmp", &weights, &error), HEED_IO);
    heed_weights_free(NULL);
    free(file.bytes);
}

static enum heed_status open_pipe(const char *path, struct heed_error *error)
{
    struct heed_weights *weights = NULL;
    return heed_weights_open(path, &weights, error);
}

static void a_pipe_is_not_waited_for(void **state)
{
    (void)state;
    refuses_pipe(open_pipe);
}

static void a_long_path_leaves_room_for_the_reason(void **state)
{
    (void)state;
    char path[1000];
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 20, "/model.safetensors", 19);
    struct heed_weights *weights = NULL;
    struct heed_error error;
    assert_int_equal(heed_weights_open_memory(path, (const uint8_t *)"", 0, &weights, &error), HEED_BAD_WEIGHTS);
    assert_memory_equal(error.text, "...ddd", 6);
    assert_non_null(strstr(error.text, "d/model.safetensors: 0 bytes are too few for a safetensors file"));
    for (size_t length = 122; length <= 125; length++) { /* shown whole as long as it fits */
        const struct heed_file_name name = heed_file_name(path + sizeof path - 2 - length);
        assert_int_equal(strlen(name.text), length < 123 ? length : 123);
        assert_int_equal(strncmp(name.text, "...", 3) == 0, length > 123);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_read_by_name_whatever_their_order_and_alignment),
        cmocka_unit_test(every_half_float_becomes_its_value),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(a_wrong_shape_is_refused_with_both_shapes),
        cmocka_unit_test(unused_tensors_are_told_but_not_batch_counters),
        cmocka_unit_test(find_tells_a_shape_and_what_is_not_there),
        cmocka_unit_test(an_empty_set_of_tensors_is_a_file),
        cmocka_unit_test(a_shape_with_a_zero_is_empty_however_large_the_rest),
        cmocka_unit_test(newer_types_may_stand_in_a_file),
        cmocka_unit_test(a_header_beyond_the_limit_is_told_the_limit),
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_file_wrong_at_any_byte_does_no_harm),
        cmocka_unit_test(impossible_header_lengths_are_refused),
        cmocka_unit_test(headers_that_lie_are_refused_by_name),
        cmocka_unit_test(files_are_mapped_and_missing_ones_named),
        cmocka_unit_test(a_pipe_is_not_waited_for),
        cmocka_unit_test(a_long_path_leaves_room_for_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
