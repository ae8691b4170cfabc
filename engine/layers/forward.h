/* One forward pass: what every layer needs to run, and whether it should.
 *
 * The pass is written once, as the paper has it, and run in two ways: planning (the arena only counts and no layer
 * computes, which tells the memory to the byte) and computing. A pass that is cancelled or past its deadline stays
 * on its path with every layer doing nothing, so no layer's caller needs an error check: `status` is asked at the end.
 * One thread drives a pass; the crew helps inside its layers. */
#ifndef HEED_LAYERS_FORWARD_H
#define HEED_LAYERS_FORWARD_H

#include "base/arena.h"
#include "base/crew.h"
#include "heed.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

struct heed_forward {
    const struct heed_kernels *kernels;
    struct heed_crew *crew; /* NULL while planning */
    struct heed_arena *arena;
    unsigned lanes; /* threads that may be inside one loop: how many scratch buffers a layer lays out */
    struct heed_stop stop;
    enum heed_status status;      /* HEED_OK, HEED_CANCELLED or HEED_DEADLINE; sticky */
    struct heed_profile *profile; /* NULL: not profiled */
};

/* Asked by every layer after its allocations and before its work: false while planning, once stopped, or when the
 * cancel flag or the deadline says so now. */
bool heed_forward_computes(struct heed_forward *forward);

/* A dense tensor from the pass's arena. */
struct heed_tensor heed_forward_tensor(struct heed_forward *forward, size_t n, size_t h, size_t w, size_t c);
/* One whose pixels do not lie a multiple of 1 KB apart, where they would share so few cache lines that products have to
 * copy them first. */
struct heed_tensor heed_forward_spaced(struct heed_forward *forward, size_t n, size_t h, size_t w, size_t c);

/* Room for each lane to work in, from the pass's arena. */
struct heed_scratch {
    float *data;
    size_t lane_floats;
};
struct heed_scratch heed_forward_scratch(struct heed_forward *forward, size_t floats);
static inline float *heed_scratch_lane(const struct heed_scratch *scratch, unsigned lane)
{
    return scratch->data + lane * scratch->lane_floats;
}

/* Runs a layer's tiles on the crew and notes the time in the profile. `arg` is the layer's own. */
void heed_forward_run(struct heed_forward *forward, const char *name, uint64_t multiply_adds, heed_tile_fn *fn,
                      void *arg, size_t tiles);

#endif
