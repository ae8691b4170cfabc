#include "models/mask_head.h"

#include <assert.h>

#define GROUP 16 /* regions */

void heed_mask_logits_load(struct heed_loader *loader, struct heed_mask_head *head, const char *name, size_t classes)
{
    const struct heed_kernels *const kernels = loader->kernels;
    const size_t channels = head->deconv.shape.out, class_floats = kernels->gemm_packed_floats(1, channels);
    head->classes = classes;
    head->logits_bias = heed_loader_read(loader, heed_loader_name(loader, "%s.bias", name), 1, &classes);
    head->logits = heed_loader_floats(loader, classes * class_floats);
    const float *const weights = heed_loader_read_temporary(loader, heed_loader_name(loader, "%s.weight", name), 4,
                                                            (size_t[]){ classes, channels, 1, 1 });
    for (size_t c = 0; weights && c < classes; c++)
        kernels->gemm_pack(head->logits + c * class_floats, weights + c * channels, channels, 1, 1, channels);
}

struct logits_run {
    const struct heed_kernels *kernels;
    const struct heed_mask_head *head;
    const struct heed_found *found;
    float *logits;
};

/* What the transposed convolution makes of some pixels -> their logits. */
static void take_logits(void *arg, const float *features, size_t first, size_t pixels)
{
    const struct logits_run *const run = arg;
    const struct heed_mask_head *const head = run->head;
    const size_t channels = head->deconv.shape.out, region = first / (HEED_MASK_SIDE * HEED_MASK_SIDE);
    const size_t class_index = head->classes == 1 ? 0 : run->found[region].class_index;
    run->kernels->gemm(run->logits + first, 2, features, channels,
                       head->logits + class_index * run->kernels->gemm_packed_floats(1, channels), pixels, 1, channels,
                       &(struct heed_epilogue){ .bias = head->logits_bias + class_index });
}

static void run_group(struct heed_forward *forward, const struct heed_mask_head *head, const struct heed_conv *convs,
                      const struct heed_roi_levels *levels, const float (*regions)[4], const struct heed_found *found,
                      size_t count, float *logits)
{
    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_tensor x = heed_roi_align(forward, levels, regions, count, head->pool);
    const size_t channels = head->deconv.shape.in;
    struct heed_tensor other = heed_forward_tensor(forward, count, head->pool, head->pool, channels);
    struct heed_tensor spare =
        x.c == channels ? x : heed_forward_tensor(forward, count, head->pool, head->pool, channels);
    for (size_t i = 0; i < head->conv_count; i++) {
        heed_conv_into(forward, &convs[i], &x, NULL, &other);
        x = other;
        other = spare;
        spare = x;
    }
    heed_attention_run(forward, head->attention, &x);
    assert(2 * x.h == HEED_MASK_SIDE && 2 * x.w == HEED_MASK_SIDE);
    struct logits_run run = { .kernels = forward->kernels, .head = head, .found = found, .logits = logits };
    heed_deconv_each(forward, &head->deconv, &x, take_logits, &run);
    heed_arena_release(forward->arena, mark);
}

void heed_mask_head_run(struct heed_forward *forward, const struct heed_mask_head *head,
                        const struct heed_roi_levels *levels, const float (*regions)[4],
                        const struct heed_findings *findings)
{
    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_conv convs[HEED_MASK_CONVS_MAX];
    const struct heed_tensor regions_size = { .n = GROUP, .h = head->pool, .w = head->pool };
    for (size_t i = 0; i < head->conv_count; i++)
        convs[i] = heed_conv_prepared(forward, &head->convs[i], &regions_size);
    /* How many will be found is not known while memory is planned, and fewer regions may take more of it. */
    if (heed_arena_counting(forward->arena))
        for (size_t count = 1; count <= GROUP && count <= findings->count; count++)
            run_group(forward, head, convs, levels, regions, findings->found, count, findings->mask_logits);
    else
        for (size_t first = 0; first < findings->count; first += GROUP) {
            const size_t left = findings->count - first;
            run_group(forward, head, convs, levels, regions + first, findings->found + first,
                      left < GROUP ? left : GROUP, findings->mask_logits + first * HEED_MASK_SIDE * HEED_MASK_SIDE);
        }
    heed_arena_release(forward->arena, mark);
}
