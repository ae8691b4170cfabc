/* How the crew works.
 *
 *   slot      state: [ open | awaited | claimed | lane bits ]   next: the next tile   fn, arg, tiles
 *
 * A thread that runs a loop claims a free slot, fills it and opens it. A helper joins an open slot by setting a free
 * lane bit (its lane number while it is inside), takes tiles until none is left, and clears its bit. The owner
 * closes the slot once the tiles are all claimed; when no lane bit is left, the last tile is done. What a helper reads
 * of a slot it reads with its bit set, so a slot is never refilled under it.
 *
 * Helpers without work watch `news`, which every opened slot and every wake raises: first spinning, for less time than
 * a sleep and a wake-up take, then asleep. A helper counts itself as a sleeper before it looks at the news for the last
 * time, and who raises the news looks at the sleepers afterwards: one of the two sees the other, so no wake-up is lost.
 */
#include "base/crew.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"

enum {
    LANES_MAX = 60,           /* bits of a slot's state */
    SPIN_NS = 30000,          /* about what sleeping and being woken costs */
    SPINS_BETWEEN_LOOKS = 64, /* at the clock */
    CACHE_LINE = 64,
};

#define STATE_OPEN ((uint64_t)1 << 63)    /* helpers may join */
#define STATE_AWAITED ((uint64_t)1 << 62) /* the owner sleeps until the last helper has left */
#define STATE_CLAIMED ((uint64_t)1 << 61) /* a thread's; a free slot is 0 */
/* Bit n: lane n is inside. Lane 0 is the owner, who needs no bit. */
#define STATE_LANES ((((uint64_t)1 << LANES_MAX) - 1) & ~(uint64_t)1)

struct slot {
    _Alignas(CACHE_LINE) _Atomic uint64_t state;
    _Alignas(CACHE_LINE) atomic_size_t next;
    heed_tile_fn *fn;
    void *arg;
    size_t tiles;
};

struct heed_crew {
    _Alignas(CACHE_LINE) atomic_uint news;
    atomic_uint sleepers;
    atomic_bool stopping; /* the crew's own threads shall end */

    pthread_mutex_t lock; /* guards only the way to sleep: what is waited for is atomic */
    pthread_cond_t more;  /* news */
    pthread_cond_t done;  /* an awaited slot's last helper has left */

    unsigned lanes;
    uint64_t lane_mask; /* the lane bits helpers may take */
    size_t slot_count;
    struct slot *slots;
    pthread_t *threads;
    unsigned thread_count;
};

static _Thread_local bool inside_loop;
static _Thread_local size_t slot_hint; /* where this thread last found a slot: mostly it is free again */

/* ---- News ----------------------------------------------------------------------------------------- */

/* Wakes up to `wanted` sleepers. */
static void raise_news(struct heed_crew *crew, size_t wanted)
{
    atomic_fetch_add(&crew->news, 1);
    const unsigned sleepers = atomic_load(&crew->sleepers);
    if (sleepers == 0)
        return;
    pthread_mutex_lock(&crew->lock); /* a helper between its last look and its sleep holds it */
    pthread_mutex_unlock(&crew->lock);
    if (wanted >= sleepers) {
        pthread_cond_broadcast(&crew->more);
        return;
    }
    for (size_t i = 0; i < wanted; i++)
        pthread_cond_signal(&crew->more);
}

static bool news_while_spinning(struct heed_crew *crew, unsigned seen)
{
    const uint64_t end = heed_now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPINS_BETWEEN_LOOKS; i++) {
            if (atomic_load_explicit(&crew->news, memory_order_relaxed) != seen)
                return true;
            heed_cpu_pause();
        }
    } while (heed_now_ns() < end);
    return false;
}

