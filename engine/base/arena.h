/* One block of memory, handed out front to back and taken back in stack order.
 *
 *     block  [ kept for the whole pass | released at the end of a scope | free ... ]
 *                                      ^ mark                           ^ used     ^ capacity
 *
 * A forward pass is run twice with the same arithmetic: once with a counting arena (no block: it hands out
 * addresses that must not be touched and remembers the peak), which tells the size; then with real memory.
 * So inference cannot run out of memory half way. Every piece is aligned to HEED_ALIGN bytes.
 *
 * Owned by a context; one thread at a time. Sizes that overflow make the arena `overflowed` (sticky), which a
 * planner must ask before it believes `peak`. A real arena that is too small is our own mistake: an assert.
 */
#ifndef HEED_BASE_ARENA_H
#define HEED_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEED_ALIGN 64

struct heed_arena {
    uint8_t *block; /* NULL: counting */
    size_t capacity, used, peak;
    bool overflowed;
};

void heed_arena_init_counting(struct heed_arena *arena);
/* `block` stays the caller's, aligned to HEED_ALIGN. */
void heed_arena_init(struct heed_arena *arena, void *block, size_t capacity);
/* The block is the caller's alone again; before it is unmapped or used for anything else. */
void heed_arena_deinit(struct heed_arena *arena);

void *heed_arena_bytes(struct heed_arena *arena, size_t count, size_t size);
float *heed_arena_floats(struct heed_arena *arena, size_t rows, size_t columns);

static inline bool heed_arena_counting(const struct heed_arena *arena)
{
    return arena->block == NULL;
}
static inline size_t heed_arena_mark(const struct heed_arena *arena)
{
    return arena->used;
}
/* Takes back everything handed out since the mark. */
void heed_arena_release(struct heed_arena *arena, size_t mark);

#endif
