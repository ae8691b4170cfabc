/* Routes and handlers without a socket: a request goes in, a reply or a job comes out; workers run on the fake engine.
 */
#include "srv_fake_engine.h"

#include "admission.h"
#include "mailbox.h"
#include "routes.h"
#include "work.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <poll.h>

static struct srv_options options;
static struct srv_server server;
static uint8_t *jpeg; /* 20 x 10 */
static size_t jpeg_size;

static void put_in_mailbox(void *arg, struct srv_job *job)
{
    srv_mailbox_put(arg, job);
}

static int set_up(void **state)
{
    (void)state;
    struct heed_error error;
    assert_true(srv_options_init(&options));
    options.queue_slots = 2;
    fake_detect_ms = 0;
    fake_detect_status = HEED_OK;
    server =
        (struct srv_server){ .options = &options, .thread_count = 2, .budget = { .flight = 64 << 20, .workers = 2 } };
    assert_int_equal(srv_models_load(&server.models, &options, 2, &error), HEED_OK);
    assert_true(srv_mailbox_init(&server.mailbox));
    server.queue = srv_queue_create(options.queue_slots);
    const struct srv_workers_plan plan = { .threads = 2,
                                           .workers = 2,
                                           .context_bytes = 1 << 20,
                                           .options = &options,
                                           .queue = server.queue,
                                           .done = put_in_mailbox,
                                           .done_arg = &server.mailbox };
    assert_int_equal(srv_workers_create(&plan, &server.workers, &error), HEED_OK);
    server.state = SRV_STATE_READY;
    server.loaded = true;
    uint8_t pixels[20 * 10 * 3] = { 0 };
    const struct heed_image image = { .rgb = pixels, .width = 20, .height = 10 };
    assert_int_equal(heed_image_encode_jpeg(&image, 90, NULL, &jpeg, &jpeg_size, &error), HEED_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    srv_queue_close(server.queue);
    srv_workers_free(server.workers);
    for (struct srv_job *job; (job = srv_queue_try_pop(server.queue));)
        srv_job_free(job);
    srv_queue_free(server.queue);
    srv_mailbox_deinit(&server.mailbox);
    srv_keys_deinit(&server.keys);
    srv_budget_deinit(&server.budget);
    srv_models_deinit(&server.models);
    srv_options_deinit(&options);
    free(jpeg);
    return 0;
}

static void start_workers(void)
{
    struct heed_error error;
    uint64_t fastest_ns;
    assert_int_equal(srv_workers_self_test(server.workers, &server.models, &fastest_ns, &error), HEED_OK);
    assert_true(fastest_ns > 0 && fastest_ns < UINT64_MAX);
    assert_int_equal(srv_workers_start(server.workers, &error), HEED_OK);
}

/* What a route answers at once; a job, if there is one, is left to the caller. */
static struct srv_reply ask(struct srv_request *request, struct srv_job **job)
{
    struct srv_problem problem;
    struct srv_reply reply = { 0 };
    const struct srv_route *const route = srv_route_find(request->method, request->path, &problem);
    *job = NULL;
    if (route)
        route->handle(&server, request, &reply, job);
    else
        srv_reply_problem(&reply, &problem);
    return reply;
}

static struct srv_request photo_request(void)
{
    return (struct srv_request){ .method = "POST", .path = "/v1/detect", .body = jpeg, .body_size = jpeg_size };
}

/* The next finished job. */
static struct srv_job *wait_for_mail(void)
{
    struct pollfd wait = { .fd = server.mailbox.fd, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, 10000), 1);
    struct srv_job *const job = srv_mailbox_take(&server.mailbox);
    assert_non_null(job);
    assert_null(job->next);
    return job;
}

static void answers(const char *method, const char *path, unsigned status, const char *has)
{
    struct srv_request request = { .method = method, .path = path };
    struct srv_job *job;
    struct srv_reply reply = ask(&request, &job);
    assert_null(job);
    assert_int_equal(reply.status, status);
    assert_non_null(strstr(reply.body, has));
    srv_reply_deinit(&reply);
}

