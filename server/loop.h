/* One epoll set. Everything the HTTP thread waits for is a watch: libmicrohttpd's own epoll, finished jobs, signals,
 * clients that might leave. One thread. */
#ifndef SRV_LOOP_H
#define SRV_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* Lives in its owner while it is watched. */
struct srv_watch {
    int fd;
    void (*ready)(struct srv_watch *watch, uint32_t events);
};

struct srv_loop {
    int fd;
};

bool srv_loop_init(struct srv_loop *loop);
void srv_loop_deinit(struct srv_loop *loop);

/* events: of epoll. EPOLLERR and EPOLLHUP always count. False: no memory in the kernel. */
bool srv_loop_add(struct srv_loop *loop, struct srv_watch *watch, uint32_t events);
/* Other events from now on, EPOLLONESHOT anew. */
void srv_loop_change(struct srv_loop *loop, struct srv_watch *watch, uint32_t events);
/* Before the descriptor is closed. Must not be called from another watch's ready. */
void srv_loop_remove(struct srv_loop *loop, struct srv_watch *watch);

/* Waits up to timeout_ms and calls ready of what is. */
void srv_loop_wait(struct srv_loop *loop, int timeout_ms);

#endif
