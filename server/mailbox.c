/* The way back of finished jobs. */
#include "mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

bool srv_mailbox_init(struct srv_mailbox *mailbox)
{
    *mailbox = (struct srv_mailbox){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    pthread_mutex_init(&mailbox->lock, NULL);
    return mailbox->fd >= 0;
}

void srv_mailbox_deinit(struct srv_mailbox *mailbox)
{
    pthread_mutex_destroy(&mailbox->lock);
    if (mailbox->fd >= 0)
        close(mailbox->fd);
}

void srv_mailbox_put(struct srv_mailbox *mailbox, struct srv_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->tail)
        mailbox->tail->next = job;
    else
        mailbox->head = job;
    mailbox->tail = job;
    pthread_mutex_unlock(&mailbox->lock);
    /* Fails only when the counter is full: then the descriptor is readable already. */
    const ssize_t written = write(mailbox->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
    (void)written;
}

struct srv_job *srv_mailbox_take(struct srv_mailbox *mailbox)
{
    uint64_t count;
    const ssize_t got = read(mailbox->fd, &count, sizeof count); /* nothing to read is fine */
    (void)got;
    pthread_mutex_lock(&mailbox->lock);
    struct srv_job *const jobs = mailbox->head;
    mailbox->head = mailbox->tail = NULL;
    pthread_mutex_unlock(&mailbox->lock);
    return jobs;
}
