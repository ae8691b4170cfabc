/* HTTP, through libmicrohttpd: this module alone knows it. Reads and checks requests, hands them to their routes,
 * suspends connections whose job is at work, and sends replies. One thread, one epoll loop, no waiting anywhere else.
 *
 *   MHD's epoll --+
 *   mailbox ------+--> loop --> MHD_run --> on_request: headers -> admit -> body -> route --> reply
 *   left clients -+                                                                 `--> job, suspended ... resumed -->
 * reply
 */
#ifndef SRV_HTTP_H
#define SRV_HTTP_H

#include "loop.h"
#include "server.h"

/* What each connection holds: headers, and a piece of the body on its way. */
#define SRV_CONNECTION_BYTES 32768

struct srv_http;

/* listen_fd: bound, listening, not blocking; owned from here on. NULL with a sentence in error. */
struct srv_http *srv_http_create(struct srv_server *server, struct srv_loop *loop, int listen_fd, char *error,
                                 size_t error_size);

/* One turn: waits for something to happen (at most a moment), and does what there is to do. */
void srv_http_turn(struct srv_http *http);

/* Draining: requests still being received are told to go elsewhere. */
void srv_http_refuse_receiving(struct srv_http *http);
/* Requests with a job or with a reply that is not sent yet. */
size_t srv_http_active(const struct srv_http *http);
/* Clients that have not heard of the end: in the middle of a head, or refused and maybe still sending, which they want
 * to finish before they read. */
size_t srv_http_unaware(const struct srv_http *http);
/* Gives up: queued jobs are answered 503, running ones are cancelled. Afterwards no new job may come. */
void srv_http_cancel_all(struct srv_http *http);

/* After the workers have ended: closes all connections, whatever they still wait for. NULL is fine. */
void srv_http_free(struct srv_http *http);

#endif
