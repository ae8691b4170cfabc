/* Backbones and their necks, feature by feature, against torchvision's ResNet and feature pyramid and training/heed's
 * ShuffleNetV2 and path aggregation: with every depth, both epsilons, and attention at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../layers_alone.h"
#include "checks.h"
#include "golden.h"
#include "models/fpn.h"
#include "models/pan.h"
#include "models/resnet.h"
#include "models/shufflenet.h"
#include "models/spec.h"

#define TOLERANCE 1e-5f /* of the largest value, after up to a hundred layers */

static struct golden_suite suite;

static int open_suite(void **state)
{
    (void)state;
    golden_open(&suite, "networks");
    return 0;
}

static int close_suite(void **state)
{
    (void)state;
    golden_close(&suite);
    return 0;
}

static void read_spec(const json_t *c, struct heed_spec *spec)
{
    char *const text = golden_model_text(c), *const labels = golden_labels_text(c);
    struct heed_error error;
    if (heed_spec_parse(golden_text(c, "name"), text, strlen(text), labels, strlen(labels), spec, &error) != HEED_OK)
        fail_msg("%s", error.text);
    free(text);
    free(labels);
}

/* A copy in the arena: a neck may use its inputs up. */
static struct heed_tensor copy_of(struct heed_forward *forward, const struct heed_tensor *x)
{
    const struct heed_tensor copy = heed_forward_tensor(forward, x->n, x->h, x->w, x->c);
    if (heed_forward_computes(forward))
        for (size_t i = 0; i < heed_tensor_pixels(x); i++)
            memcpy(copy.data + i * x->c, x->data + i * x->stride, x->c * sizeof *x->data);
    return copy;
}

/* ---- ResNet and feature pyramid -------------------------------------------------------------------- */

struct resnet_fpn {
    const struct heed_resnet *resnet;
    struct heed_fpn fpn;
    bool with_rpn;
    struct heed_conv rpn; /* the 3x3 before proposals, of the finest level */
};

static void *load_resnet_fpn(struct heed_loader *loader, const json_t *c)
{
    struct heed_spec spec;
    read_spec(c, &spec);
    struct resnet_fpn *const net = heed_loader_bytes(loader, sizeof *net);
    net->resnet = heed_resnet_load(loader, &spec);
    if (net->resnet) {
        size_t widths[HEED_RESNET_STAGES];
        heed_resnet_widths(net->resnet, widths);
        heed_fpn_load(loader, &net->fpn, &spec, widths);
    }
    const json_t *const rpn = json_object_get(c, "rpn");
    if (rpn) {
        const size_t channels = spec.neck_channels;
        heed_conv_load(
            loader, &net->rpn, json_string_value(rpn),
            (struct heed_conv_shape){
                .in = channels, .out = channels, .kernel = 3, .step = 1, .pad = 1, .activation = HEED_ACT_RELU });
        net->with_rpn = true;
    }
    heed_spec_deinit(&spec);
    return net;
}

static size_t run_resnet_fpn(struct heed_forward *forward, const void *layer, const struct heed_tensor *input,
                             struct heed_tensor outputs[GOLDEN_OUTPUTS_MAX])
{
    const struct resnet_fpn *const net = layer;
    struct heed_tensor features[HEED_RESNET_STAGES];
    heed_resnet_run(forward, net->resnet, input, features);
    for (size_t i = 0; i < HEED_RESNET_STAGES; i++)
        outputs[i] = copy_of(forward, &features[i]);
    heed_fpn_run(forward, &net->fpn, features, outputs + HEED_RESNET_STAGES);
    size_t count = HEED_RESNET_STAGES + HEED_FPN_LEVELS;
    if (net->with_rpn)
        outputs[count++] = heed_conv(forward, &net->rpn, &outputs[HEED_RESNET_STAGES]);
    return count;
}

static void resnets_and_feature_pyramids_equal_torchvision(void **state)
{
    (void)state;
    const struct golden_layer layer = {
        .kind = "resnet_fpn", .load = load_resnet_fpn, .run_many = run_resnet_fpn, .input_spread = 2
    };
    golden_check_layer(&suite, &layer, TOLERANCE);
}

/* A mask head after its regions were cut out. */
#define MASK_LAYERS_MAX 5

struct mask_convs {
    size_t count; /* the transposed one included, which is last */
    struct heed_conv convs[MASK_LAYERS_MAX];
};

