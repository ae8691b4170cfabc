/* The glue to libmicrohttpd (0.9.75 and 1.0.x), and the life of a request.
 *
 * How libmicrohttpd is run, and why: its daemon has no thread; our own epoll loop watches its epoll descriptor and
 * calls MHD_run, always with a wait of zero. Versions before 1.0.3 skip connections that are ready when another one is
 * suspended while they walk the list of all connections, as they do with select and poll; with epoll they walk the list
 * of ready ones, which suspending does not disturb. (With epoll and a wait of their own they may also sleep although
 * 128 events are at hand; a wait of zero avoids that.) Everything here, MHD_resume_connection included, happens on one
 * thread.
 *
 * What libmicrohttpd does not do is done here: deadlines of the phases of a connection (its own timeout starts anew
 * with every byte), noticing that the client of a suspended connection has left, and replies in the middle of a body,
 * which 0.9.75 cannot queue: these are written straight to the socket, which then is closed.
 */
#include "http.h"
#include "admission.h"
#include "clients.h"
#include "headers.h"
#include "log.h"
#include "routes.h"
#include "work.h"

#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    TICK_MS = 200,       /* how late a connection's deadline may be noticed */
    TICK_QUEUED_MS = 20, /* the same for the deadline of a queued job */
    BODY_FIRST_BYTES = 64 * 1024,
    SEARCH_REST = 20, /* times as long as a search among all connections took, the next one waits */
    SPARE_CONNECTIONS = 16 /* taken only to be told that there are too many */
};

struct exchange;

/* One connection. */
struct client {
    struct srv_client socket; /* first: a socket is its client */
    struct srv_http *http;
    struct MHD_Connection *connection;
    struct exchange *exchange; /* the request on it, NULL between two */
};

/* One request and its reply. */
struct exchange {
    struct client *client;
    const struct srv_route *route;
    struct srv_request request;
    struct srv_framing framing;
    struct srv_request_line line; /* its pointers: only while the headers are read */
    char *target;                 /* as it was sent; owned */
    char method[16];
    char *accept; /* all its lines in one; owned */
    uint8_t *body;
    size_t body_capacity;
    struct srv_job *job; /* being worked on elsewhere: only to be cancelled */
    struct srv_reply reply;
    bool began, replied, left;
    bool late; /* the reply went past libmicrohttpd, which knows nothing of it */
    uint64_t began_ns;
};

struct srv_http {
    struct srv_server *server;
    struct srv_loop *loop;
    struct MHD_Daemon *daemon;
    struct srv_watch daemon_watch, mailbox_watch;
    struct srv_clients clients;
    uint64_t next_sweep_ns, next_search_ns;
    bool mail;      /* something is in the mailbox */
    bool shows_raw; /* libmicrohttpd 0.9: header strings lie as they came */
};

/* ---- Accounts ---------------------------------------------------------------------------------------- */

static void address_of(struct MHD_Connection *connection, char *text, socklen_t size)
{
    const struct sockaddr *const address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    text[0] = '\0';
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, size);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, size);
}

static const char *if_any(const char *text)
{
    return text[0] ? text : NULL;
}

static void log_request(const struct exchange *exchange, bool complete)
{
    const bool quiet = exchange->route && exchange->route->quiet && exchange->reply.status < 400;
    const enum srv_log_level level = quiet                           ? SRV_LOG_DEBUG
                                     : exchange->reply.status >= 500 ? SRV_LOG_WARN
                                                                     : SRV_LOG_INFO;
    if (!srv_log_wanted(level))
        return;
    char address[INET6_ADDRSTRLEN] = "";
    if (exchange->client)
        address_of(exchange->client->connection, address, sizeof address);
    const bool refused = exchange->reply.status >= 400;
    srv_log(level, "request", SRV_S("id", if_any(exchange->request.id)), SRV_S("client", if_any(address)),
            SRV_S("method", if_any(exchange->method)), SRV_S("path", exchange->request.path),
            SRV_N("status", exchange->reply.status),
            SRV_S("reason", refused ? srv_refusal_label(exchange->reply.reason) : NULL),
            SRV_S("sent", complete ? NULL : "broken off"), SRV_N("body_bytes", exchange->request.body_size),
            SRV_N("reply_bytes", exchange->reply.size),
            SRV_MS("ms", (double)(heed_now_ns() - exchange->began_ns) / 1e6),
            SRV_S("timing", if_any(exchange->reply.server_timing)));
}

