/* A model's description: the shipped ones are read, and whatever is wrong is refused by file, member, value and what is
 * allowed. */
#include "models/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipe.h"

static const char labels_text[] = "[{\"id\":1,\"name\":\"cat\"},null,{\"id\":90,\"name\":\"tooth brush\"}]";

static const char heed_s_text[] =
    "{\"name\":\"small\",\"family\":\"heed_s\",\"weights\":\"small.safetensors\",\"labels\":\"../three.json\","
    "\"input\":{\"resize\":\"fit\",\"long_side\":416,\"antialias\":true,\"multiple\":32,\"channels\":\"bgr\","
    "\"mean\":[103.5,116.25,123],\"scale\":[0.5,0.25,1]},"
    "\"backbone\":{\"type\":\"shufflenet_v2\",\"stages\":[4,8,5],\"widths\":[24,116,232,464]},"
    "\"neck\":{\"type\":\"pan\",\"channels\":96},"
    "\"head\":{\"type\":\"gfl\",\"bins\":8,\"strides\":[8,16,32],\"score_min\":0.05,\"nms_iou\":0.6,\"candidates\":"
    "1000,"
    "\"detections\":100},"
    "\"mask\":{\"channels\":64,\"convs\":2,\"pool\":14,\"stride\":8},"
    "\"attention\":[{\"after\":\"stage3\",\"type\":\"efficient\",\"normalization\":\"scaling\",\"scale\":0.5,"
    "\"key_channels\":116,\"value_channels\":232,\"heads\":4},"
    "{\"after\":\"mask\",\"type\":\"dot_product\",\"key_channels\":32,\"value_channels\":64,\"heads\":1}]}";

static const char mask_rcnn_text[] =
    "{\"name\":\"large\",\"family\":\"mask_rcnn\",\"weights\":\"large.safetensors\",\"labels\":\"three.json\","
    "\"input\":{\"resize\":\"short_side\",\"short_side\":800,\"long_side_max\":1333,\"antialias\":false,\"multiple\":"
    "32,"
    "\"channels\":\"rgb\",\"mean\":[0.5,0.25,0],\"std\":[0.5,0.25,1]},"
    "\"backbone\":{\"type\":\"resnet50\",\"norm_eps\":0.0},\"neck\":{\"type\":\"fpn\",\"channels\":256},"
    "\"rpn\":{\"candidates\":1000,\"proposals\":900,\"nms_iou\":0.7},"
    "\"head\":{\"classes\":3,\"score_min\":0.05,\"nms_iou\":0.5,\"detections\":100},\"attention\":[]}";

static enum heed_status parse(const char *text, struct heed_spec *spec, struct heed_error *error)
{
    return heed_spec_parse("models/x.json", text, strlen(text), labels_text, strlen(labels_text), spec, error);
}

static void read_right(const char *text, struct heed_spec *spec)
{
    struct heed_error error = { 0 };
    if (parse(text, spec, &error) != HEED_OK)
        fail_msg("%s", error.text);
}

