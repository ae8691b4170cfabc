/* Loading and describing models. */
#include "models.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most context memory any photo of at most pixels_max needs. What a photo costs depends on its sides, because the
 * network's input follows them; so the common shapes and the extreme ones are asked, and the largest answer counts. A
 * photo of a shape between that needs still more is refused by the engine, not served by growing. */
static size_t largest_context(const struct heed_model *model, uint64_t pixels_max, unsigned lanes)
{
    static const double ratios[] = { 1, 1.1, 1.2, 1.25, 1.3333, 1.4, 1.5, 1.6, 1.6667, 1.7778, 2, 2.5, 3, 4, 8, 16 };
    size_t largest = 0;
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        double lengths[2] = { sqrt((double)pixels_max * ratios[i]), sqrt((double)pixels_max / ratios[i]) };
        for (int k = 0; k < 2; k++)
            lengths[k] = lengths[k] < 1 ? 1 : lengths[k] > 65535 ? 65535 : ceil(lengths[k]);
        const uint32_t a = (uint32_t)lengths[0], b = (uint32_t)lengths[1];
        const size_t wide = heed_model_memory(model, a, b, lanes), tall = heed_model_memory(model, b, a, lanes);
        largest = wide > largest ? wide : largest;
        largest = tall > largest ? tall : largest;
    }
    return largest;
}

static enum heed_status load_one(const char *path, const struct heed_model_options *options, struct heed_model **model,
                                 struct heed_error *error)
{
    return path ? heed_model_load(path, options, model, error) : heed_model_load_builtin(options, model, error);
}

__attribute__((format(printf, 3, 4))) static enum heed_status fail(struct heed_error *error, enum heed_status status,
                                                                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

enum heed_status srv_models_load(struct srv_models *models, const struct srv_options *options, unsigned lanes,
                                 struct heed_error *error)
{
    const struct heed_model_options how = { .cpu = srv_cpu_mask(options->cpu) };
    *models = (struct srv_models){ 0 };
    models->items = calloc(options->models.count + 1, sizeof *models->items);
    if (!models->items)
        return fail(error, HEED_NO_MEMORY, "there is no memory for the list of models");
    for (size_t i = 0; i <= options->models.count; i++) {
        struct srv_model *const item = &models->items[i];
        const char *const path = i == 0 ? NULL : options->models.items[i - 1];
        const enum heed_status status = load_one(path, &how, &item->model, error);
        if (status != HEED_OK)
            return status;
        item->info = heed_model_info(item->model);
        if (srv_models_find(models, item->info->name, strlen(item->info->name))) {
            const enum heed_status refused =
                fail(error, HEED_BAD_MODEL, "there are two models named \"%.60s\"", item->info->name);
            heed_model_free(item->model);
            return refused;
        }
        models->count++;
        item->context_bytes = largest_context(item->model, options->pixels_max, lanes);
        models->weights_bytes += item->info->weights_bytes;
        if (item->context_bytes > models->context_bytes)
            models->context_bytes = item->context_bytes;
    }
    const char *const name = options->default_model;
    models->standard = name[0] ? srv_models_find(models, name, strlen(name)) : models->items;
    if (!models->standard)
        return fail(error, HEED_BAD_MODEL, "default_model is \"%.60s\": there is no model of that name", name);
    return HEED_OK;
}

void srv_models_deinit(struct srv_models *models)
{
    for (size_t i = 0; i < models->count; i++)
        heed_model_free(models->items[i].model);
    free(models->items);
    *models = (struct srv_models){ 0 };
}

const struct srv_model *srv_models_find(const struct srv_models *models, const char *name, size_t size)
{
    for (size_t i = 0; i < models->count; i++) {
        const char *const known = models->items[i].info->name;
        if (strlen(known) == size && memcmp(known, name, size) == 0)
            return &models->items[i];
    }
    return NULL;
}

static void describe(const struct srv_models *models, const struct srv_model *model, struct srv_text *text)
{
    const struct heed_model_info *const info = model->info;
    srv_text_string(text, "{\"name\":");
    srv_text_json_string(text, info->name);
    srv_text_string(text, ",\"family\":");
    srv_text_json_string(text, info->family);
    srv_text_print(text,
                   ",\"default\":%s,\"cpu_level\":\"%s\",\"parameters\":%llu,\"weights_bytes\":%zu,"
                   "\"input\":{\"width_max\":%u,\"height_max\":%u}",
                   model == models->standard ? "true" : "false", info->cpu_level, (unsigned long long)info->parameters,
                   info->weights_bytes, info->input_width_max, info->input_height_max);
}

void srv_models_list_json(const struct srv_models *models, struct srv_text *text)
{
    srv_text_string(text, "{\"models\":[");
    for (size_t i = 0; i < models->count; i++) {
        srv_text_string(text, i ? "," : "");
        describe(models, &models->items[i], text);
        srv_text_string(text, "}");
    }
    srv_text_string(text, "]}\n");
}

void srv_model_json(const struct srv_models *models, const struct srv_model *model, const struct srv_options *options,
                    unsigned lanes, struct srv_text *text)
{
    describe(models, model, text);
    srv_text_string(text, ",\"labels\":[");
    const char *comma = "";
    for (size_t i = 0; i < model->info->label_count; i++) {
        const struct heed_label *const label = &model->info->labels[i];
        if (!label->name)
            continue;
        srv_text_print(text, "%s{\"category_id\":%u,\"name\":", comma, label->category_id);
        srv_text_json_string(text, label->name);
        srv_text_string(text, "}");
        comma = ",";
    }
    srv_text_print(text,
                   "],\"limits\":{\"body_bytes\":%llu,\"pixels\":%llu,\"jpeg_scans\":%llu,\"images\":%llu},"
                   "\"memory_per_request_bytes\":{\"640x480\":%zu,\"largest\":%zu}}\n",
                   (unsigned long long)options->body_bytes_max, (unsigned long long)options->pixels_max,
                   (unsigned long long)options->scans_max, (unsigned long long)options->images_max,
                   heed_model_memory(model->model, 640, 480, lanes), model->context_bytes);
}
