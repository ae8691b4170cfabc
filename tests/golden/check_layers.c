/* Each layer of engine/layers, and the way of a photo into a network, against PyTorch's and torchvision's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../layers_alone.h"
#include "checks.h"
#include "generated.h"
#include "golden.h"
#include "image/prepare.h"
#include "layers/linear.h"
#include "layers/resize.h"
#include "layers/roi_align.h"

/* Of the largest value: a few hundred roundings of single precision. */
#define TOLERANCE 5e-6f
#define LARGE_TILES_TOLERANCE                                                                                          \
    2e-5f /* tiles of side 6 round four times as much as those of side 4 (winograd_transforms.inc) */
enum { REGIONS_MAX = 16 };

static struct golden_suite suite;

static int open_suite(void **state)
{
    (void)state;
    golden_open(&suite, "layers");
    return 0;
}

static int close_suite(void **state)
{
    (void)state;
    golden_close(&suite);
    return 0;
}

static enum heed_activation rectifier_of(const json_t *c)
{
    const char *const name = golden_text(c, "rectifier");
    return strcmp(name, "relu") == 0 ? HEED_ACT_RELU : strcmp(name, "leaky") == 0 ? HEED_ACT_LEAKY : HEED_ACT_NONE;
}

static size_t input_channels(const json_t *c)
{
    size_t shape[4];
    golden_sizes(c, "input", shape, 4);
    return shape[3];
}

/* ---- Convolutions ---------------------------------------------------------------------------------- */

static bool is_depthwise(const json_t *c)
{
    return json_is_true(golden_member(c, "depthwise"));
}

static void *load_conv(struct heed_loader *loader, const json_t *c)
{
    const json_t *const eps = golden_member(c, "norm_eps");
    struct heed_conv *const conv = heed_loader_bytes(loader, sizeof *conv);
    (is_depthwise(c) ? heed_depthwise_load : heed_conv_load)(loader, conv, "conv",
                                                             (struct heed_conv_shape){
                                                                 .in = input_channels(c),
                                                                 .out = golden_size(c, "outputs"),
                                                                 .kernel = golden_size(c, "kernel"),
                                                                 .step = golden_size(c, "stride"),
                                                                 .pad = golden_size(c, "pad"),
                                                                 .norm = json_is_null(eps) ? NULL : "bn",
                                                                 .norm_eps = (float)json_number_value(eps),
                                                                 .activation = rectifier_of(c),
                                                                 .slope = 0.1f,
                                                             });
    return conv;
}

static struct heed_tensor run_conv(struct heed_forward *forward, const void *conv, const struct heed_tensor *x,
                                   const json_t *c)
{
    if (is_depthwise(c))
        return depthwise_alone(forward, conv, x);
    if (!json_is_true(golden_member(c, "residual")))
        return heed_conv(forward, conv, x);
    const struct heed_tensor y = heed_forward_tensor(forward, x->n, x->h, x->w, golden_size(c, "outputs"));
    const struct heed_tensor residual =
        golden_tensor(forward, golden_text(c, "name"), "residual", 1, y.n, y.h, y.w, y.c);
    heed_conv_into(forward, conv, x, &residual, &y);
    return y;
}

static void convolutions_and_folded_batch_norms_equal_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "conv", .load = load_conv, .run = run_conv }, TOLERANCE);
}

static void convolutions_of_large_maps_equal_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "conv_large_tiles", .load = load_conv, .run = run_conv },
                       LARGE_TILES_TOLERANCE);
}

static void *load_shuffled(struct heed_loader *loader, const json_t *c)
{
    const size_t channels = input_channels(c);
    struct heed_conv *const conv = heed_loader_bytes(loader, sizeof *conv);
    heed_conv_load(
        loader, conv, "conv",
        (struct heed_conv_shape){
            .in = channels, .out = channels, .kernel = 1, .step = 1, .activation = HEED_ACT_LEAKY, .slope = 0.1f });
    return conv;
}

static struct heed_tensor run_shuffled(struct heed_forward *forward, const void *conv, const struct heed_tensor *x,
                                       const json_t *c)
{
    const struct heed_tensor first = golden_tensor(forward, golden_text(c, "name"), "first", 1, x->n, x->h, x->w, x->c);
    const struct heed_tensor y = heed_forward_tensor(forward, x->n, x->h, x->w, 2 * x->c);
    heed_conv_shuffled_into(forward, conv, x, &first, &y);
    return y;
}

