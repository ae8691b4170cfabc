/* epoll, thinly. */
#include "loop.h"

#include <assert.h>
#include <sys/epoll.h>
#include <unistd.h>

bool srv_loop_init(struct srv_loop *loop)
{
    loop->fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->fd >= 0;
}

void srv_loop_deinit(struct srv_loop *loop)
{
    if (loop->fd >= 0)
        close(loop->fd);
}

bool srv_loop_add(struct srv_loop *loop, struct srv_watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    return epoll_ctl(loop->fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

void srv_loop_change(struct srv_loop *loop, struct srv_watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    const int result = epoll_ctl(loop->fd, EPOLL_CTL_MOD, watch->fd, &event);
    assert(result == 0);
}

void srv_loop_remove(struct srv_loop *loop, struct srv_watch *watch)
{
    const int result = epoll_ctl(loop->fd, EPOLL_CTL_DEL, watch->fd, NULL);
    assert(result == 0);
}

void srv_loop_wait(struct srv_loop *loop, int timeout_ms)
{
    struct epoll_event events[64];
    const int count = epoll_wait(loop->fd, events, sizeof events / sizeof *events, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct srv_watch *const watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
}
