/* What the parts of http.c share: a connection, the request on it, and how it is answered.
 *
 *   receive.c   from the headers to the end of the body
 *   exchange.c  replies and refusals, and the account of each request
 *   foreign.c   what libmicrohttpd refuses itself
 *   http.c      its callbacks, jobs, the loop
 *
 * The HTTP loop's thread only. */
#ifndef SRV_EXCHANGE_H
#define SRV_EXCHANGE_H

#include "clients.h"
#include "headers.h"
#include "http.h"
#include "routes.h"

#include <microhttpd.h>
#include <stdarg.h>

struct exchange;

/* One connection. */
struct client {
    struct srv_client socket; /* first: a socket is its client */
    struct srv_http *http;
    struct MHD_Connection *connection;
    struct exchange *exchange; /* the request on it, NULL between two */
};

/* One request and its reply. */
struct exchange {
    struct client *client;
    const struct srv_route *route;
    struct srv_request request;
    struct srv_framing framing;
    struct srv_request_line line; /* its pointers: only while the headers are read */
    char *target;                 /* as it was sent; owned */
    char method[16];
    char *accept; /* all its lines in one; owned */
    uint8_t *body;
    size_t body_capacity;
    struct srv_job *job; /* being worked on elsewhere: only to be cancelled */
    struct srv_reply reply;
    bool began, replied, left;
    bool late; /* the reply went past libmicrohttpd, which knows nothing of it */
    uint64_t began_ns;
};

struct srv_http {
    struct srv_server *server;
    struct srv_loop *loop;
    struct MHD_Daemon *daemon;
    struct srv_watch daemon_watch, mailbox_watch;
    struct srv_clients clients;
    uint64_t next_sweep_ns, next_search_ns;
    uint64_t run_ns, last_run_ns; /* when libmicrohttpd was let run, and the time before */
    bool mail;      /* something is in the mailbox */
    bool shows_raw; /* libmicrohttpd 0.9: header strings lie as they came */
};

/* ---- exchange.c ---- */

/* A request is over, and goes into metrics and log. What is not known of it is zero. complete: all of its reply
 * went. */
void srv_exchange_account(struct srv_http *http, const struct exchange *exchange, bool complete);

/* Hands the reply to libmicrohttpd: only where it takes one, at the headers or at the end of the body. */
enum MHD_Result srv_exchange_send(struct exchange *exchange);

/* Answers before the rest of the request is read. */
enum MHD_Result srv_exchange_refuse(struct exchange *exchange, const struct srv_problem *problem);

/* Answers in the middle of a request, where libmicrohttpd 0.9 takes no reply: the connection has to be closed then.
 * Without an exchange, the request has not even begun. */
void srv_exchange_refuse_late(struct client *client, const struct srv_problem *problem);

/* ---- receive.c ---- */

/* What libmicrohttpd has of the headers. */
void srv_exchange_headers(const struct client *client, struct srv_headers *headers);

/* The headers are there: all that can be decided before the body is. */
enum MHD_Result srv_exchange_begin(struct exchange *exchange, const char *method, const char *version);

/* A piece of the body; leaves *size at 0. */
enum MHD_Result srv_exchange_take(struct exchange *exchange, const char *data, size_t *size);

/* ---- foreign.c ---- */

/* libmicrohttpd's own messages (MHD_OPTION_EXTERNAL_LOGGER); arg: the srv_http. */
void srv_foreign_message(void *arg, const char *format, va_list arguments);

#endif
