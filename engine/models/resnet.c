#include "models/resnet.h"

#include <assert.h>
#include <string.h>

#include "layers/pool.h"

/* basic:       x --> conv1 3x3 --> conv2 3x3 -----------------> + --> relu
 * bottleneck:  x --> conv1 1x1 --> conv2 3x3 --> conv3 1x1 ---> + --> relu
 *              '--> (downsample 1x1, where sizes change) -------'
 */
struct block {
    struct heed_conv convs[3], downsample;
    bool downsamples;
};

struct stage {
    struct block *blocks;
    size_t count, width;
    const struct heed_attention *attention;
};

struct heed_resnet {
    struct heed_conv conv1;
    size_t block_convs;
    struct stage stages[HEED_RESNET_STAGES];
};

static const struct depth {
    const char *name;
    bool bottleneck;
    size_t blocks[HEED_RESNET_STAGES];
} depths[] = {
    { "resnet18", false, { 2, 2, 2, 2 } },
    { "resnet34", false, { 3, 4, 6, 3 } },
    { "resnet50", true, { 3, 4, 6, 3 } },
    { "resnet101", true, { 3, 4, 23, 3 } },
};

static const struct depth *find_depth(const char *name)
{
    const struct depth *depth = depths;
    while (strcmp(depth->name, name) != 0) {
        depth++;
        assert(depth < depths + sizeof depths / sizeof *depths); /* spec.c lets no other name through */
    }
    return depth;
}

/* A convolution and its batch norm, "conv1" and "bn1". */
static void load_conv(struct heed_loader *loader, struct heed_conv *conv, const struct heed_spec *spec,
                      const char *name, const char *norm, struct heed_conv_shape shape)
{
    shape.pad = shape.kernel / 2;
    shape.norm = norm;
    shape.norm_eps = spec->norm_eps;
    heed_conv_load(loader, conv, name, shape);
}

/* `width` is that of the 3x3s; the block's output has `out` channels. */
static void load_block(struct heed_loader *loader, struct block *block, const struct heed_spec *spec, const char *name,
                       bool bottleneck, size_t in, size_t width, size_t out, size_t step)
{
    const struct heed_conv_shape basic[] = { { .in = in, .out = width, .kernel = 3, .step = step },
                                             { .in = width, .out = out, .kernel = 3, .step = 1 } };
    const struct heed_conv_shape bottle[] = { { .in = in, .out = width, .kernel = 1, .step = 1 },
                                              { .in = width, .out = width, .kernel = 3, .step = step },
                                              { .in = width, .out = out, .kernel = 1, .step = 1 } };
    for (size_t i = 0; i < (bottleneck ? 3 : 2); i++) {
        struct heed_conv_shape shape = bottleneck ? bottle[i] : basic[i];
        shape.activation = HEED_ACT_RELU; /* of the last one after the shortcut is added */
        load_conv(loader, &block->convs[i], spec, heed_loader_name(loader, "%s.conv%zu", name, i + 1),
                  heed_loader_name(loader, "%s.bn%zu", name, i + 1), shape);
    }
    block->downsamples = step != 1 || in != out;
    if (block->downsamples)
        load_conv(loader, &block->downsample, spec, heed_loader_name(loader, "%s.downsample.0", name),
                  heed_loader_name(loader, "%s.downsample.1", name),
                  (struct heed_conv_shape){ .in = in, .out = out, .kernel = 1, .step = step });
}

const struct heed_resnet *heed_resnet_load(struct heed_loader *loader, const struct heed_spec *spec)
{
    const struct depth *const depth = find_depth(spec->backbone);
    struct heed_resnet *const net = heed_loader_bytes(loader, sizeof *net);
    if (!net)
        return NULL;
    net->block_convs = depth->bottleneck ? 3 : 2;
    load_conv(loader, &net->conv1, spec, "backbone.body.conv1", "backbone.body.bn1",
              (struct heed_conv_shape){ .in = 3, .out = 64, .kernel = 7, .step = 2, .activation = HEED_ACT_RELU });
    size_t in = 64;
    for (size_t s = 0; s < HEED_RESNET_STAGES; s++) {
        struct stage *const stage = &net->stages[s];
        const size_t width = (size_t)64 << s;
        stage->width = depth->bottleneck ? 4 * width : width;
        stage->count = depth->blocks[s];
        stage->blocks = heed_loader_bytes(loader, stage->count * sizeof *stage->blocks);
        for (size_t i = 0; stage->blocks && i < stage->count; i++) {
            load_block(loader, &stage->blocks[i], spec,
                       heed_loader_name(loader, "backbone.body.layer%zu.%zu", s + 1, i), depth->bottleneck, in, width,
                       stage->width, i == 0 && s > 0 ? 2 : 1);
            in = stage->width;
        }
        stage->attention = heed_place_load(loader, spec, heed_loader_name(loader, "res%zu", s + 2), stage->width);
    }
    return net;
}

void heed_resnet_widths(const struct heed_resnet *net, size_t widths[HEED_RESNET_STAGES])
{
    for (size_t s = 0; s < HEED_RESNET_STAGES; s++)
        widths[s] = net->stages[s].width;
}

/* y = relu(convs(x) + shortcut(x)). y may be x where the block does not downsample: the sum happens where it lies. */
static void run_block(struct heed_forward *forward, const struct block *block, size_t convs,
                      const struct heed_tensor *x, const struct heed_tensor *y)
{
    const size_t mark = heed_arena_mark(forward->arena);
    if (block->downsamples)
        heed_conv_into(forward, &block->downsample, x, NULL, y);
    struct heed_tensor t = *x;
    for (size_t i = 0; i + 1 < convs; i++)
        t = heed_conv(forward, &block->convs[i], &t);
    heed_conv_into(forward, &block->convs[convs - 1], &t, block->downsamples ? y : x, y);
    heed_arena_release(forward->arena, mark);
}

void heed_resnet_run(struct heed_forward *forward, const struct heed_resnet *net, const struct heed_tensor *input,
                     struct heed_tensor features[HEED_RESNET_STAGES])
{
    static const struct heed_pool_shape pool = { .name = "backbone.body.maxpool", .kernel = 3, .step = 2, .pad = 1 };
    assert(input->h % 32 == 0 && input->w % 32 == 0);
    for (size_t s = 0; s < HEED_RESNET_STAGES; s++)
        features[s] = heed_forward_spaced(forward, 1, input->h >> (s + 2), input->w >> (s + 2), net->stages[s].width);

    const size_t mark = heed_arena_mark(forward->arena);
    struct heed_tensor x = heed_forward_tensor(forward, 1, input->h / 4, input->w / 4, net->conv1.shape.out);
    const size_t stem_mark = heed_arena_mark(forward->arena);
    const struct heed_tensor stem = heed_conv(forward, &net->conv1, input);
    heed_max_pool_into(forward, &pool, &stem, &x);
    heed_arena_release(forward->arena, stem_mark);
    for (size_t s = 0; s < HEED_RESNET_STAGES; s++) {
        const struct stage *const stage = &net->stages[s];
        for (size_t i = 0; i < stage->count; i++) {
            run_block(forward, &stage->blocks[i], net->block_convs, &x, &features[s]);
            x = features[s];
        }
        if (s == 0)
            heed_arena_release(forward->arena, mark); /* the stem's output has been read */
        heed_attention_run(forward, stage->attention, &x);
    }
}
