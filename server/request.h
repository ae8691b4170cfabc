/* What a handler is given: one request, already checked for form (headers.h) and admitted. All strings are borrowed and
 * live until the request is answered. Nothing here knows how it arrived: tests and fuzz targets build one by hand. */
#ifndef SRV_REQUEST_H
#define SRV_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRV_PAIRS_MAX 64
#define SRV_ID_MAX 64

/* What a value was written as: text may mean a number or a string. */
enum srv_kind { SRV_KIND_TEXT, SRV_KIND_STRING, SRV_KIND_NUMBER };

/* A decoded name and value, of the query, a form field or a JSON member. Not NUL-terminated. */
struct srv_pair {
    const char *name, *value;
    size_t name_size, value_size;
    enum srv_kind kind;
};

struct srv_pairs {
    struct srv_pair items[SRV_PAIRS_MAX];
    size_t count;
    bool overflowed; /* there were more */
};

struct srv_request {
    const char *method, *path;
    const char *content_type, *accept, *authorization, *api_key; /* NULL where not sent */
    char id[SRV_ID_MAX + 1];                                     /* X-Request-Id: the client's, or made */
    struct srv_pairs query;
    const uint8_t *body;
    size_t body_size;
    void *owner;     /* whoever is to be told when a job of this request is done */
    size_t reserved; /* bytes of the budget held for it; given back when it is over */
};

void srv_pairs_add(struct srv_pairs *pairs, const char *name, size_t name_size, const char *value, size_t value_size);

/* The path in a request target: the part before the query; of "http://host/path" the part behind the host. Cuts the
 * target in place. */
char *srv_request_path(char *target);

/* True for 1 to SRV_ID_MAX letters, digits and -_.:+/= */
bool srv_request_id_ok(const char *id);
void srv_request_id_make(char id[SRV_ID_MAX + 1]);

/* The better of the two picture types the Accept header prefers over JSON. */
enum srv_accept { SRV_ACCEPT_JSON, SRV_ACCEPT_JPEG, SRV_ACCEPT_PNG };
enum srv_accept srv_accept(const char *accept);

/* True when a Content-Type names this media type, whatever its parameters and case. */
bool srv_media_type_is(const char *content_type, const char *type);

#endif
