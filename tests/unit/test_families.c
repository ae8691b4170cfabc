/* Both families on invented weights: the answer is the same for any number of threads, computing takes the planned
 * memory, and what a query leaves out does not change the rest. */
#include "invented.h"

#include "models/family.h"
#include "models/rpn.h"

/* ---- Networks -------------------------------------------------------------------------------------- */

static struct heed_label labels[] = { { "a", 1 }, { "b", 2 }, { "c", 3 }, { "d", 4 }, { "e", 5 } };

static const struct heed_spec heed_s = {
    .name = "small heed_s",
    .family = "heed_s",
    .labels = labels,
    .label_count = 5,
    .input = { .resize = HEED_RESIZE_FIT, .long_side = 96, .multiple = 32 },
    .stage_blocks = { 2, 2, 1 },
    .stage_widths = { 8, 12, 16, 24 },
    .neck_channels = 12,
    .classes = 5,
    .bins = 8,
    .score_min = 0.05f,
    .nms_iou = 0.6,
    .candidates = 200,
    .detections = 20,
    .mask_channels = 8,
    .mask_convs = 2,
    .mask_pool = 14,
    .attention = { { .after = "stage3", .key_channels = 8, .value_channels = 16, .heads = 1 },
                   { .after = "pan8",
                     .type = HEED_ATTENTION_DOT_PRODUCT,
                     .key_channels = 6,
                     .value_channels = 12,
                     .heads = 2 },
                   { .after = "mask", .key_channels = 4, .value_channels = 8, .heads = 1 } },
    .attention_count = 3,
};

static const struct heed_spec mask_rcnn = {
    .name = "small mask_rcnn",
    .family = "mask_rcnn",
    .labels = labels,
    .label_count = 4,
    .input = { .resize = HEED_RESIZE_SHORT_SIDE, .short_side = 96, .long_side = 160, .multiple = 32 },
    .backbone = "resnet18",
    .norm_eps = 1e-5f,
    .neck_channels = 16,
    .classes = 4,
    .score_min = 0.05f,
    .nms_iou = 0.5,
    .detections = 15,
    .rpn_nms_iou = 0.7,
    .rpn_candidates = 100,
    .rpn_proposals = 60,
    .attention = { { .after = "res3", .key_channels = 16, .value_channels = 32, .heads = 1 },
                   { .after = "fpn1", .key_channels = 8, .value_channels = 16, .heads = 2 },
                   { .after = "mask", .key_channels = 32, .value_channels = 64, .heads = 1 } },
    .attention_count = 3,
};

struct family_case {
    const struct heed_family *family;
    const struct heed_spec *spec;
    const void *network;
    struct heed_query query;
    size_t photo_w, photo_h;
    const atomic_bool *cancel;
    struct heed_findings findings; /* copied out */
};

static void load(struct net *net, struct family_case *it, const struct heed_spec *spec)
{
    net_init(net);
    *it =
        (struct family_case){ .family = heed_family_find(spec->family), .spec = spec, .photo_w = 200, .photo_h = 121 };
    assert_non_null(it->family);
    it->network = it->family->load(&net->loader, spec);
    assert_int_equal(net->loader.status, HEED_OK);
    it->query = (struct heed_query){ .detections_max = spec->detections, .masks = true };
}

static void forget(struct heed_findings *findings)
{
    free(findings->found);
    free(findings->mask_logits);
}

static void *copy_of(const void *from, size_t bytes)
{
    return memcpy(malloc(bytes + 1), from, bytes);
}

