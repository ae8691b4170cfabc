/* A list, a watch for each socket, and a sweep over all of them a few times a second. */
#include "clients.h"
#include "heed.h"
#include "text.h"

#include <assert.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum {
    EMPTY_LINE = 2,
    ESTABLISHED = 1, /* TCP_ESTABLISHED of netinet/tcp.h, which linux/tcp.h does not bear beside it */
    JIFFIES_MS = 20  /* two ticks of the slowest kernel's clock, by which it says when bytes came */
};

void srv_clients_init(struct srv_clients *clients, struct srv_loop *loop, srv_client_fn *heard, srv_client_fn *left,
                      srv_client_fn *late)
{
    *clients =
        (struct srv_clients){ .loop = loop, .linger = { .loop = loop }, .heard = heard, .left = left, .late = late };
}

void srv_clients_deinit(struct srv_clients *clients)
{
    assert(clients->count == 0);
    srv_linger_deinit(&clients->linger);
}

static void on_half_closed(struct srv_client *client)
{
    client->half_closed = true;
    if (client->phase == SRV_CLIENT_WAIT)
        client->all->left(client);
}

/* First that bytes have come or the client has left; then the latter only, where it was not so at first. */
static void on_event(struct srv_watch *watch, uint32_t events)
{
    struct srv_client *const client = (struct srv_client *)watch;
    if (events & EPOLLIN && client->phase == SRV_CLIENT_IDLE)
        client->all->heard(client);
    if (events & ~(uint32_t)EPOLLIN)
        on_half_closed(client);
    else
        srv_loop_change(client->all->loop, watch, EPOLLRDHUP | EPOLLONESHOT);
}

