/* What libmicrohttpd refuses itself.
 *
 * A head that is beyond a connection's memory, a line or a chunk that cannot be read: libmicrohttpd answers with a page
 * of its own, without asking, and 0.9 sends the head of some of them twice. But it says so first, only not whose
 * request it was. That is certain where there is but one it can be: then the client is told by us, in the form of every
 * other refusal, and libmicrohttpd finds our side of the socket closed. Else its page goes out, and is counted; so it
 * does where looking would take too much of the loop's time, with bad heads by the hundred among idle connections. */
#include "exchange.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

enum { SEARCH_REST = 20 }; /* times as long as a search among all connections took, the next one waits */

static bool has_bad_length(const struct client *client)
{
    if (client->socket.phase != SRV_CLIENT_HEADERS)
        return false;
    struct srv_headers headers = { 0 };
    srv_exchange_headers(client, &headers);
    const char *const value = srv_headers_find(&headers, "Content-Length");
    return value && !(value[0] && value[strspn(value, "0123456789")] == '\0' && strlen(value) < 20);
}

/* True for all whose bytes libmicrohttpd may be reading: false only where it is certain, as it is of those whose last
 * bytes it had when it ran before. */
static bool may_be_at_fault(const struct client *client)
{
    if (!srv_client_has_stirred(&client->socket, client->http->last_run_ns))
        return false;
    switch (client->socket.phase) {
    case SRV_CLIENT_IDLE: /* behind chunks, after which 0.9 reads no more, it is not known what has been sent */
        return srv_client_has_sent(&client->socket) ||
               (!client->http->shows_raw && client->socket.entered_ns >= client->http->last_run_ns);
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

static struct client *search_at_fault(struct srv_http *http, bool by_length)
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

/* NULL too while the loop rests from the last search. */
static struct client *find_at_fault(struct srv_http *http, bool by_length)
{
    const uint64_t began_ns = heed_now_ns();
    if (began_ns < http->next_search_ns)
        return NULL;
    struct client *const found = search_at_fault(http, by_length);
    const uint64_t ended_ns = heed_now_ns();
    http->next_search_ns = ended_ns + SEARCH_REST * (ended_ns - began_ns);
    return found;
}

static bool has_many_options(const struct client *client)
{
    size_t count = 0;
    for (const char *p = client && client->exchange ? client->exchange->target : ""; *p; p++)
        count += *p == '&';
    return count >= SRV_PAIRS_MAX;
}

static void name_refusal(const struct client *client, unsigned status, bool by_length, struct srv_problem *problem)
{
    if (by_length)
        srv_refuse(problem, SRV_MALFORMED, "Content-Length is not one number of at most 19 digits");
    else if (status == MHD_HTTP_URI_TOO_LONG)
        srv_refuse(problem, SRV_TARGET_TOO_LONG, "the request line does not fit into the %d bytes a connection has",
                   SRV_CONNECTION_BYTES);
    else if (status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE && has_many_options(client))
        srv_refuse(problem, SRV_BAD_OPTION, "there are more than %d options", SRV_PAIRS_MAX);
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
    struct client *const client = find_at_fault(http, by_length);
    struct srv_problem problem;
    name_refusal(client, status, by_length, &problem);
    if (!client) {
        const struct exchange unknown = { .reply = { .status = status, .reason = problem.reason },
                                          .began_ns = heed_now_ns() };
        srv_exchange_account(http, &unknown, true);
    } else if (client->socket.phase != SRV_CLIENT_PARTING && !srv_client_hung_up(&client->socket)) {
        srv_exchange_refuse_late(client, &problem);
        srv_client_part(&client->socket);
    } /* else it has been told already */
}

void srv_foreign_message(void *arg, const char *format, va_list arguments)
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
