/* Every layer against the sum that defines it, written out plainly; and what all layers promise: the same bits for any
 * number of threads, no more memory than planned (pass_run checks it), nothing done once stopped. */
#include "invented.h"

#include "../layers_alone.h"
#include "layers/linear.h"
#include "layers/resize.h"
#include "layers/roi_align.h"

static float *read_weights(const char *name, size_t out, size_t in, size_t h, size_t w)
{
    float *const weights = malloc(out * in * h * w * sizeof *weights);
    assert_int_equal(heed_weights_read(NULL, name, 4, (size_t[]){ out, in, h, w }, weights, NULL), HEED_OK);
    return weights;
}

static float *read_vector(const char *name, size_t count)
{
    float *const vector = malloc(count * sizeof *vector);
    assert_int_equal(heed_weights_read(NULL, name, 1, &count, vector, NULL), HEED_OK);
    return vector;
}

static float activate(float x, enum heed_activation activation, float slope)
{
    return x >= 0 || activation == HEED_ACT_NONE ? x : activation == HEED_ACT_RELU ? 0 : slope * x;
}

/* ---- Convolution ----------------------------------------------------------------------------------- */

/* A layer's input, what it gave, and the layer. */
struct conv_case {
    const struct heed_conv *conv;
    struct heed_tensor (*layer)(struct heed_forward *, const struct heed_conv *, const struct heed_tensor *);
    size_t n, h, w;
    size_t wider; /* channels of the tensor that the input is a view of, beyond the input's own */
    float *x, *y;
    size_t y_floats;
};

static void run_conv(struct heed_forward *forward, void *arg)
{
    struct conv_case *const it = arg;
    const size_t c = it->conv->shape.in;
    struct heed_tensor wide = heed_forward_tensor(forward, it->n, it->h, it->w, c + it->wider);
    const struct heed_tensor x = heed_tensor_channels(&wide, it->wider, c);
    if (!heed_arena_counting(forward->arena))
        for (size_t i = 0; i < heed_tensor_pixels(&x); i++)
            memcpy(x.data + i * x.stride, it->x + i * c, c * sizeof *it->x);
    const struct heed_tensor y = it->layer(forward, it->conv, &x);
    it->y_floats = heed_tensor_pixels(&y) * y.c;
    if (heed_arena_counting(forward->arena))
        return;
    it->y = malloc(it->y_floats * sizeof *it->y);
    memcpy(it->y, y.data, it->y_floats * sizeof *it->y);
}

/* Runs it with one, two and three lanes, which must agree to the last bit. */
static void run_lanes(const struct net *net, pass_fn *fn, void *arg, float **y, size_t *floats)
{
    pass_run(&net->kernels, 1, fn, arg);
    float *const first = *y;
    for (unsigned lanes = 2; lanes <= 3; lanes++) {
        pass_run(&net->kernels, lanes, fn, arg);
        assert_memory_equal(*y, first, *floats * sizeof *first);
        free(*y);
    }
    *y = first;
}

static void check_conv(struct heed_conv_shape shape, bool depthwise, size_t n, size_t h, size_t w, size_t wider)
{
    struct net net;
    net_init(&net);
    struct heed_conv conv;
    (depthwise ? heed_depthwise_load : heed_conv_load)(&net.loader, &conv, "layer", shape);
    assert_int_equal(net.loader.status, HEED_OK);
    struct conv_case it = {
        .conv = &conv, .layer = depthwise ? depthwise_alone : heed_conv, .n = n, .h = h, .w = w, .wider = wider
    };
    it.x = malloc(n * h * w * shape.in * sizeof *it.x);
    invent_floats(it.x, n * h * w * shape.in, 7);
    run_lanes(&net, run_conv, &it, &it.y, &it.y_floats);

    const size_t kernel = shape.kernel, in = depthwise ? 1 : shape.in;
    float *const weights = read_weights("layer.weight", shape.out, in, kernel, kernel);
    float *const bias = read_vector("layer.bias", shape.out);
    const size_t out_h = heed_conv_side(&shape, h), out_w = heed_conv_side(&shape, w);
    assert_int_equal(it.y_floats, n * out_h * out_w * shape.out);
    for (size_t i = 0; i < it.y_floats; i++) {
        const size_t o = i % shape.out, ox = i / shape.out % out_w, oy = i / shape.out / out_w % out_h;
        const size_t image = i / shape.out / out_w / out_h;
        double sum = bias[o];
        for (size_t tap = 0; tap < kernel * kernel; tap++) {
            const size_t iy = oy * shape.step + tap / kernel - shape.pad,
                         ix = ox * shape.step + tap % kernel - shape.pad;
            for (size_t c = 0; c < in && iy < h && ix < w; c++)
                sum += weights[(o * in + c) * kernel * kernel + tap] *
                       it.x[((image * h + iy) * w + ix) * shape.in + (depthwise ? o : c)];
        }
        const float wanted = activate((float)sum, shape.activation, shape.slope);
        assert_close(&it.y[i], &wanted, 1, 1e-5f);
    }
    free(weights);
    free(bias);
    free(it.x);
    free(it.y);
    net_deinit(&net);
}

