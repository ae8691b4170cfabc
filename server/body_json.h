/* The JSON body {"image": "<base64>", ...options}. The base64 text is most of the body, megabytes of it, and is found
 * in place; only what is left goes through the JSON parser, which makes a hundred bytes of three, so that it may not be
 * much. */
#ifndef SRV_BODY_JSON_H
#define SRV_BODY_JSON_H

#include "reply.h"
#include "request.h"

#define SRV_JSON_REST_MAX (64 * 1024) /* bytes of the body without its image */

struct srv_body_json {
    const uint8_t *image; /* base64, inside the body where it lies there plainly; NULL: no member "image" */
    size_t image_size;
    size_t held;              /* bytes it takes besides the body, where those are many */
    struct srv_pairs members; /* the others, as text */
    void *keep[3];            /* what these borrow from */
};

bool srv_body_json_read(struct srv_body_json *json, const uint8_t *body, size_t size, struct srv_problem *problem);
void srv_body_json_deinit(struct srv_body_json *json);

#endif
