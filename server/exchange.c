/* Replies as libmicrohttpd sends them, or past it. */
#include "exchange.h"
#include "log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

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

void srv_exchange_account(struct srv_http *http, const struct exchange *exchange, bool complete)
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

enum MHD_Result srv_exchange_send(struct exchange *exchange)
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

/* A reply at this point makes libmicrohttpd close the connection; where
 * it may stay open, nothing follows the head, and the next call, which comes at once, is soon enough. */
enum MHD_Result srv_exchange_refuse(struct exchange *exchange, const struct srv_problem *problem)
{
    srv_reply_problem(&exchange->reply, problem);
    exchange->replied = true;
    const bool more_to_come = srv_framing_has_body(&exchange->framing);
    exchange->client->socket.linger = more_to_come;
    exchange->reply.close = more_to_come || problem->reason == SRV_MALFORMED || problem->reason == SRV_VERSION ||
                            !srv_method_is_common(exchange->method);
    return exchange->reply.close ? srv_exchange_send(exchange) : MHD_YES;
}

void srv_exchange_refuse_late(struct client *client, const struct srv_problem *problem)
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
        srv_exchange_account(client->http, &unbegun, true);
        srv_reply_deinit(&unbegun.reply);
    }
}