static void conv_is_its_sum(void **state)
{
    (void)state;
    check_conv((struct heed_conv_shape){ .in = 3, .out = 5, .kernel = 3, .step = 1, .pad = 1 }, false, 1, 1, 1, 0);
    check_conv(
        (struct heed_conv_shape){
            .in = 3, .out = 24, .kernel = 3, .step = 2, .pad = 1, .activation = HEED_ACT_LEAKY, .slope = 0.1f },
        false, 1, 33, 18, 0);
    check_conv(
        (struct heed_conv_shape){ .in = 3, .out = 8, .kernel = 7, .step = 2, .pad = 3, .activation = HEED_ACT_RELU },
        false, 1, 30, 31, 0);
    check_conv((struct heed_conv_shape){ .in = 17, .out = 33, .kernel = 3, .step = 1, .pad = 1 }, false, 3, 14, 13, 5);
    check_conv((struct heed_conv_shape){ .in = 13, .out = 1, .kernel = 1, .step = 1 }, false, 2, 9, 11, 0);
    check_conv((struct heed_conv_shape){ .in = 58, .out = 58, .kernel = 1, .step = 1 }, false, 1, 40, 41, 58);
    check_conv((struct heed_conv_shape){ .in = 16, .out = 20, .kernel = 1, .step = 2 }, false, 2, 7, 8, 4);
}

static void depthwise_is_its_sum(void **state)
{
    (void)state;
    check_conv((struct heed_conv_shape){ .in = 7, .out = 7, .kernel = 3, .step = 1, .pad = 1 }, true, 1, 1, 1, 0);
    check_conv((struct heed_conv_shape){ .in = 58, .out = 58, .kernel = 3, .step = 2, .pad = 1 }, true, 1, 52, 38, 0);
    check_conv(
        (struct heed_conv_shape){
            .in = 96, .out = 96, .kernel = 3, .step = 1, .pad = 1, .activation = HEED_ACT_LEAKY, .slope = 0.1f },
        true, 2, 13, 9, 3);
}

static void batch_norm_is_folded(void **state)
{
    (void)state;
    enum { IN = 4, OUT = 6, PIXELS = 5 };
    const float eps = 1e-3f;
    struct net net;
    net_init(&net);
    struct heed_conv conv;
    heed_conv_load(
        &net.loader, &conv, "layer",
        (struct heed_conv_shape){ .in = IN, .out = OUT, .kernel = 1, .step = 1, .norm = "bn", .norm_eps = eps });
    struct conv_case it = { .conv = &conv, .layer = heed_conv, .n = 1, .h = 1, .w = PIXELS };
    float x[PIXELS * IN];
    invent_floats(x, PIXELS * IN, 3);
    it.x = x;
    pass_run(&net.kernels, 1, run_conv, &it);

    float *const weights = read_weights("layer.weight", OUT, IN, 1, 1);
    float *const gamma = read_vector("bn.weight", OUT), *const beta = read_vector("bn.bias", OUT);
    float *const mean = read_vector("bn.running_mean", OUT), *const var = read_vector("bn.running_var", OUT);
    for (size_t i = 0; i < PIXELS * OUT; i++) {
        const size_t o = i % OUT;
        float sum = 0;
        for (size_t c = 0; c < IN; c++)
            sum += weights[o * IN + c] * x[i / OUT * IN + c];
        const float wanted = (sum - mean[o]) / sqrtf(var[o] + eps) * gamma[o] + beta[o];
        assert_close(&it.y[i], &wanted, 1, 1e-5f);
    }
    free(weights);
    free(gamma);
    free(beta);
    free(mean);
    free(var);
    free(it.y);
    net_deinit(&net);
}