static void every_route_answers(void **state)
{
    (void)state;
    answers("GET", "/", 200, "/v1/detect");
    answers("GET", "/health/live", 200, "live");
    answers("HEAD", "/health/live", 200, "live");
    answers("GET", "/health/ready", 200, "ready");
    answers("GET", "/metrics", 200, "heed_queue_limit 2\n");
    answers("GET", "/v1/models", 200, "\"first\"");
    answers("GET", "/v1/models/first", 200, "{\"category_id\":17,\"name\":\"cat\"}");
    answers("GET", "/v1/models/second", 404, "second");
    answers("GET", "/v1/models/", 404, "/v1/models/");
    answers("GET", "/v1/models/first/x", 404, "no_route");
    answers("GET", "/nothing", 404, "/nothing");
    answers("GET", "/v1/detect/", 404, "no_route");
}

static void wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    struct srv_problem problem = { 0 };
    assert_null(srv_route_find("GET", "/v1/detect", &problem));
    assert_int_equal(problem.reason, SRV_METHOD);
    assert_string_equal(problem.allow, "POST");
    assert_null(srv_route_find("DELETE", "/v1/models/first", &problem));
    assert_string_equal(problem.allow, "GET, HEAD");
}

static void photo_becomes_a_job_and_the_job_a_reply(void **state)
{
    (void)state;
    start_workers();
    struct srv_request request = photo_request();
    request.owner = &request;
    struct srv_job *job;
    struct srv_reply reply = ask(&request, &job);
    assert_non_null(job);
    assert_int_equal(reply.status, 0);
    assert_true(request.reserved > 0);
    assert_true(server.budget.reserved > request.reserved);
    job = wait_for_mail();
    assert_ptr_equal(job->owner, &request);
    assert_int_equal(job->reply.status, 200);
    assert_true(job->inferred);
    assert_true(job->timing.total_ns >= job->timing.queue_ns);
    static const char wanted[] =
        "{\"model\":\"first\",\"image\":{\"width\":20,\"height\":10},\"detections\":[{\"label\":\"cat\","
        "\"category_id\":17,\"score\":0.875,\"box\":[0,0,10,10]";
    assert_memory_equal(job->reply.body, wanted, sizeof wanted - 1);
    srv_job_free(job);
}

static void picture_is_drawn_on_request(void **state)
{
    (void)state;
    start_workers();
    struct srv_request request = photo_request();
    request.accept = "image/png";
    struct srv_job *job;
    ask(&request, &job);
    job = wait_for_mail();
    assert_string_equal(job->reply.content_type, "image/png");
    assert_memory_equal(job->reply.body, "\x89PNG", 4);
    srv_job_free(job);
}

static void engine_failures_reach_the_client_as_they_are(void **state)
{
    (void)state;
    start_workers();
    fake_detect_status = HEED_BAD_IMAGE;
    struct srv_request request = photo_request();
    struct srv_job *job;
    ask(&request, &job);
    job = wait_for_mail();
    assert_int_equal(job->reply.status, 422);
    assert_non_null(strstr(job->reply.body, "as told"));
    assert_false(job->inferred);
    srv_job_free(job);
}

static void engine_without_memory_is_503_with_retry_after(void **state)
{
    (void)state;
    start_workers();
    fake_detect_status = HEED_NO_MEMORY;
    struct srv_request request = photo_request();
    struct srv_job *job;
    ask(&request, &job);
    job = wait_for_mail();
    assert_int_equal(job->reply.status, 503);
    assert_int_equal(job->reply.retry_after_s, 1);
    srv_job_free(job);
}

static void cancelled_job_stops_between_layers(void **state)
{
    (void)state;
    start_workers();
    fake_detect_ms = 10000;
    struct srv_request request = photo_request();
    struct srv_job *job;
    ask(&request, &job);
    job->cancel = true;
    job = wait_for_mail();
    assert_int_equal(job->reply.reason, SRV_CLIENT_LEFT);
    srv_job_free(job);
}

