#include "models/shufflenet.h"

#include <assert.h>

#include "layers/pool.h"

/* A unit passes half of its channels on and works on the other half; the first of a stage halves the image and works on
 * all of them, twice. Then the halves are shuffled into each other.
 *
 *     x --split--> first ------------------------.        x --+--> dw --> pw -----------------.
 *            '---> second --> pw1 --> dw --> pw2 --> shuffle    '--> pw1 --> dw --> pw2 --------> shuffle
 */
struct unit {
    struct heed_conv short_dw, short_pw; /* of a stage's first unit */
    struct heed_conv pw1, dw, pw2;
};

struct stage {
    struct unit *units;
    size_t count, width;
    const struct heed_attention *attention;
};

struct heed_shufflenet {
    struct heed_conv conv1;
    struct stage stages[HEED_SHUFFLENET_STAGES];
};

#define LEAKY .activation = HEED_ACT_LEAKY, .slope = 0.1f

static void load_pointwise(struct heed_loader *loader, struct heed_conv *conv, const char *unit, const char *part,
                           size_t in, size_t out)
{
    heed_conv_load(loader, conv, heed_loader_name(loader, "%s.%s", unit, part),
                   (struct heed_conv_shape){ .in = in, .out = out, .kernel = 1, .step = 1, LEAKY });
}

static void load_depthwise(struct heed_loader *loader, struct heed_conv *conv, const char *unit, const char *part,
                           size_t c, size_t step)
{
    heed_depthwise_load(loader, conv, heed_loader_name(loader, "%s.%s", unit, part),
                        (struct heed_conv_shape){ .in = c, .out = c, .kernel = 3, .step = step, .pad = 1 });
}

static void load_unit(struct heed_loader *loader, struct unit *unit, const char *name, bool first, size_t in,
                      size_t width)
{
    const size_t half = width / 2;
    if (first) {
        load_depthwise(loader, &unit->short_dw, name, "branch1.dw", in, 2);
        load_pointwise(loader, &unit->short_pw, name, "branch1.pw", in, half);
        heed_conv_follow(&unit->short_pw, &unit->short_dw);
    }
    load_pointwise(loader, &unit->pw1, name, "branch2.pw1", first ? in : half, half);
    load_depthwise(loader, &unit->dw, name, "branch2.dw", half, first ? 2 : 1);
    load_pointwise(loader, &unit->pw2, name, "branch2.pw2", half, half);
    heed_conv_follow(&unit->pw2, &unit->dw);
}

const struct heed_shufflenet *heed_shufflenet_load(struct heed_loader *loader, const struct heed_spec *spec)
{
    struct heed_shufflenet *const net = heed_loader_bytes(loader, sizeof *net);
    if (!net)
        return NULL;
    heed_conv_load(
        loader, &net->conv1, "backbone.conv1",
        (struct heed_conv_shape){ .in = 3, .out = spec->stage_widths[0], .kernel = 3, .step = 2, .pad = 1, LEAKY });
    for (size_t s = 0; s < HEED_SHUFFLENET_STAGES; s++) {
        struct stage *const stage = &net->stages[s];
        stage->count = spec->stage_blocks[s];
        stage->width = spec->stage_widths[s + 1];
        stage->units = heed_loader_bytes(loader, stage->count * sizeof *stage->units);
        for (size_t i = 0; stage->units && i < stage->count; i++)
            load_unit(loader, &stage->units[i], heed_loader_name(loader, "backbone.stage%zu.%zu", s + 2, i), i == 0,
                      spec->stage_widths[s], stage->width);
        stage->attention = heed_place_load(loader, spec, heed_loader_name(loader, "stage%zu", s + 2), stage->width);
    }
    return net;
}

/* y: the stage's feature, which the first unit makes from x and the others change in place. */
static void run_unit(struct heed_forward *forward, const struct unit *unit, bool first_unit,
                     const struct heed_tensor *x, const struct heed_tensor *y)
{
    const size_t mark = heed_arena_mark(forward->arena), half = y->c / 2;
    struct heed_tensor first = heed_tensor_channels(y, 0, half), second = heed_tensor_channels(y, half, half);
    if (first_unit) {
        first = heed_conv(forward, &unit->short_pw, x);
        second = *x;
    }
    const struct heed_tensor t = heed_conv(forward, &unit->pw1, &second);
    heed_conv_shuffled_into(forward, &unit->pw2, &t, &first, y);
    heed_arena_release(forward->arena, mark);
}

void heed_shufflenet_run(struct heed_forward *forward, const struct heed_shufflenet *net,
                         const struct heed_tensor *input, struct heed_tensor features[HEED_SHUFFLENET_STAGES])
{
    static const struct heed_pool_shape pool = { .name = "backbone.pool", .kernel = 3, .step = 2, .pad = 1 };
    assert(input->h % 32 == 0 && input->w % 32 == 0);
    for (size_t s = 0; s < HEED_SHUFFLENET_STAGES; s++)
        features[s] = heed_forward_tensor(forward, 1, input->h >> (s + 3), input->w >> (s + 3), net->stages[s].width);

    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_tensor x = heed_forward_tensor(forward, 1, input->h / 4, input->w / 4, net->conv1.shape.out);
    const size_t stem_mark = heed_arena_mark(forward->arena);
    const struct heed_tensor stem = heed_conv(forward, &net->conv1, input);
    heed_max_pool_into(forward, &pool, &stem, &x);
    heed_arena_release(forward->arena, stem_mark);
    for (size_t s = 0; s < HEED_SHUFFLENET_STAGES; s++) {
        const struct stage *const stage = &net->stages[s];
        for (size_t i = 0; i < stage->count; i++)
            run_unit(forward, &stage->units[i], i == 0, &x, &features[s]);
        x = features[s];
        if (s == 0)
            heed_arena_release(forward->arena, mark); /* the stem's output has been read */
        heed_attention_run(forward, stage->attention, &x);
    }
}
