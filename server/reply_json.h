/* Detections as text: heed's own JSON and COCO's result array (API.md). Numbers are short and the same everywhere:
 * boxes to 2 decimals, scores to 4. Used by the server and by `heed detect`; any thread. */
#ifndef SRV_REPLY_JSON_H
#define SRV_REPLY_JSON_H

#include "detect.h"
#include "job.h"
#include "text.h"

/* {"image": {...}, "detections": [...], "timing_ms": {...}} of one photo; `timing` NULL leaves the times out.
 * model_name not NULL stands first. */
HEED_CHECKED enum heed_status srv_json_result(struct srv_text *text, const char *model_name,
                                              const struct heed_model_info *model, const struct heed_result *result,
                                              enum srv_masks masks, const struct srv_timing *timing,
                                              struct heed_error *error);

/* The elements of COCO's array, without the brackets; `first` says that none was written before. image_id is JSON. */
HEED_CHECKED enum heed_status srv_coco_result(struct srv_text *text, const char *image_id, bool first,
                                              const struct heed_result *result, enum srv_masks masks,
                                              struct heed_error *error);

/* The value of a Server-Timing header. */
void srv_server_timing(char *out, size_t size, const struct srv_timing *timing);

#endif
