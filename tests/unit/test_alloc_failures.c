/* Loading models, detecting and telling masks survive every allocation that fails. */
#include "engine_tools.h"
#include "failing_malloc.h"

#include <jansson.h>
#include <string.h>

/* ---- Work ------------------------------------------------------------------------------------------ */

static struct heed_model *model;
static struct bed bed;
static struct photo photos[2]; /* small: a JPEG, a PNG */

static int load(void **state)
{
    (void)state;
#if REPLACED
    json_set_alloc_funcs(__libc_malloc, __libc_free);
#endif
    model = builtin_model(HEED_CPU_ANY);
    bed = bed_make(1, 1 << 28);
    uint8_t pixels[24 * 32 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 7);
    const struct heed_image image = { .rgb = pixels, .width = 32, .height = 24 };
    struct heed_error error;
    return heed_image_encode_jpeg(&image, 90, NULL, &photos[0].bytes, &photos[0].size, &error) != HEED_OK ||
           heed_image_encode_png(&image, NULL, &photos[1].bytes, &photos[1].size, &error) != HEED_OK;
}

static int unload(void **state)
{
    (void)state;
    bed_free(&bed);
    heed_model_free(model);
    free(photos[0].bytes);
    free(photos[1].bytes);
    return 0;
}

static enum heed_status load_builtin(struct heed_error *error)
{
    struct heed_model *loaded;
    const enum heed_status status = heed_model_load_builtin(NULL, &loaded, error);
    if (status == HEED_OK)
        heed_model_free(loaded);
    return status;
}

static enum heed_status load_file(struct heed_error *error)
{
    struct heed_model *loaded;
    const enum heed_status status = heed_model_load(HEED_SOURCE_DIR "/config/models/heed-s.json", NULL, &loaded, error);
    if (status == HEED_OK)
        heed_model_free(loaded);
    return status;
}

static enum heed_status make_crew_and_context(struct heed_error *error)
{
    struct heed_crew *crew;
    struct heed_context *context;
    enum heed_status status = heed_crew_create(1, 2, &crew, error);
    if (status != HEED_OK)
        return status;
    status = heed_context_create(crew, 4096, &context, error);
    if (status == HEED_OK)
        heed_context_free(context);
    heed_crew_free(crew);
    return status;
}

static enum heed_status tell_masks(const struct heed_result *result, struct heed_error *error)
{
    enum heed_status status = HEED_OK;
    for (size_t i = 0; i < result->detection_count && status == HEED_OK; i++) {
        const struct heed_rle *const mask = &result->detections[i].mask;
        struct heed_polygon polygon;
        char *text;
        uint8_t *png;
        size_t size;
        status = heed_rle_to_string(mask, &text, error);
        if (status == HEED_OK) {
            free(text);
            status = heed_rle_to_polygon(mask, &polygon, error);
        }
        if (status == HEED_OK) {
            heed_polygon_deinit(&polygon);
            status = heed_rle_to_png(mask, NULL, &png, &size, error);
        }
        if (status == HEED_OK)
            free(png);
    }
    return status;
}

static enum heed_status detect_photo(const struct photo *photo, struct heed_error *error)
{
    const struct heed_detect_options options = { .detections_max = 2, .masks = true };
    struct heed_result result;
    enum heed_status status = heed_detect(bed.context, model, photo->bytes, photo->size, &options, &result, error);
    if (status == HEED_OK)
        status = tell_masks(&result, error);
    if (status == HEED_OK) {
        struct heed_image image = heed_context_image(bed.context);
        status = heed_draw(&image, &result, model, NULL, error);
    }
    heed_result_deinit(&result);
    return status;
}

static enum heed_status detect_jpeg(struct heed_error *error)
{
    return detect_photo(&photos[0], error);
}

static enum heed_status detect_png(struct heed_error *error)
{
    return detect_photo(&photos[1], error);
}

static enum heed_status encode(struct heed_error *error)
{
    uint8_t pixels[3 * 4 * 4] = { 0 };
    const struct heed_image image = { .rgb = pixels, .width = 4, .height = 4 };
    uint8_t *bytes;
    size_t size;
    enum heed_status status = heed_image_encode_jpeg(&image, 90, NULL, &bytes, &size, error);
    if (status != HEED_OK)
        return status;
    free(bytes);
    status = heed_image_encode_png(&image, NULL, &bytes, &size, error);
    if (status == HEED_OK)
        free(bytes);
    return status;
}

static enum heed_status draw_boxes(struct heed_error *error)
{
    uint8_t pixels[3 * 4 * 4] = { 0 };
    struct heed_image image = { .rgb = pixels, .width = 4, .height = 4 };
    struct heed_detection one = { .box = { 1, 1, 2, 2 } };
    const struct heed_result result = { .width = 4, .height = 4, .detection_count = 1, .detections = &one };
    return heed_draw(&image, &result, model, NULL, error);
}

/* The labels, and not a claim on every pixel of the photo. */
static void boxes_without_masks_are_drawn_with_one_allocation(void **state)
{
    (void)state;
    struct heed_error error;
    assert_int_equal(counted_work(draw_boxes, 0, &error), HEED_OK);
    assert_int_equal(allocations, REPLACED ? 1 : 0);
}

#define SURVIVES(work)                                                                                                 \
    static void work##_survives(void **state)                                                                          \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        survives_every_failure(work);                                                                                  \
    }
SURVIVES(load_builtin)
SURVIVES(load_file)
SURVIVES(make_crew_and_context)
SURVIVES(detect_jpeg)
SURVIVES(detect_png)
SURVIVES(encode)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_builtin_survives),
        cmocka_unit_test(load_file_survives),
        cmocka_unit_test(make_crew_and_context_survives),
        cmocka_unit_test(detect_jpeg_survives),
        cmocka_unit_test(detect_png_survives),
        cmocka_unit_test(encode_survives),
        cmocka_unit_test(boxes_without_masks_are_drawn_with_one_allocation),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