static void run_family(struct heed_forward *forward, void *arg)
{
    struct family_case *const it = arg;
    const struct heed_geometry geometry = heed_geometry(&it->spec->input, it->photo_w, it->photo_h);
    const struct heed_tensor input = heed_forward_tensor(forward, 1, geometry.input_h, geometry.input_w, 3);
    struct heed_findings findings;
    if (!heed_arena_counting(forward->arena))
        invent_floats(input.data, geometry.input_h * geometry.input_w * 3, 9);
    it->family->forward(forward, it->network, &input, &geometry, &it->query, &findings);
    if (heed_arena_counting(forward->arena)) {
        assert_int_equal(findings.count, it->query.detections_max);
        return;
    }
    it->findings = findings;
    it->findings.found = copy_of(findings.found, findings.count * sizeof *findings.found);
    if (it->query.masks)
        it->findings.mask_logits =
            copy_of(findings.mask_logits, findings.count * HEED_MASK_SIDE * HEED_MASK_SIDE * sizeof(float));
}

/* Fewer regions may be found than were planned for, and take less. */
static void run_pass(const struct heed_kernels *kernels, unsigned lanes, struct family_case *it)
{
    size_t planned;
    pass_measure(kernels, lanes, run_family, it, &planned);
}

#define MASK_FLOATS (HEED_MASK_SIDE * HEED_MASK_SIDE)

/* ---- Promises -------------------------------------------------------------------------------------- */

static void check_threads(const struct heed_spec *spec)
{
    struct net net;
    struct family_case it;
    load(&net, &it, spec);
    run_pass(&net.kernels, 1, &it);
    struct heed_findings first = it.findings;
    assert_true(first.count > 10); /* else the test says little */
    for (unsigned lanes = 2; lanes <= 3; lanes++) {
        run_pass(&net.kernels, lanes, &it);
        assert_int_equal(it.findings.count, first.count);
        assert_memory_equal(it.findings.found, first.found, first.count * sizeof *first.found);
        assert_memory_equal(it.findings.mask_logits, first.mask_logits, first.count * MASK_FLOATS * sizeof(float));
        forget(&it.findings);
    }
    forget(&first);
    net_deinit(&net);
}

static void answers_are_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    check_threads(&heed_s);
    check_threads(&mask_rcnn);
}

static void check_order(const struct heed_spec *spec)
{
    struct net net;
    struct family_case it;
    load(&net, &it, spec);
    run_pass(&net.kernels, 1, &it);
    for (size_t i = 0; i < it.findings.count; i++) {
        const struct heed_found *const found = &it.findings.found[i];
        assert_true(found->score > spec->score_min && found->score <= 1);
        assert_true(i == 0 || found->score <= found[-1].score);
        assert_true(found->class_index < spec->classes);
        assert_true(found->box[0] >= 0 && found->box[0] <= found->box[2] && found->box[2] <= 200.001f);
        assert_true(found->box[1] >= 0 && found->box[1] <= found->box[3] && found->box[3] <= 121.001f);
        for (size_t j = 0; j < MASK_FLOATS; j++)
            assert_true(isfinite(it.findings.mask_logits[i * MASK_FLOATS + j]));
    }
    forget(&it.findings);
    net_deinit(&net);
}

static void findings_fall_in_score_and_lie_in_the_photo(void **state)
{
    (void)state;
    check_order(&heed_s);
    check_order(&mask_rcnn);
}

