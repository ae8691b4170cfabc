/* Both families whole, through the public interface: a photo's bytes in, boxes, scores and masks out, against
 * torchvision's Mask R-CNN and training/heed's HeedS with the same weights. A model's description and weights are
 * written to a folder of their own and loaded as any model is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "checks.h"
#include "generated.h"
#include "golden.h"
#include "mask_bits.h"

#define BOX_TOLERANCE 0.05f
#define SCORE_TOLERANCE 1e-4f

static struct golden_suite suite;

static int open_suite(void **state)
{
    (void)state;
    golden_open(&suite, "models");
    return 0;
}

static int close_suite(void **state)
{
    (void)state;
    golden_close(&suite);
    return 0;
}

/* ---- A model on disk ------------------------------------------------------------------------------- */

struct model_folder {
    char path[64];
};

static const char *const model_files[] = { "model.json", "labels.json", "model.safetensors" };

static void file_path(char path[128], const struct model_folder *folder, const char *file)
{
    snprintf(path, 128, "%s/%s", folder->path, file);
}

static void write_file(const struct model_folder *folder, const char *file, const void *bytes, size_t size)
{
    char path[128];
    file_path(path, folder, file);
    FILE *const stream = fopen(path, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream) != 0)
        fail_msg("%s cannot be written", path);
}

static void write_text(const struct model_folder *folder, const char *file, char *text)
{
    write_file(folder, file, text, strlen(text));
    free(text);
}

static void write_model(struct model_folder *folder, const json_t *c)
{
    strcpy(folder->path, "/tmp/heed-golden-XXXXXX");
    assert_non_null(mkdtemp(folder->path));

    write_text(folder, "labels.json", golden_labels_text(c));
    write_text(folder, "model.json", golden_model_text(c));
    size_t size;
    uint8_t *const bytes = generated_weights(golden_text(c, "key"), golden_member(c, "weights"), &size);
    write_file(folder, "model.safetensors", bytes, size);
    free(bytes);
}

static void remove_model(const struct model_folder *folder)
{
    char path[128];
    for (size_t i = 0; i < sizeof model_files / sizeof *model_files; i++) {
        file_path(path, folder, model_files[i]);
        remove(path);
    }
    rmdir(folder->path);
}

/* ---- Photos and answers ---------------------------------------------------------------------------- */

static uint8_t *make_photo(const char *model, const size_t photo[2], size_t *size)
{
    char key[128];
    snprintf(key, sizeof key, "%s/%zux%zu", model, photo[0], photo[1]);
    const struct heed_image image = { .rgb = malloc(3 * photo[0] * photo[1]),
                                      .width = (uint32_t)photo[1],
                                      .height = (uint32_t)photo[0] };
    generated_picture(image.rgb, photo[0], photo[1], key);
    uint8_t *png;
    struct heed_error error;
    if (heed_image_encode_png(&image, NULL, &png, size, &error) != HEED_OK)
        fail_msg("%s", error.text);
    free(image.rgb);
    return png;
}

static struct heed_result detect(const struct heed_model *model, const size_t photo[2], const uint8_t *png, size_t size,
                                 const struct heed_detect_options *options, unsigned threads)
{
    struct heed_error error;
    struct heed_context *context;
    struct heed_result result = { 0 };
    struct heed_crew *const crew = golden_crew(threads);
    const size_t memory = heed_model_memory(model, (uint32_t)photo[1], (uint32_t)photo[0], threads);
    if (heed_context_create(crew, memory, &context, &error) != HEED_OK ||
        heed_detect(context, model, png, size, options, &result, &error) != HEED_OK)
        fail_msg("%s", error.text);
    heed_context_free(context);
    heed_crew_free(crew);
    return result;
}

static bool same_detection(const struct heed_detection *a, const struct heed_detection *b)
{
    return a->class_index == b->class_index && a->score == b->score && memcmp(a->box, b->box, sizeof a->box) == 0 &&
           a->mask.run_count == b->mask.run_count &&
           memcmp(a->mask.runs, b->mask.runs, a->mask.run_count * sizeof *a->mask.runs) == 0;
}

