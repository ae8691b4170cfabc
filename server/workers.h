/* The worker threads: as many as cores. Each takes a job of its own when the queue has one; while it has none, it lends
 * itself to the crew and helps whichever job is running, and leaves after a tile when a job arrives. So one photo alone
 * uses every core, and under load each core works for itself. Where the memory is not enough for as many contexts, the
 * threads without one only help. */
#ifndef SRV_WORKERS_H
#define SRV_WORKERS_H

#include "queue.h"

struct srv_workers;

/* Called by a worker with a job it has finished with; the callee holds it then. */
typedef void srv_done_fn(void *arg, struct srv_job *job);

struct srv_workers_plan {
    unsigned threads;
    unsigned workers;     /* 1 to threads: those with a context, which take jobs */
    size_t context_bytes; /* of each worker */
    const struct srv_options *options;
    struct srv_queue *queue;
    srv_done_fn *done;
    void *done_arg;
};

/* Makes the crew and the contexts; no thread runs yet. The plan is copied. */
HEED_CHECKED enum heed_status srv_workers_create(const struct srv_workers_plan *plan, struct srv_workers **workers,
                                                 struct heed_error *error);
/* Before start only: every model's self-test, on the first worker's context; and the time of the fastest. */
HEED_CHECKED enum heed_status srv_workers_self_test(struct srv_workers *workers, const struct srv_models *models,
                                                    uint64_t *fastest_ns, struct heed_error *error);
HEED_CHECKED enum heed_status srv_workers_start(struct srv_workers *workers, struct heed_error *error);

/* After pushing a job or closing the queue. Any thread. */
void srv_workers_wake(struct srv_workers *workers);
size_t srv_workers_running(const struct srv_workers *workers); /* jobs being worked on */

/* Waits for the threads: the queue must be closed, and what is left in it is served first. NULL is fine. */
void srv_workers_free(struct srv_workers *workers);

#endif
