/* Prometheus text: cumulative buckets, every family declared once, counters that say what happened. */
#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const routes[] = { "other", "/v1/detect" };

static char *print(const struct srv_metrics *metrics)
{
    const struct srv_gauges gauges = { .queue_depth = 3,
                                       .queue_slots = 64,
                                       .in_flight_bytes = 5,
                                       .in_flight_limit_bytes = 100,
                                       .fixed_bytes = 1000,
                                       .ready = true };
    struct srv_text text = { 0 };
    srv_metrics_print(metrics, &gauges, routes, 2, &text);
    return srv_text_take(&text, NULL);
}

static void has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no \"%s\" in\n%s", line, text);
}

static void times_fall_into_the_bucket_they_fit(void **state)
{
    (void)state;
    struct srv_metrics *const metrics = calloc(1, sizeof *metrics);
    srv_metrics_time(metrics, SRV_PHASE_INFER, 10000000); /* 10 ms, the limit itself */
    srv_metrics_time(metrics, SRV_PHASE_INFER, 10000001);
    srv_metrics_time(metrics, SRV_PHASE_INFER, UINT64_C(100000000000)); /* beyond all */
    srv_metrics_time(metrics, SRV_PHASE_INFER, 0);
    char *const text = print(metrics);
    has(text, "heed_infer_seconds_bucket{le=\"0.0001\"} 1\n");
    has(text, "heed_infer_seconds_bucket{le=\"0.01\"} 2\n");
    has(text, "heed_infer_seconds_bucket{le=\"0.025\"} 3\n");
    has(text, "heed_infer_seconds_bucket{le=\"30\"} 3\n");
    has(text, "heed_infer_seconds_bucket{le=\"+Inf\"} 4\n");
    has(text, "heed_infer_seconds_count 4\n");
    has(text, "heed_infer_seconds_sum 100.020000001\n");
    free(text);
    free(metrics);
}

static void jobs_and_requests_are_counted_by_what_became_of_them(void **state)
{
    (void)state;
    struct srv_metrics *const metrics = calloc(1, sizeof *metrics);
    struct srv_job job = { .inferred = true, .timing = { .queue_ns = 1, .total_ns = 2 } };
    srv_metrics_job(metrics, &job, SRV_OUTCOME_DONE);
    job.inferred = false;
    srv_metrics_job(metrics, &job, SRV_OUTCOME_CANCELLED);
    srv_metrics_request(metrics, 1, 200);
    srv_metrics_request(metrics, 1, 200);
    srv_metrics_request(metrics, 0, 404);
    metrics->refused[SRV_QUEUE_FULL] = 9;
    char *const text = print(metrics);
    has(text, "heed_jobs_total{outcome=\"done\"} 1\n");
    has(text, "heed_jobs_total{outcome=\"cancelled\"} 1\n");
    has(text, "heed_queue_seconds_count 1\n");
    has(text, "heed_requests_total{route=\"/v1/detect\",status=\"200\"} 2\n");
    has(text, "heed_requests_total{route=\"other\",status=\"404\"} 1\n");
    has(text, "heed_refused_total{reason=\"queue_full\"} 9\n");
    has(text, "heed_queue_depth 3\n");
    has(text, "heed_memory_budget_bytes 1100\n");
    free(text);
    free(metrics);
}

static void every_family_is_declared_once(void **state)
{
    (void)state;
    struct srv_metrics *const metrics = calloc(1, sizeof *metrics);
    char *const text = print(metrics);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "# TYPE ", 7) != 0)
            continue;
        char declaration[128];
        snprintf(declaration, sizeof declaration, "# TYPE %.*s ", (int)strcspn(line + 7, " "), line + 7);
        assert_ptr_equal(strstr(text, declaration), line);
    }
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_fall_into_the_bucket_they_fit),
        cmocka_unit_test(jobs_and_requests_are_counted_by_what_became_of_them),
        cmocka_unit_test(every_family_is_declared_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