static bool same_result(const struct heed_result *a, const struct heed_result *b)
{
    if (a->detection_count != b->detection_count)
        return false;
    for (size_t i = 0; i < a->detection_count; i++)
        if (!same_detection(&a->detections[i], &b->detections[i]))
            return false;
    return true;
}

/* ---- Comparison ------------------------------------------------------------------------------------ */

static bool near(float a, float b, float tolerance)
{
    return a - b <= tolerance && b - a <= tolerance;
}

static bool is_found(const struct heed_detection *detection, const json_t *wanted)
{
    float box[4];
    golden_floats(wanted, "box", box, 4);
    return detection->class_index == golden_size(wanted, "class") &&
           near(detection->score, (float)golden_number(wanted, "score"), SCORE_TOLERANCE) &&
           near(detection->box[0], box[0], BOX_TOLERANCE) && near(detection->box[1], box[1], BOX_TOLERANCE) &&
           near(detection->box[0] + detection->box[2], box[2], BOX_TOLERANCE) &&
           near(detection->box[1] + detection->box[3], box[3], BOX_TOLERANCE);
}

/* The first `count` detections of the reference are ours, and ours are no others. */
static void compare(const struct heed_result *result, const json_t *found, size_t count, bool masks, const char *name)
{
    if (result->detection_count != count)
        fail_msg("%s: %zu are found, the reference finds %zu", name, result->detection_count, count);
    bool *const taken = calloc(count + 1, sizeof *taken);
    for (size_t i = 0; i < count; i++) {
        const json_t *const wanted = json_array_get(found, i);
        size_t at = 0;
        while (at < count && (taken[at] || !is_found(&result->detections[at], wanted)))
            at++;
        if (at == count)
            fail_msg("%s: detection %zu of the reference (class %zu, score %g) is not found", name, i,
                     golden_size(wanted, "class"), golden_number(wanted, "score"));
        taken[at] = true;
        const struct heed_detection *const ours = &result->detections[at];
        assert_int_equal(ours->category_id, golden_category(ours->class_index));
        assert_true(i == 0 || result->detections[i - 1].score >= result->detections[i].score);
        if (masks)
            mask_bits_check(&ours->mask, golden_text(wanted, "mask"), golden_text(wanted, "doubt"), name);
        else
            assert_null(ours->mask.runs);
    }
    free(taken);
}

/* All boxes, and the masks of the best. */
static void check_photo(const struct heed_model *model, const json_t *c, const json_t *photo, unsigned threads_max)
{
    size_t side[2], size;
    golden_sizes(photo, "size", side, 2);
    uint8_t *const png = make_photo(golden_text(c, "name"), side, &size);
    const json_t *const found = golden_member(photo, "found");
    const size_t masked = golden_size(photo, "masked");
    char name[128];
    snprintf(name, sizeof name, "%s, %zu x %zu, at %s", golden_text(c, "name"), side[0], side[1],
             heed_model_info(model)->cpu_level);

    const struct heed_detect_options boxes_only = { 0 };
    struct heed_result boxes = detect(model, side, png, size, &boxes_only, 1);
    compare(&boxes, found, json_array_size(found), false, name);
    heed_result_deinit(&boxes);

    const struct heed_detect_options with_masks = { .masks = true, .detections_max = (uint32_t)masked };
    struct heed_result alone = detect(model, side, png, size, &with_masks, 1);
    compare(&alone, found, masked, true, name);
    for (unsigned threads = 2; threads <= threads_max; threads++) {
        struct heed_result together = detect(model, side, png, size, &with_masks, threads);
        if (!same_result(&alone, &together))
            fail_msg("%s: %u threads change the result", name, threads);
        heed_result_deinit(&together);
    }
    heed_result_deinit(&alone);
    free(png);
}

