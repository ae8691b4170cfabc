#include "layers/forward.h"

#include <assert.h>

#include "base/checked.h"

bool heed_forward_computes(struct heed_forward *forward)
{
    if (heed_arena_counting(forward->arena) || forward->status != HEED_OK)
        return false;
    forward->status = heed_stop_check(&forward->stop, NULL);
    return forward->status == HEED_OK;
}

static struct heed_tensor tensor(struct heed_forward *forward, size_t n, size_t h, size_t w, size_t c, size_t stride)
{
    size_t pixels;
    if (!heed_mul_fits(n, h, &pixels) || !heed_mul_fits(pixels, w, &pixels))
        pixels = SIZE_MAX; /* the arena says that it overflowed */
    float *data = heed_arena_floats(forward->arena, pixels, stride);
    return (struct heed_tensor){ .data = data, .n = n, .h = h, .w = w, .c = c, .stride = stride };
}

struct heed_tensor heed_forward_tensor(struct heed_forward *forward, size_t n, size_t h, size_t w, size_t c)
{
    return tensor(forward, n, h, w, c, c);
}

struct heed_tensor heed_forward_spaced(struct heed_forward *forward, size_t n, size_t h, size_t w, size_t c)
{
    return tensor(forward, n, h, w, c, c % 256 == 0 ? c + HEED_ALIGN / sizeof(float) : c);
}

struct heed_scratch heed_forward_scratch(struct heed_forward *forward, size_t floats)
{
    const size_t unit = HEED_ALIGN / sizeof(float);
    const size_t lane_floats = (floats + unit - 1) / unit * unit; /* lanes never share a cache line */
    return (struct heed_scratch){ .data = heed_arena_floats(forward->arena, forward->lanes, lane_floats),
                                  .lane_floats = lane_floats };
}

static void note(struct heed_profile *profile, const char *name, uint64_t multiply_adds, uint64_t ns)
{
    struct heed_profile_entry *entry = profile->entries;
    struct heed_profile_entry *const end = entry + profile->count;
    while (entry != end && entry->name != name)
        entry++;
    if (entry == end) {
        if (profile->count == profile->capacity)
            return;
        profile->count++;
        *entry = (struct heed_profile_entry){ .name = name };
    }
    entry->ns += ns;
    entry->multiply_adds += multiply_adds;
    entry->calls++;
}

void heed_forward_run(struct heed_forward *forward, const char *name, uint64_t multiply_adds, heed_tile_fn *fn,
                      void *arg, size_t tiles)
{
    assert(!heed_arena_counting(forward->arena));
    const uint64_t start = forward->profile ? heed_now_ns() : 0;
    heed_crew_run(forward->crew, fn, arg, tiles);
    if (forward->profile)
        note(forward->profile, name, multiply_adds, heed_now_ns() - start);
}