/* ---- Depthwise and 1x1 in one ----------------------------------------------------------------------- */

static struct heed_tensor one_after_the_other(struct heed_forward *forward, const struct heed_conv *conv,
                                              const struct heed_tensor *x)
{
    struct heed_conv alone = *conv;
    alone.depthwise = NULL;
    const struct heed_tensor between = depthwise_alone(forward, conv->depthwise, x);
    return heed_conv(forward, &alone, &between);
}

static void check_follow(size_t h, size_t w, size_t step)
{
    enum { N = 2, IN = 29, OUT = 37 };
    struct net net;
    net_init(&net);
    struct heed_conv depthwise, conv;
    heed_depthwise_load(
        &net.loader, &depthwise, "depthwise",
        (struct heed_conv_shape){
            .in = IN, .out = IN, .kernel = 3, .step = step, .pad = 1, .activation = HEED_ACT_LEAKY, .slope = 0.1f });
    heed_conv_load(
        &net.loader, &conv, "layer",
        (struct heed_conv_shape){ .in = IN, .out = OUT, .kernel = 1, .step = 1, .activation = HEED_ACT_RELU });
    heed_conv_follow(&conv, &depthwise);
    float *const x = malloc(N * h * w * IN * sizeof *x);
    invent_floats(x, N * h * w * IN, 3);
    struct conv_case both = { .conv = &conv, .layer = heed_conv, .n = N, .h = h, .w = w, .x = x }, apart = both;
    apart.layer = one_after_the_other;
    run_lanes(&net, run_conv, &both, &both.y, &both.y_floats);
    run_lanes(&net, run_conv, &apart, &apart.y, &apart.y_floats);
    assert_int_equal(both.y_floats, apart.y_floats);
    assert_memory_equal(both.y, apart.y, both.y_floats * sizeof *both.y);
    free(x);
    free(both.y);
    free(apart.y);
    net_deinit(&net);
}

static void a_1x1_that_follows_a_depthwise_is_both(void **state)
{
    (void)state;
    check_follow(1, 1, 1);
    check_follow(13, 13, 1);
    check_follow(31, 40, 2);
    check_follow(33, 67, 1);
}

/* ---- Residual and shuffle -------------------------------------------------------------------------- */

struct sum_case {
    const struct heed_conv *conv;
    size_t h, w;
    const float *x; /* (h, w, in) */
    bool shuffled;
    const float *start; /* what y holds before */
    float *y;
    size_t floats;
};

/* y = conv(x) + y, or y = shuffle(first half of y, conv(x)) */
static void run_sum(struct heed_forward *forward, void *arg)
{
    struct sum_case *const it = arg;
    const size_t out = it->conv->shape.out, y_channels = it->shuffled ? 2 * out : out;
    const struct heed_tensor x = heed_forward_tensor(forward, 1, it->h, it->w, it->conv->shape.in);
    const struct heed_tensor y = heed_forward_tensor(forward, 1, it->h, it->w, y_channels);
    it->floats = it->h * it->w * y_channels;
    if (!heed_arena_counting(forward->arena)) {
        memcpy(x.data, it->x, it->h * it->w * x.c * sizeof *it->x);
        memcpy(y.data, it->start, it->floats * sizeof *it->start);
    }
    const struct heed_tensor first = heed_tensor_channels(&y, 0, out);
    if (it->shuffled)
        heed_conv_shuffled_into(forward, it->conv, &x, &first, &y);
    else
        heed_conv_into(forward, it->conv, &x, &y, &y);
    if (heed_arena_counting(forward->arena))
        return;
    it->y = malloc(it->floats * sizeof *it->y);
    memcpy(it->y, y.data, it->floats * sizeof *it->y);
}