static void check_model(const char *name)
{
    unsigned levels[GOLDEN_LEVELS_MAX];
    const size_t level_count = golden_levels(levels);
    size_t i, p;
    json_t *c = NULL, *photo;
    json_array_foreach(suite.cases, i, c) if (strcmp(golden_text(c, "name"), name) == 0) break;
    if (i == json_array_size(suite.cases))
        fail_msg("golden data: no model %s", name);

    struct model_folder folder;
    write_model(&folder, c);
    const bool every = strcmp(golden_text(c, "levels"), "every") == 0;
    for (size_t level = every ? 0 : level_count - 1; level < level_count; level++) {
        char path[128];
        struct heed_model *model;
        struct heed_error error;
        file_path(path, &folder, "model.json");
        if (heed_model_load(path, &(struct heed_model_options){ .cpu = levels[level] }, &model, &error) != HEED_OK)
            fail_msg("%s", error.text);
        const unsigned threads = levels[level] == HEED_CPU_REF ? 1 : GOLDEN_THREADS_MAX; /* plain C takes its time */
        json_array_foreach(golden_member(c, "photos"), p, photo)
            check_photo(model, c, photo, p == 0 ? threads : 1);
        heed_model_free(model);
    }
    remove_model(&folder);
}

/* ---- The promises ---------------------------------------------------------------------------------- */

static void mask_rcnn_equals_torchvision_for_photos_of_any_shape(void **state)
{
    (void)state;
    check_model("mask_rcnn_resnet18");
}

static void mask_rcnn_chooses_the_same_few_where_limits_bind(void **state)
{
    (void)state;
    check_model("mask_rcnn_limits");
}

static void mask_rcnn_with_seven_efficient_attention_modules_equals_the_reference(void **state)
{
    (void)state;
    check_model("mask_rcnn_attention");
}

static void mask_rcnn_with_every_kind_of_attention_equals_the_reference(void **state)
{
    (void)state;
    check_model("mask_rcnn_mixed_attention");
}

static void mask_rcnn_on_resnet50_equals_torchvision(void **state)
{
    (void)state;
    check_model("mask_rcnn_resnet50");
}

static void mask_rcnn_at_its_full_input_size_equals_torchvision(void **state)
{
    (void)state;
    check_model("mask_rcnn_full_size");
}

static void mask_rcnn_reads_the_names_torchvision_saves_today(void **state)
{
    (void)state;
    check_model("mask_rcnn_new_names");
}

static void heed_s_equals_the_reference_for_photos_of_any_shape(void **state)
{
    (void)state;
    check_model("heed_s");
}

static void heed_s_with_attention_everywhere_equals_the_reference(void **state)
{
    (void)state;
    check_model("heed_s_attention");
}

static void heed_s_with_every_kind_of_attention_equals_the_reference(void **state)
{
    (void)state;
    check_model("heed_s_mixed_attention");
}

int check_models(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_rcnn_equals_torchvision_for_photos_of_any_shape),
        cmocka_unit_test(mask_rcnn_chooses_the_same_few_where_limits_bind),
        cmocka_unit_test(mask_rcnn_with_seven_efficient_attention_modules_equals_the_reference),
        cmocka_unit_test(mask_rcnn_with_every_kind_of_attention_equals_the_reference),
        cmocka_unit_test(mask_rcnn_on_resnet50_equals_torchvision),
        cmocka_unit_test(mask_rcnn_at_its_full_input_size_equals_torchvision),
        cmocka_unit_test(mask_rcnn_reads_the_names_torchvision_saves_today),
        cmocka_unit_test(heed_s_equals_the_reference_for_photos_of_any_shape),
        cmocka_unit_test(heed_s_with_attention_everywhere_equals_the_reference),
        cmocka_unit_test(heed_s_with_every_kind_of_attention_equals_the_reference),
    };
    return cmocka_run_group_tests_name("models", tests, open_suite, close_suite);
}