/* A request is over. What is not known of it is zero. */
static void account(struct srv_http *http, const struct exchange *exchange, bool complete)
{
    struct srv_metrics *const metrics = &http->server->metrics;
    srv_metrics_request(metrics, srv_route_index(exchange->route), exchange->reply.status);
    if (exchange->reply.status >= 400)
        metrics->refused[exchange->reply.reason]++;
    log_request(exchange, complete);
}

/* ---- Replies ----------------------------------------------------------------------------------------- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    const enum MHD_Result added = MHD_add_response_header(response, name, value);
    (void)added; /* fails without memory; the reply is right without it */
}

static void add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
    const struct srv_reply *const reply = &exchange->reply;
    if (reply->content_type)
        add_header(response, "Content-Type", reply->content_type);
    add_header(response, "X-Request-Id", exchange->request.id);
    if (exchange->route && exchange->route->quiet)
        add_header(response, "Cache-Control", "no-store");
    if (reply->server_timing[0])
        add_header(response, "Server-Timing", reply->server_timing);
    if (reply->allow)
        add_header(response, "Allow", reply->allow);
    if (reply->status == 401)
        add_header(response, "WWW-Authenticate", "Bearer");
    if (reply->retry_after_s) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
        add_header(response, "Retry-After", seconds);
    }
    if (reply->close)
        add_header(response, "Connection", "close");
}

/* libmicrohttpd 0.9 takes a lone LF for the end of a chunk's line, even inside a chunk extension, and nothing shows it:
 * where the body ended may be read differently by a program before us. So nothing that follows it is read. */
static bool ends_in_doubt(const struct exchange *exchange)
{
    return exchange->client->http->shows_raw && exchange->framing.chunked;
}

