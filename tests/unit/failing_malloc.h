/* Memory may run out anywhere: every allocation of this thread, the libraries' included, fails once, one in each round.
 * Each round ends with a status or, where a library can do without, with success; nothing is lost and nothing breaks.
 *
 * The allocator's functions are replaced by ones that count, and that fail at the chosen one; they stand before the C
 * library's for the whole program, so one file of a test program includes this, after cmocka.h. Sanitizers bring
 * allocators of their own: there is nothing to replace then. */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include "heed.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REPLACED 0
#endif
#endif
#ifndef REPLACED
#define REPLACED 1
#endif

static _Thread_local bool counting;
static _Thread_local size_t allocations; /* since counting began */
static _Thread_local size_t failing;     /* which of them fails; 0: none */
static _Thread_local bool failed;
static _Thread_local long alive; /* allocated and not freed since counting began */

#if REPLACED
#define EXPORTED __attribute__((visibility("default"))) /* the libraries' calls come here too */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static bool fails_now(void)
{
    if (!counting || ++allocations != failing)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    alive += counting && memory;
    return memory;
}

EXPORTED void *malloc(size_t size)
{
    return fails_now() ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : counted(__libc_calloc(count, size));
}

EXPORTED void *realloc(void *old, size_t size)
{
    if (fails_now())
        return NULL;
    return old ? __libc_realloc(old, size) : counted(__libc_realloc(NULL, size));
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : counted(__libc_memalign(alignment, size));
}

EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails_now())
        return ENOMEM;
    *memory = counted(__libc_memalign(alignment, size));
    return *memory ? 0 : ENOMEM;
}

EXPORTED void free(void *memory)
{
    alive -= counting && memory;
    __libc_free(memory);
}
#endif

/* ---- Rounds ---------------------------------------------------------------------------------------- */

/* Does its work and leaves nothing behind; HEED_OK, or what failed. */
typedef enum heed_status work_fn(struct heed_error *error);

static enum heed_status counted_work(work_fn *work, size_t fail_at, struct heed_error *error)
{
    *error = (struct heed_error){ 0 };
    allocations = 0;
    alive = 0;
    failed = false;
    failing = fail_at;
    counting = true;
    const enum heed_status status = work(error);
    counting = false;
    return status;
}

static void survives_every_failure(work_fn *work)
{
    struct heed_error error;
    assert_int_equal(counted_work(work, 0, &error), HEED_OK); /* what is made once and kept is made now */
    assert_int_equal(counted_work(work, 0, &error), HEED_OK);
    assert_int_equal(alive, 0);
    assert_true(!REPLACED || allocations > 0);
    for (size_t i = 1;; i++) {
        const enum heed_status status = counted_work(work, i, &error);
        if (!failed) {
            assert_int_equal(status, HEED_OK);
            return;
        }
        if (alive != 0)
            fail_msg("allocation %zu failed, then %ld were not freed", i, alive);
        /* Not always HEED_NO_MEMORY: libraries blame what they read when they run out. */
        if (status != HEED_OK && (error.status != status || !error.text[0]))
            fail_msg("allocation %zu failed, then: %s, \"%s\"", i, heed_status_text(status), error.text);
    }
}

#endif
