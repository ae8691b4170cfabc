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
    size_t reserved; /* what they hold */
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

#endif
