/* Detection requests in their three forms, read without a socket: what is understood, and what is refused and why. */
#include "srv_fake_engine.h"

#include "detect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <nettle/base64.h>

static struct srv_options options;
static struct srv_models models;
static uint8_t *jpeg; /* 20 x 10 */
static size_t jpeg_size;
static char *base64;

static int set_up(void **state)
{
    (void)state;
    struct heed_error error;
    assert_true(srv_options_init(&options));
    options.images_max = 3;
    assert_int_equal(srv_models_load(&models, &options, 1, &error), HEED_OK);
    uint8_t pixels[20 * 10 * 3] = { 0 };
    const struct heed_image image = { .rgb = pixels, .width = 20, .height = 10 };
    assert_int_equal(heed_image_encode_jpeg(&image, 90, NULL, &jpeg, &jpeg_size, &error), HEED_OK);
    base64 = calloc(1, BASE64_ENCODE_RAW_LENGTH(jpeg_size) + 1);
    base64_encode_raw(base64, jpeg_size, jpeg);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(base64);
    free(jpeg);
    srv_models_deinit(&models);
    srv_options_deinit(&options);
    return 0;
}

/* A request in the making; the body is text or, where NULL, the photo. */
static struct srv_request request_of(const char *content_type, const char *body)
{
    return (struct srv_request){ .method = "POST",
                                 .path = "/v1/detect",
                                 .content_type = content_type,
                                 .body = body ? (const uint8_t *)body : jpeg,
                                 .body_size = body ? strlen(body) : jpeg_size };
}

static void add(struct srv_request *request, const char *name, const char *value)
{
    srv_pairs_add(&request->query, name, strlen(name), value, strlen(value));
}

static void refused(const struct srv_request *request, enum srv_refusal reason, const char *named)
{
    struct srv_detect detect;
    struct srv_problem problem = { 0 };
    assert_false(srv_detect_read(&detect, request, &models, &options, &problem));
    srv_detect_deinit(&detect);
    assert_int_equal(problem.reason, reason);
    assert_non_null(strstr(problem.text, named));
}

static void refused_option(const char *name, const char *value, const char *named)
{
    struct srv_request request = request_of(NULL, NULL);
    add(&request, name, value);
    refused(&request, SRV_BAD_OPTION, named);
}

static void photo_alone_has_every_default(void **state)
{
    (void)state;
    const struct srv_request request = request_of("image/gif", NULL);
    struct srv_detect detect;
    struct srv_problem problem;
    assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
    assert_string_equal(detect.model->info->name, "first");
    assert_true(detect.score == 0.3);
    assert_int_equal(detect.max, 100);
    assert_null(detect.classes);
    assert_int_equal(detect.masks, SRV_MASKS_RLE);
    assert_int_equal(detect.format, SRV_FORMAT_HEED);
    assert_int_equal(detect.timeout_ms, options.timeout_ms);
    assert_int_equal(detect.priority, 0);
    assert_int_equal(detect.photo_count, 1);
    assert_int_equal(detect.photos[0].info.width, 20);
    assert_int_equal(detect.photos[0].info.height, 10);
    srv_detect_deinit(&detect);
}

static void query_options_are_understood(void **state)
{
    (void)state;
    struct srv_request request = request_of(NULL, NULL);
    add(&request, "score", "0.125");
    add(&request, "max", "7");
    add(&request, "classes", "cat, dog");
    add(&request, "masks", "none");
    add(&request, "timeout_ms", "1500");
    add(&request, "priority", "-1");
    add(&request, "format", "coco");
    add(&request, "image_id", "a 7");
    struct srv_detect detect;
    struct srv_problem problem;
    assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
    assert_true(detect.score == 0.125);
    assert_int_equal(detect.max, 7);
    assert_false(detect.classes[0]);
    assert_true(detect.classes[2] && detect.classes[3]);
    assert_int_equal(detect.masks, SRV_MASKS_NONE);
    assert_int_equal(detect.timeout_ms, 1500);
    assert_int_equal(detect.priority, -1);
    assert_int_equal(detect.format, SRV_FORMAT_COCO);
    assert_string_equal(detect.image_id, "\"a 7\"");
    srv_detect_deinit(&detect);
}

