/* An engine for tests of the server: models without weights, photos that are probed and decoded to nothing, answers
 * that follow from the options, and time that passes as told. Included by the one file of a test program that needs it;
 * everything else (probing, encoding, run lengths, the crew) is the real engine's. */
#ifndef SRV_FAKE_ENGINE_H
#define SRV_FAKE_ENGINE_H

#include "heed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct heed_model {
    struct heed_model_info info;
};

struct heed_context {
    struct heed_image image;
};

static const struct heed_label fake_labels[] = { { "person", 1 }, { NULL, 0 }, { "cat", 17 }, { "dog", 18 } };
static unsigned fake_detect_ms;             /* how long a photo takes */
static enum heed_status fake_detect_status; /* what comes of it */

static enum heed_status fake_model(const char *name, struct heed_model **model)
{
    *model = calloc(1, sizeof **model);
    (*model)->info = (struct heed_model_info){
        .name = name,
        .family = "fake",
        .cpu_level = "ref",
        .labels = fake_labels,
        .label_count = sizeof fake_labels / sizeof *fake_labels,
        .input_width_max = 416,
        .input_height_max = 416,
        .weights_bytes = 1 << 20,
        .parameters = 1000,
        .detections_max = 100,
    };
    return HEED_OK;
}

enum heed_status heed_model_load(const char *path, const struct heed_model_options *options, struct heed_model **model,
                                 struct heed_error *error)
{
    (void)options;
    if (strstr(path, "missing")) {
        error->status = HEED_IO;
        snprintf(error->text, sizeof error->text, "%s: no such file", path);
        return HEED_IO;
    }
    return fake_model("second", model);
}

enum heed_status heed_model_load_builtin(const struct heed_model_options *options, struct heed_model **model,
                                         struct heed_error *error)
{
    (void)options, (void)error;
    return fake_model("first", model);
}

void heed_model_free(struct heed_model *model)
{
    free(model);
}

const struct heed_model_info *heed_model_info(const struct heed_model *model)
{
    return &model->info;
}

size_t heed_model_memory(const struct heed_model *model, uint32_t width, uint32_t height, unsigned lanes)
{
    (void)model, (void)lanes;
    return (size_t)width * height * 3 + 1000;
}

enum heed_status heed_context_create(struct heed_crew *crew, size_t memory_bytes, struct heed_context **context,
                                     struct heed_error *error)
{
    (void)crew, (void)memory_bytes, (void)error;
    *context = calloc(1, sizeof **context);
    return HEED_OK;
}

void heed_context_free(struct heed_context *context)
{
    if (context)
        free(context->image.rgb);
    free(context);
}

struct heed_image heed_context_image(struct heed_context *context)
{
    return context->image;
}

static enum heed_status fake_wait(const struct heed_detect_options *options, struct heed_error *error)
{
    for (unsigned i = 0; i < fake_detect_ms; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        const bool cancelled = options->stop.cancel && *options->stop.cancel;
        if (cancelled || (options->stop.deadline_ns && heed_now_ns() > options->stop.deadline_ns)) {
            error->status = cancelled ? HEED_CANCELLED : HEED_DEADLINE;
            snprintf(error->text, sizeof error->text, "stopped between two layers");
            return error->status;
        }
    }
    return HEED_OK;
}

static enum heed_status fake_no_memory(struct heed_error *error)
{
    error->status = HEED_NO_MEMORY;
    snprintf(error->text, sizeof error->text, "no memory");
    return HEED_NO_MEMORY;
}

/* One cat on the left half of the photo, certain to 0.875. */
enum heed_status heed_detect(struct heed_context *context, const struct heed_model *model, const uint8_t *bytes,
                             size_t size, const struct heed_detect_options *options, struct heed_result *result,
                             struct heed_error *error)
{
    struct heed_image_info info;
    (void)model;
    enum heed_status status = heed_image_probe(bytes, size, &options->limits, &info, error);
    if (status == HEED_OK)
        status = fake_wait(options, error);
    if (status == HEED_OK && fake_detect_status != HEED_OK) {
        error->status = status = fake_detect_status;
        snprintf(error->text, sizeof error->text, "as told");
    }
    if (status != HEED_OK)
        return status;
    free(context->image.rgb);
    context->image = (struct heed_image){ .rgb = calloc((size_t)info.width * info.height, 3),
                                          .width = info.width,
                                          .height = info.height };
    if (!context->image.rgb)
        return fake_no_memory(error);
    *result = (struct heed_result){
        .width = info.width, .height = info.height, .decode_ns = 1000000, .infer_ns = 2000000, .masks_ns = 3000000
    };
    if (options->score_min > 0.875f || (options->classes && !options->classes[2]))
        return HEED_OK;
    result->detections = calloc(1, sizeof *result->detections);
    uint32_t *const runs = options->masks ? malloc(3 * sizeof *runs) : NULL;
    if (!result->detections || (options->masks && !runs)) {
        free(result->detections);
        free(runs);
        return fake_no_memory(error);
    }
    result->detection_count = 1;
    result->detections[0] = (struct heed_detection){
        .class_index = 2, .category_id = 17, .score = 0.875f, .box = { 0, 0, (float)info.width / 2, (float)info.height }
    };
    if (runs) {
        const uint32_t half = info.width / 2 * info.height, all = info.width * info.height;
        runs[0] = half ? 0 : all;
        runs[1] = half;
        runs[2] = all - half;
        result->detections[0].mask =
            (struct heed_rle){ .height = info.height, .width = info.width, .runs = runs, .run_count = half ? 3 : 1 };
    }
    return HEED_OK;
}

void heed_result_deinit(struct heed_result *result)
{
    for (size_t i = 0; i < result->detection_count; i++)
        free(result->detections[i].mask.runs);
    free(result->detections);
    *result = (struct heed_result){ 0 };
}

enum heed_status heed_draw(struct heed_image *image, const struct heed_result *result, const struct heed_model *model,
                           const struct heed_stop *stop, struct heed_error *error)
{
    (void)image, (void)result, (void)model;
    return heed_stop_check(stop, error);
}

#endif
