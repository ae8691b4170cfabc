/* What the parts of a running server share. Belongs to the HTTP loop's thread; the starting thread fills models, keys
 * and workers before it publishes `loaded`, and nobody looks at them earlier. */
#ifndef SRV_SERVER_H
#define SRV_SERVER_H

#include "budget.h"
#include "keys.h"
#include "mailbox.h"
#include "metrics.h"
#include "models.h"
#include "options.h"
#include "queue.h"
#include "workers.h"

enum srv_state {
    SRV_STATE_LOADING,
    SRV_STATE_READY,
    SRV_STATE_DRAINING /* accepted requests are finished, new ones go elsewhere */
};

struct srv_server {
    const struct srv_options *options;
    atomic_int state;   /* enum srv_state */
    atomic_bool loaded; /* models, budget and workers are there, and stay to the end */
    struct srv_models models;
    struct srv_keys keys;
    struct srv_queue *queue;
    struct srv_workers *workers;
    unsigned thread_count;
    struct srv_mailbox mailbox;
    struct srv_budget budget;
    struct srv_metrics metrics;
    double service_s;     /* moving average of a job's time on a worker; 0: none yet */
    double service_s_min; /* what a job takes at least, lately; the self-test's time to begin with */
    size_t connections, connections_max;
    uint64_t started_ns;
};

static inline enum srv_state srv_state(const struct srv_server *server)
{
    return (enum srv_state)server->state;
}

#endif
