/* Written by hand instead of through a JSON tree: replies hold thousands of numbers, and their order and form are
 * fixed. */
#include "reply_json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Asked between two detections. */
static enum heed_status go_on(const struct srv_text *text, const struct heed_stop *stop, struct heed_error *error)
{
    if (!text->outgrown)
        return heed_stop_check(stop, error);
    error->status = HEED_OUTGROWN;
    snprintf(error->text, sizeof error->text, "the answer is larger than the %zu bytes kept for it", text->size_max);
    return HEED_OUTGROWN;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void print_box(struct srv_text *text, const float box[4])
{
    for (int i = 0; i < 4; i++) {
        srv_text_string(text, i ? "," : "[");
        srv_text_number(text, (double)box[i], 2);
    }
    srv_text_string(text, "]");
}

static enum heed_status print_counts(struct srv_text *text, const struct heed_rle *rle, struct heed_error *error)
{
    char *counts;
    const enum heed_status status = heed_rle_to_string(rle, &counts, error);
    if (status != HEED_OK)
        return status;
    srv_text_string(text, "\"counts\":");
    srv_text_json_string(text, counts); /* COCO's characters include the backslash */
    free(counts);
    return HEED_OK;
}

static void print_points(struct srv_text *text, const struct heed_polygon *polygon, size_t ring)
{
    const size_t first = ring ? polygon->ring_ends[ring - 1] : 0;
    for (size_t point = first; point < polygon->ring_ends[ring]; point++)
        srv_text_print(text, "%s%u,%u", point == first ? "" : ",", polygon->points[2 * point],
                       polygon->points[2 * point + 1]);
}

/* A list of rings, each x, y, x, y...; holes are rings too, and even-odd filling leaves them empty. */
static enum heed_status print_rings(struct srv_text *text, const struct heed_rle *rle, struct heed_error *error)
{
    struct heed_polygon polygon;
    const enum heed_status status = heed_rle_to_polygon(rle, &polygon, error);
    if (status != HEED_OK)
        return status;
    srv_text_string(text, "[");
    for (size_t ring = 0; ring < polygon.ring_count; ring++) {
        srv_text_string(text, ring ? ",[" : "[");
        print_points(text, &polygon, ring);
        srv_text_string(text, "]");
    }
    srv_text_string(text, "]");
    heed_polygon_deinit(&polygon);
    return HEED_OK;
}

/* COCO's tools fill each ring and take the union, holes and all. So all rings are one, and from ring to ring leads a
 * seam along pixel edges, gone there and back, which encloses nothing. */
static enum heed_status print_seamed_rings(struct srv_text *text, const struct heed_rle *rle, struct heed_error *error)
{
    struct heed_polygon polygon;
    const enum heed_status status = heed_rle_to_polygon(rle, &polygon, error);
    if (status != HEED_OK)
        return status;
    const uint32_t *const home = polygon.points;
    srv_text_string(text, polygon.ring_count ? "[[" : "[");
    for (size_t ring = 0; ring < polygon.ring_count; ring++) {
        const uint32_t *const start = polygon.points + 2 * (ring ? polygon.ring_ends[ring - 1] : 0);
        if (ring)
            srv_text_print(text, ",%u,%u,", start[0], home[1]);
        print_points(text, &polygon, ring);
        srv_text_print(text, ",%u,%u", start[0], start[1]);
        if (ring)
            srv_text_print(text, ",%u,%u,%u,%u", start[0], home[1], home[0], home[1]);
    }
    srv_text_string(text, polygon.ring_count ? "]]" : "]");
    heed_polygon_deinit(&polygon);
    return HEED_OK;
}

static enum heed_status print_png(struct srv_text *text, const struct heed_rle *rle, const struct heed_stop *stop,
                                  struct heed_error *error)
{
    uint8_t *png;
    size_t size;
    const enum heed_status status = heed_rle_to_png(rle, stop, &png, &size, error);
    if (status != HEED_OK)
        return status;
    srv_text_string(text, "\"png\":\"");
    srv_text_base64(text, png, size);
    srv_text_string(text, "\"");
    free(png);
    return HEED_OK;
}

static enum heed_status print_mask(struct srv_text *text, const struct heed_rle *rle, enum srv_masks masks,
                                   const struct heed_stop *stop, struct heed_error *error)
{
    srv_text_print(text, "{\"size\":[%u,%u],", rle->height, rle->width);
    enum heed_status status = HEED_OK;
    if (masks == SRV_MASKS_RLE)
        status = print_counts(text, rle, error);
    if (masks == SRV_MASKS_PNG)
        status = print_png(text, rle, stop, error);
    if (masks == SRV_MASKS_POLYGON) {
        srv_text_string(text, "\"polygons\":");
        status = print_rings(text, rle, error);
    }
    srv_text_string(text, "}");
    return status;
}

static enum heed_status print_detection(struct srv_text *text, const struct heed_model_info *model,
                                        const struct heed_detection *detection, enum srv_masks masks,
                                        const struct heed_stop *stop, struct heed_error *error)
{
    const char *const label = model->labels[detection->class_index].name;
    srv_text_string(text, "{\"label\":");
    srv_text_json_string(text, label ? label : "");
    srv_text_print(text, ",\"category_id\":%u,\"score\":", detection->category_id);
    srv_text_number(text, (double)detection->score, 4);
    srv_text_string(text, ",\"box\":");
    print_box(text, detection->box);
    enum heed_status status = HEED_OK;
    if (masks != SRV_MASKS_NONE) {
        srv_text_string(text, ",\"mask\":");
        status = print_mask(text, &detection->mask, masks, stop, error);
        srv_text_print(text, ",\"area\":%llu", (unsigned long long)heed_rle_area(&detection->mask));
    }
    srv_text_string(text, "}");
    return status;
}

static void print_timing(struct srv_text *text, const struct srv_timing *timing)
{
    const struct {
        const char *name;
        uint64_t ns;
    } parts[] = { { "queue", timing->queue_ns },
                  { "decode", timing->decode_ns },
                  { "infer", timing->infer_ns },
                  { "masks", timing->masks_ns },
                  { "total", timing->total_ns } };
    srv_text_string(text, ",\"timing_ms\":");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        srv_text_print(text, "%s\"%s\":", i ? "," : "{", parts[i].name);
        srv_text_number(text, ms(parts[i].ns), 2);
    }
    srv_text_string(text, "}");
}

