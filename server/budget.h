/* The memory budget: what is set aside from the start (models, contexts, connections) and what requests may take while
 * they are in flight (bodies, decoded copies, masks, replies). A request that does not fit is refused, never served by
 * growing. The HTTP loop alone touches it.
 *
 * A job needs memory of its own only while a worker is at it. Which jobs that will be is not known, so the workers are
 * taken to be at those that need most:
 *
 *     works   [ 98 | 3 | 3 | 1 | 1 ]      workers 3: 98 + 3 + 3 are reserved
 */
#ifndef SRV_BUDGET_H
#define SRV_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct srv_budget {
    size_t fixed;    /* set aside */
    size_t flight;   /* what requests may hold together */
    size_t reserved; /* what they hold, the working memory of jobs included */
    size_t workers;  /* so many jobs are worked on at a time */
    size_t *works;   /* the working memory of each job that is not over, the largest first; owned */
    size_t jobs, jobs_max;
};

void srv_budget_deinit(struct srv_budget *budget);

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

/* A job that needs so much while it is worked on begins, waiting included; false when that does not fit. */
bool srv_budget_start_job(struct srv_budget *budget, size_t work_bytes);
/* A job that began with so much is over. */
void srv_budget_end_job(struct srv_budget *budget, size_t work_bytes);

#endif