static void check_sum(bool shuffled)
{
    enum { H = 21, W = 19, C = 29 };
    struct net net;
    net_init(&net);
    struct heed_conv conv;
    heed_conv_load(&net.loader, &conv, "layer",
                   (struct heed_conv_shape){ .in = C, .out = C, .kernel = 1, .step = 1, .activation = HEED_ACT_RELU });
    float *const x = malloc(H * W * C * sizeof *x), *const start = malloc(2 * H * W * C * sizeof *start);
    invent_floats(x, H * W * C, 1);
    invent_floats(start, 2 * H * W * C, 2);
    struct sum_case it = { .conv = &conv, .h = H, .w = W, .x = x, .shuffled = shuffled, .start = start };
    run_lanes(&net, run_sum, &it, &it.y, &it.floats);

    float *const weights = read_weights("layer.weight", C, C, 1, 1), *const bias = read_vector("layer.bias", C);
    for (size_t i = 0; i < H * W * C; i++) {
        const size_t pixel = i / C, o = i % C;
        float sum = bias[o];
        for (size_t c = 0; c < C; c++)
            sum += weights[o * C + c] * x[pixel * C + c];
        const float wanted = fmaxf(shuffled ? sum : sum + start[i], 0);
        assert_close(&it.y[shuffled ? pixel * 2 * C + 2 * o + 1 : i], &wanted, 1, 1e-5f);
        if (shuffled)
            assert_true(it.y[pixel * 2 * C + 2 * o] == start[pixel * 2 * C + o]);
    }
    free(weights);
    free(bias);
    free(x);
    free(start);
    free(it.y);
    net_deinit(&net);
}

static void residual_may_be_the_output(void **state)
{
    (void)state;
    check_sum(false);
}

static void shuffle_interleaves_in_place(void **state)
{
    (void)state;
    check_sum(true);
}

/* ---- Transposed, linear ---------------------------------------------------------------------------- */

static void deconv_makes_four_pixels_of_each(void **state)
{
    (void)state;
    enum { N = 3, SIDE = 5, IN = 9, OUT = 7 };
    struct net net;
    net_init(&net);
    struct heed_conv conv;
    heed_deconv_load(&net.loader, &conv, "layer",
                     (struct heed_conv_shape){ .in = IN, .out = OUT, .kernel = 2, .step = 2 });
    float x[N * SIDE * SIDE * IN];
    invent_floats(x, sizeof x / sizeof *x, 5);
    struct conv_case it = { .conv = &conv, .layer = deconv_alone, .n = N, .h = SIDE, .w = SIDE, .x = x };
    run_lanes(&net, run_conv, &it, &it.y, &it.y_floats);

    float *const weights = read_weights("layer.weight", IN, OUT, 2, 2), *const bias = read_vector("layer.bias", OUT);
    assert_int_equal(it.y_floats, N * 4 * SIDE * SIDE * OUT);
    for (size_t i = 0; i < it.y_floats; i++) {
        const size_t o = i % OUT, ox = i / OUT % (2 * SIDE), oy = i / OUT / (2 * SIDE) % (2 * SIDE);
        const size_t n = i / OUT / (4 * SIDE * SIDE);
        float wanted = bias[o];
        for (size_t c = 0; c < IN; c++)
            wanted +=
                x[((n * SIDE + oy / 2) * SIDE + ox / 2) * IN + c] * weights[((c * OUT + o) * 2 + oy % 2) * 2 + ox % 2];
        assert_close(&it.y[i], &wanted, 1, 1e-5f);
    }
    free(weights);
    free(bias);
    free(it.y);
    net_deinit(&net);
}

struct linear_case {
    const struct heed_linear *linear;
    size_t n, side, c;
    const float *x;
    float *y;
    size_t floats;
};

static void run_linear(struct heed_forward *forward, void *arg)
{
    struct linear_case *const it = arg;
    const struct heed_tensor x = heed_forward_tensor(forward, it->n, it->side, it->side, it->c);
    if (!heed_arena_counting(forward->arena))
        memcpy(x.data, it->x, it->n * it->side * it->side * it->c * sizeof *it->x);
    const struct heed_tensor y = heed_linear(forward, it->linear, &x);
    it->floats = it->n * y.c;
    if (heed_arena_counting(forward->arena))
        return;
    it->y = malloc(it->floats * sizeof *it->y);
    memcpy(it->y, y.data, it->floats * sizeof *it->y);
}