static void shuffled_convolutions_equal_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "shuffle", .load = load_shuffled, .run = run_shuffled },
                       TOLERANCE);
}

/* The engine's layers have no dilation yet; their kernels do. */
static struct heed_tensor run_dilated(struct heed_forward *forward, const void *layer, const struct heed_tensor *x,
                                      const json_t *c)
{
    const float *const *const parts = layer;
    const size_t kernel = golden_size(c, "kernel"), outputs = golden_size(c, "outputs"), taps = kernel * kernel * x->c;
    const struct heed_window window = {
        .h = x->h,
        .w = x->w,
        .c = x->c,
        .stride = x->stride,
        .out_h = x->h,
        .out_w = x->w,
        .kernel_h = kernel,
        .kernel_w = kernel,
        .step = 1,
        .pad = golden_size(c, "pad"),
        .dilation = golden_size(c, "dilation"),
    };
    const struct heed_tensor y = heed_forward_tensor(forward, 1, x->h, x->w, outputs);
    float *const columns = heed_arena_floats(forward->arena, x->h * x->w, taps);
    if (!heed_forward_computes(forward))
        return y;
    forward->kernels->im2col(columns, x->data, &window, 0, x->h * x->w);
    forward->kernels->gemm(y.data, y.stride, columns, taps, parts[0], x->h * x->w, outputs, taps,
                           &(struct heed_epilogue){ .bias = parts[1] });
    return y;
}

static void *load_dilated(struct heed_loader *loader, const json_t *c)
{
    const size_t in = input_channels(c), outputs = golden_size(c, "outputs"), kernel = golden_size(c, "kernel");
    const size_t taps = kernel * kernel * in;
    const float **const parts = heed_loader_bytes(loader, 2 * sizeof *parts);
    float *const rows = heed_loader_floats(loader, outputs * taps); /* taps row-major, channels last */
    float *const packed = heed_loader_floats(loader, loader->kernels->gemm_packed_floats(outputs, taps));
    const float *const weights =
        heed_loader_read_temporary(loader, "conv.weight", 4, (size_t[]){ outputs, in, kernel, kernel, 0 });
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t tap = 0; tap < kernel * kernel; tap++)
                rows[o * taps + tap * in + i] = weights[(o * in + i) * kernel * kernel + tap];
    loader->kernels->gemm_pack(packed, rows, taps, 1, outputs, taps);
    parts[0] = packed;
    parts[1] = heed_loader_read(loader, "conv.bias", 1, (size_t[]){ outputs, 0 });
    return parts;
}

static void dilated_windows_equal_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "dilated", .load = load_dilated, .run = run_dilated },
                       TOLERANCE);
}

static void *load_deconv(struct heed_loader *loader, const json_t *c)
{
    struct heed_conv *const conv = heed_loader_bytes(loader, sizeof *conv);
    heed_deconv_load(loader, conv, "deconv",
                     (struct heed_conv_shape){ .in = input_channels(c),
                                               .out = golden_size(c, "outputs"),
                                               .kernel = 2,
                                               .step = 2,
                                               .activation = rectifier_of(c) });
    return conv;
}

static struct heed_tensor run_deconv(struct heed_forward *forward, const void *conv, const struct heed_tensor *x,
                                     const json_t *c)
{
    (void)c;
    return deconv_alone(forward, conv, x);
}

static void transposed_convolutions_equal_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "deconv", .load = load_deconv, .run = run_deconv },
                       TOLERANCE);
}

/* ---- Linear ---------------------------------------------------------------------------------------- */

static void *load_linear(struct heed_loader *loader, const json_t *c)
{
    size_t shape[4];
    golden_sizes(c, "input", shape, 4);
    struct heed_linear *const linear = heed_loader_bytes(loader, sizeof *linear);
    heed_linear_load(loader, linear, "fc", shape[3], shape[1], golden_size(c, "outputs"), rectifier_of(c));
    return linear;
}

static struct heed_tensor run_linear(struct heed_forward *forward, const void *linear, const struct heed_tensor *x,
                                     const json_t *c)
{
    (void)c;
    return heed_linear(forward, linear, x);
}

static void linear_layers_equal_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "linear", .load = load_linear, .run = run_linear },
                       TOLERANCE);
}

