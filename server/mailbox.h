/* Finished jobs on their way back from the workers to the HTTP loop: a list behind a lock, and a file descriptor that
 * becomes readable when there is something in it. Put: any thread. Take: the loop. */
#ifndef SRV_MAILBOX_H
#define SRV_MAILBOX_H

#include "job.h"

#include <pthread.h>

struct srv_mailbox {
    pthread_mutex_t lock; /* guards head and tail */
    struct srv_job *head, *tail;
    int fd; /* an eventfd, for the loop to watch */
};

bool srv_mailbox_init(struct srv_mailbox *mailbox); /* false: no descriptor left */
void srv_mailbox_deinit(struct srv_mailbox *mailbox);
void srv_mailbox_put(struct srv_mailbox *mailbox, struct srv_job *job);
/* All of them, first finished first, linked by next; NULL if there are none. Makes fd unreadable. */
struct srv_job *srv_mailbox_take(struct srv_mailbox *mailbox);

#endif
