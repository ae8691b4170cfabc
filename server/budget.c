/* A sorted array: of a job that comes or goes only the one at the workers' edge moves in or out of what is reserved. */
#include "budget.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void srv_budget_deinit(struct srv_budget *budget)
{
    free(budget->works);
    budget->works = NULL;
    budget->jobs = budget->jobs_max = 0;
}

/* How many works are at least as large. */
static size_t place_of(const struct srv_budget *budget, size_t work_bytes)
{
    size_t low = 0, high = budget->jobs;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (budget->works[middle] >= work_bytes)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Bounded: a job has a connection of its own. */
static bool make_room(struct srv_budget *budget)
{
    if (budget->jobs < budget->jobs_max)
        return true;
    const size_t more = budget->jobs_max ? 2 * budget->jobs_max : 64;
    size_t *const works = realloc(budget->works, more * sizeof *works);
    if (!works)
        return false;
    budget->works = works;
    budget->jobs_max = more;
    return true;
}

bool srv_budget_start_job(struct srv_budget *budget, size_t work_bytes)
{
    if (!make_room(budget))
        return false;
    const size_t place = place_of(budget, work_bytes), workers = budget->workers;
    if (place < workers) {
        const size_t pushed_out = budget->jobs >= workers ? budget->works[workers - 1] : 0;
        if (!srv_budget_reserve(budget, work_bytes - pushed_out))
            return false;
    }
    memmove(budget->works + place + 1, budget->works + place, (budget->jobs - place) * sizeof *budget->works);
    budget->works[place] = work_bytes;
    budget->jobs++;
    return true;
}

void srv_budget_end_job(struct srv_budget *budget, size_t work_bytes)
{
    assert(place_of(budget, work_bytes) > 0);
    const size_t place = place_of(budget, work_bytes) - 1, workers = budget->workers;
    assert(budget->works[place] == work_bytes);
    if (place < workers)
        srv_budget_release(budget, work_bytes - (budget->jobs > workers ? budget->works[workers] : 0));
    budget->jobs--;
    memmove(budget->works + place, budget->works + place + 1, (budget->jobs - place) * sizeof *budget->works);
}
