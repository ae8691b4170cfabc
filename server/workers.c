/* Threads, contexts, the crew. */
#include "workers.h"
#include "work.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct worker {
    struct srv_workers *all;
    struct heed_context *context; /* NULL: only helps */
    pthread_t thread;
};

struct srv_workers {
    struct srv_workers_plan plan;
    struct heed_crew *crew;
    struct worker *items; /* plan.threads */
    unsigned started;
    atomic_size_t running;
};

enum heed_status srv_workers_create(const struct srv_workers_plan *plan, struct srv_workers **out,
                                    struct heed_error *error)
{
    struct srv_workers *const workers = calloc(1, sizeof *workers);
    if (workers)
        workers->items = calloc(plan->threads, sizeof *workers->items);
    if (!workers || !workers->items) {
        free(workers);
        error->status = HEED_NO_MEMORY;
        snprintf(error->text, sizeof error->text, "there is no memory for %u threads", plan->threads);
        return HEED_NO_MEMORY;
    }
    workers->plan = *plan;
    for (unsigned i = 0; i < plan->threads; i++)
        workers->items[i].all = workers;
    enum heed_status status = heed_crew_create(0, plan->threads, &workers->crew, error);
    for (unsigned i = 0; i < plan->workers && status == HEED_OK; i++)
        status = heed_context_create(workers->crew, plan->context_bytes, &workers->items[i].context, error);
    if (status != HEED_OK) {
        srv_workers_free(workers);
        return status;
    }
    *out = workers;
    return HEED_OK;
}

enum heed_status srv_workers_self_test(struct srv_workers *workers, const struct srv_models *models,
                                       uint64_t *fastest_ns, struct heed_error *error)
{
    assert(workers->started == 0);
    *fastest_ns = UINT64_MAX;
    for (size_t i = 0; i < models->count; i++) {
        const uint64_t began_ns = heed_now_ns();
        const enum heed_status status = srv_work_self_test(&models->items[i], workers->items[0].context, error);
        if (status != HEED_OK)
            return status;
        const uint64_t took_ns = heed_now_ns() - began_ns;
        *fastest_ns = took_ns < *fastest_ns ? took_ns : *fastest_ns;
    }
    return HEED_OK;
}

static bool has_own_work(void *arg)
{
    const struct worker *const worker = arg;
    const struct srv_queue *const queue = worker->all->plan.queue;
    return (worker->context && srv_queue_count(queue) > 0) || srv_queue_closed(queue);
}

static void *work_until_closed(void *arg)
{
    struct worker *const worker = arg;
    struct srv_workers *const all = worker->all;
    for (;;) {
        /* Asked first: a queue that was closed before it was found empty stays empty. */
        const bool closed = srv_queue_closed(all->plan.queue);
        struct srv_job *const job = worker->context ? srv_queue_try_pop(all->plan.queue) : NULL;
        if (job) {
            all->running++;
            srv_work(job, worker->context, all->plan.options);
            all->running--;
            all->plan.done(all->plan.done_arg, job);
        } else if (closed) {
            return NULL;
        } else {
            heed_crew_help(all->crew, has_own_work, worker);
        }
    }
}

enum heed_status srv_workers_start(struct srv_workers *workers, struct heed_error *error)
{
    for (unsigned i = 0; i < workers->plan.threads; i++) {
        if (pthread_create(&workers->items[i].thread, NULL, work_until_closed, &workers->items[i]) != 0) {
            error->status = HEED_NO_MEMORY;
            snprintf(error->text, sizeof error->text, "worker thread %u of %u cannot be started", i + 1,
                     workers->plan.threads);
            return HEED_NO_MEMORY;
        }
        workers->started++;
    }
    return HEED_OK;
}

void srv_workers_wake(struct srv_workers *workers)
{
    heed_crew_wake(workers->crew);
}

size_t srv_workers_running(const struct srv_workers *workers)
{
    return workers->running;
}

void srv_workers_free(struct srv_workers *workers)
{
    if (!workers)
        return;
    assert(workers->started == 0 || srv_queue_closed(workers->plan.queue));
    if (workers->started)
        heed_crew_wake(workers->crew);
    for (unsigned i = 0; i < workers->started; i++)
        pthread_join(workers->items[i].thread, NULL);
    for (unsigned i = 0; i < workers->plan.workers; i++)
        heed_context_free(workers->items[i].context);
    heed_crew_free(workers->crew);
    free(workers->items);
    free(workers);
}