static void linear_sees_regions_channel_by_channel(void **state)
{
    (void)state;
    enum { N = 250, SIDE = 3, C = 5, IN = SIDE * SIDE * C, OUT = 70 };
    struct net net;
    net_init(&net);
    struct heed_linear linear;
    heed_linear_load(&net.loader, &linear, "layer", C, SIDE, OUT, HEED_ACT_RELU);
    float *const x = malloc(N * IN * sizeof *x);
    invent_floats(x, N * IN, 5);
    struct linear_case it = { .linear = &linear, .n = N, .side = SIDE, .c = C, .x = x };
    run_lanes(&net, run_linear, &it, &it.y, &it.floats);

    float weights[OUT * IN], bias[OUT];
    assert_int_equal(heed_weights_read(NULL, "layer.weight", 2, (size_t[]){ OUT, IN }, weights, NULL), HEED_OK);
    assert_int_equal(heed_weights_read(NULL, "layer.bias", 1, (size_t[]){ OUT }, bias, NULL), HEED_OK);
    for (size_t i = 0; i < N * OUT; i++) {
        float sum = bias[i % OUT];
        for (size_t c = 0; c < C; c++)
            for (size_t pixel = 0; pixel < SIDE * SIDE; pixel++)
                sum += weights[i % OUT * IN + c * SIDE * SIDE + pixel] * x[i / OUT * IN + pixel * C + c];
        const float wanted = fmaxf(sum, 0);
        assert_close(&it.y[i], &wanted, 1, 1e-5f);
    }
    free(x);
    free(it.y);
    net_deinit(&net);
}

/* ---- Pool, resize, RoIAlign ------------------------------------------------------------------------ */

/* A 5 x 7 map of 3 channels whose values tell where they are. */
struct map_case {
    struct heed_pool_shape pool;
    enum heed_resize_mode mode;
    size_t out_h, out_w;
    float *y;
    size_t floats;
};

enum { MAP_H = 5, MAP_W = 7, MAP_C = 3 };

static float map_value(size_t y, size_t x, size_t c)
{
    return (float)(100 * y + 10 * x + c);
}

static struct heed_tensor make_map(struct heed_forward *forward)
{
    const struct heed_tensor x = heed_forward_tensor(forward, 1, MAP_H, MAP_W, MAP_C);
    for (size_t i = 0; i < MAP_H * MAP_W * MAP_C && !heed_arena_counting(forward->arena); i++)
        x.data[i] = map_value(i / MAP_C / MAP_W, i / MAP_C % MAP_W, i % MAP_C);
    return x;
}

static void copy_out(struct heed_forward *forward, struct map_case *it, const struct heed_tensor *y)
{
    it->floats = heed_tensor_pixels(y) * y->c;
    if (heed_arena_counting(forward->arena))
        return;
    it->y = malloc(it->floats * sizeof *it->y);
    memcpy(it->y, y->data, it->floats * sizeof *it->y);
}

static void run_pool(struct heed_forward *forward, void *arg)
{
    struct map_case *const it = arg;
    const struct heed_tensor x = make_map(forward);
    const struct heed_tensor y = max_pool_alone(forward, &it->pool, &x);
    copy_out(forward, it, &y);
}

static void max_pool_takes_the_largest_inside(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    struct map_case it = { .pool = { .name = "pool", .kernel = 3, .step = 2, .pad = 1 } };
    run_lanes(&net, run_pool, &it, &it.y, &it.floats);
    assert_int_equal(it.floats, 3 * 4 * MAP_C);
    for (size_t i = 0; i < it.floats; i++) {
        const size_t oy = i / MAP_C / 4, ox = i / MAP_C % 4;
        assert_true(it.y[i] == map_value(oy < 2 ? 2 * oy + 1 : 4, ox < 3 ? 2 * ox + 1 : 6, i % MAP_C));
    }
    free(it.y);
    net_deinit(&net);
}

