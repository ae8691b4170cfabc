/* Three linked lists behind one mutex. Jobs bring their own link, so pushing never allocates. */
#include "queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { LEVELS = 3 };

struct line {
    struct srv_job *head, *tail;
    size_t count;
};

struct srv_queue {
    pthread_mutex_t lock;      /* guards lines, and the writing of the atomics */
    struct line lines[LEVELS]; /* [0] first: priority 1, 0, -1 */
    atomic_size_t count;
    atomic_bool closed;
    size_t slots;
};

struct srv_queue *srv_queue_create(size_t slots)
{
    struct srv_queue *const queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->slots = slots;
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

void srv_queue_free(struct srv_queue *queue)
{
    if (!queue)
        return;
    assert(srv_queue_count(queue) == 0);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static struct line *line_of(struct srv_queue *queue, int priority)
{
    assert(priority >= -1 && priority <= 1);
    return &queue->lines[1 - priority];
}

bool srv_queue_try_push(struct srv_queue *queue, struct srv_job *job)
{
    pthread_mutex_lock(&queue->lock);
    const bool fits = !queue->closed && queue->count < queue->slots;
    if (fits) {
        struct line *const line = line_of(queue, job->detect.priority);
        job->next = NULL;
        if (line->tail)
            line->tail->next = job;
        else
            line->head = job;
        line->tail = job;
        line->count++;
        queue->count++;
    }
    pthread_mutex_unlock(&queue->lock);
    return fits;
}

/* Takes *link's job out of the line; before is the job whose link it is, NULL for the head. */
static struct srv_job *unlink_job(struct srv_queue *queue, struct line *line, struct srv_job **link,
                                  struct srv_job *before)
{
    struct srv_job *const job = *link;
    *link = job->next;
    if (line->tail == job)
        line->tail = before;
    job->next = NULL;
    line->count--;
    queue->count--;
    return job;
}

struct srv_job *srv_queue_try_pop(struct srv_queue *queue)
{
    struct srv_job *job = NULL;
    pthread_mutex_lock(&queue->lock);
    for (int i = 0; i < LEVELS && !job; i++)
        if (queue->lines[i].head)
            job = unlink_job(queue, &queue->lines[i], &queue->lines[i].head, NULL);
    pthread_mutex_unlock(&queue->lock);
    return job;
}

bool srv_queue_remove(struct srv_queue *queue, struct srv_job *job)
{
    bool found = false;
    pthread_mutex_lock(&queue->lock);
    struct line *const line = line_of(queue, job->detect.priority);
    struct srv_job *before = NULL;
    for (struct srv_job **link = &line->head; *link; before = *link, link = &(*link)->next) {
        if (*link == job) {
            unlink_job(queue, line, link, before);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return found;
}

struct srv_job *srv_queue_take_expired(struct srv_queue *queue, uint64_t now_ns)
{
    struct srv_job *expired = NULL;
    pthread_mutex_lock(&queue->lock);
    for (int i = 0; i < LEVELS && !expired; i++) {
        struct line *const line = &queue->lines[i];
        struct srv_job *before = NULL;
        for (struct srv_job **link = &line->head; *link; before = *link, link = &(*link)->next) {
            if ((*link)->deadline_ns <= now_ns) {
                expired = unlink_job(queue, line, link, before);
                break;
            }
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return expired;
}

void srv_queue_close(struct srv_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_mutex_unlock(&queue->lock);
}

bool srv_queue_closed(const struct srv_queue *queue)
{
    return queue->closed;
}

size_t srv_queue_count(const struct srv_queue *queue)
{
    return queue->count;
}

size_t srv_queue_slots(const struct srv_queue *queue)
{
    return queue->slots;
}

size_t srv_queue_ahead(struct srv_queue *queue, int priority)
{
    size_t ahead = 0;
    pthread_mutex_lock(&queue->lock);
    for (int i = 0; i <= 1 - priority; i++)
        ahead += queue->lines[i].count;
    pthread_mutex_unlock(&queue->lock);
    return ahead;
}
