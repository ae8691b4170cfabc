/* The top of the engine: a model from its description and weights, a context of one worker, and the way of one photo
 *
 *     bytes -> probe -> plan -> decode -> prepare -> forward -> results
 *                        |
 *                        +- the same decode, prepare and forward on an arena that only counts
 *
 * The context's arena holds the decoded photo in front, kept for drawing on until the next call; behind it stands what
 * the pass needs, taken back when the results have been copied out.
 */
#include "heed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/pages.h"
#include "image/decode.h"
#include "image/prepare.h"
#include "layers/forward.h"
#include "layers/loader.h"
#include "models/builtin.h"
#include "models/family.h"
#include "models/spec.h"
#include "results/masks.h"
#include "weights/file.h"
#include "weights/weights.h"

/* ---- Models --------------------------------------------------------------------------------------- */

struct heed_model {
    struct heed_spec spec;
    struct heed_kernels kernels;
    const struct heed_family *family;
    const void *network; /* in keep */
    struct heed_keep *keep;
    struct heed_model_info info;
};

static void describe(struct heed_model *model, uint64_t parameters)
{
    const struct heed_spec *const spec = &model->spec;
    const uint32_t multiple = spec->input.multiple;
    const uint32_t side_max = (spec->input.long_side + multiple - 1) / multiple * multiple;
    model->info = (struct heed_model_info){
        .name = spec->name,
        .family = spec->family,
        .cpu_level = heed_cpu_level_name(model->kernels.level),
        .labels = spec->labels,
        .label_count = spec->label_count,
        .input_width_max = side_max,
        .input_height_max = side_max,
        .weights_bytes = heed_keep_bytes(model->keep),
        .parameters = parameters,
        .detections_max = (uint32_t)spec->detections,
    };
}

/* The network of the model's description, from weights that are not needed afterwards. */
static enum heed_status build(struct heed_model *model, struct heed_weights *weights,
                              const struct heed_model_options *options, struct heed_error *error)
{
    heed_kernels_init(&model->kernels, (options ? options->cpu : HEED_CPU_ANY) & heed_cpu_detect());
    model->family = heed_family_find(model->spec.family);
    assert(model->family);
    const enum heed_status status = heed_keep_create(&model->keep, error);
    if (status != HEED_OK)
        return status;

    struct heed_loader loader = { .weights = weights, .kernels = &model->kernels, .keep = model->keep, .error = error };
    model->network = model->family->load(&loader, &model->spec);
    heed_keep_seal(model->keep);
    if (loader.status != HEED_OK)
        return loader.status;
    const char *const unused = heed_weights_unused(weights);
    if (unused)
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: tensor %.100s has no place in the model",
                         heed_file_name(model->spec.weights_path).text, unused);
    describe(model, loader.parameters);
    return HEED_OK;
}

/* The last step of every load: the weights are freed, and so is the model where anything went wrong. */
static enum heed_status finish(struct heed_model *model, enum heed_status status, struct heed_weights *weights,
                               const struct heed_model_options *options, struct heed_model **out,
                               struct heed_error *error)
{
    if (status == HEED_OK)
        status = build(model, weights, options, error);
    heed_weights_free(weights);
    if (status == HEED_OK)
        *out = model;
    else
        heed_model_free(model);
    return status;
}

enum heed_status heed_model_load(const char *path, const struct heed_model_options *options, struct heed_model **out,
                                 struct heed_error *error)
{
    struct heed_weights *weights = NULL;
    struct heed_model *const model = calloc(1, sizeof *model);
    if (!model)
        return heed_fail(error, HEED_NO_MEMORY, "model %s", heed_file_name(path).text);
    enum heed_status status = heed_spec_load(path, &model->spec, error);
    if (status == HEED_OK)
        status = heed_weights_open(model->spec.weights_path, &weights, error);
    return finish(model, status, weights, options, out, error);
}

