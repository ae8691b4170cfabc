/* The routes: one table says which paths there are, what may be done with them and who does it. A handler turns a
 * request into a reply, or into a job whose reply comes later; it never sees a socket. The HTTP loop's thread only. */
#ifndef SRV_ROUTES_H
#define SRV_ROUTES_H

#include "request.h"
#include "server.h"

struct srv_route;

/* Fills the reply, or leaves it empty and gives a job that was pushed: then http keeps the request until the job is
 * done. The job's owner is request->owner. */
typedef void srv_handle_fn(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                           struct srv_job **job);

struct srv_route {
    const char *pattern; /* a path; "/v1/models/{name}" stands for any one last segment */
    const char *method;  /* GET also answers HEAD */
    const char *allow;   /* of the path: all its methods */
    srv_handle_fn *handle;
    bool takes_body;
    bool needs_key; /* where keys are configured */
    bool quiet;     /* logged only when something is wrong: asked all day by machines */
};

/* The route of a path as it was sent (not decoded, query cut off). NULL with a problem: no such path, or not so. */
const struct srv_route *srv_route_find(const char *method, const char *path, struct srv_problem *problem);

/* For metrics: 0 for NULL (requests that found no route), else 1 + the place in the table. */
size_t srv_route_index(const struct srv_route *route);
/* By index; srv_route_names()[0] is "other". */
const char *const *srv_route_names(size_t *count);

#endif
