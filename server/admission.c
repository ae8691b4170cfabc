/* Little's law in small: a new job waits for what is ahead of it, served by `workers` at a time. Photos differ widely
 * in what they cost, so there are two times for a job: the average, for when to come back; and the least, for saying
 * that a deadline cannot be met, because that should be certain. */
#include "admission.h"

#include <math.h>

static double wait_s(const struct srv_server *server, size_t ahead, double service_s)
{
    const double busy = (double)srv_workers_running(server->workers) / 2; /* on average half done */
    return ((double)ahead + busy) * service_s / (double)server->budget.workers;
}

static unsigned retry_after_s(const struct srv_server *server)
{
    const double seconds = ceil(wait_s(server, srv_queue_count(server->queue), server->service_s));
    return seconds < 1 ? 1 : seconds > 3600 ? 3600 : (unsigned)seconds;
}

static bool refuse_for_now(const struct srv_server *server, struct srv_problem *problem)
{
    problem->retry_after_s = retry_after_s(server);
    return false;
}

bool srv_admit_state(const struct srv_server *server, struct srv_problem *problem)
{
    const enum srv_state state = srv_state(server);
    if (state == SRV_STATE_READY)
        return true;
    if (state == SRV_STATE_LOADING)
        return srv_refuse(problem, SRV_LOADING, "the models are still being loaded");
    return srv_refuse(problem, SRV_DRAINING, "the server is shutting down");
}

bool srv_admit_key(const struct srv_server *server, const struct srv_request *request, const struct srv_key **key,
                   struct srv_problem *problem)
{
    *key = NULL;
    if (!server->options->api_keys[0])
        return true;
    const char *const sent = srv_keys_sent(request->authorization, request->api_key);
    if (!sent)
        return srv_refuse(problem, SRV_NO_KEY,
                          "send an API key as \"Authorization: Bearer KEY\" or \"X-API-Key: KEY\"");
    *key = srv_keys_find(&server->keys, sent);
    return *key || srv_refuse(problem, SRV_NO_KEY, "the API key is not known");
}

static bool refuse_full(const struct srv_server *server, struct srv_problem *problem)
{
    srv_refuse(problem, SRV_QUEUE_FULL, "all %zu places in the queue are taken", srv_queue_slots(server->queue));
    return refuse_for_now(server, problem);
}

static bool refuse_memory_for_ever(const struct srv_server *server, struct srv_problem *problem)
{
    return srv_refuse(problem, SRV_TOO_MUCH_MEMORY,
                      "the request needs more memory than the %zu MiB all requests together may hold",
                      server->budget.flight >> 20);
}

static bool refuse_memory_for_now(const struct srv_server *server, struct srv_problem *problem)
{
    srv_refuse(problem, SRV_NO_MEMORY, "the %zu MiB of memory for requests are in use", server->budget.flight >> 20);
    return refuse_for_now(server, problem);
}

bool srv_admit_bytes(struct srv_server *server, struct srv_request *request, size_t bytes, struct srv_problem *problem)
{
    size_t together;
    if (__builtin_add_overflow(request->reserved, bytes, &together) || !srv_budget_could(&server->budget, together))
        return refuse_memory_for_ever(server, problem);
    if (!srv_budget_reserve(&server->budget, bytes))
        return refuse_memory_for_now(server, problem);
    request->reserved += bytes;
    return true;
}

bool srv_admit_work(struct srv_server *server, const struct srv_request *request, size_t bytes,
                    struct srv_problem *problem)
{
    size_t together;
    if (__builtin_add_overflow(request->reserved, bytes, &together) || !srv_budget_could(&server->budget, together))
        return refuse_memory_for_ever(server, problem);
    return srv_budget_start_job(&server->budget, bytes) || refuse_memory_for_now(server, problem);
}

void srv_end_work(struct srv_server *server, size_t bytes)
{
    srv_budget_end_job(&server->budget, bytes);
}

void srv_release_bytes(struct srv_server *server, struct srv_request *request, size_t bytes)
{
    srv_budget_release(&server->budget, bytes);
    request->reserved -= bytes;
}

bool srv_charge_reply(struct srv_server *server, struct srv_request *request, size_t bytes, struct srv_problem *problem)
{
    srv_release_bytes(server, request, request->reserved);
    return srv_admit_bytes(server, request, bytes, problem);
}

bool srv_admit_body(struct srv_server *server, struct srv_request *request, const struct srv_framing *framing,
                    struct srv_problem *problem)
{
    const uint64_t max = server->options->body_bytes_max;
    if (framing->length > max)
        return srv_refuse(problem, SRV_BODY_TOO_LARGE, "the body has %llu bytes, the limit is %llu",
                          (unsigned long long)framing->length, (unsigned long long)max);
    if (srv_queue_count(server->queue) >= srv_queue_slots(server->queue))
        return refuse_full(server, problem);
    if (!srv_admit_bytes(server, request, (size_t)framing->length, problem))
        return false;
    srv_release_bytes(server, request, (size_t)framing->length); /* it fits now; it is taken as it comes */
    return true;
}

bool srv_admit_job(struct srv_server *server, const struct srv_job *job, struct srv_problem *problem)
{
    if (srv_queue_count(server->queue) >= srv_queue_slots(server->queue))
        return refuse_full(server, problem);
    const size_t ahead = srv_queue_ahead(server->queue, job->detect.priority);
    const double wait = wait_s(server, ahead, server->service_s_min);
    if (ahead == 0 || wait * 1000 < (double)job->detect.timeout_ms)
        return true;
    srv_refuse(problem, SRV_TOO_BUSY, "%zu requests are ahead, at least %.0f ms of work, and timeout_ms is %llu", ahead,
               wait * 1000, (unsigned long long)job->detect.timeout_ms);
    return refuse_for_now(server, problem);
}

void srv_note_service(struct srv_server *server, const struct srv_job *job)
{
    enum { RISE_PERCENT = 5 }; /* of the least time with each job: it follows when work becomes heavier */
    const double weight = 0.1, seconds = (double)job->service_ns / 1e9;
    if (!job->inferred)
        return;
    server->service_s = server->service_s > 0 ? server->service_s + weight * (seconds - server->service_s) : seconds;
    const double risen = server->service_s_min * (100 + RISE_PERCENT) / 100;
    server->service_s_min = seconds < risen ? seconds : risen;
}
