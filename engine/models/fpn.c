#include "models/fpn.h"

#include "layers/pool.h"
#include "layers/resize.h"
#include "models/names.h"

void heed_fpn_load(struct heed_loader *loader, struct heed_fpn *fpn, const struct heed_spec *spec,
                   const size_t widths[HEED_FPN_STAGES])
{
    const size_t c = spec->neck_channels;
    for (size_t i = 0; i < HEED_FPN_STAGES; i++) {
        const char *const inner = heed_loader_name(loader, "backbone.fpn.inner_blocks.%zu", i);
        const char *const layer = heed_loader_name(loader, "backbone.fpn.layer_blocks.%zu", i);
        heed_conv_load(loader, &fpn->inner[i], heed_either_name(loader, inner, heed_loader_name(loader, "%s.0", inner)),
                       (struct heed_conv_shape){ .in = widths[i], .out = c, .kernel = 1, .step = 1 });
        heed_conv_load(loader, &fpn->layer[i], heed_either_name(loader, layer, heed_loader_name(loader, "%s.0", layer)),
                       (struct heed_conv_shape){ .in = c, .out = c, .kernel = 3, .step = 1, .pad = 1 });
    }
    for (size_t i = 0; i < HEED_FPN_LEVELS; i++)
        fpn->attention[i] = heed_place_load(loader, spec, heed_loader_name(loader, "fpn%zu", i + 1), c);
}

/* Memory for a level: the feature's, if that is large enough. */
static struct heed_tensor place_level(struct heed_forward *forward, const struct heed_tensor *feature, size_t channels)
{
    if (feature->c < channels)
        return heed_forward_tensor(forward, 1, feature->h, feature->w, channels);
    struct heed_tensor level = *feature;
    level.c = level.stride = channels;
    return level;
}

void heed_fpn_run(struct heed_forward *forward, const struct heed_fpn *fpn,
                  const struct heed_tensor features[HEED_FPN_STAGES], struct heed_tensor levels[HEED_FPN_LEVELS])
{
    static const struct heed_pool_shape every_second = { .name = "backbone.fpn.pool", .kernel = 1, .step = 2 };
    const size_t last = HEED_FPN_STAGES - 1;
    for (size_t i = 0; i < HEED_FPN_STAGES; i++)
        levels[i] = place_level(forward, &features[i], fpn->layer[i].shape.out);
    levels[last + 1] =
        heed_forward_tensor(forward, 1, (levels[last].h - 1) / 2 + 1, (levels[last].w - 1) / 2 + 1, levels[last].c);

    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_tensor above = { 0 };
    for (size_t i = HEED_FPN_STAGES; i-- > 0;) { /* top down */
        const struct heed_tensor inner = heed_conv(forward, &fpn->inner[i], &features[i]);
        if (i < last)
            heed_resize_add(forward, HEED_RESIZE_NEAREST, &above, &inner);
        heed_conv_into(forward, &fpn->layer[i], &inner, NULL, &levels[i]);
        heed_attention_run(forward, fpn->attention[i], &levels[i]);
        above = inner;
    }
    heed_arena_release(forward->arena, mark);
    heed_max_pool_into(forward, &every_second, &levels[last], &levels[last + 1]);
    heed_attention_run(forward, fpn->attention[last + 1], &levels[last + 1]);
}
