/* The table and the handlers. A new route is a handler and a line. */
#include "routes.h"
#include "admission.h"

#include <stdlib.h>
#include <string.h>

static void refuse(struct srv_reply *reply, const struct srv_problem *problem)
{
    srv_reply_problem(reply, problem);
}

static void reply_string(struct srv_reply *reply, const char *content_type, const char *string)
{
    struct srv_text text = { 0 };
    srv_text_string(&text, string);
    srv_reply_text(reply, 200, content_type, &text);
}

static void handle_root(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                        struct srv_job **job)
{
    (void)server, (void)request, (void)job;
    reply_string(reply, "text/plain; charset=utf-8",
                 "heed: send a photo, get boxes and masks.\n\n"
                 "    curl --data-binary @photo.jpg http://HOST:PORT/v1/detect\n\n"
                 "GET /v1/models, /health/live, /health/ready, /metrics\n");
}

static void handle_live(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                        struct srv_job **job)
{
    (void)server, (void)request, (void)job;
    reply_string(reply, "application/json", "{\"status\":\"live\"}\n");
}

static void handle_ready(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                         struct srv_job **job)
{
    (void)request, (void)job;
    struct srv_problem problem;
    if (srv_admit_state(server, &problem))
        reply_string(reply, "application/json", "{\"status\":\"ready\"}\n");
    else
        refuse(reply, &problem);
}

