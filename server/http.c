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
#include "exchange.h"
#include "work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    TICK_MS = 200,         /* how late a connection's deadline may be noticed */
    TICK_QUEUED_MS = 20,   /* the same for the deadline of a queued job */
    SPARE_CONNECTIONS = 16 /* taken only to be told that there are too many */
};

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
    srv_end_work(http->server, job->work_bytes);
    free_body(exchange);
    if (!srv_charge_reply(http->server, request, exchange->reply.size, &problem)) {
        srv_reply_deinit(&exchange->reply);
        srv_reply_problem(&exchange->reply, &problem);
    }
    srv_metrics_job(&http->server->metrics, job, outcome_of(&exchange->reply));
    srv_note_service(http->server, job);
    srv_job_free(job);
    exchange->job = NULL;
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

/* The first bytes of a connection, before libmicrohttpd reads them: 0.9 closes it without a word where the first line
 * holds no space, and waits for that line's end even where it has to be something else than HTTP. */
static void on_heard(struct srv_client *socket)
{
    struct client *const client = (struct client *)socket;
    struct srv_problem problem;
    char first[64];
    if (srv_may_begin_request(first, srv_client_peek(socket, first, sizeof first)))
        return;
    if (srv_admit_state(client->http->server, &problem))
        srv_refuse(&problem, SRV_MALFORMED, "this is not HTTP, where a line like \"GET / HTTP/1.1\" comes first");
    srv_exchange_refuse_late(client, &problem);
    srv_client_part(socket);
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
    return srv_exchange_send(exchange);
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
        return srv_exchange_begin(exchange, method, version);
    if (*size > 0)
        return exchange->replied ? MHD_NO : srv_exchange_take(exchange, data, size);
    if (exchange->left)
        return MHD_NO;
    return exchange->replied ? srv_exchange_send(exchange) : end_of_request(exchange);
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
    const bool broken_off = code == MHD_REQUEST_TERMINATED_CLIENT_ABORT || code == MHD_REQUEST_TERMINATED_READ_ERROR;
    if (!exchange->replied && (broken_off || client->socket.half_closed))
        refuse_left(&exchange->reply);
    if (exchange->reply.status)
        srv_exchange_account(http, exchange, exchange->late || code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    srv_client_took(&client->socket, exchange->line.head_size + exchange->request.body_size, exchange->framing.chunked);
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
    void *left = client->exchange; /* 0.9 does not always say that a request is over: not after two refusals of one */
    on_completed(http, client->connection, &left, MHD_REQUEST_TERMINATED_WITH_ERROR);
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

/* ---- The loop ---------------------------------------------------------------------------------------- */

/* A phase took too long, if not for bytes that the client did take. Between requests the connection is closed without a
 * word; in the middle of one, be it of its first line, the client is told first. */
static void on_late(struct srv_client *socket)
{
    struct client *const client = (struct client *)socket;
    const struct srv_options *const options = client->http->server->options;
    struct srv_problem problem;
    if (socket->phase == SRV_CLIENT_REPLY && srv_client_takes(socket))
        return;
    if (socket->phase == SRV_CLIENT_IDLE && srv_client_has_sent(socket)) {
        srv_refuse(&problem, SRV_SLOW_CLIENT, "the request line did not arrive in time");
        srv_exchange_refuse_late(client, &problem);
    } else if (socket->phase == SRV_CLIENT_HEADERS || socket->phase == SRV_CLIENT_BODY) {
        const bool body = socket->phase == SRV_CLIENT_BODY;
        srv_refuse(&problem, SRV_SLOW_CLIENT, "the %s did not arrive within %llu ms", body ? "body" : "headers",
                   (unsigned long long)(body ? options->body_timeout_ms : options->header_timeout_ms));
        srv_exchange_refuse_late(client, &problem);
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
            srv_exchange_refuse_late((struct client *)socket, &problem);
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
    http->last_run_ns = http->run_ns;
    http->run_ns = now_ns;
    MHD_run(http->daemon);
    if (now_ns >= http->next_sweep_ns) { /* after what has come in time, however late we are, has been read */
        srv_clients_sweep(&http->clients, now_ns);
        http->next_sweep_ns = now_ns + TICK_MS * UINT64_C(1000000);
    }
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
                            MHD_OPTION_EXTERNAL_LOGGER, srv_foreign_message, http,
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
        close(listen_fd);
        return NULL;
    }
    http->server = server;
    http->loop = loop;
    srv_clients_init(&http->clients, loop, on_heard, on_left, on_late);
    http->shows_raw = strncmp(MHD_get_version(), "0.", 2) == 0;
    http->daemon = start_daemon(http, listen_fd);
    if (!http->daemon) {
        snprintf(error, error_size, "libmicrohttpd %s cannot be started", MHD_get_version());
        close(listen_fd);
        free(http);
        return NULL;
    }
    const int epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    http->daemon_watch = (struct srv_watch){ .fd = epoll_fd, .ready = on_daemon };
    http->mailbox_watch = (struct srv_watch){ .fd = server->mailbox.fd, .ready = on_mail };
    if (!srv_loop_add(loop, &http->daemon_watch, EPOLLIN) || !srv_loop_add(loop, &http->mailbox_watch, EPOLLIN)) {
        snprintf(error, error_size, "epoll cannot watch more descriptors");
        MHD_stop_daemon(http->daemon); /* and the descriptor with it */
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
        srv_exchange_refuse_late((struct client *)socket, &problem);
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
