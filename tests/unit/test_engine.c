/* The engine from outside: what heed.h promises, with the model inside the binary and real photos. */
#include "engine_tools.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMORY = 1 << 28 };

static struct heed_model *model;
static struct photo cat;
static const struct heed_detect_options usual = { .score_min = 0.2f, .masks = true };

static int load(void **state)
{
    (void)state;
    model = builtin_model(HEED_CPU_ANY);
    cat = photo_read("chelsea.jpg");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    heed_model_free(model);
    free(cat.bytes);
    return 0;
}

static struct heed_result detect(struct bed *bed, const struct photo *photo, const struct heed_detect_options *options)
{
    struct heed_result result;
    struct heed_error error = { 0 };
    if (heed_detect(bed->context, model, photo->bytes, photo->size, options, &result, &error) != HEED_OK)
        fail_msg("%s", error.text);
    return result;
}

static void same_results(const struct heed_result *a, const struct heed_result *b)
{
    assert_int_equal(a->detection_count, b->detection_count);
    for (size_t i = 0; i < a->detection_count; i++) {
        const struct heed_detection *const x = &a->detections[i], *const y = &b->detections[i];
        assert_int_equal(x->class_index, y->class_index);
        assert_memory_equal(&x->score, &y->score, sizeof x->score);
        assert_memory_equal(x->box, y->box, sizeof x->box);
        assert_int_equal(x->mask.run_count, y->mask.run_count);
        if (x->mask.run_count)
            assert_memory_equal(x->mask.runs, y->mask.runs, x->mask.run_count * sizeof *x->mask.runs);
    }
}

/* ---- Models ---------------------------------------------------------------------------------------- */

static void the_built_in_model_describes_itself(void **state)
{
    (void)state;
    const struct heed_model_info *const info = heed_model_info(model);
    assert_string_equal(info->name, "heed-s");
    assert_string_equal(info->family, "heed_s");
    assert_int_equal(info->label_count, 80);
    assert_string_equal(info->labels[15].name, "cat");
    assert_int_equal(info->labels[15].category_id, 17);
    assert_int_equal(info->input_width_max, 416);
    assert_true(info->parameters > 1000000 && info->weights_bytes > 4000000);
    assert_string_equal(info->cpu_level, heed_cpu_level_name(heed_cpu_detect()));
}

/* A copy of the shipped model in a folder of its own, its description changed. */
static char folder[64];

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/heed-test-engine-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static void load_is_refused(const char *attention, const char *weights, enum heed_status wanted, const char *reason)
{
    char text[2048], path[128];
    snprintf(text, sizeof text,
             "{\"name\":\"x\",\"family\":\"heed_s\",\"weights\":\"%s\","
             "\"labels\":\"" HEED_SOURCE_DIR "/config/labels/coco80.json\","
             "\"input\":{\"resize\":\"fit\",\"long_side\":416,\"antialias\":true,\"multiple\":32,\"channels\":\"bgr\","
             "\"mean\":[103.53,116.28,123.675],\"scale\":[0.017429,0.017507,0.017125]},"
             "\"backbone\":{\"type\":\"shufflenet_v2\",\"stages\":[4,8,4],\"widths\":[24,116,232,464]},"
             "\"neck\":{\"type\":\"pan\",\"channels\":96},"
             "\"head\":{\"type\":\"gfl\",\"bins\":8,\"strides\":[8,16,32],\"score_min\":0.05,\"nms_iou\":0.6,"
             "\"candidates\":1000,\"detections\":100},"
             "\"mask\":{\"channels\":64,\"convs\":2,\"pool\":14,\"stride\":8},\"attention\":[%s]}",
             weights, attention);
    write_text("x.json", text);
    snprintf(path, sizeof path, "%s/x.json", folder);
    struct heed_model *loaded = NULL;
    struct heed_error error = { 0 };
    assert_int_equal(heed_model_load(path, NULL, &loaded, &error), wanted);
    assert_null(loaded);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", error.text, reason);
}

