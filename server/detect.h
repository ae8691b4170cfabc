/* What a detection request asks for: options and photos, read from any of the three body forms. Reading touches no
 * socket, no queue and no pixels: a unit test or a fuzz target calls it with bytes. */
#ifndef SRV_DETECT_H
#define SRV_DETECT_H

#include "body_json.h"
#include "models.h"
#include "reply.h"
#include "request.h"

enum srv_masks { SRV_MASKS_RLE, SRV_MASKS_POLYGON, SRV_MASKS_PNG, SRV_MASKS_NONE };
enum srv_format { SRV_FORMAT_HEED, SRV_FORMAT_COCO };

/* COCO's results know no PNG. */
static inline bool srv_coco_masks(enum srv_masks masks)
{
    return masks != SRV_MASKS_PNG;
}

#define SRV_IMAGE_ID_MAX 64

struct srv_photo {
    const uint8_t *bytes; /* borrowed from the body, or from detect.json */
    size_t size;
    bool base64; /* bytes are base64, to be decoded by whoever works on the photo */
    struct heed_image_info info;
};

struct srv_detect {
    const struct srv_model *model;
    double score;
    uint32_t max;
    bool *classes; /* owned; by class index; NULL: all */
    enum srv_masks masks;
    enum srv_format format;
    enum srv_accept output;
    uint64_t timeout_ms;
    int priority;                        /* -1, 0, 1 */
    char image_id[SRV_IMAGE_ID_MAX + 1]; /* as JSON: a number or a string in quotes; empty: not given */
    struct srv_photo *photos;            /* owned */
    size_t photo_count;
    struct srv_body_json json; /* where the body was JSON */
    /* Limits that srv_detect_plan sets; 0: none. */
    size_t reply_bytes_max; /* of a JSON reply */
    size_t mask_bytes_max;  /* of a photo's run lengths */
};

/* Options and photos of the request, each photo's header checked against the limits. Deinit either way. */
bool srv_detect_read(struct srv_detect *detect, const struct srv_request *request, const struct srv_models *models,
                     const struct srv_options *options, struct srv_problem *problem);
void srv_detect_deinit(struct srv_detect *detect);

/* The photo's bytes: borrowed, or decoded from base64 into *owned, which the caller frees. */
bool srv_photo_bytes(const struct srv_photo *photo, const uint8_t **bytes, size_t *size, uint8_t **owned,
                     struct srv_problem *problem);

/* How much the answer may take. Nobody knows before how large masks are, so a generous guess is the limit, and never
 * more than a share of the `flight_bytes` all requests may hold together: no request is refused for a guess, and one
 * that outgrows it ends with HEED_OUTGROWN. */
void srv_detect_plan(struct srv_detect *detect, size_t flight_bytes);

/* Then: the memory the request takes besides its body. For the reply, held until that is sent; and beside the worker's
 * context while it is worked on: decoded base64, the codec's own, run lengths, the drawn picture. */
size_t srv_detect_cost(const struct srv_detect *detect);
size_t srv_detect_work_bytes(const struct srv_detect *detect);

#endif
