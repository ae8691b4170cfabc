/* Counting, and the text format: every family has its HELP and TYPE once, before its samples. */
#include "metrics.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

static const double limits_s[SRV_BUCKETS] = { 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                              0.1,    0.25,   0.5,   1,      2.5,   5,    10,    30 };

static const char *const outcome_names[SRV_OUTCOME_COUNT] = { "done", "failed", "cancelled", "expired" };

void srv_metrics_time(struct srv_metrics *metrics, enum srv_phase phase, uint64_t ns)
{
    assert(phase < SRV_PHASE_COUNT);
    struct srv_histogram *const histogram = &metrics->phases[phase];
    size_t bucket = 0;
    while (bucket < SRV_BUCKETS && (double)ns > limits_s[bucket] * 1e9)
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum_ns += ns;
}

void srv_metrics_job(struct srv_metrics *metrics, const struct srv_job *job, enum srv_outcome outcome)
{
    assert(outcome < SRV_OUTCOME_COUNT);
    metrics->jobs[outcome]++;
    if (!job->inferred)
        return;
    srv_metrics_time(metrics, SRV_PHASE_QUEUE, job->timing.queue_ns);
    srv_metrics_time(metrics, SRV_PHASE_DECODE, job->timing.decode_ns);
    srv_metrics_time(metrics, SRV_PHASE_INFER, job->timing.infer_ns);
    srv_metrics_time(metrics, SRV_PHASE_MASKS, job->timing.masks_ns);
    srv_metrics_time(metrics, SRV_PHASE_TOTAL, job->timing.total_ns);
}

void srv_metrics_request(struct srv_metrics *metrics, size_t route, unsigned status)
{
    assert(route < SRV_METRICS_ROUTES);
    assert(status < SRV_METRICS_STATUSES);
    metrics->requests[route][status]++;
}

static void family(struct srv_text *text, const char *name, const char *type, const char *help)
{
    srv_text_print(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct srv_text *text, const char *name, const char *help, double value)
{
    family(text, name, "gauge", help);
    srv_text_print(text, "%s %.15g\n", name, value);
}

static void print_histogram(struct srv_text *text, const char *label, const char *help,
                            const struct srv_histogram *histogram)
{
    char name[64];
    snprintf(name, sizeof name, "heed_%s_seconds", label);
    family(text, name, "histogram", help);
    uint64_t count = 0;
    for (size_t i = 0; i < SRV_BUCKETS; i++) {
        count += histogram->counts[i];
        srv_text_print(text, "%s_bucket{le=\"%g\"} %llu\n", name, limits_s[i], (unsigned long long)count);
    }
    count += histogram->counts[SRV_BUCKETS];
    srv_text_print(text, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9f\n%s_count %llu\n", name, (unsigned long long)count,
                   name, (double)histogram->sum_ns / 1e9, name, (unsigned long long)count);
}

static void print_requests(const struct srv_metrics *metrics, const char *const *route_names, size_t route_count,
                           struct srv_text *text)
{
    family(text, "heed_requests_total", "counter", "requests answered, by route and status");
    for (size_t route = 0; route < route_count; route++)
        for (unsigned status = 0; status < SRV_METRICS_STATUSES; status++)
            if (metrics->requests[route][status])
                srv_text_print(text, "heed_requests_total{route=\"%s\",status=\"%u\"} %llu\n", route_names[route],
                               status, (unsigned long long)metrics->requests[route][status]);
}

static void print_counters(const struct srv_metrics *metrics, struct srv_text *text)
{
    family(text, "heed_refused_total", "counter", "requests refused, by reason");
    for (unsigned i = 0; i < SRV_REFUSAL_COUNT; i++)
        srv_text_print(text, "heed_refused_total{reason=\"%s\"} %llu\n", srv_refusal_label(i),
                       (unsigned long long)metrics->refused[i]);
    family(text, "heed_jobs_total", "counter", "accepted jobs that ended, by how");
    for (unsigned i = 0; i < SRV_OUTCOME_COUNT; i++)
        srv_text_print(text, "heed_jobs_total{outcome=\"%s\"} %llu\n", outcome_names[i],
                       (unsigned long long)metrics->jobs[i]);
    family(text, "heed_received_bytes_total", "counter", "bytes of request bodies");
    srv_text_print(text, "heed_received_bytes_total %llu\n", (unsigned long long)metrics->received_bytes);
}

static double resident_bytes(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *const file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

void srv_metrics_print(const struct srv_metrics *metrics, const struct srv_gauges *gauges,
                       const char *const *route_names, size_t route_count, struct srv_text *text)
{
#define X(name, label, help) print_histogram(text, label, help, &metrics->phases[SRV_PHASE_##name]);
    SRV_PHASE_LIST(X)
#undef X
    print_requests(metrics, route_names, route_count, text);
    print_counters(metrics, text);
    gauge(text, "heed_queue_depth", "jobs waiting for a worker", (double)gauges->queue_depth);
    gauge(text, "heed_queue_limit", "jobs that may wait", (double)gauges->queue_slots);
    gauge(text, "heed_jobs_running", "jobs workers are at", (double)gauges->jobs_running);
    gauge(text, "heed_workers", "jobs that can be worked on at a time", (double)gauges->workers);
    gauge(text, "heed_service_seconds", "moving average of a job's time on a worker", gauges->service_seconds);
    gauge(text, "heed_connections", "open connections", (double)gauges->connections);
    gauge(text, "heed_in_flight_bytes", "memory held by requests in flight", (double)gauges->in_flight_bytes);
    gauge(text, "heed_in_flight_limit_bytes", "memory requests in flight may hold",
          (double)gauges->in_flight_limit_bytes);
    gauge(text, "heed_memory_budget_bytes", "memory the process allows itself: models, contexts, connections, requests",
          (double)gauges->fixed_bytes + (double)gauges->in_flight_limit_bytes);
    gauge(text, "heed_ready", "1 when requests are taken", gauges->ready);
    family(text, "heed_build_info", "gauge", "the running build");
    srv_text_print(text, "heed_build_info{version=\"%s\"} 1\n", HEED_VERSION);
    gauge(text, "process_resident_memory_bytes", "resident memory", resident_bytes());
    gauge(text, "process_uptime_seconds", "time since the start", (double)(heed_now_ns() - gauges->started_ns) / 1e9);
}
