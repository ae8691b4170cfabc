/* Reading requests, working on jobs and writing replies survive every allocation that fails. */
#include "srv_fake_engine.h"

#include "body_json.h"
#include "keys.h"
#include "metrics.h"
#include "reply_json.h"
#include "work.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <nettle/base64.h>

#include "failing_malloc.h"

static struct srv_options options;
static struct srv_models models;
static struct heed_context *context;
static uint8_t *jpeg; /* 20 x 10 */
static size_t jpeg_size;
static char *json_body, *escaped_body, *form_body;
static size_t form_size;

static int set_up(void **state)
{
    (void)state;
    struct heed_error error;
    assert_true(srv_options_init(&options));
    assert_int_equal(srv_models_load(&models, &options, 1, &error), HEED_OK);
    assert_int_equal(heed_context_create(NULL, 0, &context, &error), HEED_OK);
    uint8_t pixels[20 * 10 * 3] = { 0 };
    const struct heed_image image = { .rgb = pixels, .width = 20, .height = 10 };
    assert_int_equal(heed_image_encode_jpeg(&image, 90, NULL, &jpeg, &jpeg_size, &error), HEED_OK);
    char *const base64 = calloc(1, BASE64_ENCODE_RAW_LENGTH(jpeg_size) + 1);
    base64_encode_raw(base64, jpeg_size, jpeg);
    assert_true(asprintf(&json_body, "{\"classes\":[\"cat\"],\"image\":\"%s\",\"score\":0.1}", base64) > 0);
    assert_true(asprintf(&escaped_body, "{\"classes\":[\"cat\"],\"\\u0069mage\":\"%s\",\"score\":0.1}", base64) > 0);
    free(base64);
    static const char head[] = "--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n", tail[] = "\r\n--b--";
    form_size = sizeof head - 1 + jpeg_size + sizeof tail - 1;
    form_body = malloc(form_size);
    memcpy(form_body, head, sizeof head - 1);
    memcpy(form_body + sizeof head - 1, jpeg, jpeg_size);
    memcpy(form_body + sizeof head - 1 + jpeg_size, tail, sizeof tail - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(form_body);
    free(escaped_body);
    free(json_body);
    free(jpeg);
    heed_context_free(context);
    srv_models_deinit(&models);
    srv_options_deinit(&options);
    return 0;
}

static enum heed_status no_memory(struct heed_error *error, const char *text)
{
    error->status = HEED_NO_MEMORY;
    snprintf(error->text, sizeof error->text, "%.300s", text);
    return HEED_NO_MEMORY;
}

/* A request from its bytes to the reply of its job. */
static enum heed_status serve(const char *content_type, const void *body, size_t size, const char *accept,
                              const char *masks, struct heed_error *error)
{
    struct srv_request request = { .content_type = content_type, .body = body, .body_size = size, .accept = accept };
    srv_pairs_add(&request.query, "masks", 5, masks, strlen(masks));
    struct srv_job *const job = calloc(1, sizeof *job);
    struct srv_problem problem;
    if (!job)
        return no_memory(error, "no job");
    if (!srv_detect_read(&job->detect, &request, &models, &options, &problem)) {
        srv_reply_problem(&job->reply, &problem);
    } else {
        job->deadline_ns = UINT64_MAX;
        srv_work(job, context, &options);
    }
    const unsigned status = job->reply.status;
    srv_job_free(job);
    free(context->image.rgb); /* each round leaves nothing behind */
    context->image.rgb = NULL;
    return status == 200 ? HEED_OK : no_memory(error, "refused");
}

static enum heed_status serve_photo(struct heed_error *error)
{
    return serve(NULL, jpeg, jpeg_size, NULL, "rle", error);
}

static enum heed_status serve_form(struct heed_error *error)
{
    return serve("multipart/form-data; boundary=b", form_body, form_size, NULL, "polygon", error);
}

static enum heed_status serve_json(struct heed_error *error)
{
    return serve("application/json", json_body, strlen(json_body), NULL, "png", error);
}

static enum heed_status serve_escaped_json(struct heed_error *error)
{
    return serve("application/json", escaped_body, strlen(escaped_body), NULL, "none", error);
}

static enum heed_status serve_picture(struct heed_error *error)
{
    return serve(NULL, jpeg, jpeg_size, "image/jpeg", "rle", error);
}

static enum heed_status print_metrics(struct heed_error *error)
{
    static const struct srv_metrics metrics;
    static const char *const names[] = { "other" };
    const struct srv_gauges gauges = { .ready = true };
    struct srv_text text = { 0 };
    srv_metrics_print(&metrics, &gauges, names, 1, &text);
    char *const taken = srv_text_take(&text, NULL);
    free(taken);
    return taken ? HEED_OK : no_memory(error, "no text");
}

static enum heed_status read_keys(struct heed_error *error)
{
    struct srv_keys keys;
    const bool ok = srv_keys_parse(&keys, "alpha-1234 a b\nbeta-1234\n", error->text, sizeof error->text);
    srv_keys_deinit(&keys);
    return ok ? HEED_OK : (error->status = HEED_NO_MEMORY);
}

static enum heed_status read_configuration(struct heed_error *error)
{
    static const char json[] = "{\"models\":[\"a.json\",\"b.json\"],\"address\":\"::\",\"port\":1}";
    struct srv_options read;
    struct srv_options_error wrong = { "no memory for the defaults" };
    const bool ok = srv_options_init(&read) && srv_options_parse_file(&read, json, sizeof json - 1, "/etc", &wrong);
    srv_options_deinit(&read);
    return ok ? HEED_OK : no_memory(error, wrong.text);
}

#define SURVIVES(work)                                                                                                 \
    static void work##_survives(void **state)                                                                          \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        survives_every_failure(work);                                                                                  \
    }
SURVIVES(serve_photo)
SURVIVES(serve_form)
SURVIVES(serve_json)
SURVIVES(serve_escaped_json)
SURVIVES(serve_picture)
SURVIVES(print_metrics)
SURVIVES(read_keys)
SURVIVES(read_configuration)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serve_photo_survives),   cmocka_unit_test(serve_form_survives),
        cmocka_unit_test(serve_json_survives),    cmocka_unit_test(serve_escaped_json_survives),
        cmocka_unit_test(serve_picture_survives), cmocka_unit_test(print_metrics_survives),
        cmocka_unit_test(read_keys_survives),     cmocka_unit_test(read_configuration_survives),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