/* A query's answer is the full answer, filtered; masks too. */
static void check_query(const struct heed_spec *spec)
{
    struct net net;
    struct family_case it;
    load(&net, &it, spec);
    run_pass(&net.kernels, 1, &it);
    struct heed_findings full = it.findings;
    assert_true(full.count > 10);

    bool classes[8] = { false };
    for (size_t i = 0; i < full.count; i += 2)
        classes[full.found[i].class_index] = true;
    classes[full.found[1].class_index] = false;
    it.query.classes = classes;
    it.query.score_min = full.found[full.count - 3].score;
    it.query.detections_max = full.count / 2;
    run_pass(&net.kernels, 1, &it);
    size_t count = 0;
    for (size_t i = 0; i < full.count && count < it.query.detections_max; i++) {
        if (!classes[full.found[i].class_index] || full.found[i].score < it.query.score_min)
            continue;
        assert_true(count < it.findings.count);
        assert_memory_equal(&it.findings.found[count], &full.found[i], sizeof *full.found);
        assert_close(it.findings.mask_logits + count * MASK_FLOATS, full.mask_logits + i * MASK_FLOATS, MASK_FLOATS,
                     1e-6f);
        count++;
    }
    assert_int_equal(it.findings.count, count);
    forget(&it.findings);

    it.query = (struct heed_query){ .detections_max = spec->detections };
    run_pass(&net.kernels, 1, &it);
    assert_int_equal(it.findings.count, full.count);
    assert_null(it.findings.mask_logits);
    assert_memory_equal(it.findings.found, full.found, full.count * sizeof *full.found);
    forget(&it.findings);

    it.query.detections_max = HEED_DETECTIONS_MAX; /* more than the model's own: they come after these */
    run_pass(&net.kernels, 1, &it);
    assert_true(it.findings.count > full.count);
    assert_memory_equal(it.findings.found, full.found, full.count * sizeof *full.found);
    forget(&it.findings);
    forget(&full);
    net_deinit(&net);
}

static void a_query_filters_the_full_answer(void **state)
{
    (void)state;
    check_query(&heed_s);
    check_query(&mask_rcnn);
}

/* What is left is what would be there without them, and their places are taken by others. */
static void check_unused(const struct heed_spec *spec)
{
    struct net net;
    struct family_case it;
    load(&net, &it, spec);
    run_pass(&net.kernels, 1, &it);
    struct heed_findings full = it.findings;
    const uint32_t unused = full.found[0].class_index;
    const char *const name = labels[unused].name;
    labels[unused].name = NULL;
    run_pass(&net.kernels, 1, &it);
    labels[unused].name = name;
    size_t count = 0;
    for (size_t i = 0; i < full.count; i++)
        if (full.found[i].class_index != unused) {
            assert_true(count < it.findings.count);
            assert_memory_equal(&it.findings.found[count++], &full.found[i], sizeof *full.found);
        }
    assert_true(it.findings.count > count);
    for (; count < it.findings.count; count++)
        assert_int_not_equal(it.findings.found[count].class_index, unused);
    forget(&it.findings);
    forget(&full);
    net_deinit(&net);
}

static void classes_without_a_name_are_not_found(void **state)
{
    (void)state;
    check_unused(&heed_s);
    check_unused(&mask_rcnn);
}

static void computing_takes_the_planned_memory_when_all_is_found(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct net net;
        struct family_case it;
        load(&net, &it, f ? &mask_rcnn : &heed_s);
        it.query.detections_max = 10;
        size_t planned;
        const size_t computed = pass_measure(&net.kernels, 3, run_family, &it, &planned);
        assert_int_equal(it.findings.count, 10);
        assert_int_equal(computed, planned);
        forget(&it.findings);
        net_deinit(&net);
    }
}

/* The convolutions of few regions are cut in another way than those of many, which takes more memory. */
static void finding_less_takes_no_more_than_was_planned(void **state)
{
    (void)state;
    enum { MOST = 16 };
    for (size_t f = 0; f < 2; f++) {
        struct net net;
        struct family_case it;
        load(&net, &it, f ? &mask_rcnn : &heed_s);
        it.query.detections_max = MOST;
        run_pass(&net.kernels, 1, &it);
        assert_int_equal(it.findings.count, MOST);
        const struct heed_findings all = it.findings;
        for (size_t count = 1; count < MOST; count += 4) {
            it.query.score_min = all.found[count].score;
            run_pass(&net.kernels, 1 + count % 3, &it);
            assert_in_range(it.findings.count, count, MOST - 1);
            forget(&it.findings);
        }
        it.findings = all;
        forget(&it.findings);
        net_deinit(&net);
    }
}

