#include "base/arena.h"

#include <assert.h>

#include "base/checked.h"

/* Under the address sanitizer every piece is followed by a guard, and what is not handed out is poisoned: a layer that
 * writes past its tensor, or uses it after its scope, is stopped there. Planning counts the guards too. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
enum { GUARD = HEED_ALIGN };
#define POISON(start, size) ASAN_POISON_MEMORY_REGION(start, size)
#define UNPOISON(start, size) ASAN_UNPOISON_MEMORY_REGION(start, size)
#else
enum { GUARD = 0 };
#define POISON(start, size) ((void)(start), (void)(size))
#define UNPOISON(start, size) ((void)(start), (void)(size))
#endif

/* Where a counting arena's addresses start: no memory can be there, on any machine with 64-bit pointers. */
#define NOWHERE ((uintptr_t)1 << (sizeof(uintptr_t) * 8 - 2))

void heed_arena_init_counting(struct heed_arena *arena)
{
    *arena = (struct heed_arena){ .capacity = SIZE_MAX };
}

void heed_arena_init(struct heed_arena *arena, void *block, size_t capacity)
{
    assert(block);
    assert((uintptr_t)block % HEED_ALIGN == 0);
    *arena = (struct heed_arena){ .block = block, .capacity = capacity };
    POISON(block, capacity);
}

void heed_arena_deinit(struct heed_arena *arena)
{
    if (arena->block)
        UNPOISON(arena->block, arena->capacity);
    *arena = (struct heed_arena){ 0 };
}

/* The size a piece takes: rounded up to the alignment, with its guard. */
static bool piece_size(size_t count, size_t size, size_t *bytes, size_t *piece)
{
    if (!heed_mul_fits(count, size, bytes) || !heed_add_fits(*bytes, HEED_ALIGN - 1 + GUARD, piece))
        return false;
    *piece -= *piece % HEED_ALIGN;
    return true;
}

void *heed_arena_bytes(struct heed_arena *arena, size_t count, size_t size)
{
    const size_t start = arena->used;
    size_t bytes, piece, end;
    if (!piece_size(count, size, &bytes, &piece) || !heed_add_fits(start, piece, &end) || end >= NOWHERE) {
        assert(heed_arena_counting(arena));
        arena->overflowed = true;
        return (void *)NOWHERE;
    }
    assert(end <= arena->capacity);
    arena->used = end;
    arena->peak = end > arena->peak ? end : arena->peak;
    if (heed_arena_counting(arena))
        return (void *)(NOWHERE + start);
    UNPOISON(arena->block + start, bytes);
    return arena->block + start;
}

float *heed_arena_floats(struct heed_arena *arena, size_t rows, size_t columns)
{
    size_t count;
    if (!heed_mul_fits(rows, columns, &count))
        count = SIZE_MAX; /* overflows in bytes */
    return heed_arena_bytes(arena, count, sizeof(float));
}

void heed_arena_release(struct heed_arena *arena, size_t mark)
{
    assert(mark <= arena->used);
    if (!heed_arena_counting(arena))
        POISON(arena->block + mark, arena->used - mark);
    arena->used = mark;
}
