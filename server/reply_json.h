/* Detections as text: heed's own JSON and COCO's result array. Numbers are short and the same everywhere:
 * boxes to 2 decimals, scores to 4. Used by the server and by `heed detect`; any thread. */
#ifndef SRV_REPLY_JSON_H
#define SRV_REPLY_JSON_H

#include "detect.h"
#include "job.h"
#include "text.h"

/* {"image": {...}, "detections": [...] of one photo, model_name before it where that is not NULL. Ends with
 * HEED_OUTGROWN at the text's limit; can be stopped between two detections. srv_json_result_end writes ,"timing_ms":
 * {...}}: what it took to write all before it is known then. `timing` NULL leaves the times out. */
HEED_CHECKED enum heed_status srv_json_result(struct srv_text *text, const char *model_name,
                                              const struct heed_model_info *model, const struct heed_result *result,
                                              enum srv_masks masks, const struct heed_stop *stop,
                                              struct heed_error *error);
void srv_json_result_end(struct srv_text *text, const struct srv_timing *timing);

/* The elements of COCO's array, without the brackets; `first` says that none was written before. image_id is JSON;
 * masks are those of srv_coco_masks. */
HEED_CHECKED enum heed_status srv_coco_result(struct srv_text *text, const char *image_id, bool first,
                                              const struct heed_result *result, enum srv_masks masks,
                                              const struct heed_stop *stop, struct heed_error *error);

/* The value of a Server-Timing header. */
void srv_server_timing(char *out, size_t size, const struct srv_timing *timing);

#endif
