/* Replies as text: numbers, escapes, detections in every form, problems. */
#include "srv_fake_engine.h"

#include "reply_json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

static void number_is(double value, unsigned decimals, const char *wanted)
{
    struct srv_text text = { 0 };
    srv_text_number(&text, value, decimals);
    assert_string_equal(text.data, wanted);
    srv_text_deinit(&text);
}

static void numbers_are_short(void **state)
{
    (void)state;
    number_is(102.5, 2, "102.5");
    number_is(310, 2, "310");
    number_is(100, 0, "100");
    number_is(0.934, 4, "0.934");
    number_is(0.93396, 4, "0.934");
    number_is(-0.001, 2, "0");
    number_is(-0.01, 2, "-0.01");
    number_is(0, 2, "0");
}

static void json_is(const char *bytes, size_t size, const char *wanted)
{
    struct srv_text text = { 0 };
    srv_text_json(&text, bytes, size);
    assert_string_equal(text.data, wanted);
    json_t *const value = json_loads(text.data, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    json_decref(value);
    srv_text_deinit(&text);
}

static void strings_are_escaped_and_always_utf8(void **state)
{
    (void)state;
    json_is("", 0, "\"\"");
    json_is("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
    json_is("\n\x7f\0x", 4, "\"\\u000a\\u007f\\u0000x\"");
    json_is("caf\xc3\xa9", 5, "\"caf\xc3\xa9\"");
    json_is("\xf0\x9f\x90\x88", 4, "\"\xf0\x9f\x90\x88\"");
    json_is("\xff\xc3", 2, "\"\\ufffd\\ufffd\"");
    json_is("\xc0\x80", 2, "\"\\ufffd\\ufffd\"");            /* overlong */
    json_is("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
    json_is("\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    json_is("\xe2\x82", 2, "\"\\ufffd\\ufffd\"");
    json_is("\xc2\x85\xc2\x9b\xc2\xa0", 6, "\"\\u0085\\u009b\xc2\xa0\""); /* a line's end, a terminal's escape */
    json_is("\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6\xe2\x82\xac", 12, "\"\\u2028\\u202e\\u2066\xe2\x82\xac\"");
}

/* A photo of 3 x 2 with one detection: its left and right column. */
static uint32_t runs[] = { 0, 2, 2, 2 };
static struct heed_detection detection = { .class_index = 2,
                                           .category_id = 17,
                                           .score = 0.93399f,
                                           .box = { 0, 0.126f, 3, 2 },
                                           .mask = { .height = 2, .width = 3, .runs = runs, .run_count = 4 } };
static const struct heed_result result = { .width = 3, .height = 2, .detection_count = 1, .detections = &detection };
static const struct heed_model_info info = { .name = "m", .labels = fake_labels, .label_count = 4 };
static const struct srv_timing timing = {
    .queue_ns = 100000, .decode_ns = 1900000, .infer_ns = 14200000, .masks_ns = 600000, .total_ns = 17000000
};

static void result_is(enum srv_masks masks, const char *wanted)
{
    struct srv_text text = { 0 };
    struct heed_error error;
    assert_int_equal(srv_json_result(&text, "m", &info, &result, masks, NULL, &error), HEED_OK);
    srv_json_result_end(&text, &timing);
    assert_string_equal(text.data, wanted);
    srv_text_deinit(&text);
}

#define HEAD                                                                                                           \
    "{\"model\":\"m\",\"image\":{\"width\":3,\"height\":2},\"detections\":[{\"label\":\"cat\",\"category_id\":17,"     \
    "\"score\":0.934,\"box\":[0,0.13,3,2]"
#define TAIL "}],\"timing_ms\":{\"queue\":0.1,\"decode\":1.9,\"infer\":14.2,\"masks\":0.6,\"total\":17}}"

static void detections_are_written_in_the_contract_s_shape(void **state)
{
    (void)state;
    result_is(SRV_MASKS_RLE, HEAD ",\"mask\":{\"size\":[2,3],\"counts\":\"0220\"},\"area\":4" TAIL);
    result_is(SRV_MASKS_NONE, HEAD TAIL);
}

static void polygons_and_png_hold_the_same_mask(void **state)
{
    (void)state;
    struct srv_text text = { 0 };
    struct heed_error error;
    assert_int_equal(srv_json_result(&text, NULL, &info, &result, SRV_MASKS_POLYGON, NULL, &error), HEED_OK);
    srv_json_result_end(&text, NULL);
    json_t *reply = json_loads(text.data, 0, NULL);
    assert_non_null(reply);
    assert_null(json_object_get(reply, "model"));
    assert_null(json_object_get(reply, "timing_ms"));
    json_t *found = json_array_get(json_object_get(reply, "detections"), 0);
    assert_int_equal(json_array_size(json_object_get(json_object_get(found, "mask"), "polygons")), 2);
    assert_int_equal(json_integer_value(json_object_get(found, "area")), 4);
    json_decref(reply);
    srv_text_deinit(&text);
    assert_int_equal(srv_json_result(&text, NULL, &info, &result, SRV_MASKS_PNG, NULL, &error), HEED_OK);
    assert_non_null(strstr(text.data, "\"png\":\"iVBORw0KGgo"));
    srv_text_deinit(&text);
}

static void coco_is_an_array_s_elements(void **state)
{
    (void)state;
    struct srv_text text = { 0 };
    struct heed_error error;
    assert_int_equal(srv_coco_result(&text, "42", true, &result, SRV_MASKS_NONE, NULL, &error), HEED_OK);
    assert_int_equal(srv_coco_result(&text, "\"b\"", false, &result, SRV_MASKS_RLE, NULL, &error), HEED_OK);
    assert_string_equal(text.data, "{\"image_id\":42,\"category_id\":17,\"bbox\":[0,0.13,3,2],\"score\":0.934},"
                                   "{\"image_id\":\"b\",\"category_id\":17,\"bbox\":[0,0.13,3,2],\"score\":0.934,"
                                   "\"segmentation\":{\"size\":[2,3],\"counts\":\"0220\"},\"area\":4}");
    srv_text_deinit(&text);
}

static void an_answer_ends_at_its_limit(void **state)
{
    (void)state;
    struct heed_detection many[50];
    for (int i = 0; i < 50; i++)
        many[i] = detection;
    struct heed_result large = result;
    large.detections = many;
    large.detection_count = 50;
    struct heed_error error;
    for (int coco = 0; coco < 2; coco++) {
        struct srv_text text = { .size_max = 1000 };
        const enum heed_status status = coco ? srv_coco_result(&text, "42", true, &large, SRV_MASKS_RLE, NULL, &error)
                                             : srv_json_result(&text, NULL, &info, &large, SRV_MASKS_RLE, NULL, &error);
        assert_int_equal(status, HEED_OUTGROWN);
        assert_true(text.outgrown && text.size <= 1000 && text.capacity <= 1001);
        assert_non_null(strstr(error.text, "1000"));
        srv_text_deinit(&text);
    }
}

static void server_timing_repeats_the_times(void **state)
{
    (void)state;
    char header[160];
    srv_server_timing(header, sizeof header, &timing);
    assert_string_equal(header, "queue;dur=0.10, decode;dur=1.90, infer;dur=14.20, masks;dur=0.60, total;dur=17.00");
}

static void every_refusal_is_a_problem_document(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SRV_REFUSAL_COUNT; i++) {
        struct srv_problem problem;
        assert_false(srv_refuse(&problem, i, "\"%s\" is wrong", "it\xff"));
        assert_int_equal(problem.retry_after_s != 0, srv_refusal_http(i) == 503);
        problem.retry_after_s = 7;
        struct srv_reply reply;
        srv_reply_problem(&reply, &problem);
        assert_int_equal(reply.status, srv_refusal_http(i));
        assert_in_range(reply.status, 400, 599);
        assert_int_equal(reply.retry_after_s, 7);
        assert_string_equal(reply.content_type, "application/problem+json");
        json_t *const root = json_loadb(reply.body, reply.size, 0, NULL);
        assert_non_null(root);
        assert_int_equal(json_integer_value(json_object_get(root, "status")), reply.status);
        assert_string_equal(json_string_value(json_object_get(root, "title")), srv_refusal_title(i));
        assert_string_equal(json_string_value(json_object_get(root, "detail")), "\"it\xef\xbf\xbd\" is wrong");
        assert_string_equal(json_string_value(json_object_get(root, "error")), "\"it\xef\xbf\xbd\" is wrong");
        assert_non_null(strstr(json_string_value(json_object_get(root, "type")), srv_refusal_label(i)));
        json_decref(root);
        srv_reply_deinit(&reply);
    }
}

static void every_engine_failure_has_a_refusal(void **state)
{
    (void)state;
    for (unsigned i = HEED_OK + 1; i < HEED_STATUS_COUNT; i++)
        assert_in_range(srv_refusal_http(srv_refusal_of(i)), 400, 599);
    assert_int_equal(srv_refusal_http(srv_refusal_of(HEED_NOT_AN_IMAGE)), 415);
    assert_int_equal(srv_refusal_http(srv_refusal_of(HEED_BAD_IMAGE)), 422);
    assert_int_equal(srv_refusal_http(srv_refusal_of(HEED_TOO_LARGE)), 413);
    assert_int_equal(srv_refusal_http(srv_refusal_of(HEED_DEADLINE)), 504);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(strings_are_escaped_and_always_utf8),
        cmocka_unit_test(detections_are_written_in_the_contract_s_shape),
        cmocka_unit_test(polygons_and_png_hold_the_same_mask),
        cmocka_unit_test(coco_is_an_array_s_elements),
        cmocka_unit_test(an_answer_ends_at_its_limit),
        cmocka_unit_test(server_timing_repeats_the_times),
        cmocka_unit_test(every_refusal_is_a_problem_document),
        cmocka_unit_test(every_engine_failure_has_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