enum heed_status heed_model_load_builtin(const struct heed_model_options *options, struct heed_model **out,
                                         struct heed_error *error)
{
    const struct heed_builtin files = heed_builtin();
    struct heed_weights *weights = NULL;
    struct heed_model *const model = calloc(1, sizeof *model);
    if (!model)
        return heed_fail(error, HEED_NO_MEMORY, "the built-in model");
    enum heed_status status = heed_spec_parse("built-in model", (const char *)files.spec, files.spec_size,
                                              (const char *)files.labels, files.labels_size, &model->spec, error);
    if (status == HEED_OK)
        status = heed_weights_open_memory(model->spec.weights_path, files.weights, files.weights_size, &weights, error);
    return finish(model, status, weights, options, out, error);
}

void heed_model_free(struct heed_model *model)
{
    if (!model)
        return;
    heed_keep_free(model->keep);
    heed_spec_deinit(&model->spec);
    free(model);
}

const struct heed_model_info *heed_model_info(const struct heed_model *model)
{
    return &model->info;
}

/* ---- Planning ------------------------------------------------------------------------------------- */

/* From a decoded photo to what is on it; with a counting arena, only the memory of that. Results are in pixels of the
 * photo of this size, which may have been decoded smaller. */
static void run_network(const struct heed_model *model, struct heed_forward *forward, const struct heed_image *image,
                        uint32_t width, uint32_t height, const struct heed_query *query, struct heed_findings *findings)
{
    const struct heed_input_spec *const input_spec = &model->spec.input;
    const struct heed_geometry geometry = heed_geometry(input_spec, width, height);
    struct heed_geometry decoded = geometry;
    decoded.photo_w = image->width;
    decoded.photo_h = image->height;
    const struct heed_tensor input = heed_prepare(forward, image, input_spec, &decoded);
    model->family->forward(forward, model->network, &input, &geometry, query, findings);
}

/* SIZE_MAX where no memory could hold it. */
static size_t plan(const struct heed_model *model, const struct heed_image_info *info, const struct heed_query *query,
                   unsigned lanes)
{
    struct heed_arena arena;
    heed_arena_init_counting(&arena);
    struct heed_forward forward = { .kernels = &model->kernels, .arena = &arena, .lanes = lanes };
    struct heed_image image;
    const enum heed_status status = heed_image_decode(NULL, 0, info, NULL, &arena, &image, NULL);
    assert(status == HEED_OK);
    struct heed_findings findings;
    run_network(model, &forward, &image, image.width, image.height, query, &findings);
    return arena.overflowed ? SIZE_MAX : arena.peak;
}

size_t heed_model_memory(const struct heed_model *model, uint32_t width, uint32_t height, unsigned lanes)
{
    if (width == 0 || height == 0)
        return 0;
    const struct heed_image_info lying = {
        .width = width, .height = height, .stored_width = height, .stored_height = width, .orientation = 6
    }; /* a photo to be turned needs the most */
    const struct heed_query query = { .detections_max = HEED_DETECTIONS_MAX, .masks = true };
    return plan(model, &lying, &query, lanes);
}

/* ---- Contexts ------------------------------------------------------------------------------------- */

struct heed_context {
    struct heed_crew *crew;
    void *block;
    size_t size;
    struct heed_arena arena;
    struct heed_image photo; /* in front of the arena */
    struct heed_profile *profile;
};

enum heed_status heed_context_create(struct heed_crew *crew, size_t memory_bytes, struct heed_context **out,
                                     struct heed_error *error)
{
    struct heed_context *const context = calloc(1, sizeof *context);
    if (!context)
        return heed_fail(error, HEED_NO_MEMORY, "a context");
    const size_t size = memory_bytes ? memory_bytes : 1;
    void *const block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) {
        free(context);
        return heed_fail(error, HEED_NO_MEMORY, "a context of %zu bytes: %s", memory_bytes, strerror(errno));
    }
    heed_pages_enlarge(block, size);
    context->crew = crew;
    context->block = block;
    context->size = size;
    heed_arena_init(&context->arena, block, size);
    *out = context;
    return HEED_OK;
}

void heed_context_free(struct heed_context *context)
{
    if (!context)
        return;
    heed_arena_deinit(&context->arena);
    munmap(context->block, context->size);
    free(context);
}

struct heed_image heed_context_image(struct heed_context *context)
{
    return context->photo;
}

void heed_context_profile(struct heed_context *context, struct heed_profile *profile)
{
    context->profile = profile;
}

/* ---- Results -------------------------------------------------------------------------------------- */

