/* The bounded queue between the HTTP loop and the workers.
 *
 *   http --try_push--> [ 1: job job | 0: job job job | -1: job ] --try_pop--> worker 0..n-1
 *            |            first in, first out, inside a priority
 *            +-- full: false, and the client gets 429 at once
 *
 * Neither side ever waits here: memory stays bounded and the client can go elsewhere; a worker that finds nothing lends
 * itself to the crew (workers.h) and is woken from there. After close, pushing fails and popping hands out what is
 * left. Threads: any; one lock guards every field, and the count is also readable without it. */
#ifndef SRV_QUEUE_H
#define SRV_QUEUE_H

#include "job.h"

struct srv_queue;

struct srv_queue *srv_queue_create(size_t slots); /* NULL without memory */
void srv_queue_free(struct srv_queue *queue);     /* must be empty; NULL is fine */

bool srv_queue_try_push(struct srv_queue *queue, struct srv_job *job);
struct srv_job *srv_queue_try_pop(struct srv_queue *queue);
/* True when the job was still in the queue: the caller then holds it. */
bool srv_queue_remove(struct srv_queue *queue, struct srv_job *job);
/* Takes one job whose deadline has passed, NULL if there is none. */
struct srv_job *srv_queue_take_expired(struct srv_queue *queue, uint64_t now_ns);

void srv_queue_close(struct srv_queue *queue);
bool srv_queue_closed(const struct srv_queue *queue);
size_t srv_queue_count(const struct srv_queue *queue);
size_t srv_queue_slots(const struct srv_queue *queue);
/* Jobs that would be served before a new one of this priority. */
size_t srv_queue_ahead(struct srv_queue *queue, int priority);

#endif