static void weights_that_do_not_fit_are_refused_by_tensor(void **state)
{
    (void)state;
    static const char weights[] = HEED_SOURCE_DIR "/config/models/heed-s.safetensors";
    load_is_refused("", weights, HEED_BAD_WEIGHTS, "tensor attention.");
    load_is_refused("", weights, HEED_BAD_WEIGHTS, "has no place");
    load_is_refused(
        "{\"after\":\"stage2\",\"type\":\"efficient\",\"key_channels\":58,\"value_channels\":116,\"heads\":1}", weights,
        HEED_BAD_WEIGHTS, "attention.stage2");
    load_is_refused("", "nowhere.safetensors", HEED_IO, "nowhere.safetensors");
    load_is_refused("", "x.json", HEED_BAD_WEIGHTS, "x.json");
}

/* ---- Detection ------------------------------------------------------------------------------------- */

static void a_cat_is_found_and_outlined(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, MEMORY);
    struct heed_result result = detect(&bed, &cat, &usual);
    assert_int_equal(result.width, 451);
    assert_int_equal(result.height, 300);
    bool found = false;
    for (size_t i = 0; i < result.detection_count; i++) {
        const struct heed_detection *const detection = &result.detections[i];
        assert_true(detection->score >= usual.score_min);
        assert_true(i == 0 || detection->score <= result.detections[i - 1].score);
        assert_true(detection->box[0] >= 0 && detection->box[0] + detection->box[2] <= 451.001f);
        assert_int_equal(detection->mask.width, 451);
        assert_int_equal(detection->mask.height, 300);
        uint64_t pixels = 0;
        for (size_t run = 0; run < detection->mask.run_count; run++)
            pixels += detection->mask.runs[run];
        assert_int_equal(pixels, 451 * 300);
        if (detection->category_id == 17)
            found = found || heed_rle_area(&detection->mask) > 30000;
    }
    assert_true(found);
    assert_true(result.decode_ns > 0 && result.infer_ns > 0);
    heed_result_deinit(&result);
    heed_result_deinit(&result); /* an emptied one is fine */
    bed_free(&bed);
}

static void the_answer_is_the_same_to_the_bit_for_any_number_of_threads(void **state)
{
    (void)state;
    struct bed alone = bed_make(1, MEMORY);
    struct heed_result wanted = detect(&alone, &cat, &usual);
    for (unsigned threads = 2; threads <= 4; threads++) {
        struct bed bed = bed_make(threads, MEMORY);
        for (int round = 0; round < 3; round++) {
            struct heed_result result = detect(&bed, &cat, &usual);
            same_results(&wanted, &result);
            heed_result_deinit(&result);
        }
        bed_free(&bed);
    }
    heed_result_deinit(&wanted);
    bed_free(&alone);
}

static void every_cpu_level_finds_the_same_things(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, MEMORY);
    struct heed_result best = detect(&bed, &cat, &usual);
    static const unsigned levels[] = { HEED_CPU_REF, HEED_CPU_BLAS, HEED_CPU_BLAS | HEED_CPU_AVX2 };
    for (size_t i = 0; i < 3; i++) {
        struct heed_model *const other = builtin_model(levels[i]);
        struct heed_result result;
        struct heed_error error;
        assert_int_equal(heed_detect(bed.context, other, cat.bytes, cat.size, &usual, &result, &error), HEED_OK);
        assert_int_equal(result.detection_count, best.detection_count);
        for (size_t d = 0; d < result.detection_count; d++) {
            assert_int_equal(result.detections[d].class_index, best.detections[d].class_index);
            for (int side = 0; side < 4; side++)
                assert_float_equal(result.detections[d].box[side], best.detections[d].box[side], 0.05);
        }
        heed_result_deinit(&result);
        heed_model_free(other);
    }
    heed_result_deinit(&best);
    bed_free(&bed);
}

