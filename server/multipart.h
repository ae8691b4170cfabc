/* multipart/form-data (RFC 7578) in memory: the body is whole, and fields are found in place, nothing is copied. */
#ifndef SRV_MULTIPART_H
#define SRV_MULTIPART_H

#include "reply.h"

#include <stdint.h>

struct srv_part {
    const char *name; /* of the field, as sent between the quotes */
    size_t name_size;
    const uint8_t *value;
    size_t size;
};

struct srv_multipart {
    const uint8_t *position, *end;
    const char *boundary;
    size_t boundary_size;
};

/* Finds the boundary in the Content-Type and the first part in the body. */
bool srv_multipart_start(struct srv_multipart *multipart, const char *content_type, const uint8_t *body, size_t size,
                         struct srv_problem *problem);

/* The next field, or *found false after the last. False with a problem where the body is malformed. */
bool srv_multipart_next(struct srv_multipart *multipart, struct srv_part *part, bool *found,
                        struct srv_problem *problem);

#endif
