/* What happened, for Prometheus. Counters belong to the HTTP loop, which sees every request and every finished job; no
 * other thread touches them. Gauges of the moment are handed in when the text is made. */
#ifndef SRV_METRICS_H
#define SRV_METRICS_H

#include "job.h"
#include "text.h"

/* clang-format off */
#define SRV_PHASE_LIST(X)                                                        \
    X(QUEUE, "queue", "time a job waited for a worker")                         \
    X(DECODE, "decode", "time to decode the photos of a job")                   \
    X(INFER, "infer", "time of the forward passes of a job")                    \
    X(MASKS, "masks", "time to turn mask logits into run lengths")              \
    X(TOTAL, "total", "time from the end of the body to the finished reply")
/* clang-format on */

enum srv_phase {
#define X(name, label, help) SRV_PHASE_##name,
    SRV_PHASE_LIST(X)
#undef X
        SRV_PHASE_COUNT
};

/* Upper limits of the buckets in seconds; one more bucket has none. */
#define SRV_BUCKETS 16

struct srv_histogram {
    uint64_t counts[SRV_BUCKETS + 1];
    uint64_t sum_ns;
};

enum srv_outcome {
    SRV_OUTCOME_DONE,
    SRV_OUTCOME_FAILED,
    SRV_OUTCOME_CANCELLED,
    SRV_OUTCOME_EXPIRED,
    SRV_OUTCOME_COUNT
};

#define SRV_METRICS_ROUTES 16
#define SRV_METRICS_STATUSES 600

struct srv_metrics {
    struct srv_histogram phases[SRV_PHASE_COUNT];
    uint64_t jobs[SRV_OUTCOME_COUNT];
    uint64_t refused[SRV_REFUSAL_COUNT];
    uint64_t requests[SRV_METRICS_ROUTES][SRV_METRICS_STATUSES]; /* by route's index and status */
    uint64_t received_bytes;
};

struct srv_gauges {
    size_t queue_depth, queue_slots, jobs_running, workers;
    size_t in_flight_bytes, in_flight_limit_bytes, fixed_bytes, connections;
    double service_seconds; /* moving average of a job on a worker */
    bool ready;
    uint64_t started_ns;
};

void srv_metrics_time(struct srv_metrics *metrics, enum srv_phase phase, uint64_t ns);
void srv_metrics_job(struct srv_metrics *metrics, const struct srv_job *job, enum srv_outcome outcome);
void srv_metrics_request(struct srv_metrics *metrics, size_t route, unsigned status);

/* route_names: path patterns by index. */
void srv_metrics_print(const struct srv_metrics *metrics, const struct srv_gauges *gauges,
                       const char *const *route_names, size_t route_count, struct srv_text *text);

#endif
