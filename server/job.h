/* One accepted detection request on its way: http -> queue -> worker -> http. Exactly one of them holds it at a time,
 * and only the holder touches it; the cancel flag alone may be set by http while another holds the job. */
#ifndef SRV_JOB_H
#define SRV_JOB_H

#include "detect.h"

#include <stdatomic.h>

/* Of a job, or of one of its photos: then the queue is the job's, and the total is the queue and what this photo took.
 */
struct srv_timing {
    uint64_t queue_ns, decode_ns, infer_ns, masks_ns, total_ns;
};

struct srv_job {
    struct srv_job *next; /* in whichever list holds it */
    struct srv_detect detect;
    size_t work_bytes;                /* of the budget, until it is over */
    uint64_t created_ns, deadline_ns; /* on heed_now_ns()'s clock */
    atomic_bool cancel;
    void *owner;            /* the request's */
    struct srv_reply reply; /* made by the worker */
    struct srv_timing timing;
    uint64_t service_ns; /* how long a worker was busy with it; 0: it was not run */
    bool inferred;       /* timing's decode, infer and masks are real */
};

/* Owns a job and all in it; NULL is fine. */
void srv_job_free(struct srv_job *job);

#endif