static void thin_and_tiny_photos_pass(void **state)
{
    (void)state;
    static const size_t sizes[][2] = { { 1, 1 }, { 1, 4000 }, { 4000, 1 }, { 33, 31 } };
    for (size_t i = 0; i < 4; i++) {
        for (size_t f = 0; f < 2; f++) {
            struct net net;
            struct family_case it;
            load(&net, &it, f ? &mask_rcnn : &heed_s);
            it.photo_w = sizes[i][0];
            it.photo_h = sizes[i][1];
            run_pass(&net.kernels, 2, &it);
            forget(&it.findings);
            net_deinit(&net);
        }
    }
}

static void a_cancelled_pass_finds_nothing(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct net net;
        struct family_case it;
        load(&net, &it, f ? &mask_rcnn : &heed_s);
        struct heed_arena arena;
        heed_arena_init_counting(&arena);
        struct heed_forward forward = { .kernels = &net.kernels, .arena = &arena, .lanes = 1 };
        run_family(&forward, &it);
        const size_t size = (arena.peak + HEED_ALIGN) / HEED_ALIGN * HEED_ALIGN;
        void *const block = aligned_alloc(HEED_ALIGN, size);
        heed_arena_init(&arena, block, size);
        const atomic_bool cancel = true;
        forward = (struct heed_forward){
            .kernels = &net.kernels, .arena = &arena, .lanes = 1, .stop = { .cancel = &cancel }
        };
        run_family(&forward, &it); /* without a crew: nothing may run */
        assert_int_equal(forward.status, HEED_CANCELLED);
        assert_int_equal(it.findings.count, 0);
        forget(&it.findings);
        heed_arena_deinit(&arena);
        free(block);
        net_deinit(&net);
    }
}

/* ---- Details --------------------------------------------------------------------------------------- */

static void anchors_are_torchvisions(void **state)
{
    (void)state;
    static const float halves[5][3][2] = { { { 23, 11 }, { 16, 16 }, { 11, 23 } },
                                           { { 45, 23 }, { 32, 32 }, { 23, 45 } },
                                           { { 91, 45 }, { 64, 64 }, { 45, 91 } },
                                           { { 181, 91 }, { 128, 128 }, { 91, 181 } },
                                           { { 362, 181 }, { 256, 256 }, { 181, 362 } } };
    for (size_t level = 0; level < 5; level++) {
        float anchors[3][4];
        heed_rpn_anchors(level, anchors);
        for (size_t i = 0; i < 3; i++) {
            const float *const half = halves[level][i];
            assert_memory_equal(anchors[i], ((float[]){ -half[0], -half[1], half[0], half[1] }), sizeof anchors[i]);
        }
    }
}

static void newer_torchvision_names_are_known(void **state)
{
    (void)state;
    struct net net;
    net_init(&net);
    net.weights.known = "rpn.head.conv.0.0.weight";
    struct heed_rpn rpn;
    heed_rpn_load(&net.loader, &rpn, &mask_rcnn);
    assert_string_equal(rpn.conv.name, "rpn.head.conv.0.0");
    net.weights.known = NULL;
    heed_rpn_load(&net.loader, &rpn, &mask_rcnn);
    assert_string_equal(rpn.conv.name, "rpn.head.conv");
    net_deinit(&net);
}

static void an_unknown_family_is_not_found(void **state)
{
    (void)state;
    assert_null(heed_family_find("mask_rcnn2"));
    assert_ptr_equal(heed_family_find("heed_s"), &heed_family_heed_s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(findings_fall_in_score_and_lie_in_the_photo),
        cmocka_unit_test(a_query_filters_the_full_answer),
        cmocka_unit_test(classes_without_a_name_are_not_found),
        cmocka_unit_test(computing_takes_the_planned_memory_when_all_is_found),
        cmocka_unit_test(finding_less_takes_no_more_than_was_planned),
        cmocka_unit_test(thin_and_tiny_photos_pass),
        cmocka_unit_test(a_cancelled_pass_finds_nothing),
        cmocka_unit_test(anchors_are_torchvisions),
        cmocka_unit_test(newer_torchvision_names_are_known),
        cmocka_unit_test(an_unknown_family_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