static void deadline_ends_a_running_job(void **state)
{
    (void)state;
    start_workers();
    fake_detect_ms = 10000;
    struct srv_request request = photo_request();
    srv_pairs_add(&request.query, "timeout_ms", 10, "20", 2);
    struct srv_job *job;
    ask(&request, &job);
    job = wait_for_mail();
    assert_int_equal(job->reply.status, 504);
    assert_non_null(strstr(job->reply.body, "20 ms"));
    srv_job_free(job);
}

static void expired_job_is_not_run(void **state)
{
    (void)state;
    struct srv_job *job = calloc(1, sizeof *job);
    job->detect.timeout_ms = 5;
    job->created_ns = 1;
    job->deadline_ns = 2;
    srv_work(job, NULL, &options); /* without a context: it cannot run */
    assert_int_equal(job->reply.status, 504);
    assert_int_equal(job->service_ns, 0);
    srv_job_free(job);
}

static void full_queue_is_429_with_retry_after(void **state)
{
    (void)state;
    server.service_s = 3; /* no worker runs: what is pushed stays */
    struct srv_request requests[3];
    struct srv_job *job;
    for (int i = 0; i < 2; i++) {
        requests[i] = photo_request();
        ask(&requests[i], &job);
        assert_non_null(job);
    }
    const size_t reserved = server.budget.reserved;
    requests[2] = photo_request();
    struct srv_reply reply = ask(&requests[2], &job);
    assert_null(job);
    assert_int_equal(reply.status, 429);
    assert_int_equal(reply.retry_after_s, 3); /* two ahead, two workers, three seconds each */
    assert_int_equal(server.budget.reserved, reserved);
    srv_reply_deinit(&reply);
}

static void deadline_that_cannot_be_met_is_429_at_once(void **state)
{
    (void)state;
    server.service_s_min = 30;
    struct srv_request first = photo_request(), second = photo_request();
    struct srv_job *job;
    ask(&first, &job);
    assert_non_null(job);
    struct srv_reply reply = ask(&second, &job); /* one ahead: 15 s of work, 10 s of time */
    assert_null(job);
    assert_int_equal(reply.status, 429);
    assert_int_equal(reply.reason, SRV_TOO_BUSY);
    srv_reply_deinit(&reply);
}

static void one_slow_photo_does_not_turn_others_away(void **state)
{
    (void)state;
    server.service_s_min = 0.01;
    struct srv_job slow = { .inferred = true, .service_ns = UINT64_C(60000000000) };
    srv_note_service(&server, &slow);
    assert_true(server.service_s == 60);
    assert_true(server.service_s_min < 0.02);
    struct srv_request first = photo_request(), second = photo_request();
    struct srv_job *job;
    ask(&first, &job);
    ask(&second, &job);
    assert_non_null(job);
    for (int i = 0; i < 300; i++)
        srv_note_service(&server, &slow);
    assert_true(server.service_s_min == 60);
    slow.service_ns = 1000000;
    srv_note_service(&server, &slow);
    assert_true(server.service_s_min == 0.001);
}

static void memory_is_refused_for_now_or_for_ever(void **state)
{
    (void)state;
    struct srv_request request = photo_request();
    struct srv_job *job;
    server.budget.reserved = server.budget.flight - 1000;
    struct srv_reply reply = ask(&request, &job);
    assert_int_equal(reply.status, 503);
    assert_true(reply.retry_after_s >= 1);
    srv_reply_deinit(&reply);
    server.budget.flight = 500;
    server.budget.reserved = 0;
    request.accept = "image/png"; /* of 20 * 10 * 3 bytes */
    reply = ask(&request, &job);
    assert_int_equal(reply.status, 413);
    assert_int_equal(reply.reason, SRV_TOO_MUCH_MEMORY);
    srv_reply_deinit(&reply);
}

static void body_is_refused_before_it_comes(void **state)
{
    (void)state;
    struct srv_request request = photo_request();
    struct srv_problem problem;
    const struct srv_framing large = { .has_length = true, .length = options.body_bytes_max + 1 };
    assert_false(srv_admit_body(&server, &request, &large, &problem));
    assert_int_equal(problem.reason, SRV_BODY_TOO_LARGE);
    const struct srv_framing huge = { .has_length = true, .length = UINT64_MAX };
    assert_false(srv_admit_body(&server, &request, &huge, &problem));
    const struct srv_framing fits = { .has_length = true, .length = 1000 };
    assert_true(srv_admit_body(&server, &request, &fits, &problem));
    assert_int_equal(server.budget.reserved, 0); /* what is only announced takes nothing */
    server.budget.reserved = server.budget.flight - 999;
    assert_false(srv_admit_body(&server, &request, &fits, &problem));
    assert_int_equal(problem.reason, SRV_NO_MEMORY);
    server.budget.reserved = 0;
}