static void bad_options_are_refused_by_name_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const char *const bad_scores[] = {
        "", "-0.1", "1.1", "nan", "inf", "0x1", "1e999", " 1", "1 ", "0.5x", "1,5"
    };
    for (size_t i = 0; i < sizeof bad_scores / sizeof *bad_scores; i++)
        refused_option("score", bad_scores[i], "\"score\" is \"");
    refused_option("score", "2", "from 0 to 1");
    refused_option("max", "0", "1000");
    refused_option("max", "1001", "1001");
    refused_option("max", "1.5", "1.5");
    refused_option("max", "1e2", "1e2");
    refused_option("classes", "", "labels of first");
    refused_option("classes", "cat,unicorn", "unicorn");
    refused_option("masks", "RLE", "polygon");
    refused_option("timeout_ms", "0", "3600000");
    refused_option("priority", "2", "-1, 0, 1");
    refused_option("format", "xml", "heed, coco");
    refused_option("image_id", "", "image_id");
    refused_option("image_id", "a\"b", "image_id");
    refused_option("threshold", "1", "there is no option \"threshold\"");
    refused_option("", "1", "there is no option");
    struct srv_request request = request_of(NULL, NULL);
    add(&request, "model", "yolo");
    refused(&request, SRV_NO_MODEL, "yolo");
    request = request_of(NULL, NULL);
    add(&request, "max", "1");
    add(&request, "max", "1");
    refused(&request, SRV_BAD_OPTION, "twice");
    request = request_of(NULL, NULL);
    add(&request, "format", "coco");
    add(&request, "masks", "png");
    refused(&request, SRV_BAD_OPTION, "coco");
}

static void json_gives_photo_and_options_in_any_order(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "{\"image\": \"%s\", \"score\": 0.1, \"classes\": [\"cat\", \"dog\"]}",
        "{\"score\": 1e-1, \"classes\": \"cat,dog\", \"image\":\"%s\"}",
        " {\"score\":\"0.1\" , \"image\"\n: \"%s\" , \"classes\": \"cat,dog\"} ",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char *body;
        assert_true(asprintf(&body, forms[i], base64) > 0);
        const struct srv_request request = request_of("application/json; charset=utf-8", body);
        struct srv_detect detect;
        struct srv_problem problem;
        assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
        assert_true(detect.score == 0.1);
        assert_true(detect.classes[2] && detect.classes[3] && !detect.classes[0]);
        const uint8_t *bytes;
        size_t size;
        uint8_t *owned;
        assert_true(srv_photo_bytes(&detect.photos[0], &bytes, &size, &owned, &problem));
        assert_int_equal(size, jpeg_size);
        assert_memory_equal(bytes, jpeg, size);
        free(owned);
        srv_detect_deinit(&detect);
        free(body);
    }
}

/* Some encoders escape every slash: the photo then comes out of the JSON parser instead of out of the body. */
static void json_with_escaped_slashes_is_the_same_photo(void **state)
{
    (void)state;
    char *const body = calloc(1, 2 * strlen(base64) + 100);
    char *out = body + sprintf(body, "{\"max\": 3, \"image\": \"");
    for (const char *p = base64; *p; p++) {
        if (*p == '/')
            *out++ = '\\';
        *out++ = *p;
    }
    strcpy(out, "\"}");
    const struct srv_request request = request_of("application/json", body);
    struct srv_detect detect;
    struct srv_problem problem;
    assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
    assert_int_equal(detect.photos[0].info.width, 20);
    srv_detect_deinit(&detect);
    free(body);
}

