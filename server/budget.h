/* The memory budget: what is set aside from the start (models, contexts, connections) and what requests may take while
 * they are in flight (bodies, decoded copies, masks, replies). A request that does not fit is refused, never served by
 * growing. The HTTP loop alone touches it. */
#ifndef SRV_BUDGET_H
#define SRV_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct srv_budget {
    size_t fixed;    /* set aside */
    size_t flight;   /* what requests may hold together */
    size_t reserved; /* what they hold, the working memory of jobs included */
    size_t workers;  /* so many jobs are worked on at a time */
    size_t jobs;     /* accepted and not over */
    size_t work_max; /* the largest working memory of these, and of those since there were none */
};

/* True when `bytes` could be had if nothing else were in flight. */
static inline bool srv_budget_could(const struct srv_budget *budget, size_t bytes)
{
    return bytes <= budget->flight;
}

static inline bool srv_budget_reserve(struct srv_budget *budget, size_t bytes)
{
    if (budget->reserved > budget->flight || bytes > budget->flight - budget->reserved)
        return false;
    budget->reserved += bytes;
    return true;
}

static inline void srv_budget_release(struct srv_budget *budget, size_t bytes)
{
    budget->reserved -= bytes;
}

/* A job needs memory of its own only while a worker is at it; which jobs that will be is not known, so each of the
 * workers is taken to be at the largest. */
static inline size_t srv_budget_working(const struct srv_budget *budget)
{
    return (budget->jobs < budget->workers ? budget->jobs : budget->workers) * budget->work_max;
}

static inline bool srv_budget_start_job(struct srv_budget *budget, size_t work_bytes)
{
    struct srv_budget with = *budget;
    with.jobs++;
    with.work_max = work_bytes > with.work_max ? work_bytes : with.work_max;
    if (!srv_budget_reserve(&with, srv_budget_working(&with) - srv_budget_working(budget)))
        return false;
    *budget = with;
    return true;
}

static inline void srv_budget_end_job(struct srv_budget *budget)
{
    const size_t before = srv_budget_working(budget);
    budget->jobs--;
    if (budget->jobs == 0)
        budget->work_max = 0;
    srv_budget_release(budget, before - srv_budget_working(budget));
}

#endif
