/* The crew: every tile once, lanes never shared, helpers that leave when told and sleep when idle. Run it under the
 * thread sanitizer too. */
#include "base/crew.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"

static struct heed_crew *new_crew(unsigned helpers, unsigned lanes)
{
    struct heed_crew *crew = NULL;
    struct heed_error error;
    assert_int_equal(heed_crew_create(helpers, lanes, &crew, &error), HEED_OK);
    return crew;
}

/* A loop that notes who ran what. */
struct loop {
    unsigned lanes;
    size_t tiles;
    unsigned *runs;           /* (tiles) plain: the crew must order them */
    atomic_bool *lane_busy;   /* (lanes) */
    atomic_uint lane_clashes; /* two threads in one lane at once */
};

static void loop_tile(void *arg, size_t tile, unsigned lane)
{
    struct loop *const loop = arg;
    if (lane >= loop->lanes || atomic_exchange(&loop->lane_busy[lane], true))
        atomic_fetch_add(&loop->lane_clashes, 1);
    for (volatile int i = 0; i < 50; i++)
        ;
    loop->runs[tile]++;
    atomic_store(&loop->lane_busy[lane], false);
}

static bool loop_is_right(struct heed_crew *crew, size_t tiles)
{
    struct loop loop = { .lanes = heed_crew_lanes(crew), .tiles = tiles };
    loop.runs = calloc(tiles + 1, sizeof *loop.runs);
    loop.lane_busy = calloc(loop.lanes, sizeof *loop.lane_busy);
    heed_crew_run(crew, loop_tile, &loop, tiles);
    bool right = atomic_load(&loop.lane_clashes) == 0;
    for (size_t i = 0; i < tiles; i++)
        right = right && loop.runs[i] == 1;
    free(loop.runs);
    free(loop.lane_busy);
    return right;
}

static void every_tile_runs_exactly_once(void **state)
{
    (void)state;
    for (unsigned helpers = 0; helpers < 5; helpers++) {
        struct heed_crew *const crew = new_crew(helpers, helpers + 1);
        for (size_t tiles = 0; tiles < 70; tiles++)
            assert_true(loop_is_right(crew, tiles));
        assert_true(loop_is_right(crew, 5000));
        heed_crew_free(crew);
    }
}

static void more_lanes_than_a_loop_can_have_are_fine(void **state)
{
    (void)state;
    struct heed_crew *const crew = new_crew(2, 200);
    assert_true(heed_crew_lanes(crew) >= 2);
    assert_true(heed_crew_lanes(crew) <= 200);
    assert_true(loop_is_right(crew, 1000));
    heed_crew_free(crew);
}

static void wrong_sizes_of_a_crew_are_refused(void **state)
{
    (void)state;
    struct heed_crew *crew;
    struct heed_error error;
    assert_int_equal(heed_crew_create(2, 2, &crew, &error), HEED_BAD_ARGUMENT);
    assert_int_equal(heed_crew_create(0, 0, &crew, &error), HEED_BAD_ARGUMENT);
    assert_int_equal(heed_crew_create(0, 1000000, &crew, &error), HEED_BAD_ARGUMENT);
    heed_crew_free(NULL);
}

/* ---- Helpers take part, and leave ------------------------------------------------------------------ */

struct meeting {
    pthread_barrier_t barrier;
};

static void meet(void *arg, size_t tile, unsigned lane)
{
    (void)tile, (void)lane;
    pthread_barrier_wait(&((struct meeting *)arg)->barrier);
}

/* Three tiles that wait for each other can only end if three threads run them at once, however often helpers fell
 * asleep. */
static void sleeping_helpers_are_always_woken(void **state)
{
    (void)state;
    struct heed_crew *const crew = new_crew(2, 3);
    struct meeting meeting;
    pthread_barrier_init(&meeting.barrier, NULL, 3);
    for (int i = 0; i < 300; i++) {
        heed_crew_run(crew, meet, &meeting, 3);
        if (i % 3 == 0)
            nanosleep(&(struct timespec){ .tv_nsec = (i % 7) * 20000 }, NULL); /* about as long as helpers spin */
    }
    pthread_barrier_destroy(&meeting.barrier);
    heed_crew_free(crew);
}

struct lender {
    struct heed_crew *crew;
    atomic_bool leave;
    atomic_uint asked;
    pthread_t thread;
};

static bool lender_leaves(void *arg)
{
    struct lender *const lender = arg;
    atomic_fetch_add(&lender->asked, 1);
    return atomic_load(&lender->leave);
}

static void *lend(void *arg)
{
    struct lender *const lender = arg;
    heed_crew_help(lender->crew, lender_leaves, lender);
    return NULL;
}

static void a_sleeping_helper_leaves_when_woken(void **state)
{
    (void)state;
    struct heed_crew *const crew = new_crew(0, 2);
    for (int i = 0; i < 50; i++) {
        struct lender lender = { .crew = crew };
        pthread_create(&lender.thread, NULL, lend, &lender);
        if (i % 2)
            nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
        atomic_store(&lender.leave, true);
        heed_crew_wake(crew);
        pthread_join(lender.thread, NULL);
    }
    heed_crew_free(crew);
}