static void json_that_is_not_said_to_be_some_is_told_so(void **state)
{
    (void)state;
    const struct srv_request curls = request_of("application/x-www-form-urlencoded", "{\"image\": \"QUI=\"}");
    refused(&curls, SRV_NOT_AN_IMAGE, "\"Content-Type: application/json\"");
    refused(&curls, SRV_NOT_AN_IMAGE, "\"application/x-www-form-urlencoded\"");
    const struct srv_request untyped = request_of(NULL, "{}");
    refused(&untyped, SRV_NOT_AN_IMAGE, "begin like JSON");
    const struct srv_request text = request_of(NULL, "x{}");
    refused(&text, SRV_NOT_AN_IMAGE, "the bytes are neither JPEG nor PNG");
}

static void malformed_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *named;
    } bad[] = {
        { "{", "not JSON" },
        { "[]", "object" },
        { "null", "not JSON" },
        { "{}", "no member \"image\"" },
        { "{\"image\": 5}", "string" },
        { "{\"image\": null}", "string" },
        { "{\"image\": \"\"}", "empty" },
        { "{\"image\": \"####\"}", "base64" },
        { "{\"image\": \"QUI\"}", "base64" },
        { "{\"image\": \"QUI=\", \"image\": \"QUI=\"}", "not JSON" },
        { "{\"image\": \"QUI=\"} x", "not JSON" },
        { "{\"image\": \"QUI=\", \"nested\": {\"image\": \"x\"}}", "nested" },
        { "{\"image\": \"QUI=\", \"score\": true}", "score" },
        { "{\"image\": \"QUI=\", \"score\": null}", "score" },
        { "{\"image\": \"QUI=\", \"classes\": [1]}", "classes" },
        { "{\"image\": \"QUI=", "not JSON" },
        { "{\"image\"", "not JSON" },
        { "{\"\\u0069mage\": 5}", "string" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct srv_detect detect;
        struct srv_problem problem = { 0 };
        const struct srv_request request = request_of("application/json", bad[i].body);
        assert_false(srv_detect_read(&detect, &request, &models, &options, &problem));
        srv_detect_deinit(&detect);
        assert_int_equal(srv_refusal_http(problem.reason), 400);
        if (!strstr(problem.text, bad[i].named))
            fail_msg("%s: %s", bad[i].body, problem.text);
    }
}

/* A multipart body of text parts; '@' stands for the photo. */
static struct srv_request form_of(const char *pattern, uint8_t **body)
{
    const size_t capacity = strlen(pattern) + 4 * jpeg_size;
    uint8_t *out = *body = malloc(capacity);
    for (const char *p = pattern; *p; p++) {
        if (*p == '@') {
            memcpy(out, jpeg, jpeg_size);
            out += jpeg_size;
        } else {
            *out++ = (uint8_t)*p;
        }
    }
    return (struct srv_request){ .method = "POST",
                                 .content_type = "multipart/form-data; charset=x; boundary=\"b d\"",
                                 .body = *body,
                                 .body_size = (size_t)(out - *body) };
}

#define PART(name, value) "--b d\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static void form_gives_photos_in_order_and_options(void **state)
{
    (void)state;
    uint8_t *body;
    const struct srv_request request =
        form_of("preamble\r\n" PART("image", "@") PART("score", "0.5") PART("image", "@") "--b d--\r\nepilogue", &body);
    struct srv_detect detect;
    struct srv_problem problem;
    assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
    assert_true(detect.score == 0.5);
    assert_int_equal(detect.photo_count, 2);
    assert_int_equal(detect.photos[0].size, jpeg_size);
    assert_int_equal(detect.photos[1].size, jpeg_size);
    assert_memory_equal(detect.photos[1].bytes, jpeg, jpeg_size);
    srv_detect_deinit(&detect);
    free(body);
}