void srv_client_open(struct srv_clients *clients, struct srv_client *client, int fd)
{
    *client = (struct srv_client){
        .watch = { .fd = fd, .ready = on_event }, .all = clients, .next = clients->first, .link = &clients->first
    };
    if (client->next)
        client->next->link = &client->next;
    clients->first = client;
    clients->count++;
    client->watched = srv_loop_add(clients->loop, &client->watch, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
}

void srv_client_close(struct srv_client *client)
{
    struct srv_clients *const clients = client->all;
    srv_client_enter(client, SRV_CLIENT_IDLE, 0);
    if (client->linger)
        srv_linger_add(&clients->linger, client->watch.fd);
    if (client->watched)
        srv_loop_remove(clients->loop, &client->watch);
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    clients->count--;
}

static bool is_active(enum srv_client_phase phase)
{
    return phase == SRV_CLIENT_WAIT || phase == SRV_CLIENT_REPLY;
}

/* What the kernel knows of the connection; false where it does not count bytes. */
static bool ask_kernel(const struct srv_client *client, struct tcp_info *info)
{
    socklen_t size = sizeof *info;
    return getsockopt(client->watch.fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 &&
           size >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info->tcpi_bytes_received;
}

static uint64_t received_of(const struct tcp_info *info)
{
    const bool ended = info->tcpi_bytes_received > 0 && info->tcpi_state != ESTABLISHED;
    return info->tcpi_bytes_received - ended; /* the end counts as a byte */
}

/* How many bytes have come; where the kernel does not count, more than any. */
static uint64_t received(const struct srv_client *client)
{
    struct tcp_info info;
    return ask_kernel(client, &info) ? received_of(&info) : UINT64_MAX;
}

void srv_client_took(struct srv_client *client, uint64_t bytes, bool in_chunks)
{
    client->taken += bytes;
    const uint64_t more = client->received > client->taken ? client->received - client->taken : 0;
    if (in_chunks || more <= 2 * EMPTY_LINE) /* before it, behind it */
        client->taken += more;
}

bool srv_client_has_sent(const struct srv_client *client)
{
    const uint64_t all = received(client);
    return all > client->taken && all - client->taken > (client->taken ? EMPTY_LINE : 0);
}

bool srv_client_has_stirred(const struct srv_client *client, uint64_t since_ns)
{
    struct tcp_info info;
    if (client->entered_ns >= since_ns || !ask_kernel(client, &info))
        return true;
    const uint64_t silent_ms = info.tcpi_last_data_recv;
    return silent_ms < JIFFIES_MS || heed_now_ns() - (silent_ms - JIFFIES_MS) * 1000000 >= since_ns;
}

size_t srv_client_peek(const struct srv_client *client, char *bytes, size_t size)
{
    int unread = 0;
    if (ioctl(client->watch.fd, FIONREAD, &unread) != 0 || unread <= 0 || received(client) != (uint64_t)unread)
        return 0;
    const ssize_t got = recv(client->watch.fd, bytes, size, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

/* How many bytes of us it has taken more than when it was last asked. */
static uint64_t acknowledged(struct srv_client *client)
{
    struct tcp_info info;
    if (!ask_kernel(client, &info))
        return 0;
    const uint64_t more = info.tcpi_bytes_acked - client->acknowledged;
    client->acknowledged = info.tcpi_bytes_acked;
    client->received = received_of(&info);
    return more;
}

bool srv_client_takes(struct srv_client *client)
{
    client->deadline_ns += acknowledged(client) * SRV_NS_PER_BYTE;
    return client->deadline_ns > heed_now_ns();
}

void srv_client_enter(struct srv_client *client, enum srv_client_phase phase, uint64_t timeout_ms)
{
    client->all->active += (size_t)is_active(phase) - (size_t)is_active(client->phase);
    client->all->parting += (size_t)(phase == SRV_CLIENT_PARTING) - (size_t)(client->phase == SRV_CLIENT_PARTING);
    client->phase = phase;
    if (phase == SRV_CLIENT_REPLY)
        acknowledged(client);
    client->entered_ns = heed_now_ns();
    client->deadline_ns = timeout_ms ? client->entered_ns + timeout_ms * 1000000 : 0;
}

void srv_client_write(struct srv_client *client, const struct srv_reply *reply, const char *request_id)
{
    struct srv_text text = { 0 };
    char date[40];
    struct tm utc;
    const time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    srv_text_print(&text,
                   "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nX-Request-Id: %s\r\n",
                   reply->status, srv_refusal_title(reply->reason), date, reply->content_type, reply->size, request_id);
    if (reply->retry_after_s)
        srv_text_print(&text, "Retry-After: %u\r\n", reply->retry_after_s);
    srv_text_string(&text, "Connection: close\r\n\r\n");
    srv_text_add(&text, reply->body ? reply->body : "", reply->body ? reply->size : 0);
    if (!text.failed) {
        const ssize_t sent = send(client->watch.fd, text.data, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent;
    }
    srv_text_deinit(&text);
}

void srv_client_part(struct srv_client *client)
{
    client->linger = true;
    srv_client_enter(client, SRV_CLIENT_PARTING, SRV_LINGER_MS);
    shutdown(client->watch.fd, SHUT_WR);
}

void srv_client_hang_up(struct srv_client *client)
{
    client->deadline_ns = 0;
    shutdown(client->watch.fd, SHUT_RDWR);
}

/* Nothing is left to read and nothing will come. libmicrohttpd misses that when the end of the stream arrives together
 * with the last bytes: it then waits for an event that has already been. */
static bool has_ended(const struct srv_client *client)
{
    int unread = 0;
    return client->half_closed && !is_active(client->phase) && ioctl(client->watch.fd, FIONREAD, &unread) == 0 &&
           unread == 0;
}

void srv_clients_sweep(struct srv_clients *clients, uint64_t now_ns)
{
    for (struct srv_client *client = clients->first; client; client = client->next) {
        if (!client->deadline_ns)
            continue;
        if (now_ns >= client->deadline_ns)
            clients->late(client);
        else if (has_ended(client))
            srv_client_hang_up(client);
    }
    srv_linger_sweep(&clients->linger, now_ns);
}