static void handle_metrics(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                           struct srv_job **job)
{
    (void)request, (void)job;
    const bool loaded = server->loaded;
    const struct srv_gauges gauges = {
        .queue_depth = srv_queue_count(server->queue),
        .queue_slots = srv_queue_slots(server->queue),
        .jobs_running = loaded ? srv_workers_running(server->workers) : 0,
        .workers = loaded ? server->budget.workers : 0,
        .in_flight_bytes = server->budget.reserved,
        .in_flight_limit_bytes = loaded ? server->budget.flight : 0,
        .fixed_bytes = loaded ? server->budget.fixed : 0,
        .connections = server->connections,
        .service_seconds = server->service_s,
        .ready = srv_state(server) == SRV_STATE_READY,
        .started_ns = server->started_ns,
    };
    size_t count;
    const char *const *const names = srv_route_names(&count);
    struct srv_text text = { 0 };
    srv_metrics_print(&server->metrics, &gauges, names, count, &text);
    srv_reply_text(reply, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static bool models_are_loaded(const struct srv_server *server, struct srv_reply *reply)
{
    struct srv_problem problem;
    if (server->loaded || srv_admit_state(server, &problem))
        return true;
    refuse(reply, &problem);
    return false;
}

static void handle_models(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                          struct srv_job **job)
{
    (void)request, (void)job;
    if (!models_are_loaded(server, reply))
        return;
    struct srv_text text = { 0 };
    srv_models_list_json(&server->models, &text);
    srv_reply_text(reply, 200, "application/json", &text);
}

static void handle_model(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                         struct srv_job **job)
{
    (void)job;
    if (!models_are_loaded(server, reply))
        return;
    const char *const name = strrchr(request->path, '/') + 1;
    const struct srv_model *const model = srv_models_find(&server->models, name, strlen(name));
    if (!model) {
        struct srv_problem problem;
        srv_refuse(&problem, SRV_NO_MODEL, "there is no model \"%.60s\"; GET /v1/models lists them", name);
        refuse(reply, &problem);
        return;
    }
    struct srv_text text = { 0 };
    srv_model_json(&server->models, model, server->options, server->thread_count, &text);
    srv_reply_text(reply, 200, "application/json", &text);
}

static bool start_job(struct srv_server *server, struct srv_request *request, struct srv_job *job,
                      struct srv_problem *problem)
{
    const struct srv_key *key;
    if (!srv_admit_state(server, problem) || !srv_admit_key(server, request, &key, problem) ||
        !srv_detect_read(&job->detect, request, &server->models, server->options, problem))
        return false;
    const char *const model = job->detect.model->info->name;
    if (key && !srv_key_allows(key, model))
        return srv_refuse(problem, SRV_KEY_NOT_ALLOWED, "the API key is not allowed to use the model \"%s\"", model);
    srv_detect_plan(&job->detect, server->budget.flight);
    const size_t before = request->reserved;
    if (!srv_admit_bytes(server, request, srv_detect_cost(&job->detect), problem))
        return false;
    job->owner = request->owner;
    job->created_ns = heed_now_ns();
    job->deadline_ns = job->created_ns + job->detect.timeout_ms * 1000000;
    job->work_bytes = srv_detect_work_bytes(&job->detect);
    if (srv_admit_work(server, request, job->work_bytes, problem)) {
        if (srv_admit_job(server, job, problem) && srv_queue_try_push(server->queue, job))
            return true;
        srv_end_work(server, job->work_bytes);
    }
    srv_release_bytes(server, request, request->reserved - before);
    return false;
}

static void handle_detect(struct srv_server *server, struct srv_request *request, struct srv_reply *reply,
                          struct srv_job **out)
{
    struct srv_problem problem;
    struct srv_job *const job = calloc(1, sizeof *job);
    if (!job) {
        srv_refuse(&problem, SRV_NO_MEMORY, "there is no memory for the request");
        refuse(reply, &problem);
        return;
    }
    if (!start_job(server, request, job, &problem)) {
        srv_job_free(job);
        refuse(reply, &problem);
        return;
    }
    *out = job; /* a worker may hold it already: not to be touched any more */
    srv_workers_wake(server->workers);
}

/* What only asks; what works is told by its method. */
#define GET .method = "GET", .allow = "GET, HEAD"
static const struct srv_route routes[] = {
    { "/v1/detect", .method = "POST", .allow = "POST", .handle = handle_detect, .takes_body = true, .needs_key = true },
    { "/v1/models", GET, .handle = handle_models, .needs_key = true },
    { "/v1/models/{name}", GET, .handle = handle_model, .needs_key = true },
    { "/health/live", GET, .handle = handle_live, .quiet = true },
    { "/health/ready", GET, .handle = handle_ready, .quiet = true },
    { "/metrics", GET, .handle = handle_metrics, .quiet = true },
    { "/", GET, .handle = handle_root },
};
#undef GET
enum { ROUTES = sizeof routes / sizeof *routes };
_Static_assert(ROUTES + 1 <= SRV_METRICS_ROUTES, "metrics have a row for each route");

static bool matches(const char *pattern, const char *path)
{
    const size_t fixed = strcspn(pattern, "{");
    if (!pattern[fixed])
        return strcmp(pattern, path) == 0;
    return strncmp(pattern, path, fixed) == 0 && path[fixed] && !strchr(path + fixed, '/');
}

const struct srv_route *srv_route_find(const char *method, const char *path, struct srv_problem *problem)
{
    const struct srv_route *other = NULL;
    for (size_t i = 0; i < ROUTES; i++) {
        const struct srv_route *const route = &routes[i];
        if (!matches(route->pattern, path))
            continue;
        if (strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0))
            return route;
        other = route;
    }
    if (other) {
        srv_refuse(problem, SRV_METHOD, "%s allows %s, not %.20s", other->pattern, other->allow, method);
        problem->allow = other->allow;
    } else {
        srv_refuse(problem, SRV_NO_ROUTE, "there is no \"%.100s\"", path);
    }
    return NULL;
}

size_t srv_route_index(const struct srv_route *route)
{
    return route ? (size_t)(route - routes) + 1 : 0;
}

const char *const *srv_route_names(size_t *count)
{
    static const char *names[ROUTES + 1] = { "other" };
    for (size_t i = 0; i < ROUTES; i++)
        names[i + 1] = routes[i].pattern;
    *count = ROUTES + 1;
    return names;
}