/* ---- Without weights ------------------------------------------------------------------------------- */

static struct heed_tensor run_max_pool(struct heed_forward *forward, const void *layer, const struct heed_tensor *x,
                                       const json_t *c)
{
    (void)layer;
    const struct heed_pool_shape shape = { "pool", golden_size(c, "kernel"), golden_size(c, "stride"),
                                           golden_size(c, "pad") };
    return max_pool_alone(forward, &shape, x);
}

static void max_pooling_equals_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "max_pool", .run = run_max_pool }, 0);
}

static struct heed_tensor run_resize(struct heed_forward *forward, const void *layer, const struct heed_tensor *x,
                                     const json_t *c)
{
    (void)layer;
    size_t size[2];
    golden_sizes(c, "size", size, 2);
    const bool nearest = strcmp(golden_text(c, "mode"), "nearest") == 0;
    const enum heed_resize_mode mode = nearest ? HEED_RESIZE_NEAREST : HEED_RESIZE_BILINEAR;
    if (json_is_true(golden_member(c, "add"))) {
        const struct heed_tensor y =
            golden_tensor(forward, golden_text(c, "name"), "onto", 1, 1, size[0], size[1], x->c);
        heed_resize_add(forward, mode, x, &y);
        return y;
    }
    const struct heed_tensor y = heed_forward_tensor(forward, 1, size[0], size[1], x->c);
    heed_resize_into(forward, mode, x, &y);
    return y;
}

static void resizing_equals_pytorch(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "resize", .run = run_resize }, TOLERANCE);
}

/* ---- Regions --------------------------------------------------------------------------------------- */

static size_t read_regions(const json_t *c, float (*regions)[4])
{
    const json_t *const boxes = golden_member(c, "boxes");
    const size_t count = json_array_size(boxes);
    assert_in_range(count, 1, REGIONS_MAX);
    for (size_t i = 0; i < count; i++)
        for (size_t corner = 0; corner < 4; corner++)
            regions[i][corner] = (float)json_number_value(json_array_get(json_array_get(boxes, i), corner));
    return count;
}

static struct heed_tensor run_region_align(struct heed_forward *forward, const void *layer, const struct heed_tensor *x,
                                           const json_t *c)
{
    (void)layer;
    float regions[REGIONS_MAX][4];
    const size_t count = read_regions(c, regions);
    const struct heed_roi_levels levels = {
        .name = "one", .count = 1, .maps = { *x }, .scales = { (float)golden_number(c, "scale") }
    };
    return heed_roi_align(forward, &levels, (const float(*)[4])regions, count, golden_size(c, "out"));
}

static struct heed_tensor run_region_levels(struct heed_forward *forward, const void *layer,
                                            const struct heed_tensor *x, const json_t *c)
{
    (void)layer;
    (void)x;
    float regions[REGIONS_MAX][4];
    const size_t count = read_regions(c, regions), side = golden_size(c, "side");
    struct heed_roi_levels levels = { .name = "pyramid", .count = 4 };
    for (size_t level = 0; level < 4; level++) {
        char part[] = "level2";
        part[5] = (char)('2' + level);
        const size_t map_side = side >> (level + 2);
        levels.maps[level] =
            golden_tensor(forward, golden_text(c, "name"), part, 1, 1, map_side, map_side, golden_size(c, "channels"));
        levels.scales[level] = (float)map_side / (float)side;
    }
    return heed_roi_align(forward, &levels, (const float(*)[4])regions, count, golden_size(c, "out"));
}

static void regions_inside_outside_tiny_and_empty_equal_torchvision(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "region_align", .run = run_region_align }, TOLERANCE);
}

static void regions_are_read_from_the_level_torchvision_reads(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "region_levels", .run = run_region_levels }, TOLERANCE);
}

/* ---- The way in ------------------------------------------------------------------------------------ */

