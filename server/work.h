/* What a worker does with a job: photos to detections to a reply. Knows the engine and the reply's form, and nothing of
 * queues and sockets. */
#ifndef SRV_WORK_H
#define SRV_WORK_H

#include "job.h"

/* Fills job->reply and job->timing, whatever happens. A job whose deadline has passed is answered without being run. */
void srv_work(struct srv_job *job, struct heed_context *context, const struct srv_options *options);

/* The reply of a job that nobody will run. */
void srv_work_expired(struct srv_job *job, uint64_t now_ns);

/* One inference on a drawn picture: that the model computes at all on this machine. */
HEED_CHECKED enum heed_status srv_work_self_test(const struct srv_model *model, struct heed_context *context,
                                                 struct heed_error *error);

#endif
