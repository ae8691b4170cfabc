/* Connections as sockets: in which phase each is, how long it may stay there, whether its client is still there. Knows
 * nothing of libmicrohttpd, which owns the sockets and whose own timeout would start anew with every byte. The HTTP
 * loop's thread only. */
#ifndef SRV_CLIENTS_H
#define SRV_CLIENTS_H

#include "linger.h"
#include "loop.h"
#include "reply.h"

enum srv_client_phase {
    SRV_CLIENT_IDLE,    /* between two requests, or before the first */
    SRV_CLIENT_HEADERS, /* the request line has arrived */
    SRV_CLIENT_BODY,
    SRV_CLIENT_WAIT,   /* its job is at work */
    SRV_CLIENT_REPLY,  /* its reply is being sent */
    SRV_CLIENT_PARTING /* it has been refused in the middle of sending */
};

/* What a phase's deadline is put off by for each byte that was sent or taken: a slow line is no reason to give up, a
 * stalled one is. 64 KiB/s. */
#define SRV_NS_PER_BYTE UINT64_C(15259)

struct srv_clients;

/* Lives in its owner's memory from open to close. */
struct srv_client {
    struct srv_watch watch; /* first; tells once each that bytes have come and that the client has closed its side */
    struct srv_clients *all;
    struct srv_client *next, **link;
    enum srv_client_phase phase;
    uint64_t entered_ns, deadline_ns; /* of the phase; 0: no deadline */
    uint64_t taken;                   /* bytes of its requests that are over */
    uint64_t acknowledged, received;  /* bytes it had taken of us, and we had of it, when it was last asked */
    bool linger;          /* the client may still be sending when the connection is closed */
    bool watched, half_closed;
};

typedef void srv_client_fn(struct srv_client *client);

struct srv_clients {
    struct srv_loop *loop;
    struct srv_linger linger;
    struct srv_client *first; /* the newest */
    size_t count;
    size_t active; /* in WAIT or REPLY */
    size_t parting;
    srv_client_fn *heard; /* the first bytes of a connection lie there to be read */
    srv_client_fn *left;  /* a client in WAIT has closed its side */
    srv_client_fn *late;  /* a deadline has passed */
};

void srv_clients_init(struct srv_clients *clients, struct srv_loop *loop, srv_client_fn *heard, srv_client_fn *left,
                      srv_client_fn *late);
void srv_clients_deinit(struct srv_clients *clients); /* all must be closed */

void srv_client_open(struct srv_clients *clients, struct srv_client *client, int fd);
/* Before the descriptor is closed. */
void srv_client_close(struct srv_client *client);

void srv_client_enter(struct srv_client *client, enum srv_client_phase phase, uint64_t timeout_ms); /* 0: no deadline */

/* A request of so many bytes is over. in_chunks: and of more, which nobody counted. */
void srv_client_took(struct srv_client *client, uint64_t bytes, bool in_chunks);

/* Between two requests: has a byte of the next one come? Not the empty line that some send behind a body. True also
 * where the kernel does not count bytes. */
bool srv_client_has_sent(const struct srv_client *client);

/* Has a byte come, or has its phase begun, since then? True also where the kernel does not know. */
bool srv_client_has_stirred(const struct srv_client *client, uint64_t since_ns);

/* The first bytes of all that has come on the connection, where nothing of it has been read yet; else 0 of them. */
size_t srv_client_peek(const struct srv_client *client, char *bytes, size_t size);

/* Its reply is late: is it not, by the bytes of it that the client has taken? */
bool srv_client_takes(struct srv_client *client);

/* Writes a whole reply to the socket, past libmicrohttpd, which must have written nothing for this request yet and must
 * close the connection after it. A socket that does not take a few hundred bytes at once has a client that would not
 * read them. */
void srv_client_write(struct srv_client *client, const struct srv_reply *reply, const char *request_id);

/* After the above, where the client may be in the middle of sending: our side is closed, its side not yet, so that its
 * next bytes bring no reset, which could overtake the reply. They shall make libmicrohttpd close the connection, which
 * then lingers; where none come, the phase's deadline ends it. */
void srv_client_part(struct srv_client *client);

/* Makes libmicrohttpd see the end of the connection, at its next turn. */
void srv_client_hang_up(struct srv_client *client);
static inline bool srv_client_hung_up(const struct srv_client *client)
{
    return client->deadline_ns == 0;
}

/* Now and then: tells `late` of those whose deadline has passed, and hangs up where nothing can come any more. */
void srv_clients_sweep(struct srv_clients *clients, uint64_t now_ns);

#endif