static void what_is_not_asked_for_is_left_out(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, MEMORY);
    struct heed_result all = detect(&bed, &cat, &usual);
    assert_true(all.detection_count >= 1);

    struct heed_detect_options options = usual;
    options.masks = false;
    struct heed_result boxes = detect(&bed, &cat, &options);
    assert_int_equal(boxes.detection_count, all.detection_count);
    for (size_t i = 0; i < boxes.detection_count; i++) {
        assert_null(boxes.detections[i].mask.runs);
        assert_memory_equal(boxes.detections[i].box, all.detections[i].box, sizeof boxes.detections[i].box);
    }

    options.detections_max = 1;
    struct heed_result one = detect(&bed, &cat, &options);
    assert_int_equal(one.detection_count, 1);
    assert_int_equal(one.detections[0].class_index, all.detections[0].class_index);

    bool classes[80] = { false };
    classes[15] = true;
    options = usual;
    options.classes = classes;
    struct heed_result cats = detect(&bed, &cat, &options);
    assert_true(cats.detection_count >= 1);
    for (size_t i = 0; i < cats.detection_count; i++)
        assert_int_equal(cats.detections[i].class_index, 15);

    heed_result_deinit(&all);
    heed_result_deinit(&boxes);
    heed_result_deinit(&one);
    heed_result_deinit(&cats);
    bed_free(&bed);
}

static void the_last_photo_can_be_had(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, MEMORY);
    assert_null(heed_context_image(bed.context).rgb);
    struct heed_result result = detect(&bed, &cat, &usual);
    const struct heed_image image = heed_context_image(bed.context);
    assert_int_equal(image.width, 451);
    assert_int_equal(image.height, 300);
    unsigned sum = 0;
    for (size_t i = 0; i < (size_t)3 * image.width * image.height; i++)
        sum += image.rgb[i];
    assert_true(sum > 0);
    heed_result_deinit(&result);
    bed_free(&bed);
}

/* ---- Refusals -------------------------------------------------------------------------------------- */

/* Refused with this status and a text; the result holds nothing, and the context goes on working. */
static void refused(struct bed *bed, const struct photo *photo, const struct heed_detect_options *options,
                    enum heed_status wanted)
{
    static const struct heed_result nothing;
    struct heed_result result;
    struct heed_error error = { 0 };
    assert_int_equal(heed_detect(bed->context, model, photo->bytes, photo->size, options, &result, &error), wanted);
    assert_int_equal(error.status, wanted);
    assert_true(error.text[0]);
    assert_memory_equal(&result, &nothing, sizeof result);
}

static void what_is_no_photo_is_refused_and_harms_nothing(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, MEMORY);
    refused(&bed, &(struct photo){ (uint8_t *)"hello", 5 }, &usual, HEED_NOT_AN_IMAGE);
    refused(&bed, &(struct photo){ (uint8_t *)"", 0 }, &usual, HEED_NOT_AN_IMAGE);
    refused(&bed, &(struct photo){ cat.bytes, cat.size / 2 }, &usual, HEED_BAD_IMAGE);
    struct heed_result result = detect(&bed, &cat, &usual);
    assert_true(result.detection_count >= 1);
    heed_result_deinit(&result);
    bed_free(&bed);
}

static void options_outside_their_range_are_refused(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, MEMORY);
    refused(&bed, &cat, &(struct heed_detect_options){ .score_min = -0.1f }, HEED_BAD_ARGUMENT);
    refused(&bed, &cat, &(struct heed_detect_options){ .score_min = 1.1f }, HEED_BAD_ARGUMENT);
    refused(&bed, &cat, &(struct heed_detect_options){ .score_min = 0.0f / 0.0f }, HEED_BAD_ARGUMENT);
    refused(&bed, &cat, &(struct heed_detect_options){ .detections_max = 1001 }, HEED_BAD_ARGUMENT);
    refused(&bed, &cat, &(struct heed_detect_options){ .limits = { .pixels_max = 1000 } }, HEED_TOO_LARGE);
    refused(&bed, &cat, &(struct heed_detect_options){ .limits = { .bytes_max = 1000 } }, HEED_TOO_LARGE);
    bed_free(&bed);
}