enum heed_status srv_json_result(struct srv_text *text, const char *model_name, const struct heed_model_info *model,
                                 const struct heed_result *result, enum srv_masks masks, const struct heed_stop *stop,
                                 struct heed_error *error)
{
    srv_text_string(text, "{");
    if (model_name) {
        srv_text_string(text, "\"model\":");
        srv_text_json_string(text, model_name);
        srv_text_string(text, ",");
    }
    srv_text_print(text, "\"image\":{\"width\":%u,\"height\":%u},\"detections\":[", result->width, result->height);
    for (size_t i = 0; i < result->detection_count; i++) {
        srv_text_string(text, i ? "," : "");
        enum heed_status status = print_detection(text, model, &result->detections[i], masks, stop, error);
        if (status == HEED_OK)
            status = go_on(text, stop, error);
        if (status != HEED_OK)
            return status;
    }
    srv_text_string(text, "]");
    return HEED_OK;
}

void srv_json_result_end(struct srv_text *text, const struct srv_timing *timing)
{
    if (timing)
        print_timing(text, timing);
    srv_text_string(text, "}");
}

static enum heed_status print_segmentation(struct srv_text *text, const struct heed_rle *rle, enum srv_masks masks,
                                           struct heed_error *error)
{
    srv_text_string(text, ",\"segmentation\":");
    const enum heed_status status = masks == SRV_MASKS_POLYGON ? print_seamed_rings(text, rle, error)
                                                               : print_mask(text, rle, SRV_MASKS_RLE, NULL, error);
    srv_text_print(text, ",\"area\":%llu", (unsigned long long)heed_rle_area(rle));
    return status;
}

enum heed_status srv_coco_result(struct srv_text *text, const char *image_id, bool first,
                                 const struct heed_result *result, enum srv_masks masks, const struct heed_stop *stop,
                                 struct heed_error *error)
{
    assert(srv_coco_masks(masks));
    for (size_t i = 0; i < result->detection_count; i++) {
        const struct heed_detection *const detection = &result->detections[i];
        srv_text_print(text, "%s{\"image_id\":%s,\"category_id\":%u,\"bbox\":", first && i == 0 ? "" : ",", image_id,
                       detection->category_id);
        print_box(text, detection->box);
        srv_text_string(text, ",\"score\":");
        srv_text_number(text, (double)detection->score, 4);
        enum heed_status status = HEED_OK;
        if (masks != SRV_MASKS_NONE)
            status = print_segmentation(text, &detection->mask, masks, error);
        srv_text_string(text, "}");
        if (status == HEED_OK)
            status = go_on(text, stop, error);
        if (status != HEED_OK)
            return status;
    }
    return HEED_OK;
}

void srv_server_timing(char *out, size_t size, const struct srv_timing *timing)
{
    snprintf(out, size, "queue;dur=%.2f, decode;dur=%.2f, infer;dur=%.2f, masks;dur=%.2f, total;dur=%.2f",
             ms(timing->queue_ns), ms(timing->decode_ns), ms(timing->infer_ns), ms(timing->masks_ns),
             ms(timing->total_ns));
}