/* The text with one part replaced is refused, and the reason says so. */
static void refused(const char *text, const char *part, const char *by, const char *reason)
{
    static const struct heed_spec zero;
    const char *const at = strstr(text, part);
    assert_non_null(at);
    char *changed = NULL;
    assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, by, at + strlen(part)) > 0);
    struct heed_spec spec;
    struct heed_error error = { 0 };
    assert_int_equal(parse(changed, &spec, &error), HEED_BAD_MODEL);
    if (strncmp(error.text, "models/x.json: ", 15) != 0 || !strstr(error.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", error.text, reason);
    assert_memory_equal(&spec, &zero, sizeof spec);
    free(changed);
}

static void a_heed_s_description_is_read_whole(void **state)
{
    (void)state;
    struct heed_spec spec;
    read_right(heed_s_text, &spec);
    assert_string_equal(spec.name, "small");
    assert_string_equal(spec.family, "heed_s");
    assert_string_equal(spec.weights_path, "models/small.safetensors");
    assert_string_equal(spec.labels_path, "models/../three.json");
    assert_int_equal(spec.label_count, 3);
    assert_string_equal(spec.labels[0].name, "cat");
    assert_null(spec.labels[1].name);
    assert_int_equal(spec.labels[2].category_id, 90);
    assert_int_equal(spec.input.resize, HEED_RESIZE_FIT);
    assert_int_equal(spec.input.long_side, 416);
    assert_true(spec.input.antialias && spec.input.bgr);
    assert_int_equal(spec.input.multiple, 32);
    assert_true(spec.input.mean[0] == 103.5f && spec.input.scale[1] == 0.25f);
    assert_string_equal(spec.backbone, "shufflenet_v2");
    assert_int_equal(spec.stage_blocks[2], 5);
    assert_int_equal(spec.stage_widths[3], 464);
    assert_int_equal(spec.neck_channels, 96);
    assert_int_equal(spec.classes, 3);
    assert_int_equal(spec.bins, 8);
    assert_int_equal(spec.candidates, 1000);
    assert_int_equal(spec.detections, 100);
    assert_true(spec.score_min == 0.05f);
    assert_int_equal(spec.mask_channels, 64);
    assert_int_equal(spec.mask_convs, 2);
    assert_int_equal(spec.mask_pool, 14);
    assert_int_equal(spec.attention_count, 2);
    assert_string_equal(spec.attention[0].after, "stage3");
    assert_int_equal(spec.attention[0].normalization, HEED_NORMALIZATION_SCALING);
    assert_true(spec.attention[0].scale == 0.5f);
    assert_int_equal(spec.attention[0].heads, 4);
    assert_int_equal(spec.attention[1].type, HEED_ATTENTION_DOT_PRODUCT);
    assert_int_equal(spec.attention[1].normalization, HEED_NORMALIZATION_SOFTMAX);
    heed_spec_deinit(&spec);
    heed_spec_deinit(&spec); /* an emptied one is fine */
}

static void a_mask_rcnn_description_is_read_whole(void **state)
{
    (void)state;
    struct heed_spec spec;
    read_right(mask_rcnn_text, &spec);
    assert_string_equal(spec.backbone, "resnet50");
    assert_int_equal(spec.input.resize, HEED_RESIZE_SHORT_SIDE);
    assert_int_equal(spec.input.short_side, 800);
    assert_int_equal(spec.input.long_side, 1333);
    assert_int_equal(spec.rpn_proposals, 900);
    assert_int_equal(spec.classes, 3);
    assert_true(spec.norm_eps == 0);
    heed_spec_deinit(&spec);
}

static void mean_and_std_of_unit_pixels_become_those_of_bytes(void **state)
{
    (void)state;
    struct heed_spec spec;
    read_right(mask_rcnn_text, &spec);
    assert_true(spec.input.mean[0] == 127.5f && spec.input.mean[1] == 63.75f && spec.input.mean[2] == 0);
    assert_true(spec.input.scale[0] == 1 / 127.5f && spec.input.scale[2] == 1 / 255.0f);
    heed_spec_deinit(&spec);
}

static void every_shipped_description_is_right(void **state)
{
    (void)state;
    static const char *const names[] = { "heed-s", "maskrcnn-resnet50-fpn" };
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        snprintf(path, sizeof path, HEED_SOURCE_DIR "/config/models/%s.json", names[i]);
        struct heed_spec spec;
        struct heed_error error = { 0 };
        if (heed_spec_load(path, &spec, &error) != HEED_OK)
            fail_msg("%s", error.text);
        assert_string_equal(spec.name, names[i]);
        heed_spec_deinit(&spec);
    }
}