static void reply_that_no_room_was_reserved_for_is_refused_where_there_is_none(void **state)
{
    (void)state;
    struct srv_request request = photo_request();
    struct srv_problem problem;
    server.budget.reserved = server.budget.flight - 1000;
    assert_true(srv_charge_reply(&server, &request, 1000, &problem));
    assert_int_equal(request.reserved, 1000);
    assert_true(srv_charge_reply(&server, &request, 400, &problem));
    assert_int_equal(server.budget.reserved, server.budget.flight - 600);
    assert_false(srv_charge_reply(&server, &request, 1001, &problem));
    assert_int_equal(problem.reason, SRV_NO_MEMORY);
    assert_int_equal(request.reserved, 0);
    server.budget.reserved = 0;
}

static void nothing_new_is_taken_while_loading_or_draining(void **state)
{
    (void)state;
    struct srv_request request = photo_request();
    struct srv_job *job;
    for (int i = SRV_STATE_LOADING; i <= SRV_STATE_DRAINING; i++) {
        if (i == SRV_STATE_READY)
            continue;
        server.state = i;
        server.loaded = i != SRV_STATE_LOADING;
        struct srv_reply reply = ask(&request, &job);
        assert_null(job);
        assert_int_equal(reply.status, 503);
        assert_true(reply.retry_after_s >= 1);
        srv_reply_deinit(&reply);
        answers("GET", "/health/ready", 503, "error");
        answers("GET", "/health/live", 200, "live");
        answers("GET", "/v1/models", i == SRV_STATE_LOADING ? 503 : 200, "");
        answers("GET", "/metrics", 200, "heed_ready 0");
    }
}

static void keys_are_asked_for_where_they_are_configured(void **state)
{
    (void)state;
    char error[100];
    free(options.api_keys);
    options.api_keys = strdup("somewhere");
    assert_true(srv_keys_parse(&server.keys, "alpha-12345\nbeta-12345 second\n", error, sizeof error));
    struct srv_request request = photo_request();
    struct srv_job *job;
    struct srv_reply reply = ask(&request, &job);
    assert_int_equal(reply.status, 401);
    srv_reply_deinit(&reply);
    request.api_key = "gamma-12345";
    reply = ask(&request, &job);
    assert_int_equal(reply.status, 401);
    srv_reply_deinit(&reply);
    request.api_key = "beta-12345";
    reply = ask(&request, &job);
    assert_int_equal(reply.status, 403);
    assert_non_null(strstr(reply.body, "first"));
    srv_reply_deinit(&reply);
    request.authorization = "Bearer alpha-12345";
    ask(&request, &job);
    assert_non_null(job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_route_answers),
        TEST(wrong_method_is_told_the_right_ones),
        TEST(photo_becomes_a_job_and_the_job_a_reply),
        TEST(picture_is_drawn_on_request),
        TEST(engine_failures_reach_the_client_as_they_are),
        TEST(engine_without_memory_is_503_with_retry_after),
        TEST(cancelled_job_stops_between_layers),
        TEST(deadline_ends_a_running_job),
        TEST(expired_job_is_not_run),
        TEST(full_queue_is_429_with_retry_after),
        TEST(deadline_that_cannot_be_met_is_429_at_once),
        TEST(one_slow_photo_does_not_turn_others_away),
        TEST(memory_is_refused_for_now_or_for_ever),
        TEST(body_is_refused_before_it_comes),
        TEST(reply_that_no_room_was_reserved_for_is_refused_where_there_is_none),
        TEST(nothing_new_is_taken_while_loading_or_draining),
        TEST(keys_are_asked_for_where_they_are_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
