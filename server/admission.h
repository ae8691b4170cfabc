/* Whether a request may come in, asked twice: when its headers are there, so that nothing is received in vain, and when
 * its body is. What is refused for lack of room is told when to come back, from the queue and the measured service
 * time. The HTTP loop's thread only. */
#ifndef SRV_ADMISSION_H
#define SRV_ADMISSION_H

#include "headers.h"
#include "request.h"
#include "server.h"

/* Takes up new work? Loading and draining do not. */
bool srv_admit_state(const struct srv_server *server, struct srv_problem *problem);

/* The key, where keys are needed. Gives the key, NULL where none is. */
bool srv_admit_key(const struct srv_server *server, const struct srv_request *request, const struct srv_key **key,
                   struct srv_problem *problem);

/* A body of this framing: its size, room for it in the queue, and whether it would fit into memory now. */
bool srv_admit_body(struct srv_server *server, struct srv_request *request, const struct srv_framing *framing,
                    struct srv_problem *problem);

/* More memory for a request, as its body comes or its work is known. */
bool srv_admit_bytes(struct srv_server *server, struct srv_request *request, size_t bytes, struct srv_problem *problem);
/* The work is done: what the request holds now is its reply, whatever was reserved. False where no room was reserved
 * for it, as for a picture, and none is left now; the request holds nothing then. */
bool srv_charge_reply(struct srv_server *server, struct srv_request *request, size_t bytes,
                      struct srv_problem *problem);
void srv_release_bytes(struct srv_server *server, struct srv_request *request, size_t bytes);

/* The memory a request's job takes while it is worked on; given back by srv_end_work. */
bool srv_admit_work(struct srv_server *server, const struct srv_request *request, size_t bytes,
                    struct srv_problem *problem);
void srv_end_work(struct srv_server *server, size_t bytes);

/* A job: room in the queue and a chance to meet its deadline. */
bool srv_admit_job(struct srv_server *server, const struct srv_job *job, struct srv_problem *problem);

/* A job is over: how long jobs take. */
void srv_note_service(struct srv_server *server, const struct srv_job *job);

#endif