static void a_cancelled_or_late_pass_stops(void **state)
{
    (void)state;
    struct bed bed = bed_make(2, MEMORY);
    const atomic_bool cancel = true;
    struct heed_detect_options options = usual;
    options.stop.cancel = &cancel;
    refused(&bed, &cat, &options, HEED_CANCELLED);
    options = usual;
    options.stop.deadline_ns = 1;
    refused(&bed, &cat, &options, HEED_DEADLINE);
    options.stop.deadline_ns = heed_now_ns() + 3000000; /* somewhere on the way */
    struct heed_result result;
    struct heed_error error;
    const enum heed_status status = heed_detect(bed.context, model, cat.bytes, cat.size, &options, &result, &error);
    assert_true(status == HEED_DEADLINE || status == HEED_OK);
    heed_result_deinit(&result);
    result = detect(&bed, &cat, &usual);
    assert_true(result.detection_count >= 1);
    heed_result_deinit(&result);
    bed_free(&bed);
}

static void masks_beyond_their_limit_are_refused(void **state)
{
    (void)state;
    struct bed bed = bed_make(2, MEMORY);
    struct heed_detect_options options = usual;
    options.masks = true;
    struct heed_result result = detect(&bed, &cat, &options);
    size_t bytes = 0;
    for (size_t i = 0; i < result.detection_count; i++)
        bytes += result.detections[i].mask.run_count * sizeof(uint32_t);
    heed_result_deinit(&result);
    assert_true(bytes > 100);
    options.mask_bytes_max = bytes / 2;
    refused(&bed, &cat, &options, HEED_OUTGROWN);
    options.mask_bytes_max = 1;
    refused(&bed, &cat, &options, HEED_OUTGROWN);
    options.mask_bytes_max = bytes;
    result = detect(&bed, &cat, &options);
    heed_result_deinit(&result);
    bed_free(&bed);
}

static void one_run_too_many_is_refused_whatever_order_threads_come_in(void **state)
{
    (void)state;
    struct bed bed = bed_make(4, MEMORY);
    struct heed_detect_options options = { .score_min = 0.05f, .masks = true };
    struct heed_result result = detect(&bed, &cat, &options);
    assert_true(result.detection_count > 8);
    for (size_t i = 0; i < result.detection_count; i++)
        options.mask_bytes_max += result.detections[i].mask.run_count * sizeof(uint32_t);
    heed_result_deinit(&result);
    for (int round = 0; round < 4; round++) {
        result = detect(&bed, &cat, &options);
        heed_result_deinit(&result);
    }
    options.mask_bytes_max--;
    for (int round = 0; round < 4; round++)
        refused(&bed, &cat, &options, HEED_OUTGROWN);
    bed_free(&bed);
}

/* ---- Memory ---------------------------------------------------------------------------------------- */

/* A JPEG of this size; with an orientation other than 1, an EXIF segment behind its first two bytes says so. */
static struct photo painted(uint32_t width, uint32_t height, uint8_t orientation)
{
    struct heed_image image = { .rgb = malloc((size_t)3 * width * height), .width = width, .height = height };
    for (size_t i = 0; i < (size_t)3 * width * height; i++)
        image.rgb[i] = (uint8_t)(i * i / 7);
    uint8_t *jpeg;
    size_t size;
    struct heed_error error;
    assert_int_equal(heed_image_encode_jpeg(&image, 80, NULL, &jpeg, &size, &error), HEED_OK);
    free(image.rgb);

    const uint8_t exif[] = { 0xff, 0xe1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'I',         'I', 42, 0, 8, 0, 0, 0,
                             1,    0,    0x12, 1,  3,   0,   1,   0,   0, 0, orientation, 0,   0,  0, 0, 0, 0, 0 };
    struct photo photo = { .bytes = malloc(size + sizeof exif), .size = size + sizeof exif };
    memcpy(photo.bytes, jpeg, 2);
    memcpy(photo.bytes + 2, exif, sizeof exif);
    memcpy(photo.bytes + 2 + sizeof exif, jpeg + 2, size - 2);
    free(jpeg);
    return photo;
}

