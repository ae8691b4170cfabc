/* Jobs become replies. */
#include "work.h"
#include "reply_json.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The reply of one job in the making. */
struct work {
    struct srv_job *job;
    struct heed_context *context;
    const struct srv_options *options;
    struct heed_stop stop;
    struct srv_text text;
    struct srv_problem problem;
};

static bool refuse(struct work *work, size_t index, const struct heed_error *error)
{
    const struct srv_detect *const detect = &work->job->detect;
    const enum srv_refusal reason = srv_refusal_of(error->status);
    if (reason == SRV_DEADLINE)
        return srv_refuse(&work->problem, reason, "the deadline of %llu ms passed while the request was worked on",
                          (unsigned long long)detect->timeout_ms);
    if (reason == SRV_TOO_MUCH_MEMORY)
        return srv_refuse(&work->problem, reason, "%s; ask for fewer detections, smaller masks or fewer photos",
                          error->text);
    if (detect->photo_count > 1)
        return srv_refuse(&work->problem, reason, "image %zu of %zu: %s", index + 1, detect->photo_count, error->text);
    return srv_refuse(&work->problem, reason, "%s", error->text);
}

static void put(struct work *work, const char *string)
{
    srv_text_string(&work->text, string);
}

/* One photo's part of a JSON reply, but for its times. */
static enum heed_status print_result(struct work *work, size_t index, const struct heed_result *result,
                                     struct heed_error *error)
{
    const struct srv_detect *const detect = &work->job->detect;
    const struct heed_model_info *const info = detect->model->info;
    if (detect->format == SRV_FORMAT_COCO) {
        char number[24];
        snprintf(number, sizeof number, "%zu", index);
        const bool first = work->text.size == 1; /* the bracket alone */
        return srv_coco_result(&work->text, detect->image_id[0] ? detect->image_id : number, first, result,
                               detect->masks, &work->stop, error);
    }
    put(work, index ? "," : "");
    return srv_json_result(&work->text, detect->photo_count == 1 ? info->name : NULL, info, result, detect->masks,
                           &work->stop, error);
}

/* The picture with what was found drawn on it. */
static enum heed_status draw(struct work *work, const struct heed_result *result, struct heed_error *error)
{
    struct srv_reply *const reply = &work->job->reply;
    struct heed_image image = heed_context_image(work->context);
    uint8_t *bytes = NULL;
    enum heed_status status = heed_draw(&image, result, work->job->detect.model->model, &work->stop, error);
    const bool jpeg = work->job->detect.output == SRV_ACCEPT_JPEG;
    if (status == HEED_OK)
        status = jpeg ? heed_image_encode_jpeg(&image, (int)work->options->jpeg_quality, &work->stop, &bytes,
                                               &reply->size, error)
                      : heed_image_encode_png(&image, &work->stop, &bytes, &reply->size, error);
    if (status != HEED_OK)
        return status;
    reply->status = 200;
    reply->content_type = jpeg ? "image/jpeg" : "image/png";
    reply->body = (char *)bytes;
    return HEED_OK;
}

static void add_times(struct srv_timing *sum, const struct heed_result *result)
{
    sum->decode_ns += result->decode_ns;
    sum->infer_ns += result->infer_ns;
    sum->masks_ns += result->masks_ns;
}

/* The photo is done with: its time ends here, and the job's for now. */
static void end_photo(struct work *work, const struct heed_result *result, uint64_t began_ns)
{
    struct srv_job *const job = work->job;
    const uint64_t now_ns = heed_now_ns();
    add_times(&job->timing, result);
    job->timing.total_ns = now_ns - job->created_ns;
    struct srv_timing timing = { .queue_ns = job->timing.queue_ns,
                                 .total_ns = job->timing.queue_ns + now_ns - began_ns };
    add_times(&timing, result);
    if (job->detect.output == SRV_ACCEPT_JSON && job->detect.format == SRV_FORMAT_HEED)
        srv_json_result_end(&work->text, &timing);
}