static void read_rule(const json_t *c, struct heed_input_spec *rule)
{
    const json_t *const text = golden_member(c, "rule");
    const bool fit = strcmp(golden_text(text, "resize"), "fit") == 0;
    *rule = (struct heed_input_spec){
        .resize = fit ? HEED_RESIZE_FIT : HEED_RESIZE_SHORT_SIDE,
        .short_side = fit ? 0 : (uint32_t)golden_size(text, "short_side"),
        .long_side = (uint32_t)golden_size(text, fit ? "long_side" : "long_side_max"),
        .antialias = json_is_true(golden_member(text, "antialias")),
        .bgr = strcmp(golden_text(text, "channels"), "bgr") == 0,
        .multiple = (uint32_t)golden_size(text, "multiple"),
    };
    golden_floats(text, "mean", rule->mean, 3);
    golden_floats(text, fit ? "scale" : "std", rule->scale, 3);
    for (size_t i = 0; i < 3 && !fit; i++) { /* means and deviations of 0..1 */
        rule->mean[i] *= 255;
        rule->scale[i] = 1 / (255 * rule->scale[i]);
    }
}

static struct heed_tensor run_prepare(struct heed_forward *forward, const void *layer, const struct heed_tensor *x,
                                      const json_t *c)
{
    (void)layer;
    (void)x;
    struct heed_input_spec rule;
    size_t photo[2], resized[2], padded[2];
    read_rule(c, &rule);
    golden_sizes(c, "photo", photo, 2);
    golden_sizes(c, "resized", resized, 2);
    golden_sizes(c, "padded", padded, 2);
    const struct heed_geometry geometry = heed_geometry(&rule, photo[1], photo[0]);
    assert_int_equal(geometry.resized_h, resized[0]);
    assert_int_equal(geometry.resized_w, resized[1]);
    assert_int_equal(geometry.input_h, padded[0]);
    assert_int_equal(geometry.input_w, padded[1]);

    struct heed_image image = { .rgb = malloc(3 * photo[0] * photo[1]),
                                .width = (uint32_t)photo[1],
                                .height = (uint32_t)photo[0] };
    generated_picture(image.rgb, photo[0], photo[1], golden_text(c, "name"));
    const struct heed_tensor y = heed_prepare(forward, &image, &rule, &geometry);
    free(image.rgb);
    return y;
}

static void photos_are_resized_normalised_and_padded_as_the_reference_does(void **state)
{
    (void)state;
    golden_check_layer(&suite, &(struct golden_layer){ .kind = "prepare", .run = run_prepare }, TOLERANCE);
}

/* Sizes alone, for many photos: float32 instead of double, or rounding instead of cutting, shows here first. */
static void resized_sizes_are_torchvisions(void **state)
{
    (void)state;
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(suite.cases, i, c)
    {
        if (strcmp(golden_text(c, "kind"), "sizes") != 0)
            continue;
        struct heed_input_spec rule;
        read_rule(c, &rule);
        const json_t *const rows = golden_member(c, "rows");
        for (size_t row = 0; row < json_array_size(rows); row++, checked++) {
            size_t n[6];
            for (size_t k = 0; k < 6; k++)
                n[k] = (size_t)json_integer_value(json_array_get(json_array_get(rows, row), k));
            const struct heed_geometry geometry = heed_geometry(&rule, n[1], n[0]);
            if (geometry.resized_h != n[2] || geometry.resized_w != n[3] || geometry.input_h != n[4] ||
                geometry.input_w != n[5])
                fail_msg("%zu x %zu becomes %zu x %zu in %zu x %zu, the reference says %zu x %zu in %zu x %zu", n[0],
                         n[1], geometry.resized_h, geometry.resized_w, geometry.input_h, geometry.input_w, n[2], n[3],
                         n[4], n[5]);
        }
    }
    assert_true(checked > 0);
}

int check_layers(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_and_folded_batch_norms_equal_pytorch),
        cmocka_unit_test(convolutions_of_large_maps_equal_pytorch),
        cmocka_unit_test(shuffled_convolutions_equal_pytorch),
        cmocka_unit_test(dilated_windows_equal_pytorch),
        cmocka_unit_test(transposed_convolutions_equal_pytorch),
        cmocka_unit_test(linear_layers_equal_pytorch),
        cmocka_unit_test(max_pooling_equals_pytorch),
        cmocka_unit_test(resizing_equals_pytorch),
        cmocka_unit_test(regions_inside_outside_tiny_and_empty_equal_torchvision),
        cmocka_unit_test(regions_are_read_from_the_level_torchvision_reads),
        cmocka_unit_test(photos_are_resized_normalised_and_padded_as_the_reference_does),
        cmocka_unit_test(resized_sizes_are_torchvisions),
    };
    return cmocka_run_group_tests_name("layers", tests, open_suite, close_suite);
}