/* With everything asked for that there is. */
static void the_memory_that_is_told_is_enough(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height;
        uint8_t orientation;
    } photos[] = { { 1, 1, 1 },     { 1, 3000, 1 },  { 3000, 1, 6 },    { 33, 47, 8 },
                   { 451, 300, 1 }, { 300, 451, 6 }, { 1500, 1500, 3 }, { 416, 417, 1 } };
    for (size_t i = 0; i < sizeof photos / sizeof *photos; i++) {
        const bool lying = photos[i].orientation >= 5;
        const uint32_t width = lying ? photos[i].height : photos[i].width;
        const uint32_t height = lying ? photos[i].width : photos[i].height;
        const unsigned threads = 1 + (unsigned)i % 3;
        struct photo photo = painted(photos[i].width, photos[i].height, photos[i].orientation);
        struct bed bed = bed_make(threads, heed_model_memory(model, width, height, threads));
        const struct heed_detect_options all = { .score_min = 0, .detections_max = 1000, .masks = true };
        struct heed_result result = detect(&bed, &photo, &all);
        assert_int_equal(result.width, width);
        assert_int_equal(result.height, height);
        heed_result_deinit(&result);
        bed_free(&bed);
        free(photo.bytes);
    }
}

static void a_photo_that_needs_more_than_the_context_has_is_refused(void **state)
{
    (void)state;
    struct bed bed = bed_make(1, heed_model_memory(model, 451, 300, 1) / 2);
    refused(&bed, &cat, &usual, HEED_TOO_LARGE);
    bed_free(&bed);
    bed = bed_make(1, 0);
    refused(&bed, &cat, &usual, HEED_TOO_LARGE);
    bed_free(&bed);
}

static void memory_grows_with_the_photo_and_never_wraps(void **state)
{
    (void)state;
    const size_t small = heed_model_memory(model, 640, 480, 1), large = heed_model_memory(model, 6400, 4800, 1);
    assert_true(small < large);
    assert_true(heed_model_memory(model, 640, 480, 8) >= small);
    assert_true(heed_model_memory(model, UINT32_MAX, UINT32_MAX, 1) > (size_t)1 << 60);
    assert_true(heed_model_memory(model, 1, 1, 1) > 0);
    assert_true(heed_model_memory(model, 1, UINT32_MAX, 1) > 0);
    assert_int_equal(heed_model_memory(model, 0, 7, 1), 0);
    assert_int_equal(heed_model_memory(model, 7, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_model_describes_itself),
        cmocka_unit_test_setup_teardown(weights_that_do_not_fit_are_refused_by_tensor, make_folder, remove_folder),
        cmocka_unit_test(a_cat_is_found_and_outlined),
        cmocka_unit_test(the_answer_is_the_same_to_the_bit_for_any_number_of_threads),
        cmocka_unit_test(every_cpu_level_finds_the_same_things),
        cmocka_unit_test(what_is_not_asked_for_is_left_out),
        cmocka_unit_test(the_last_photo_can_be_had),
        cmocka_unit_test(what_is_no_photo_is_refused_and_harms_nothing),
        cmocka_unit_test(options_outside_their_range_are_refused),
        cmocka_unit_test(a_cancelled_or_late_pass_stops),
        cmocka_unit_test(masks_beyond_their_limit_are_refused),
        cmocka_unit_test(one_run_too_many_is_refused_whatever_order_threads_come_in),
        cmocka_unit_test(the_memory_that_is_told_is_enough),
        cmocka_unit_test(a_photo_that_needs_more_than_the_context_has_is_refused),
        cmocka_unit_test(memory_grows_with_the_photo_and_never_wraps),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