static void a_pool_of_one_takes_every_second_pixel(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    struct map_case it = { .pool = { .name = "pool", .kernel = 1, .step = 2 } };
    run_lanes(&net, run_pool, &it, &it.y, &it.floats);
    assert_int_equal(it.floats, 3 * 4 * MAP_C);
    for (size_t i = 0; i < it.floats; i++)
        assert_true(it.y[i] == map_value(2 * (i / MAP_C / 4), 2 * (i / MAP_C % 4), i % MAP_C));
    free(it.y);
    net_deinit(&net);
}

/* Once over NaN, once added to that. */
static void run_resize(struct heed_forward *forward, void *arg)
{
    struct map_case *const it = arg;
    const struct heed_tensor x = make_map(forward), y = heed_forward_tensor(forward, 1, it->out_h, it->out_w, MAP_C);
    heed_resize_into(forward, it->mode, &x, &y);
    heed_resize_add(forward, it->mode, &x, &y);
    copy_out(forward, it, &y);
}

static void nearest_repeats_and_adds(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    struct map_case it = { .mode = HEED_RESIZE_NEAREST, .out_h = 2 * MAP_H, .out_w = 2 * MAP_W };
    run_lanes(&net, run_resize, &it, &it.y, &it.floats);
    for (size_t i = 0; i < it.floats; i++)
        assert_true(it.y[i] == 2 * map_value(i / MAP_C / it.out_w / 2, i / MAP_C % it.out_w / 2, i % MAP_C));
    free(it.y);
    net_deinit(&net);
}

static void bilinear_follows_the_plane(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    struct map_case it = { .mode = HEED_RESIZE_BILINEAR, .out_h = 2 * MAP_H, .out_w = 2 * MAP_W };
    run_lanes(&net, run_resize, &it, &it.y, &it.floats);
    for (size_t i = 0; i < it.floats; i++) {
        const float y = (float)(i / MAP_C / it.out_w) / 2 - 0.25f, x = (float)(i / MAP_C % it.out_w) / 2 - 0.25f;
        const float inside_y = fminf(fmaxf(y, 0), MAP_H - 1), inside_x = fminf(fmaxf(x, 0), MAP_W - 1);
        const float wanted = 2 * (100 * inside_y + 10 * inside_x + (float)(i % MAP_C));
        assert_close(&it.y[i], &wanted, 1, 1e-5f);
    }
    free(it.y);
    net_deinit(&net);
}

struct roi_case {
    float *y;
    size_t floats;
};

/* Squares whose sides are at the levels' borders; each level's map is a constant: its number. */
static const float squares[][4] = {
    { 0, 0, 10, 10 },   { 0, 0, 111.9f, 111.9f }, { 0, 0, 112, 112 }, { 0, 0, 223.9f, 223.9f },
    { 0, 0, 224, 224 }, { 0, 0, 448, 448 },       { 0, 0, 900, 900 },
};
static const float squares_levels[] = { 0, 0, 1, 1, 2, 3, 3 };
#define SQUARES (sizeof squares / sizeof *squares)

static void run_roi(struct heed_forward *forward, void *arg)
{
    struct roi_case *const it = arg;
    struct heed_roi_levels levels = { .name = "roi", .count = 4 };
    for (size_t i = 0; i < 4; i++) {
        levels.maps[i] = heed_forward_tensor(forward, 1, 256 >> i, 256 >> i, 2);
        levels.scales[i] = 0.25f / (float)(1 << i);
        for (size_t j = 0; j < heed_tensor_pixels(&levels.maps[i]) * 2 && !heed_arena_counting(forward->arena); j++)
            levels.maps[i].data[j] = (float)i;
    }
    const struct heed_tensor y = heed_roi_align(forward, &levels, squares, SQUARES, 7);
    it->floats = SQUARES * 7 * 7 * 2;
    if (heed_arena_counting(forward->arena))
        return;
    it->y = malloc(it->floats * sizeof *it->y);
    memcpy(it->y, y.data, it->floats * sizeof *it->y);
}

static void roi_align_reads_the_level_of_the_regions_size(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    struct roi_case it = { 0 };
    run_lanes(&net, run_roi, &it, &it.y, &it.floats);
    for (size_t i = 0; i < it.floats; i++)
        assert_close(&it.y[i], &squares_levels[i / (7 * 7 * 2)], 1, 1e-6f);
    free(it.y);
    net_deinit(&net);
}

