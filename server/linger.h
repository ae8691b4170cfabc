/* Closing a connection whose client is still sending. Closed at once, the kernel would answer the rest with a reset,
 * and the client would see that instead of our reply. So its socket is kept a while, half closed, and what still comes
 * is thrown away. One thread: the loop's. */
#ifndef SRV_LINGER_H
#define SRV_LINGER_H

#include "loop.h"

#include <stddef.h>

#define SRV_LINGER_MS 5000

struct srv_lingering;

struct srv_linger {
    struct srv_loop *loop;
    struct srv_lingering *first;
    size_t count;
};

/* Keeps a duplicate of the descriptor, which the caller closes. Beyond a few hundred sockets, does nothing. */
void srv_linger_add(struct srv_linger *linger, int fd);
/* Lets go of those that have been kept long enough; call now and then. */
void srv_linger_sweep(struct srv_linger *linger, uint64_t now_ns);
void srv_linger_deinit(struct srv_linger *linger);

#endif