static bool work_on_photo(struct work *work, size_t index)
{
    const uint64_t began_ns = heed_now_ns();
    struct srv_job *const job = work->job;
    const struct srv_detect *const detect = &job->detect;
    const uint8_t *bytes;
    uint8_t *owned;
    size_t size;
    if (!srv_photo_bytes(&detect->photos[index], &bytes, &size, &owned, &work->problem))
        return false;
    const struct heed_detect_options how = {
        .limits = { .pixels_max = work->options->pixels_max, .scans_max = (uint32_t)work->options->scans_max },
        .score_min = (float)detect->score,
        .detections_max = detect->max,
        .classes = detect->classes,
        .masks = detect->masks != SRV_MASKS_NONE,
        .scaled_jpeg = work->options->jpeg_decoding == SRV_JPEG_SCALED && detect->output == SRV_ACCEPT_JSON,
        .mask_bytes_max = detect->mask_bytes_max,
        .stop = work->stop,
    };
    struct heed_result result;
    struct heed_error error;
    enum heed_status status = heed_detect(work->context, detect->model->model, bytes, size, &how, &result, &error);
    if (status == HEED_OK) {
        status = detect->output == SRV_ACCEPT_JSON ? print_result(work, index, &result, &error)
                                                   : draw(work, &result, &error);
        if (status == HEED_OK) /* a JPEG is made in one go, whatever the time */
            status = heed_stop_check(&work->stop, &error);
        if (status == HEED_OK)
            end_photo(work, &result, began_ns);
        heed_result_deinit(&result);
    }
    free(owned);
    return status == HEED_OK || refuse(work, index, &error);
}

static bool work_on_photos(struct work *work)
{
    const struct srv_detect *const detect = &work->job->detect;
    const bool coco = detect->format == SRV_FORMAT_COCO, several = detect->photo_count > 1;
    const bool json = detect->output == SRV_ACCEPT_JSON;
    if (json && coco) {
        put(work, "[");
    } else if (json && several) {
        put(work, "{\"model\":");
        srv_text_json_string(&work->text, detect->model->info->name);
        put(work, ",\"results\":[");
    }
    for (size_t i = 0; i < detect->photo_count; i++)
        if (!work_on_photo(work, i))
            return false;
    if (json) {
        put(work, coco ? "]\n" : several ? "]}\n" : "\n");
        srv_reply_text(&work->job->reply, 200, "application/json", &work->text);
    }
    return true;
}

static void answer_expired(struct srv_job *job)
{
    struct srv_problem problem;
    srv_refuse(&problem, SRV_DEADLINE, "the deadline of %llu ms passed before a worker was free",
               (unsigned long long)job->detect.timeout_ms);
    srv_reply_problem(&job->reply, &problem);
}

void srv_work_expired(struct srv_job *job, uint64_t now_ns)
{
    job->timing.queue_ns = job->timing.total_ns = now_ns - job->created_ns;
    answer_expired(job);
}

void srv_work(struct srv_job *job, struct heed_context *context, const struct srv_options *options)
{
    const uint64_t began_ns = heed_now_ns();
    if (began_ns >= job->deadline_ns) {
        srv_work_expired(job, began_ns);
        return;
    }
    job->timing.queue_ns = began_ns - job->created_ns;
    struct work work = { .job = job,
                         .context = context,
                         .options = options,
                         .text.size_max = job->detect.reply_bytes_max,
                         .stop = { .cancel = &job->cancel, .deadline_ns = job->deadline_ns } };
    if (work_on_photos(&work)) {
        job->inferred = true;
        srv_server_timing(job->reply.server_timing, sizeof job->reply.server_timing, &job->timing);
    } else {
        srv_reply_deinit(&job->reply);
        srv_reply_problem(&job->reply, &work.problem);
    }
    srv_text_deinit(&work.text);
    job->service_ns = heed_now_ns() - began_ns;
}

enum heed_status srv_work_self_test(const struct srv_model *model, struct heed_context *context,
                                    struct heed_error *error)
{
    enum { SIDE = 64 };
    uint8_t pixels[SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i / 3 % SIDE * 4 + i / (SIDE * 3));
    const struct heed_image image = { .rgb = pixels, .width = SIDE, .height = SIDE };
    uint8_t *jpeg;
    size_t size;
    enum heed_status status = heed_image_encode_jpeg(&image, 90, NULL, &jpeg, &size, error);
    if (status != HEED_OK)
        return status;
    const struct heed_detect_options how = { .score_min = 0, .detections_max = 1, .masks = true };
    struct heed_result result;
    status = heed_detect(context, model->model, jpeg, size, &how, &result, error);
    if (status == HEED_OK)
        heed_result_deinit(&result);
    free(jpeg);
    return status;
}

void srv_job_free(struct srv_job *job)
{
    if (!job)
        return;
    srv_detect_deinit(&job->detect);
    srv_reply_deinit(&job->reply);
    free(job);
}