/* ---- The pass -------------------------------------------------------------------------------------- */

/* What stays of the output when a pass does nothing. */
static float untouched(const atomic_bool *cancel, uint64_t deadline_ns, enum heed_status wanted)
{
    struct net net;
    net_init(&net);
    struct heed_conv conv;
    heed_conv_load(&net.loader, &conv, "layer", (struct heed_conv_shape){ .in = 1, .out = 1, .kernel = 1, .step = 1 });
    _Alignas(HEED_ALIGN) uint8_t block[4096];
    struct heed_arena arena;
    heed_arena_init(&arena, block, sizeof block);
    struct heed_crew *crew;
    assert_int_equal(heed_crew_create(0, 1, &crew, NULL), HEED_OK);
    struct heed_forward forward = { .kernels = &net.kernels,
                                    .arena = &arena,
                                    .crew = crew,
                                    .lanes = 1,
                                    .stop = { .cancel = cancel, .deadline_ns = deadline_ns } };
    const struct heed_tensor x = heed_forward_tensor(&forward, 1, 1, 1, 1),
                             y = heed_forward_tensor(&forward, 1, 1, 1, 1);
    x.data[0] = 1;
    y.data[0] = 77;
    heed_conv_into(&forward, &conv, &x, NULL, &y);
    assert_int_equal(forward.status, wanted);
    const float left = y.data[0];
    heed_arena_deinit(&arena);
    heed_crew_free(crew);
    net_deinit(&net);
    return left;
}

static void a_stopped_pass_computes_nothing(void **state)
{
    (void)state;
    atomic_bool cancel = true;
    assert_true(untouched(&cancel, 0, HEED_CANCELLED) == 77);
    atomic_store(&cancel, false);
    assert_true(untouched(&cancel, 1, HEED_DEADLINE) == 77);
    assert_false(untouched(&cancel, heed_now_ns() + 60u * 1000000000u, HEED_OK) == 77);
}

static void a_variance_below_zero_is_an_error(void **state)
{
    (void)state;
    const float offsets[] = { 0, -2 }; /* variances are 0.5 to 1.5 */
    for (size_t i = 0; i < 2; i++) {
        struct net net;
        struct heed_conv conv;
        net_init(&net);
        heed_conv_load(&net.loader, &conv, "c",
                       (struct heed_conv_shape){
                           .in = 4, .out = 4, .kernel = 1, .step = 1, .norm = "bn", .norm_eps = offsets[i] });
        assert_int_equal(net.loader.status, i == 0 ? HEED_OK : HEED_BAD_WEIGHTS);
        assert_true(i == 0 || strstr(net.error.text, "bn.running_var"));
        net_deinit(&net);
    }
}

static void a_tensor_too_large_is_told_by_the_arena(void **state)
{
    (void)state;
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .arena = &arena, .lanes = 1 };
    heed_forward_tensor(&forward, 2, SIZE_MAX / 2, 2, 1);
    assert_true(arena.overflowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_is_its_sum),
        cmocka_unit_test(depthwise_is_its_sum),
        cmocka_unit_test(a_1x1_that_follows_a_depthwise_is_both),
        cmocka_unit_test(batch_norm_is_folded),
        cmocka_unit_test(residual_may_be_the_output),
        cmocka_unit_test(shuffle_interleaves_in_place),
        cmocka_unit_test(deconv_makes_four_pixels_of_each),
        cmocka_unit_test(linear_sees_regions_channel_by_channel),
        cmocka_unit_test(max_pool_takes_the_largest_inside),
        cmocka_unit_test(a_pool_of_one_takes_every_second_pixel),
        cmocka_unit_test(nearest_repeats_and_adds),
        cmocka_unit_test(bilinear_follows_the_plane),
        cmocka_unit_test(roi_align_reads_the_level_of_the_regions_size),
        cmocka_unit_test(a_stopped_pass_computes_nothing),
        cmocka_unit_test(a_variance_below_zero_is_an_error),
        cmocka_unit_test(a_tensor_too_large_is_told_by_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