static void sleep_until_news(struct heed_crew *crew, unsigned seen)
{
    pthread_mutex_lock(&crew->lock);
    atomic_fetch_add(&crew->sleepers, 1);
    while (atomic_load(&crew->news) == seen)
        pthread_cond_wait(&crew->more, &crew->lock);
    atomic_fetch_sub(&crew->sleepers, 1);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- Helping -------------------------------------------------------------------------------------- */

/* Takes a lane of an open slot; 0 if it is not open or every lane is taken. */
static unsigned join(const struct heed_crew *crew, struct slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    for (;;) {
        const uint64_t open_lanes = crew->lane_mask & ~state;
        if (!(state & STATE_OPEN) || !open_lanes)
            return 0;
        const unsigned lane = (unsigned)__builtin_ctzll(open_lanes);
        if (atomic_compare_exchange_weak_explicit(&slot->state, &state, state | (uint64_t)1 << lane,
                                                  memory_order_acquire, memory_order_relaxed))
            return lane;
    }
}

static void part(struct heed_crew *crew, struct slot *slot, unsigned lane)
{
    const uint64_t bit = (uint64_t)1 << lane;
    const uint64_t left = atomic_fetch_and_explicit(&slot->state, ~bit, memory_order_acq_rel) & ~bit;
    if ((left & STATE_AWAITED) && !(left & STATE_LANES)) {
        pthread_mutex_lock(&crew->lock);
        pthread_mutex_unlock(&crew->lock);
        pthread_cond_broadcast(&crew->done);
    }
}

/* Takes tiles until none is left; false if leave said so first. */
static bool work(struct slot *slot, unsigned lane, heed_leave_fn *leave, void *leave_arg)
{
    heed_tile_fn *const fn = slot->fn;
    void *const arg = slot->arg;
    const size_t tiles = slot->tiles;
    for (;;) {
        if (leave && leave(leave_arg))
            return false;
        const size_t tile = atomic_fetch_add_explicit(&slot->next, 1, memory_order_relaxed);
        if (tile >= tiles)
            return true;
        fn(arg, tile, lane);
    }
}

/* Helps every open loop in turn, beginning with another slot each time; false if leave said so. */
static bool help_open_loops(struct heed_crew *crew, size_t *first, heed_leave_fn *leave, void *arg)
{
    bool stay = true;
    for (size_t i = 0; i < crew->slot_count && stay; i++) {
        struct slot *const slot = &crew->slots[(*first + i) % crew->slot_count];
        const unsigned lane = join(crew, slot);
        if (lane == 0)
            continue;
        inside_loop = true;
        stay = work(slot, lane, leave, arg);
        inside_loop = false;
        part(crew, slot, lane);
    }
    *first = (*first + 1) % crew->slot_count;
    return stay;
}

void heed_crew_help(struct heed_crew *crew, heed_leave_fn *leave, void *arg)
{
    assert(!inside_loop);
    for (size_t first = 0;;) {
        const unsigned news = atomic_load(&crew->news);
        if (leave(arg) || !help_open_loops(crew, &first, leave, arg))
            return;
        if (!news_while_spinning(crew, news))
            sleep_until_news(crew, news);
    }
}

void heed_crew_wake(struct heed_crew *crew)
{
    raise_news(crew, SIZE_MAX);
}

/* ---- Running -------------------------------------------------------------------------------------- */

/* NULL if every slot is another thread's. */
static struct slot *claim_slot(struct heed_crew *crew)
{
    for (size_t i = 0; i < crew->slot_count; i++) {
        const size_t index = (slot_hint + i) % crew->slot_count;
        uint64_t free_state = 0;
        if (atomic_compare_exchange_strong_explicit(&crew->slots[index].state, &free_state, STATE_CLAIMED,
                                                    memory_order_acquire, memory_order_relaxed)) {
            slot_hint = index;
            return &crew->slots[index];
        }
    }
    return NULL;
}

static bool all_parted(struct slot *slot)
{
    return !(atomic_load_explicit(&slot->state, memory_order_acquire) & STATE_LANES);
}

/* All tiles are claimed; helpers may still be inside their last. Mostly for a moment, but one may have lost its core.
 */
static void await_helpers(struct heed_crew *crew, struct slot *slot)
{
    if (all_parted(slot))
        return;
    const uint64_t end = heed_now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPINS_BETWEEN_LOOKS; i++) {
            if (all_parted(slot))
                return;
            heed_cpu_pause();
        }
    } while (heed_now_ns() < end);

    pthread_mutex_lock(&crew->lock);
    atomic_fetch_or_explicit(&slot->state, STATE_AWAITED, memory_order_acq_rel);
    while (!all_parted(slot))
        pthread_cond_wait(&crew->done, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

static void run_alone(heed_tile_fn *fn, void *arg, size_t tiles)
{
    for (size_t tile = 0; tile < tiles; tile++)
        fn(arg, tile, 0);
}

void heed_crew_run(struct heed_crew *crew, heed_tile_fn *fn, void *arg, size_t tiles)
{
    assert(!inside_loop);
    inside_loop = true;
    struct slot *const slot = tiles > 1 && crew->lanes > 1 ? claim_slot(crew) : NULL;
    if (!slot) {
        run_alone(fn, arg, tiles);
        inside_loop = false;
        return;
    }
    slot->fn = fn;
    slot->arg = arg;
    slot->tiles = tiles;
    atomic_store_explicit(&slot->next, 0, memory_order_relaxed);
    atomic_store(&slot->state, STATE_CLAIMED | STATE_OPEN);
    raise_news(crew, tiles - 1);

    work(slot, 0, NULL, NULL);
    atomic_fetch_and_explicit(&slot->state, ~STATE_OPEN, memory_order_acq_rel);
    await_helpers(crew, slot);
    atomic_store_explicit(&slot->state, 0, memory_order_release);
    inside_loop = false;
}

unsigned heed_crew_lanes(const struct heed_crew *crew)
{
    return crew->lanes;
}

/* ---- Life ----------------------------------------------------------------------------------------- */

static bool crew_is_stopping(void *arg)
{
    const struct heed_crew *const crew = arg;
    return atomic_load(&crew->stopping);
}

static void *helper_main(void *arg)
{
    heed_crew_help(arg, crew_is_stopping, arg);
    return NULL;
}

/* Signals are the program's: the crew's threads take none. */
static int start_helpers(struct heed_crew *crew, unsigned helpers)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (crew->thread_count < helpers && !failure) {
        failure = pthread_create(&crew->threads[crew->thread_count], NULL, helper_main, crew);
        crew->thread_count += !failure;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static void *aligned_zeroed(size_t count, size_t size)
{
    void *const memory = aligned_alloc(CACHE_LINE, count * size); /* sizes are multiples of their alignment */
    return memory ? memset(memory, 0, count * size) : NULL;
}

enum heed_status heed_crew_create(unsigned helpers, unsigned lanes, struct heed_crew **out, struct heed_error *error)
{
    if (lanes <= helpers || lanes > 4096)
        return heed_fail(error, HEED_BAD_ARGUMENT, "a crew of %u helpers and %u lanes: lanes are %u to 4096", helpers,
                         lanes, helpers + 1);
    struct heed_crew *const crew = aligned_zeroed(1, sizeof *crew);
    if (!crew)
        return heed_fail(error, HEED_NO_MEMORY, "a crew of %u lanes", lanes);
    crew->lanes = lanes < LANES_MAX ? lanes : LANES_MAX;
    crew->lane_mask = STATE_LANES & (((uint64_t)1 << crew->lanes) - 1);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->more, NULL);
    pthread_cond_init(&crew->done, NULL);

    crew->slot_count = lanes;
    crew->slots = aligned_zeroed(lanes, sizeof *crew->slots);
    crew->threads = calloc(helpers + 1, sizeof *crew->threads);
    if (!crew->slots || !crew->threads) {
        heed_crew_free(crew);
        return heed_fail(error, HEED_NO_MEMORY, "a crew of %u lanes", lanes);
    }
    const int failure = start_helpers(crew, helpers);
    if (failure) {
        const unsigned started = crew->thread_count;
        heed_crew_free(crew);
        return heed_fail(error, HEED_NO_MEMORY, "thread %u of %u: %s", started + 1, helpers, strerror(failure));
    }
    *out = crew;
    return HEED_OK;
}

void heed_crew_free(struct heed_crew *crew)
{
    if (!crew)
        return;
    atomic_store(&crew->stopping, true);
    heed_crew_wake(crew);
    for (unsigned i = 0; i < crew->thread_count; i++)
        pthread_join(crew->threads[i], NULL);
    for (size_t i = 0; crew->slots && i < crew->slot_count; i++)
        assert(atomic_load(&crew->slots[i].state) == 0);
    pthread_cond_destroy(&crew->done);
    pthread_cond_destroy(&crew->more);
    pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew->slots);
    free(crew);
}
