/* The memory budget: jobs count with what the workers can be at, at most, and with nothing once they are over. */
#include "budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void working_memory_counts_for_as_many_jobs_as_there_are_workers(void **state)
{
    (void)state;
    struct srv_budget budget = { .flight = 100, .workers = 2 };
    assert_true(srv_budget_start_job(&budget, 10));
    assert_int_equal(budget.reserved, 10);
    assert_true(srv_budget_start_job(&budget, 30));
    assert_int_equal(budget.reserved, 40);
    assert_true(srv_budget_start_job(&budget, 30)); /* the ten wait */
    assert_int_equal(budget.reserved, 60);
    assert_true(srv_budget_start_job(&budget, 20)); /* waits: no worker for it */
    assert_int_equal(budget.reserved, 60);
    assert_false(srv_budget_start_job(&budget, 71));
    assert_int_equal(budget.reserved, 60);
    srv_budget_end_job(&budget, 30);
    assert_int_equal(budget.reserved, 50);
    srv_budget_end_job(&budget, 10);
    assert_int_equal(budget.reserved, 50);
    srv_budget_end_job(&budget, 30);
    srv_budget_end_job(&budget, 20);
    assert_int_equal(budget.reserved, 0);
    srv_budget_deinit(&budget);
}

static void large_job_fits_beside_small_ones_and_is_forgotten_when_it_is_over(void **state)
{
    (void)state;
    enum { WORKERS = 8, SMALL = 12 };
    struct srv_budget budget = { .flight = 512, .workers = WORKERS };
    for (int i = 0; i < SMALL; i++)
        assert_true(srv_budget_start_job(&budget, 1));
    assert_true(srv_budget_start_job(&budget, 98));
    assert_int_equal(budget.reserved, 98 + WORKERS - 1);
    srv_budget_end_job(&budget, 98); /* though there is always a job */
    assert_int_equal(budget.reserved, WORKERS);
    for (int i = 0; i < SMALL; i++)
        srv_budget_end_job(&budget, 1);
    assert_int_equal(budget.reserved, 0);
    srv_budget_deinit(&budget);
}

static int larger_first(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

/* The plain truth: sorted, and the first added up. */
static size_t largest_together(const size_t *works, size_t count, size_t workers)
{
    size_t sorted[200], sum = 0;
    for (size_t i = 0; i < count; i++)
        sorted[i] = works[i];
    qsort(sorted, count, sizeof *sorted, larger_first);
    for (size_t i = 0; i < count && i < workers; i++)
        sum += sorted[i];
    return sum;
}

static void any_order_of_jobs_reserves_the_largest_there_are(void **state)
{
    (void)state;
    enum { JOBS = 200, STEPS = 20000, FLIGHT = 400 };
    uint32_t random = 1;
    for (size_t workers = 1; workers <= 9; workers += 4) {
        struct srv_budget budget = { .flight = FLIGHT, .workers = workers };
        size_t works[JOBS], count = 0;
        for (int step = 0; step < STEPS; step++) {
            random = random * 1664525 + 1013904223;
            const uint32_t value = random >> 8;
            if (count == JOBS || (count && value % 2)) {
                const size_t which = value / 2 % count;
                srv_budget_end_job(&budget, works[which]);
                works[which] = works[--count];
            } else {
                works[count] = value / 2 % 100;
                const bool fits = largest_together(works, count + 1, workers) <= FLIGHT;
                assert_int_equal(srv_budget_start_job(&budget, works[count]), fits);
                count += fits;
            }
            assert_int_equal(budget.reserved, largest_together(works, count, workers));
        }
        srv_budget_deinit(&budget);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(working_memory_counts_for_as_many_jobs_as_there_are_workers),
        cmocka_unit_test(large_job_fits_beside_small_ones_and_is_forgotten_when_it_is_over),
        cmocka_unit_test(any_order_of_jobs_reserves_the_largest_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