struct paste {
    const struct heed_findings *findings;
    struct heed_result *result;
    const struct heed_detect_options *options;
    atomic_size_t bytes; /* of the run lengths so far */
    atomic_int status;   /* of a tile that failed: the others do nothing then */
};

/* The sum over all masks decides, whatever their order: what is done so far only lets one stop early. */
static void paste_tile(void *arg, size_t tile, unsigned lane)
{
    (void)lane;
    struct paste *const paste = arg;
    if (atomic_load(&paste->status) != HEED_OK)
        return;
    const size_t most = paste->options->mask_bytes_max, used = atomic_load(&paste->bytes);
    struct heed_rle *const mask = &paste->result->detections[tile].mask;
    enum heed_status status = heed_stop_check(&paste->options->stop, NULL);
    if (status == HEED_OK && most && used + sizeof *mask->runs > most)
        status = HEED_OUTGROWN;
    if (status == HEED_OK)
        status = heed_mask_paste(paste->findings->mask_logits + tile * HEED_MASK_SIDE * HEED_MASK_SIDE, HEED_MASK_SIDE,
                                 paste->findings->found[tile].box, paste->result->height, paste->result->width,
                                 most ? (most - used) / sizeof *mask->runs : 0, mask, NULL);
    const size_t bytes = mask->run_count * sizeof *mask->runs;
    if (status == HEED_OK && atomic_fetch_add(&paste->bytes, bytes) + bytes > most && most)
        status = HEED_OUTGROWN;
    if (status != HEED_OK)
        atomic_store(&paste->status, (int)status);
}

static enum heed_status paste_masks(struct heed_crew *crew, const struct heed_findings *findings,
                                    const struct heed_detect_options *options, struct heed_result *result,
                                    struct heed_error *error)
{
    struct paste paste = { .findings = findings, .result = result, .options = options };
    heed_crew_run(crew, paste_tile, &paste, findings->count);
    const enum heed_status status = (enum heed_status)atomic_load(&paste.status);
    if (status == HEED_OUTGROWN)
        return heed_fail(error, status, "the masks of %zu detections take more than %zu bytes", findings->count,
                         options->mask_bytes_max);
    return status == HEED_OK ? HEED_OK
                             : heed_fail(error, status, "%zu masks: %s", findings->count, heed_status_text(status));
}

static enum heed_status copy_out(const struct heed_model *model, struct heed_crew *crew,
                                 const struct heed_findings *findings, const struct heed_detect_options *options,
                                 struct heed_result *result, struct heed_error *error)
{
    result->detections = calloc(findings->count + 1, sizeof *result->detections);
    if (!result->detections)
        return heed_fail(error, HEED_NO_MEMORY, "%zu detections", findings->count);
    result->detection_count = findings->count;
    for (size_t i = 0; i < findings->count; i++) {
        const struct heed_found *const found = &findings->found[i];
        const float *const box = found->box;
        assert(found->class_index < model->spec.label_count);
        result->detections[i] = (struct heed_detection){
            .class_index = found->class_index,
            .category_id = model->spec.labels[found->class_index].category_id,
            .score = found->score,
            .box = { box[0], box[1], box[2] - box[0], box[3] - box[1] },
        };
    }
    return findings->mask_logits ? paste_masks(crew, findings, options, result, error) : HEED_OK;
}

void heed_result_deinit(struct heed_result *result)
{
    for (size_t i = 0; i < result->detection_count; i++)
        free(result->detections[i].mask.runs);
    free(result->detections);
    *result = (struct heed_result){ 0 };
}

/* ---- Detection ------------------------------------------------------------------------------------ */

static enum heed_status check_options(const struct heed_model *model, const struct heed_detect_options *options,
                                      struct heed_query *query, struct heed_error *error)
{
    if (!(options->score_min >= 0 && options->score_min <= 1))
        return heed_fail(error, HEED_BAD_ARGUMENT, "score_min is %g, allowed is 0 to 1", (double)options->score_min);
    if (options->detections_max > HEED_DETECTIONS_MAX)
        return heed_fail(error, HEED_BAD_ARGUMENT, "detections_max is %u, allowed is 1 to %d", options->detections_max,
                         HEED_DETECTIONS_MAX);
    *query = (struct heed_query){
        .score_min = options->score_min,
        .detections_max = options->detections_max ? options->detections_max : model->spec.detections,
        .classes = options->classes,
        .masks = options->masks,
    };
    return HEED_OK;
}

