/* What a handler gives back: a status, a body and the few headers that vary. And refusals, which are replies of one
 * kind: application/problem+json (RFC 9457). Plain data; nothing here knows how it is sent. */
#ifndef SRV_REPLY_H
#define SRV_REPLY_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct srv_reply {
    unsigned status;
    const char *content_type; /* static text */
    char *body;               /* owned; from malloc */
    size_t size;
    unsigned retry_after_s;  /* 0: not said */
    const char *allow;       /* static text; NULL: not said */
    bool close;              /* end the connection after this reply */
    enum srv_refusal reason; /* where status >= 400 */
    char server_timing[160]; /* empty: not said */
};

/* A refusal on its way up: why, in one sentence that names what was wrong and what is allowed. */
struct srv_problem {
    enum srv_refusal reason;
    unsigned retry_after_s;
    const char *allow;
    char text[400];
};

/* Fills the problem and returns false, so that a check reads: return srv_refuse(problem, SRV_BAD_OPTION, "...");
 * A 503 says to come back in a second, unless the caller knows better. */
bool srv_refuse(struct srv_problem *problem, enum srv_refusal reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the reply for a problem. Without memory for the text the reply has a status and no body. */
void srv_reply_problem(struct srv_reply *reply, const struct srv_problem *problem);

struct srv_text;
/* Takes the text as the body; without memory the reply is a 503 problem. */
void srv_reply_text(struct srv_reply *reply, unsigned status, const char *content_type, struct srv_text *text);

void srv_reply_deinit(struct srv_reply *reply);

#endif