static void malformed_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *named;
    } bad[] = {
        { "no parts", "boundary" },
        { "--b d--\r\n", "no field \"image\"" },
        { "--b d\r\n", "end of headers" },
        { "--b d", "closing boundary" },
        { "--b dx\r\n\r\n", "closing boundary" },
        { "--b dx\r\n\r\n--b d--\r\n", "closing boundary" },
        { PART("score", "0.5") "--b d--", "no field \"image\"" },
        { PART("image", "@"), "closing boundary" },
        { PART("image", "") "--b d--", "empty" },
        { "--b d\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b d--", "no name" },
        { "--b d\r\nX: y\r\n\r\nx\r\n--b d--", "no name" },
        { "--b d\r\nContent-Disposition: form-data; name=\"image\r\n\r\nx\r\n--b d--", "no name" },
        { PART("image", "@") PART("score", "") "--b d--", "\"score\" is \"\"" },
        { "--b d\nContent-Disposition: form-data; name=\"image\"\n\nx\n--b d--\n", "LF alone" },
        { "--b d\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\n--b d--\r\n", "LF alone" },
        { "--b d\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\n", "closing boundary" },
        { PART("image", "@") PART("score", "1") PART("score", "1") "--b d--", "twice" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t *body;
        const struct srv_request request = form_of(bad[i].pattern, &body);
        struct srv_detect detect;
        struct srv_problem problem = { 0 };
        assert_false(srv_detect_read(&detect, &request, &models, &options, &problem));
        srv_detect_deinit(&detect);
        assert_int_equal(srv_refusal_http(problem.reason), 400);
        if (!strstr(problem.text, bad[i].named))
            fail_msg("%zu: %s", i, problem.text);
        free(body);
    }
    const struct srv_request request = request_of("multipart/form-data", "x");
    refused(&request, SRV_MALFORMED, "boundary");
}

static void image_id_is_of_one_photo(void **state)
{
    (void)state;
    uint8_t *body;
    struct srv_request request = form_of(PART("image", "@") PART("image", "@") PART("format", "coco") "--b d--", &body);
    struct srv_detect detect;
    struct srv_problem problem;
    assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
    srv_detect_deinit(&detect);
    add(&request, "image_id", "5");
    refused(&request, SRV_BAD_OPTION, "\"image_id\" is of one image, the request holds 2");
    free(body);
}

static void query_and_form_may_not_both_give_an_option(void **state)
{
    (void)state;
    uint8_t *body;
    struct srv_request request = form_of(PART("image", "@") PART("score", "0.5") "--b d--", &body);
    add(&request, "score", "0.5");
    refused(&request, SRV_BAD_OPTION, "twice");
    free(body);
}

static void limits_are_read_from_the_header(void **state)
{
    (void)state;
    uint8_t *body;
    struct srv_request request =
        form_of(PART("image", "@") PART("image", "@") PART("image", "@") PART("image", "@") "--b d--", &body);
    refused(&request, SRV_BODY_TOO_LARGE, "more than 3");
    free(body);
    options.pixels_max = 199;
    request = request_of(NULL, NULL);
    refused(&request, SRV_IMAGE_TOO_LARGE, "199");
    options.pixels_max = 33554432;
    request = request_of(NULL, "GIF89a, say");
    refused(&request, SRV_NOT_AN_IMAGE, "");
    request = request_of(NULL, "");
    refused(&request, SRV_MALFORMED, "empty");
}

static void picture_is_drawn_when_accepted_more_than_json(void **state)
{
    (void)state;
    assert_int_equal(srv_accept(NULL), SRV_ACCEPT_JSON);
    assert_int_equal(srv_accept("*/*"), SRV_ACCEPT_JSON);
    assert_int_equal(srv_accept("image/jpeg"), SRV_ACCEPT_JPEG);
    assert_int_equal(srv_accept("IMAGE/PNG;q=0.9, image/jpeg;q=0.8"), SRV_ACCEPT_PNG);
    assert_int_equal(srv_accept("image/png; q=0.1, application/json"), SRV_ACCEPT_JSON);
    assert_int_equal(srv_accept("image/png;q=0"), SRV_ACCEPT_JSON);
    assert_int_equal(srv_accept("image/*"), SRV_ACCEPT_JSON);
    assert_int_equal(srv_accept("image/jpegs"), SRV_ACCEPT_JSON);
    assert_int_equal(srv_accept(",,;q=,image/png;q=x"), SRV_ACCEPT_JSON);
    uint8_t *body;
    struct srv_request request = form_of(PART("image", "@") PART("image", "@") "--b d--", &body);
    request.accept = "image/png";
    refused(&request, SRV_BAD_OPTION, "one image");
    free(body);
}