static enum heed_status check_memory(const struct heed_context *context, const struct heed_model *model,
                                     const struct heed_image_info *info, const struct heed_query *query,
                                     struct heed_error *error)
{
    const size_t needed = plan(model, info, query, heed_crew_lanes(context->crew));
    if (needed > context->size)
        return heed_fail(error, HEED_TOO_LARGE, "a photo of %u x %u needs %zu bytes of memory, limit is %zu",
                         info->width, info->height, needed, context->size);
    return HEED_OK;
}

static enum heed_status decode(const struct heed_model *model, const uint8_t *bytes, size_t size,
                               const struct heed_detect_options *options, const struct heed_image_info *info,
                               struct heed_arena *arena, struct heed_image *photo, struct heed_error *error)
{
    if (!options->scaled_jpeg)
        return heed_image_decode(bytes, size, info, &options->stop, arena, photo, error);
    const struct heed_geometry geometry = heed_geometry(&model->spec.input, info->width, info->height);
    const struct heed_image_info shrunk = heed_image_shrunk(info, geometry.resized_w, geometry.resized_h);
    return heed_image_decode(bytes, size, &shrunk, &options->stop, arena, photo, error);
}

/* The photo is decoded and kept in front of the arena: unless something is wrong with it, or nobody waits for it any
 * more. */
static enum heed_status receive(struct heed_context *context, const struct heed_model *model, const uint8_t *bytes,
                                size_t size, const struct heed_detect_options *options, struct heed_query *query,
                                struct heed_result *result, struct heed_error *error)
{
    const uint64_t start = heed_now_ns();
    struct heed_image_info info;
    struct heed_image photo;
    enum heed_status status = check_options(model, options, query, error);
    if (status == HEED_OK)
        status = heed_image_probe(bytes, size, &options->limits, &info, error);
    if (status == HEED_OK)
        status = check_memory(context, model, &info, query, error);
    if (status == HEED_OK)
        status = heed_stop_check(&options->stop, error);
    if (status == HEED_OK)
        status = decode(model, bytes, size, options, &info, &context->arena, &photo, error);
    if (status != HEED_OK)
        return status;
    context->photo = photo;
    result->width = info.width;
    result->height = info.height;
    result->decode_ns = heed_now_ns() - start;
    return HEED_OK;
}

static enum heed_status infer(struct heed_context *context, const struct heed_model *model,
                              struct heed_forward *forward, const struct heed_query *query,
                              const struct heed_detect_options *options, struct heed_result *result,
                              struct heed_error *error)
{
    struct heed_findings findings = { 0 };
    const uint64_t start = heed_now_ns();
    run_network(model, forward, &context->photo, result->width, result->height, query, &findings);
    if (forward->status != HEED_OK)
        return heed_fail(error, forward->status, "%s", heed_status_text(forward->status));
    const uint64_t inferred = heed_now_ns();
    const enum heed_status status = copy_out(model, context->crew, &findings, options, result, error);
    result->infer_ns = inferred - start;
    result->masks_ns = heed_now_ns() - inferred;
    return status;
}

enum heed_status heed_detect(struct heed_context *context, const struct heed_model *model, const uint8_t *bytes,
                             size_t size, const struct heed_detect_options *options, struct heed_result *result,
                             struct heed_error *error)
{
    *result = (struct heed_result){ 0 };
    context->photo = (struct heed_image){ 0 };
    heed_arena_release(&context->arena, 0);

    struct heed_forward forward = {
        .kernels = &model->kernels,
        .crew = context->crew,
        .arena = &context->arena,
        .lanes = heed_crew_lanes(context->crew),
        .stop = options->stop,
        .profile = context->profile,
    };
    struct heed_query query;
    enum heed_status status = receive(context, model, bytes, size, options, &query, result, error);
    if (status != HEED_OK)
        return status;

    const size_t mark = heed_arena_mark(&context->arena);
    status = infer(context, model, &forward, &query, options, result, error);
    heed_arena_release(&context->arena, mark);
    if (status != HEED_OK)
        heed_result_deinit(result);
    return status;
}