static void what_is_wrong_is_named_with_its_value_and_what_is_allowed(void **state)
{
    (void)state;
    refused(heed_s_text, "\"nms_iou\":0.6", "\"nms_iou\":7", "head.nms_iou is 7, allowed is a number from 0 to 1");
    refused(heed_s_text, "\"nms_iou\":0.6", "\"nms_iou\":\"x\"", "head.nms_iou is \"x\"");
    refused(heed_s_text, "\"nms_iou\":0.6,", "", "head.nms_iou is missing");
    refused(heed_s_text, "\"nms_iou\":0.6,", "\"nms_iou\":0.6,\"decay_sigma\":-1,",
            "head.decay_sigma is -1, allowed is a number from 0 to 100");
    refused(heed_s_text, "\"nms_iou\":0.6,", "\"nms_iou\":0.6,\"decay_sigma\":1e-60,",
            "allowed is 0, or a number from 0.001 to 100");
    refused(heed_s_text, "\"nms_iou\":0.6,", "\"nms_iou\":0.6,\"nms_iuo\":1,", "head.nms_iuo is not a member");
    refused(heed_s_text, "\"neck\":{", "\"speed\":9,\"neck\":{", "speed is not a member");
    refused(heed_s_text, "\"candidates\":1000", "\"candidates\":1000.5", "allowed is a whole number from 1 to 10000");
    refused(heed_s_text, "\"candidates\":1000", "\"candidates\":-1", "head.candidates is -1");
    refused(heed_s_text, "\"detections\":100", "\"detections\":1001", "head.detections is 1001");
    refused(heed_s_text, "\"type\":\"gfl\"", "\"type\":\"fcos\"", "head.type is \"fcos\", allowed is \"gfl\"");
    refused(heed_s_text, "\"heed_s\"", "\"heed_t\"", "family is \"heed_t\", allowed is \"heed_s\", \"mask_rcnn\"");
    refused(heed_s_text, "[8,16,32]", "[8,16]", "head.strides");
    refused(heed_s_text, "[8,16,32]", "[16,16,32]", "head.strides");
    refused(heed_s_text, "\"stages\":[4,8,5]", "\"stages\":[4,0,5]", "backbone.stages is 0");
    refused(heed_s_text, "[24,116,232,464]", "[24,117,232,464]", "117 is odd");
    refused(heed_s_text, "\"pool\":14", "\"pool\":7", "mask.pool is 7, allowed is 14");
    refused(heed_s_text, "\"fit\"", "\"fill\"", "input.resize is \"fill\"");
    refused(heed_s_text, "\"long_side\":416", "\"short_side\":416", "input.long_side is missing");
    refused(heed_s_text, "\"multiple\":32", "\"multiple\":1", "input.multiple is 1, allowed is a whole number from 32");
    refused(heed_s_text, "\"multiple\":32", "\"multiple\":48", "input.multiple is 48, allowed is a multiple of 32");
    refused(heed_s_text, "\"antialias\":true", "\"antialias\":1", "input.antialias is 1, allowed is true or false");
    refused(heed_s_text, "\"scale\":[0.5,", "\"scale\":[0,", "input.scale is 0");
    refused(heed_s_text, "\"scale\":[0.5,0.25,1]", "\"scale\":[1,1,1],\"std\":[1,1,1]", "input.scale is not a member");
    refused(heed_s_text, "{\"type\":\"pan\",\"channels\":96}", "7", "neck is 7, allowed is an object");
    refused(heed_s_text, "\"name\":\"small\"", "\"name\":\"a/b\"", "name is \"a/b\"");
    refused(heed_s_text, "\"name\":\"small\"", "\"name\":\"\"", "name is \"\"");
    refused(mask_rcnn_text, "\"resnet50\"", "\"resnet51\"", "\"resnet18\", \"resnet34\", \"resnet50\", \"resnet101\"");
    refused(mask_rcnn_text, "\"classes\":3", "\"classes\":4", "there are 3 labels");
    refused(mask_rcnn_text, "\"long_side_max\":1333", "\"long_side_max\":799", "whole number from 800");
}

static void attention_that_could_not_stand_is_refused(void **state)
{
    (void)state;
    refused(heed_s_text, "\"stage3\"", "\"stage9\"", "attention[0].after is \"stage9\"");
    refused(heed_s_text, "\"mask\",\"type\"", "\"stage3\",\"type\"",
            "attention[1] stands after stage3, as attention[0]");
    refused(heed_s_text, "\"heads\":4", "\"heads\":3", "attention[0].heads is 3, which does not divide");
    refused(heed_s_text, "\"heads\":4", "\"heads\":0", "attention[0].heads is 0");
    refused(heed_s_text, "\"normalization\":\"scaling\",", "", "attention[0].scale stands only beside");
    refused(heed_s_text, "\"type\":\"efficient\"", "\"type\":\"dot_product\"",
            "attention[0].normalization stands only beside type \"efficient\"");
    refused(mask_rcnn_text, "\"attention\":[]", "\"attention\":[1]", "attention[0] is not an object");
    refused(mask_rcnn_text, "\"attention\":[]", "\"attention\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", "at most 16");
}