static void *load_mask_convs(struct heed_loader *loader, const json_t *c)
{
    size_t shape[4];
    golden_sizes(c, "input", shape, 4);
    struct mask_convs *const head = heed_loader_bytes(loader, sizeof *head);
    struct heed_conv_shape conv = { .in = shape[3],
                                    .out = shape[3],
                                    .kernel = 3,
                                    .step = 1,
                                    .pad = 1,
                                    .activation = HEED_ACT_LEAKY,
                                    .slope = (float)json_number_value(golden_member(c, "slope")) };
    size_t i;
    json_t *name;
    json_array_foreach(golden_member(c, "convs"), i, name)
        heed_conv_load(loader, &head->convs[head->count++], json_string_value(name), conv);
    conv.kernel = conv.step = 2;
    conv.pad = 0;
    heed_deconv_load(loader, &head->convs[head->count++], golden_text(c, "deconv"), conv);
    return head;
}

static size_t run_mask_convs(struct heed_forward *forward, const void *layer, const struct heed_tensor *input,
                             struct heed_tensor outputs[GOLDEN_OUTPUTS_MAX])
{
    const struct mask_convs *const head = layer;
    for (size_t i = 0; i < head->count; i++) {
        const struct heed_tensor *const x = i == 0 ? input : &outputs[i - 1];
        outputs[i] = (i + 1 < head->count ? heed_conv : deconv_alone)(forward, &head->convs[i], x);
    }
    return head->count;
}

/* What is stored of these cases was computed in float64. */
static void check_winograds_error(const struct golden_layer *layer)
{
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(suite.cases, i, c)
    {
        if (strcmp(golden_text(c, "kind"), layer->kind) != 0)
            continue;
        double plain[GOLDEN_OUTPUTS_MAX], winograd[GOLDEN_OUTPUTS_MAX];
        golden_layer_errors(&suite, layer, c, false, plain);
        const size_t outputs = golden_layer_errors(&suite, layer, c, true, winograd);
        for (size_t o = 0; o < outputs; o++) {
            print_message("# %s/%zu: error %.2g with Winograd, %.2g without: %.2f\n", golden_text(c, "name"), o,
                          winograd[o], plain[o], winograd[o] / plain[o]);
            assert_true(winograd[o] <= 4 * plain[o]);
        }
        checked++;
    }
    assert_true(checked > 0);
}

static void winograd_keeps_a_networks_error_within_four_times_the_plain_sums(void **state)
{
    (void)state;
    check_winograds_error(&(struct golden_layer){
        .kind = "resnet_fpn_float64", .load = load_resnet_fpn, .run_many = run_resnet_fpn, .input_spread = 2 });
    check_winograds_error(&(struct golden_layer){
        .kind = "mask_head_float64", .load = load_mask_convs, .run_many = run_mask_convs, .input_spread = 2 });
}

/* ---- ShuffleNet and path aggregation --------------------------------------------------------------- */

struct shufflenet_pan {
    const struct heed_shufflenet *shufflenet;
    struct heed_pan pan;
};

static void *load_shufflenet_pan(struct heed_loader *loader, const json_t *c)
{
    struct heed_spec spec;
    read_spec(c, &spec);
    struct shufflenet_pan *const net = heed_loader_bytes(loader, sizeof *net);
    net->shufflenet = heed_shufflenet_load(loader, &spec);
    heed_pan_load(loader, &net->pan, &spec, spec.stage_widths + 1);
    heed_spec_deinit(&spec);
    return net;
}

static size_t run_shufflenet_pan(struct heed_forward *forward, const void *layer, const struct heed_tensor *input,
                                 struct heed_tensor outputs[GOLDEN_OUTPUTS_MAX])
{
    const struct shufflenet_pan *const net = layer;
    struct heed_tensor features[HEED_SHUFFLENET_STAGES];
    heed_shufflenet_run(forward, net->shufflenet, input, features);
    for (size_t i = 0; i < HEED_SHUFFLENET_STAGES; i++)
        outputs[i] = copy_of(forward, &features[i]);
    heed_pan_run(forward, &net->pan, features, outputs + HEED_SHUFFLENET_STAGES);
    return HEED_SHUFFLENET_STAGES + HEED_PAN_LEVELS;
}

static void shufflenets_and_path_aggregation_equal_the_reference(void **state)
{
    (void)state;
    const struct golden_layer layer = {
        .kind = "shufflenet_pan", .load = load_shufflenet_pan, .run_many = run_shufflenet_pan, .input_spread = 2
    };
    golden_check_layer(&suite, &layer, TOLERANCE);
}

int check_networks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnets_and_feature_pyramids_equal_torchvision),
        cmocka_unit_test(winograd_keeps_a_networks_error_within_four_times_the_plain_sums),
        cmocka_unit_test(shufflenets_and_path_aggregation_equal_the_reference),
    };
    return cmocka_run_group_tests_name("networks", tests, open_suite, close_suite);
}
