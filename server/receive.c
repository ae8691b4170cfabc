/* A request on its way in. */
#include "admission.h"
#include "exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_FIRST_BYTES = 64 * 1024 };

/* ---- Headers ----------------------------------------------------------------------------------------- */

static enum MHD_Result add_request_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                          const char *value, size_t value_size)
{
    (void)kind;
    srv_headers_add(arg, name, name_size, value ? value : "", value ? value_size : 0);
    return MHD_YES;
}

void srv_exchange_headers(const struct client *client, struct srv_headers *headers)
{
    MHD_get_connection_values_n(client->connection, MHD_HEADER_KIND, add_request_header, headers);
}

static enum MHD_Result add_query_pair(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                      const char *value, size_t value_size)
{
    (void)kind;
    if (name_size == 0 && !value)
        return MHD_YES; /* nothing between two &, or behind the last */
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
    srv_exchange_headers(exchange->client, &headers);
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

enum MHD_Result srv_exchange_begin(struct exchange *exchange, const char *method, const char *version)
{
    struct client *const client = exchange->client;
    struct srv_problem problem;
    exchange->began = true;
    snprintf(exchange->method, sizeof exchange->method, "%s", method);
    exchange->line.method = method;
    exchange->line.version = version;
    exchange->line.head_size = head_size(client->connection);
    if (!admit(exchange, &problem))
        return srv_exchange_refuse(exchange, &problem);
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

enum MHD_Result srv_exchange_take(struct exchange *exchange, const char *data, size_t *size)
{
    struct srv_request *const request = &exchange->request;
    struct srv_problem problem;
    if (!grow_body(exchange, *size, &problem)) {
        srv_exchange_refuse_late(exchange->client, &problem);
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
