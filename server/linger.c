/* A list of half-closed sockets, each with the time it may take. */
#include "linger.h"
#include "heed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COUNT_MAX = 256, READS_MAX = 64 };

struct srv_lingering {
    struct srv_watch watch; /* first: a watch is its lingering socket */
    struct srv_linger *linger;
    struct srv_lingering *next, **link;
    uint64_t deadline_ns;
};

static void let_go(struct srv_lingering *socket)
{
    struct srv_linger *const linger = socket->linger;
    srv_loop_remove(linger->loop, &socket->watch);
    close(socket->watch.fd);
    *socket->link = socket->next;
    if (socket->next)
        socket->next->link = socket->link;
    linger->count--;
    free(socket);
}

static void discard(struct srv_watch *watch, uint32_t events)
{
    struct srv_lingering *const socket = (struct srv_lingering *)watch;
    char waste[16384];
    (void)events;
    for (int i = 0; i < READS_MAX; i++) { /* then others have their turn; the watch is level-triggered */
        const ssize_t got = recv(watch->fd, waste, sizeof waste, MSG_DONTWAIT);
        if (got > 0)
            continue;
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            let_go(socket);
        return;
    }
}

void srv_linger_add(struct srv_linger *linger, int fd)
{
    struct srv_lingering *const socket = linger->count < COUNT_MAX ? calloc(1, sizeof *socket) : NULL;
    if (!socket)
        return;
    socket->watch = (struct srv_watch){ .fd = dup(fd), .ready = discard };
    if (socket->watch.fd < 0 || !srv_loop_add(linger->loop, &socket->watch, EPOLLIN)) {
        if (socket->watch.fd >= 0)
            close(socket->watch.fd);
        free(socket);
        return;
    }
    socket->linger = linger;
    socket->deadline_ns = heed_now_ns() + SRV_LINGER_MS * UINT64_C(1000000);
    socket->next = linger->first;
    socket->link = &linger->first;
    if (socket->next)
        socket->next->link = &socket->next;
    linger->first = socket;
    linger->count++;
}

void srv_linger_sweep(struct srv_linger *linger, uint64_t now_ns)
{
    for (struct srv_lingering *socket = linger->first, *next; socket; socket = next) {
        next = socket->next;
        if (now_ns >= socket->deadline_ns)
            let_go(socket);
    }
}

void srv_linger_deinit(struct srv_linger *linger)
{
    while (linger->first)
        let_go(linger->first);
}
