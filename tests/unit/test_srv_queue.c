/* The queue: order, bounds, deadlines, closing; and many threads at once. */
#include "queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

static struct srv_job *new_job(int priority, uint64_t deadline_ns)
{
    struct srv_job *const job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->detect.priority = priority;
    job->deadline_ns = deadline_ns;
    return job;
}

static void higher_priority_first_and_first_come_first_served_inside(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(6);
    struct srv_job *jobs[6];
    const int priorities[6] = { -1, 0, 1, 0, 1, -1 };
    const int order[6] = { 2, 4, 1, 3, 0, 5 };
    for (int i = 0; i < 6; i++)
        assert_true(srv_queue_try_push(queue, jobs[i] = new_job(priorities[i], 1)));
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(srv_queue_try_pop(queue), jobs[order[i]]);
    assert_null(srv_queue_try_pop(queue));
    for (int i = 0; i < 6; i++)
        free(jobs[i]);
    srv_queue_free(queue);
}

static void full_queue_refuses_whatever_the_priority(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(1);
    struct srv_job *const first = new_job(0, 1), *const second = new_job(1, 1);
    assert_true(srv_queue_try_push(queue, first));
    assert_false(srv_queue_try_push(queue, second));
    assert_int_equal(srv_queue_count(queue), 1);
    assert_ptr_equal(srv_queue_try_pop(queue), first);
    assert_true(srv_queue_try_push(queue, second));
    assert_ptr_equal(srv_queue_try_pop(queue), second);
    free(first);
    free(second);
    srv_queue_free(queue);
}

static void removed_job_is_the_caller_s_and_only_once(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(4);
    struct srv_job *jobs[3];
    for (int i = 0; i < 3; i++)
        assert_true(srv_queue_try_push(queue, jobs[i] = new_job(0, 1)));
    assert_true(srv_queue_remove(queue, jobs[2])); /* the last: the tail moves */
    assert_false(srv_queue_remove(queue, jobs[2]));
    assert_true(srv_queue_try_push(queue, jobs[2]));
    assert_true(srv_queue_remove(queue, jobs[1]));
    assert_int_equal(srv_queue_count(queue), 2);
    assert_ptr_equal(srv_queue_try_pop(queue), jobs[0]);
    assert_ptr_equal(srv_queue_try_pop(queue), jobs[2]);
    for (int i = 0; i < 3; i++)
        free(jobs[i]);
    srv_queue_free(queue);
}

static void expired_jobs_are_taken_from_anywhere(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(4);
    struct srv_job *const late = new_job(1, 100), *const early = new_job(1, 10), *const low = new_job(-1, 20);
    assert_true(srv_queue_try_push(queue, late));
    assert_true(srv_queue_try_push(queue, early));
    assert_true(srv_queue_try_push(queue, low));
    assert_null(srv_queue_take_expired(queue, 9));
    assert_ptr_equal(srv_queue_take_expired(queue, 50), early);
    assert_ptr_equal(srv_queue_take_expired(queue, 50), low);
    assert_null(srv_queue_take_expired(queue, 50));
    assert_ptr_equal(srv_queue_try_pop(queue), late);
    free(late);
    free(early);
    free(low);
    srv_queue_free(queue);
}

static void ahead_counts_what_is_served_before(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(4);
    struct srv_job *jobs[3];
    for (int i = 0; i < 3; i++)
        assert_true(srv_queue_try_push(queue, jobs[i] = new_job(i - 1, 1)));
    assert_int_equal(srv_queue_ahead(queue, 1), 1);
    assert_int_equal(srv_queue_ahead(queue, 0), 2);
    assert_int_equal(srv_queue_ahead(queue, -1), 3);
    for (int i = 0; i < 3; i++)
        free(srv_queue_try_pop(queue));
    srv_queue_free(queue);
}

static void closed_queue_refuses_and_hands_out_what_is_left(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(4);
    struct srv_job *const job = new_job(0, 1), *const late = new_job(0, 1);
    assert_true(srv_queue_try_push(queue, job));
    srv_queue_close(queue);
    assert_true(srv_queue_closed(queue));
    assert_false(srv_queue_try_push(queue, late));
    assert_ptr_equal(srv_queue_try_pop(queue), job);
    free(job);
    free(late);
    srv_queue_free(queue);
}

enum { JOBS = 4000, POPPERS = 3 };

static void *pop_until_closed(void *arg)
{
    struct srv_queue *const queue = arg;
    size_t popped = 0;
    for (;;) {
        const bool closed = srv_queue_closed(queue);
        struct srv_job *const job = srv_queue_try_pop(queue);
        if (job) {
            free(job);
            popped++;
        } else if (closed) {
            return (void *)popped;
        } else {
            sched_yield();
        }
    }
}

static void every_job_is_popped_once_by_many_threads(void **state)
{
    (void)state;
    struct srv_queue *const queue = srv_queue_create(16);
    pthread_t threads[POPPERS];
    for (int i = 0; i < POPPERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pop_until_closed, queue), 0);
    for (int i = 0; i < JOBS;) {
        struct srv_job *const job = new_job(i % 3 - 1, 1);
        while (!srv_queue_try_push(queue, job))
            sched_yield();
        i++;
    }
    srv_queue_close(queue);
    size_t sum = 0;
    for (int i = 0; i < POPPERS; i++) {
        void *popped;
        pthread_join(threads[i], &popped);
        sum += (size_t)popped;
    }
    assert_int_equal(sum, JOBS);
    srv_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(higher_priority_first_and_first_come_first_served_inside),
        cmocka_unit_test(full_queue_refuses_whatever_the_priority),
        cmocka_unit_test(removed_job_is_the_caller_s_and_only_once),
        cmocka_unit_test(expired_jobs_are_taken_from_anywhere),
        cmocka_unit_test(ahead_counts_what_is_served_before),
        cmocka_unit_test(closed_queue_refuses_and_hands_out_what_is_left),
        cmocka_unit_test(every_job_is_popped_once_by_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