static void path_is_what_stands_between_host_and_query(void **state)
{
    (void)state;
    static const char *const paths[][2] = {
        { "/health/live", "/health/live" },
        { "/health/live?x=/1", "/health/live" },
        { "http://h/health/live?x=1", "/health/live" },
        { "HTTP://h:80/", "/" },
        { "http://h", "/" },
        { "http://h?x=/health/live", "/" },
        { "http://h#x=/health/live", "/" },
        { "*", "*" },
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char target[60];
        strcpy(target, paths[i][0]);
        assert_string_equal(srv_request_path(target), paths[i][1]);
    }
}

static void request_ids_are_of_their_characters(void **state)
{
    (void)state;
    char id[SRV_ID_MAX + 2], other[SRV_ID_MAX + 1];
    assert_true(srv_request_id_ok("camera-7.42_A"));
    assert_false(srv_request_id_ok(""));
    assert_false(srv_request_id_ok("a b"));
    assert_false(srv_request_id_ok("a\n"));
    memset(id, 'x', SRV_ID_MAX + 1);
    id[SRV_ID_MAX + 1] = '\0';
    assert_false(srv_request_id_ok(id));
    id[SRV_ID_MAX] = '\0';
    assert_true(srv_request_id_ok(id));
    srv_request_id_make(id);
    srv_request_id_make(other);
    assert_true(srv_request_id_ok(id));
    assert_string_not_equal(id, other);
}

static void cost_grows_with_what_is_asked_up_to_a_share_of_all(void **state)
{
    (void)state;
    enum { FLIGHT = 512 << 20 };
    struct srv_request request = request_of(NULL, NULL);
    struct srv_detect detect;
    struct srv_problem problem;
    assert_true(srv_detect_read(&detect, &request, &models, &options, &problem));
    srv_detect_plan(&detect, FLIGHT);
    const size_t plain = srv_detect_cost(&detect), working = srv_detect_work_bytes(&detect);
    detect.output = SRV_ACCEPT_PNG;
    assert_true(srv_detect_work_bytes(&detect) >= working + 20 * 10 * 3);
    detect.output = SRV_ACCEPT_JSON;
    detect.masks = SRV_MASKS_NONE;
    srv_detect_plan(&detect, FLIGHT);
    assert_true(srv_detect_cost(&detect) < plain);
    assert_true(srv_detect_work_bytes(&detect) < working);
    detect.masks = SRV_MASKS_POLYGON;
    detect.photos[0].info.width = 1 << 25;
    srv_detect_plan(&detect, FLIGHT);
    assert_int_equal(srv_detect_cost(&detect), FLIGHT / 4);
    assert_int_equal(detect.mask_bytes_max, FLIGHT / 16);
    srv_detect_deinit(&detect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(photo_alone_has_every_default),
        cmocka_unit_test(query_options_are_understood),
        cmocka_unit_test(bad_options_are_refused_by_name_value_and_what_is_allowed),
        cmocka_unit_test(json_gives_photo_and_options_in_any_order),
        cmocka_unit_test(json_with_escaped_slashes_is_the_same_photo),
        cmocka_unit_test(json_that_is_not_said_to_be_some_is_told_so),
        cmocka_unit_test(malformed_json_is_refused),
        cmocka_unit_test(form_gives_photos_in_order_and_options),
        cmocka_unit_test(malformed_forms_are_refused),
        cmocka_unit_test(image_id_is_of_one_photo),
        cmocka_unit_test(query_and_form_may_not_both_give_an_option),
        cmocka_unit_test(limits_are_read_from_the_header),
        cmocka_unit_test(picture_is_drawn_when_accepted_more_than_json),
        cmocka_unit_test(path_is_what_stands_between_host_and_query),
        cmocka_unit_test(request_ids_are_of_their_characters),
        cmocka_unit_test(cost_grows_with_what_is_asked_up_to_a_share_of_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
