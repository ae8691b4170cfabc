/* The arena: what planning counts is what computing takes. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void arena_hands_out_aligned_pieces_that_do_not_overlap(void **state)
{
    (void)state;
    void *const block = aligned_alloc(HEED_ALIGN, 4096);
    struct heed_arena arena;
    heed_arena_init(&arena, block, 4096);
    uint8_t *last_end = block;
    for (size_t size = 0; size < 70; size += 7) {
        uint8_t *const piece = heed_arena_bytes(&arena, size, 1);
        assert_int_equal((uintptr_t)piece % HEED_ALIGN, 0);
        assert_true(piece >= last_end);
        for (size_t i = 0; i < size; i++)
            piece[i] = (uint8_t)i;
        last_end = piece + size;
    }
    heed_arena_deinit(&arena);
    free(block);
}

static size_t lay_out(struct heed_arena *arena)
{
    heed_arena_floats(arena, 3, 5);
    const size_t mark = heed_arena_mark(arena);
    heed_arena_bytes(arena, 1, 1);
    heed_arena_floats(arena, 100, 100);
    heed_arena_release(arena, mark);
    heed_arena_floats(arena, 10, 10);
    return arena->peak;
}

static void arena_counts_exactly_what_a_real_one_takes(void **state)
{
    (void)state;
    struct heed_arena counting, real;
    heed_arena_init_counting(&counting);
    const size_t peak = lay_out(&counting);
    assert_false(counting.overflowed);
    void *const block = aligned_alloc(HEED_ALIGN, peak);
    heed_arena_init(&real, block, peak); /* one byte less and an assert would end this test */
    assert_int_equal(lay_out(&real), peak);
    assert_int_equal(real.used, counting.used);
    heed_arena_deinit(&real);
    free(block);
}

static void arena_gives_released_memory_out_again(void **state)
{
    (void)state;
    void *const block = aligned_alloc(HEED_ALIGN, 1024);
    struct heed_arena arena;
    heed_arena_init(&arena, block, 1024);
    const size_t mark = heed_arena_mark(&arena);
    void *const first = heed_arena_bytes(&arena, 100, 1);
    heed_arena_release(&arena, mark);
    assert_ptr_equal(heed_arena_bytes(&arena, 100, 1), first);
    heed_arena_deinit(&arena);
    free(block);
}

static void arena_reports_overflow_instead_of_wrapping(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {
        { SIZE_MAX, 1 }, { SIZE_MAX, SIZE_MAX }, { SIZE_MAX / 4 + 1, 1 }, { SIZE_MAX / 4, 1 }, { SIZE_MAX / 2, 3 }
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct heed_arena arena;
        heed_arena_init_counting(&arena);
        assert_non_null(heed_arena_floats(&arena, sizes[i][0], sizes[i][1]));
        assert_true(arena.overflowed);
        heed_arena_floats(&arena, 1, 1);
        assert_true(arena.overflowed); /* sticky */
    }
}

static void arena_reports_overflow_of_many_pieces(void **state)
{
    (void)state;
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    for (int i = 0; i < 16; i++)
        heed_arena_bytes(&arena, SIZE_MAX / 8, 1);
    assert_true(arena.overflowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_hands_out_aligned_pieces_that_do_not_overlap),
        cmocka_unit_test(arena_counts_exactly_what_a_real_one_takes),
        cmocka_unit_test(arena_gives_released_memory_out_again),
        cmocka_unit_test(arena_reports_overflow_instead_of_wrapping),
        cmocka_unit_test(arena_reports_overflow_of_many_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