static enum MHD_Result send_reply(struct exchange *exchange)
{
    struct srv_reply *const reply = &exchange->reply;
    struct client *const client = exchange->client;
    if (srv_state(client->http->server) == SRV_STATE_DRAINING || ends_in_doubt(exchange))
        reply->close = true;
    struct MHD_Response *const response =
        MHD_create_response_from_buffer(reply->size, reply->body, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    reply->body = NULL; /* the response's now */
    add_headers(response, exchange);
    srv_client_enter(&client->socket, SRV_CLIENT_REPLY, client->http->server->options->send_timeout_ms);
    const enum MHD_Result queued = MHD_queue_response(client->connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Answers before the rest of the request is read. A reply at this point makes libmicrohttpd close the connection; where
 * it may stay open, nothing follows the head, and the next call, which comes at once, is soon enough. */
static enum MHD_Result refuse(struct exchange *exchange, const struct srv_problem *problem)
{
    srv_reply_problem(&exchange->reply, problem);
    exchange->replied = true;
    const bool more_to_come = srv_framing_has_body(&exchange->framing);
    exchange->client->socket.linger = more_to_come;
    exchange->reply.close = more_to_come || problem->reason == SRV_MALFORMED || !srv_method_is_common(exchange->method);
    return exchange->reply.close ? send_reply(exchange) : MHD_YES;
}

/* Answers in the middle of a request, where libmicrohttpd 0.9 takes no reply: the connection has to be closed then.
 * Without an exchange, the request has not even begun. */
static void refuse_late(struct client *client, const struct srv_problem *problem)
{
    struct exchange unbegun = { .client = client, .began_ns = heed_now_ns() };
    struct exchange *const exchange = client->exchange ? client->exchange : &unbegun;
    if (exchange->replied)
        return;
    if (exchange == &unbegun)
        srv_request_id_make(unbegun.request.id);
    srv_reply_problem(&exchange->reply, problem);
    srv_client_write(&client->socket, &exchange->reply, exchange->request.id);
    exchange->replied = exchange->late = true;
    if (exchange == &unbegun) {
        account(client->http, &unbegun, true);
        srv_reply_deinit(&unbegun.reply);
    }
}

/* ---- Headers ----------------------------------------------------------------------------------------- */

static enum MHD_Result add_request_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                          const char *value, size_t value_size)
{
    (void)kind;
    srv_headers_add(arg, name, name_size, value ? value : "", value ? value_size : 0);
    return MHD_YES;
}

static enum MHD_Result add_query_pair(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                      const char *value, size_t value_size)
{
    (void)kind;
    srv_pairs_add(arg, name, name_size, value ? value : "", value ? value_size : 0);
    return MHD_YES;
}

static void read_request(struct exchange *exchange, const struct srv_headers *headers)
{
    struct srv_request *const request = &exchange->request;
    request->method = exchange->method;
    request->path = srv_request_path(exchange->target);
    request->content_type = srv_headers_find(headers, "Content-Type");
    request->accept = exchange->accept = srv_headers_join(headers, "Accept");
    request->authorization = srv_headers_find(headers, "Authorization");
    request->api_key = srv_headers_find(headers, "X-API-Key");
    request->owner = exchange;
    MHD_get_connection_values_n(exchange->client->connection, MHD_GET_ARGUMENT_KIND, add_query_pair, &request->query);
}

/* Everything that can be decided before the body. */
static bool admit(struct exchange *exchange, struct srv_problem *problem)
{
    struct srv_http *const http = exchange->client->http;
    struct srv_server *const server = http->server;
    struct srv_request *const request = &exchange->request;
    struct srv_headers headers = { 0 };
    MHD_get_connection_values_n(exchange->client->connection, MHD_HEADER_KIND, add_request_header, &headers);
    const char *const id = srv_headers_find(&headers, "X-Request-Id");
    if (id && srv_request_id_ok(id))
        memcpy(request->id, id, strlen(id) + 1);
    if (!srv_headers_check(exchange->method, exchange->target, exchange->line.version, &headers, &exchange->framing,
                           problem))
        return false;
    if (http->shows_raw && !srv_headers_lie_plainly(&exchange->line, &headers))
        return srv_refuse(problem, SRV_MALFORMED,
                          "the request line has more than one space in a row, or a line is folded, holds a NUL or does "
                          "not end in CR LF");
    read_request(exchange, &headers);
    exchange->route = srv_route_find(request->method, request->path, problem);
    if (!exchange->route)
        return false;
    const struct srv_key *key;
    if (exchange->route->needs_key && !srv_admit_key(server, request, &key, problem))
        return false;
    if (exchange->route->takes_body)
        return srv_admit_state(server, problem) && srv_admit_body(server, request, &exchange->framing, problem);
    return !srv_framing_has_body(&exchange->framing) ||
           srv_refuse(problem, SRV_MALFORMED, "%s takes no body", exchange->route->pattern);
}

static size_t head_size(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *const info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    struct client *const client = exchange->client;
    struct srv_problem problem;
    exchange->began = true;
    snprintf(exchange->method, sizeof exchange->method, "%s", method);
    exchange->line.method = method;
    exchange->line.version = version;
    exchange->line.head_size = head_size(client->connection);
    if (!admit(exchange, &problem))
        return refuse(exchange, &problem);
    srv_client_enter(&client->socket, SRV_CLIENT_BODY, client->http->server->options->body_timeout_ms);
    return MHD_YES;
}

/* ---- Body -------------------------------------------------------------------------------------------- */

/* Room for `more` bytes: as they come, so that a length that is only announced takes nothing from others. */
static bool grow_body(struct exchange *exchange, size_t more, struct srv_problem *problem)
{
    struct srv_server *const server = exchange->client->http->server;
    struct srv_request *const request = &exchange->request;
    const uint64_t max = server->options->body_bytes_max;
    if (more > max - request->body_size)
        return srv_refuse(problem, SRV_BODY_TOO_LARGE, "the body is larger than the limit of %llu bytes",
                          (unsigned long long)max);
    if (request->body_size + more <= exchange->body_capacity)
        return true;
    size_t capacity = exchange->body_capacity ? exchange->body_capacity : BODY_FIRST_BYTES;
    while (capacity < request->body_size + more)
        capacity *= 2;
    const size_t most = (size_t)(exchange->framing.chunked ? max : exchange->framing.length);
    capacity = capacity < most ? capacity : most;
    if (!srv_admit_bytes(server, request, capacity - exchange->body_capacity, problem))
        return false;
    uint8_t *const body = realloc(exchange->body, capacity);
    if (!body)
        return srv_refuse(problem, SRV_NO_MEMORY, "there is no memory for the body");
    exchange->body = body;
    exchange->body_capacity = capacity;
    return true;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *size)
{
    struct srv_request *const request = &exchange->request;
    struct srv_problem problem;
    if (!grow_body(exchange, *size, &problem)) {
        refuse_late(exchange->client, &problem);
        exchange->client->socket.linger = true;
        return MHD_NO;
    }
    memcpy(exchange->body + request->body_size, data, *size);
    request->body_size += *size;
    exchange->client->socket.deadline_ns += *size * SRV_NS_PER_BYTE;
    exchange->client->http->server->metrics.received_bytes += *size;
    *size = 0;
    return MHD_YES;
}

/* ---- Jobs -------------------------------------------------------------------------------------------- */

static enum srv_outcome outcome_of(const struct srv_reply *reply)
{
    if (reply->status < 400)
        return SRV_OUTCOME_DONE;
    const bool cancelled = reply->reason == SRV_CLIENT_LEFT || reply->reason == SRV_DRAINING;
    return cancelled ? SRV_OUTCOME_CANCELLED : reply->reason == SRV_DEADLINE ? SRV_OUTCOME_EXPIRED : SRV_OUTCOME_FAILED;
}

static void free_body(struct exchange *exchange)
{
    free(exchange->body);
    exchange->body = NULL;
    exchange->body_capacity = 0;
    exchange->request.body = NULL;
}

static void refuse_draining(struct srv_reply *reply)
{
    struct srv_problem problem;
    srv_refuse(&problem, SRV_DRAINING, "the server is shutting down");
    srv_reply_deinit(reply);
    srv_reply_problem(reply, &problem);
}

/* Nobody will read this: it is for the log and the metrics. */
static void refuse_left(struct srv_reply *reply)
{
    struct srv_problem problem;
    srv_refuse(&problem, SRV_CLIENT_LEFT, "the client left");
    srv_reply_problem(reply, &problem);
}

/* A job is over: its reply is the exchange's, its memory goes but for the reply, and the connection goes on. */
static void finish(struct srv_http *http, struct srv_job *job)
{
    struct exchange *const exchange = job->owner;
    struct srv_request *const request = &exchange->request;
    struct srv_problem problem;
    assert(exchange->job == job);
    exchange->reply = job->reply;
    exchange->replied = true;
    job->reply = (struct srv_reply){ 0 };
    if (exchange->reply.reason == SRV_CLIENT_LEFT && !exchange->left) /* the engine only knows that it was cancelled */
        refuse_draining(&exchange->reply);
    srv_metrics_job(&http->server->metrics, job, outcome_of(&exchange->reply));
    srv_note_service(http->server, job);
    srv_end_work(http->server, job->work_bytes);
    srv_job_free(job);
    exchange->job = NULL;
    free_body(exchange);
    if (!srv_charge_reply(http->server, request, exchange->reply.size, &problem)) {
        srv_reply_deinit(&exchange->reply);
        srv_reply_problem(&exchange->reply, &problem);
    }
    srv_client_enter(&exchange->client->socket, SRV_CLIENT_REPLY, http->server->options->send_timeout_ms);
    MHD_resume_connection(exchange->client->connection);
}

/* The client closed its side while its job is at work: nobody waits for the answer. (A client that only closes its
 * sending side looks the same from here, and is treated the same, as other servers do.) */
static void leave(struct exchange *exchange)
{
    struct srv_http *const http = exchange->client->http;
    exchange->left = true;
    if (srv_queue_remove(http->server->queue, exchange->job)) {
        refuse_left(&exchange->job->reply);
        finish(http, exchange->job);
    } else {
        exchange->job->cancel = true;
    }
}

static void on_left(struct srv_client *client)
{
    leave(((struct client *)client)->exchange);
}

static enum MHD_Result wait_for_job(struct exchange *exchange)
{
    struct client *const client = exchange->client;
    srv_client_enter(&client->socket, SRV_CLIENT_WAIT, 0);
    MHD_suspend_connection(client->connection);
    if (client->socket.half_closed)
        leave(exchange);
    return MHD_YES;
}

static enum MHD_Result end_of_request(struct exchange *exchange)
{
    struct srv_request *const request = &exchange->request;
    request->body = exchange->body;
    exchange->route->handle(exchange->client->http->server, request, &exchange->reply, &exchange->job);
    if (exchange->job)
        return wait_for_job(exchange);
    exchange->replied = true;
    return send_reply(exchange);
}

/* ---- libmicrohttpd's callbacks ----------------------------------------------------------------------- */

/* Called first with the headers, then with pieces of the body, then at the end; and again after each resume. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    struct exchange *const exchange = *state;
    (void)arg, (void)connection, (void)url;
    if (!exchange)
        return MHD_NO;
    if (!exchange->began)
        return begin(exchange, method, version);
    if (*size > 0)
        return exchange->replied ? MHD_NO : take_body(exchange, data, size);
    if (exchange->left)
        return MHD_NO;
    return exchange->replied ? send_reply(exchange) : end_of_request(exchange);
}

static struct client *client_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The request line has arrived: the request begins. The result is on_request's *state. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct srv_http *const http = arg;
    struct client *const client = client_of(connection);
    struct exchange *const exchange = client ? calloc(1, sizeof *exchange) : NULL;
    if (!exchange)
        return NULL;
    exchange->target = strdup(target);
    if (!exchange->target) {
        free(exchange);
        return NULL;
    }
    exchange->line.target = target;
    exchange->line.target_size = strlen(target);
    exchange->client = client;
    exchange->began_ns = heed_now_ns();
    srv_request_id_make(exchange->request.id);
    exchange->request.path = exchange->target; /* until it is read more closely */
    client->exchange = exchange;
    srv_client_enter(&client->socket, SRV_CLIENT_HEADERS, http->server->options->header_timeout_ms);
    return exchange;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct srv_http *const http = arg;
    struct exchange *const exchange = *state;
    (void)connection;
    if (!exchange)
        return;
    struct client *const client = exchange->client;
    assert(!exchange->job); /* a connection is suspended as long as its job lives */
    if (!exchange->replied && (code == MHD_REQUEST_TERMINATED_CLIENT_ABORT || code == MHD_REQUEST_TERMINATED_READ_ERROR))
        refuse_left(&exchange->reply);
    if (exchange->reply.status)
        account(http, exchange, exchange->late || code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    client->socket.taken += exchange->line.head_size + exchange->request.body_size;
    srv_release_bytes(http->server, &exchange->request, exchange->request.reserved);
    srv_reply_deinit(&exchange->reply);
    free_body(exchange);
    free(exchange->accept);
    free(exchange->target);
    free(exchange);
    *state = NULL;
    client->exchange = NULL;
    srv_client_enter(&client->socket, SRV_CLIENT_IDLE, http->server->options->idle_timeout_ms);
}

static void open_client(struct srv_http *http, struct MHD_Connection *connection, void **context)
{
    struct client *const client = calloc(1, sizeof *client);
    *context = client;
    if (!client)
        return; /* without one, on_target gives no exchange and on_request closes */
    client->http = http;
    client->connection = connection;
    srv_client_open(&http->clients, &client->socket,
                    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    srv_client_enter(&client->socket, SRV_CLIENT_IDLE, http->server->options->header_timeout_ms);
    http->server->connections = http->clients.count;
}

static void close_client(struct srv_http *http, void **context)
{
    struct client *const client = *context;
    if (!client)
        return;
    srv_client_close(&client->socket);
    http->server->connections = http->clients.count;
    free(client);
    *context = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        open_client(arg, connection, context);
    else
        close_client(arg, context);
}

/* ---- What libmicrohttpd refuses itself --------------------------------------------------------------- */

/* A head that is beyond a connection's memory, a line or a chunk that cannot be read: libmicrohttpd answers with a page
 * of its own, without asking, and 0.9 sends the head of some of them twice. But it says so first, only not whose
 * request it was. That is certain where there is but one it can be: then the client is told by us, in the form of every
 * other refusal, and libmicrohttpd finds our side of the socket closed. Else its page goes out, and is counted; so it
 * does where looking would take too much of the loop's time, with bad heads by the hundred among idle connections. */

static bool has_bad_length(const struct client *client)
{
    if (client->socket.phase != SRV_CLIENT_HEADERS)
        return false;
    struct srv_headers headers = { 0 };
    MHD_get_connection_values_n(client->connection, MHD_HEADER_KIND, add_request_header, &headers);
    const char *const value = srv_headers_find(&headers, "Content-Length");
    return value && !(value[0] && value[strspn(value, "0123456789")] == '\0' && strlen(value) < 20);
}

/* True for all whose bytes libmicrohttpd may be reading: false only where it is certain. */
static bool may_be_at_fault(const struct client *client)
{
    switch (client->socket.phase) {
    case SRV_CLIENT_IDLE:
        return srv_client_has_sent(&client->socket);
    case SRV_CLIENT_BODY:
        return client->exchange->framing.chunked;
    case SRV_CLIENT_HEADERS:
        return !client->exchange->began;
    case SRV_CLIENT_PARTING:
        return true;
    default:
        return false;
    }
}

static struct client *find_at_fault(struct srv_http *http, bool by_length)
{
    struct client *found = NULL;
    size_t count = 0;
    for (struct srv_client *socket = http->clients.first; socket; socket = socket->next) {
        struct client *const client = (struct client *)socket;
        if (by_length && has_bad_length(client))
            return client; /* another one with such a length is refused as well, a little later */
        if (may_be_at_fault(client)) {
            found = client;
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

static void name_refusal(const struct client *client, unsigned status, bool by_length, struct srv_problem *problem)
{
    if (by_length)
        srv_refuse(problem, SRV_MALFORMED, "Content-Length is not one number of at most 19 digits");
    else if (status == MHD_HTTP_URI_TOO_LONG)
        srv_refuse(problem, SRV_TARGET_TOO_LONG, "the request line does not fit into the %d bytes a connection has",
                   SRV_CONNECTION_BYTES);
    else if (status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
        srv_refuse(problem, SRV_HEADERS_TOO_LARGE, "the limits are %d headers and %d bytes of headers", SRV_HEADERS_MAX,
                   SRV_HEADER_BYTES_MAX);
    else if (status == MHD_HTTP_CONTENT_TOO_LARGE)
        srv_refuse(problem, SRV_BODY_TOO_LARGE, "the size of a chunk is beyond any limit");
    else if (status == MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED)
        srv_refuse(problem, SRV_VERSION, "the version of HTTP is neither 1.1 nor 1.0");
    else if (client && client->socket.phase == SRV_CLIENT_BODY)
        srv_refuse(problem, SRV_MALFORMED, "a line of the chunked body is not as RFC 9112 has it");
    else
        srv_refuse(
            problem, SRV_MALFORMED,
            "the head is not as RFC 9112 has it: a line like \"GET / HTTP/1.1\", then lines like \"Name: value\"");
}

static void take_over_refusal(struct srv_http *http, unsigned status, const char *page)
{
    const bool by_length = strstr(page, "Content-Length") != NULL;
    const uint64_t began_ns = heed_now_ns();
    struct client *const client = began_ns < http->next_search_ns ? NULL : find_at_fault(http, by_length);
    http->next_search_ns = heed_now_ns() + SEARCH_REST * (heed_now_ns() - began_ns);
    struct srv_problem problem;
    name_refusal(client, status, by_length, &problem);
    if (!client) {
        const struct exchange unknown = { .reply = { .status = status, .reason = problem.reason },
                                          .began_ns = heed_now_ns() };
        account(http, &unknown, true);
    } else if (client->socket.phase != SRV_CLIENT_PARTING && !srv_client_hung_up(&client->socket)) {
        refuse_late(client, &problem);
        srv_client_part(&client->socket);
    } /* else it has been told already */
}

static void on_message(void *arg, const char *format, va_list arguments)
{
    struct srv_http *const http = arg;
    if (strncmp(format, "Error processing request", 24) == 0) {
        va_list copy;
        va_copy(copy, arguments);
        const unsigned status = va_arg(copy, unsigned);
        take_over_refusal(http, status, va_arg(copy, const char *));
        va_end(copy);
    }
    if (!srv_log_wanted(SRV_LOG_DEBUG))
        return;
    char text[300];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    srv_log(SRV_LOG_DEBUG, "libmicrohttpd", SRV_S("text", text));
}

/* ---- The loop ---------------------------------------------------------------------------------------- */

/* A phase took too long, if not for bytes that the client did take. Between requests the connection is closed without a word; in the middle of one, be it of its
 * first line, the client is told first. */
static void on_late(struct srv_client *socket)
{
    struct client *const client = (struct client *)socket;
    const struct srv_options *const options = client->http->server->options;
    struct srv_problem problem;
    if (socket->phase == SRV_CLIENT_REPLY && srv_client_takes(socket))
        return;
    if (socket->phase == SRV_CLIENT_IDLE && srv_client_has_sent(socket)) {
        srv_refuse(&problem, SRV_SLOW_CLIENT, "the request line did not arrive in time");
        refuse_late(client, &problem);
    } else if (socket->phase == SRV_CLIENT_HEADERS || socket->phase == SRV_CLIENT_BODY) {
        const bool body = socket->phase == SRV_CLIENT_BODY;
        srv_refuse(&problem, SRV_SLOW_CLIENT, "the %s did not arrive within %llu ms", body ? "body" : "headers",
                   (unsigned long long)(body ? options->body_timeout_ms : options->header_timeout_ms));
        refuse_late(client, &problem);
    }
    srv_client_hang_up(socket);
}

static void answer_expired_jobs(struct srv_http *http, uint64_t now_ns)
{
    struct srv_job *job;
    while ((job = srv_queue_take_expired(http->server->queue, now_ns))) {
        srv_work_expired(job, now_ns);
        finish(http, job);
    }
}

static void empty_mailbox(struct srv_http *http)
{
    for (struct srv_job *job = srv_mailbox_take(&http->server->mailbox), *next; job; job = next) {
        next = job->next;
        finish(http, job);
    }
}

static void on_mail(struct srv_watch *watch, uint32_t events)
{
    (void)events;
    struct srv_http *const http = (struct srv_http *)((char *)watch - offsetof(struct srv_http, mailbox_watch));
    http->mail = true;
}

static void on_daemon(struct srv_watch *watch, uint32_t events)
{
    (void)watch, (void)events; /* MHD_run follows every wait */
}

/* Room for a new connection: one that has been idle for long ends, as it might any moment. */
static bool end_longest_idle(struct srv_http *http)
{
    const uint64_t second_ago_ns = heed_now_ns() - UINT64_C(1000000000);
    struct srv_client *longest = NULL;
    for (struct srv_client *socket = http->clients.first; socket; socket = socket->next)
        if (socket->phase == SRV_CLIENT_IDLE && !srv_client_hung_up(socket) &&
            socket->entered_ns < (longest ? longest->entered_ns : second_ago_ns) && !srv_client_has_sent(socket))
            longest = socket;
    if (longest)
        srv_client_hang_up(longest);
    return longest != NULL;
}

static void refuse_newest(struct srv_http *http)
{
    struct srv_problem problem;
    srv_refuse(&problem, SRV_TOO_MANY, "there are more than %zu connections, and none is idle",
               http->server->connections_max);
    for (struct srv_client *socket = http->clients.first; socket; socket = socket->next)
        if (socket->phase == SRV_CLIENT_IDLE && !srv_client_hung_up(socket)) {
            refuse_late((struct client *)socket, &problem);
            srv_client_hang_up(socket);
            return;
        }
}

/* Those that have just left do not count any more, so this comes after MHD_run. */
static void keep_to_connections_max(struct srv_http *http)
{
    const size_t max = http->server->connections_max;
    size_t surplus = http->clients.count > max ? http->clients.count - max : 0;
    for (struct srv_client *socket = http->clients.first; socket && surplus; socket = socket->next)
        surplus -= socket->phase == SRV_CLIENT_IDLE && srv_client_hung_up(socket); /* about to go */
    for (; surplus; surplus--)
        if (!end_longest_idle(http))
            refuse_newest(http);
}

void srv_http_turn(struct srv_http *http)
{
    const bool queued = srv_queue_count(http->server->queue) > 0;
    const int tick_ms = queued ? TICK_QUEUED_MS : TICK_MS;
    MHD_UNSIGNED_LONG_LONG pending_ms;
    const bool pending = MHD_get_timeout(http->daemon, &pending_ms) == MHD_YES;
    srv_loop_wait(http->loop, pending && pending_ms < (unsigned)tick_ms ? (int)pending_ms : tick_ms);
    if (http->mail) {
        http->mail = false;
        empty_mailbox(http);
    }
    const uint64_t now_ns = heed_now_ns();
    if (queued)
        answer_expired_jobs(http, now_ns);
    if (now_ns >= http->next_sweep_ns) {
        srv_clients_sweep(&http->clients, now_ns);
        http->next_sweep_ns = now_ns + TICK_MS * UINT64_C(1000000);
    }
    MHD_run(http->daemon);
    keep_to_connections_max(http);
}

/* ---- From create to free ----------------------------------------------------------------------------- */

#if MHD_VERSION >= 0x01000000
#define STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL
#else
#define STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT
#endif

static struct MHD_Daemon *start_daemon(struct srv_http *http, int listen_fd)
{
    const unsigned connections = (unsigned)http->server->connections_max + SPARE_CONNECTIONS;
    /* Missing Host and the like are refused by headers.c, in words; where 1.0.x knows more, it shall say no itself. */
    const int strictness = http->shows_raw ? 0 : 1;
    /* clang-format off */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, http,
                            MHD_OPTION_EXTERNAL_LOGGER, on_message, http,
                            MHD_OPTION_LISTEN_SOCKET, listen_fd,
                            MHD_OPTION_CONNECTION_LIMIT, connections,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SRV_CONNECTION_BYTES,
                            STRICTNESS, strictness,
                            MHD_OPTION_URI_LOG_CALLBACK, on_target, http,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                            MHD_OPTION_END);
    /* clang-format on */
}

struct srv_http *srv_http_create(struct srv_server *server, struct srv_loop *loop, int listen_fd, char *error,
                                 size_t error_size)
{
    struct srv_http *const http = calloc(1, sizeof *http);
    if (!http) {
        snprintf(error, error_size, "there is no memory");
        return NULL;
    }
    http->server = server;
    http->loop = loop;
    srv_clients_init(&http->clients, loop, on_left, on_late);
    http->shows_raw = strncmp(MHD_get_version(), "0.", 2) == 0;
    http->daemon = start_daemon(http, listen_fd);
    if (!http->daemon) {
        snprintf(error, error_size, "libmicrohttpd %s cannot be started", MHD_get_version());
        free(http);
        return NULL;
    }
    const int epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    http->daemon_watch = (struct srv_watch){ .fd = epoll_fd, .ready = on_daemon };
    http->mailbox_watch = (struct srv_watch){ .fd = server->mailbox.fd, .ready = on_mail };
    if (!srv_loop_add(loop, &http->daemon_watch, EPOLLIN) || !srv_loop_add(loop, &http->mailbox_watch, EPOLLIN)) {
        snprintf(error, error_size, "epoll cannot watch more descriptors");
        MHD_stop_daemon(http->daemon);
        free(http);
        return NULL;
    }
    return http;
}

size_t srv_http_active(const struct srv_http *http)
{
    return http->clients.active;
}

size_t srv_http_unaware(const struct srv_http *http)
{
    size_t count = http->clients.parting + http->clients.linger.count;
    for (const struct srv_client *socket = http->clients.first; socket; socket = socket->next)
        count += socket->phase == SRV_CLIENT_HEADERS ||
                 (socket->phase == SRV_CLIENT_IDLE && !srv_client_hung_up(socket) && srv_client_has_sent(socket));
    return count;
}

void srv_http_refuse_receiving(struct srv_http *http)
{
    for (struct srv_client *socket = http->clients.first; socket; socket = socket->next) {
        struct srv_problem problem;
        if (socket->phase != SRV_CLIENT_BODY || srv_admit_state(http->server, &problem))
            continue;
        refuse_late((struct client *)socket, &problem);
        srv_client_part(socket);
    }
}

void srv_http_cancel_all(struct srv_http *http)
{
    srv_queue_close(http->server->queue);
    for (struct srv_client *socket = http->clients.first; socket; socket = socket->next) {
        if (socket->phase != SRV_CLIENT_WAIT)
            continue;
        struct srv_job *const job = ((struct client *)socket)->exchange->job;
        if (srv_queue_remove(http->server->queue, job)) {
            refuse_draining(&job->reply);
            finish(http, job);
        } else {
            job->cancel = true;
        }
    }
}

void srv_http_free(struct srv_http *http)
{
    if (!http)
        return;
    empty_mailbox(http);
    srv_loop_remove(http->loop, &http->daemon_watch);
    srv_loop_remove(http->loop, &http->mailbox_watch);
    MHD_stop_daemon(http->daemon);
    srv_clients_deinit(&http->clients);
    free(http);
}