static void more_pairs_of_cell_and_class_than_can_be_numbered_are_refused(void **state)
{
    (void)state;
    enum { LABELS = 4200, LABEL_BYTES = 24 };
    char *const many = calloc(LABELS, LABEL_BYTES), *text = NULL;
    size_t size = 0;
    for (int i = 0; i < LABELS; i++)
        size += (size_t)sprintf(many + size, "%s{\"id\":1,\"name\":\"x\"}", i ? "," : "[");
    many[size++] = ']';
    const char *const at = strstr(heed_s_text, "416");
    for (int large = 0; large < 2; large++) {
        assert_true(asprintf(&text, "%.*s%s%s", (int)(at - heed_s_text), heed_s_text, large ? "8192" : "4096", at + 3) >
                    0);
        struct heed_spec spec;
        struct heed_error error = { 0 };
        assert_int_equal(heed_spec_parse("x.json", text, strlen(text), many, size, &spec, &error),
                         large ? HEED_BAD_MODEL : HEED_OK);
        if (large)
            assert_string_equal(error.text, "x.json: 4200 labels are too many for an input of 8192 pixels a side");
        else
            heed_spec_deinit(&spec);
        free(text);
    }
    free(many);
}

static void text_that_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    refused(heed_s_text, "{\"name\"", "[{\"name\"", "line 1");
    refused(heed_s_text, "\"small\"", "\"small\",\"name\":\"twice\"", "duplicate");
}

static void a_description_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < strlen(heed_s_text); size++) {
        char *const cut = malloc(size ? size : 1);
        memcpy(cut, heed_s_text, size);
        struct heed_spec spec;
        struct heed_error error;
        assert_int_equal(heed_spec_parse("x", cut, size, labels_text, strlen(labels_text), &spec, &error),
                         HEED_BAD_MODEL);
        free(cut);
    }
}

static void wrong_labels_are_refused_in_the_name_of_their_file(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "[1]",
        "[{\"id\":1}]",
        "[{\"id\":1,\"name\":\"\"}]",
        "[{\"id\":-1,\"name\":\"x\"}]",
        "[{\"id\":1,\"name\":\"x\",\"colour\":1}]",
        "[{\"id\":1.5,\"name\":\"x\"}]",
        "[\"x\"]",
        "[null",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct heed_spec spec;
        struct heed_error error = { 0 };
        assert_int_equal(heed_spec_parse("models/x.json", heed_s_text, strlen(heed_s_text), wrong[i], strlen(wrong[i]),
                                         &spec, &error),
                         HEED_BAD_MODEL);
        assert_int_equal(strncmp(error.text, "models/../three.json: ", 22), 0);
    }
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct heed_spec spec;
    struct heed_error error = { 0 };
    assert_int_equal(heed_spec_load("/nowhere/model.json", &spec, &error), HEED_IO);
    assert_non_null(strstr(error.text, "/nowhere/model.json"));
    assert_int_equal(heed_spec_load("/nowhere/model.json", &spec, NULL), HEED_IO);
}

static enum heed_status open_pipe(const char *path, struct heed_error *error)
{
    struct heed_spec spec;
    return heed_spec_load(path, &spec, error);
}

static void a_pipe_is_not_waited_for(void **state)
{
    (void)state;
    refuses_pipe(open_pipe);
}

static void a_long_path_leaves_room_for_the_reason(void **state)
{
    (void)state;
    char path[1000];
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 12, "/model.json", 12);
    struct heed_spec spec;
    struct heed_error error;
    assert_int_equal(heed_spec_parse(path, "{}", 2, labels_text, strlen(labels_text), &spec, &error), HEED_BAD_MODEL);
    assert_non_null(strstr(error.text, "d/model.json: name is missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heed_s_description_is_read_whole),
        cmocka_unit_test(a_mask_rcnn_description_is_read_whole),
        cmocka_unit_test(mean_and_std_of_unit_pixels_become_those_of_bytes),
        cmocka_unit_test(every_shipped_description_is_right),
        cmocka_unit_test(what_is_wrong_is_named_with_its_value_and_what_is_allowed),
        cmocka_unit_test(attention_that_could_not_stand_is_refused),
        cmocka_unit_test(more_pairs_of_cell_and_class_than_can_be_numbered_are_refused),
        cmocka_unit_test(text_that_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(a_description_cut_anywhere_is_refused),
        cmocka_unit_test(wrong_labels_are_refused_in_the_name_of_their_file),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_pipe_is_not_waited_for),
        cmocka_unit_test(a_long_path_leaves_room_for_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