static void a_helper_does_not_ask_while_it_sleeps(void **state)
{
    (void)state;
    struct heed_crew *const crew = new_crew(0, 2);
    struct lender lender = { .crew = crew };
    pthread_create(&lender.thread, NULL, lend, &lender);
    while (atomic_load(&lender.asked) == 0)
        usleep(1000);
    usleep(20000);
    const unsigned asked = atomic_load(&lender.asked);
    usleep(20000);
    assert_int_equal(atomic_load(&lender.asked), asked);
    atomic_store(&lender.leave, true);
    heed_crew_wake(crew);
    pthread_join(lender.thread, NULL);
    heed_crew_free(crew);
}

struct leaving {
    struct lender *lender;
    atomic_bool helper_came;
    atomic_uint by_helper_after;
};

/* The helper's first tile makes it want to leave; the owner waits for that, so that tiles are left over. */
static void leaving_tile(void *arg, size_t tile, unsigned lane)
{
    (void)tile;
    struct leaving *const leaving = arg;
    if (lane == 0) {
        while (!atomic_load(&leaving->helper_came))
            usleep(100);
        return;
    }
    if (atomic_load(&leaving->helper_came))
        atomic_fetch_add(&leaving->by_helper_after, 1);
    atomic_store(&leaving->lender->leave, true);
    atomic_store(&leaving->helper_came, true);
}

static void a_helper_leaves_after_its_tile(void **state)
{
    (void)state;
    struct heed_crew *const crew = new_crew(0, 2);
    struct lender lender = { .crew = crew };
    struct leaving leaving = { .lender = &lender };
    pthread_create(&lender.thread, NULL, lend, &lender);
    heed_crew_run(crew, leaving_tile, &leaving, 1000);
    pthread_join(lender.thread, NULL);
    assert_int_equal(atomic_load(&leaving.by_helper_after), 0);
    heed_crew_free(crew);
}

/* A helper that is long in its last tile: the owner sleeps, and its results are there when run returns. */
static void slow_tile(void *arg, size_t tile, unsigned lane)
{
    (void)lane;
    int *const values = arg;
    usleep(tile ? 20000 : 10000);
    values[tile] = 1;
}

static void run_returns_only_when_the_last_tile_is_done(void **state)
{
    (void)state;
    struct heed_crew *const crew = new_crew(1, 2);
    for (int i = 0; i < 10; i++) {
        int values[2] = { 0 };
        heed_crew_run(crew, slow_tile, values, 2);
        assert_int_equal(values[0] + values[1], 2);
    }
    heed_crew_free(crew);
}

/* ---- Stress: jobs, helpers that come and go, all at once --------------------------------------------- */

struct worker {
    struct heed_crew *crew;
    unsigned seed;
    int rounds;
    atomic_bool *failed;
    pthread_t thread;
    atomic_uint patience; /* how often leave says no */
};

static bool worker_leaves(void *arg)
{
    struct worker *const worker = arg;
    const unsigned left = atomic_load(&worker->patience);
    if (left)
        atomic_store(&worker->patience, left - 1);
    return left == 0;
}

/* A worker as the server's are: some jobs of loops, then a while of helping. */
static void *worker_main(void *arg)
{
    struct worker *const worker = arg;
    for (int round = 0; round < worker->rounds; round++) {
        for (int i = 0; i < 5; i++)
            if (!loop_is_right(worker->crew, (size_t)(rand_r(&worker->seed) % 40)))
                atomic_store(worker->failed, true);
        atomic_store(&worker->patience, (unsigned)rand_r(&worker->seed) % 20);
        heed_crew_help(worker->crew, worker_leaves, worker);
    }
    return NULL;
}

static void *waker_main(void *arg)
{
    struct worker *const waker = arg;
    while (atomic_load(&waker->patience)) {
        heed_crew_wake(waker->crew);
        usleep(rand_r(&waker->seed) % 50);
    }
    return NULL;
}

static void jobs_and_helpers_come_and_go(void **state)
{
    (void)state;
    enum { WORKERS = 5 };
    struct heed_crew *const crew = new_crew(2, WORKERS + 2);
    atomic_bool failed = false;
    struct worker workers[WORKERS];
    struct worker waker = { .crew = crew, .seed = 7, .patience = 1 };
    pthread_create(&waker.thread, NULL, waker_main, &waker); /* else all could sleep in help at once, as told */
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ .crew = crew, .seed = i, .rounds = 150, .failed = &failed };
        pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    atomic_store(&waker.patience, 0);
    pthread_join(waker.thread, NULL);
    assert_false(atomic_load(&failed));
    heed_crew_free(crew);
}

static void crews_start_and_end_at_any_moment(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct heed_crew *const crew = new_crew((unsigned)i % 4, 4);
        if (i % 3)
            assert_true(loop_is_right(crew, (size_t)i % 9));
        heed_crew_free(crew);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_runs_exactly_once),
        cmocka_unit_test(more_lanes_than_a_loop_can_have_are_fine),
        cmocka_unit_test(wrong_sizes_of_a_crew_are_refused),
        cmocka_unit_test(sleeping_helpers_are_always_woken),
        cmocka_unit_test(a_sleeping_helper_leaves_when_woken),
        cmocka_unit_test(a_helper_does_not_ask_while_it_sleeps),
        cmocka_unit_test(a_helper_leaves_after_its_tile),
        cmocka_unit_test(run_returns_only_when_the_last_tile_is_done),
        cmocka_unit_test(jobs_and_helpers_come_and_go),
        cmocka_unit_test(crews_start_and_end_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
