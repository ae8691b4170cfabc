/* Refusals as tables, and the one map from the engine's statuses to them. */
#include "status.h"

#include <assert.h>

static const struct {
    unsigned http;
    const char *label, *title;
} refusals[SRV_REFUSAL_COUNT] = {
#define X(name, http, label, title) [SRV_##name] = { http, label, title },
    SRV_REFUSAL_LIST(X)
#undef X
};

/* A request cannot give a bad model, weights or file: where the engine says so at request time, the fault is ours. */
static const enum srv_refusal of_status[HEED_STATUS_COUNT] = {
    [HEED_OK] = SRV_REFUSAL_COUNT,          [HEED_BAD_ARGUMENT] = SRV_BAD_OPTION,
    [HEED_NOT_AN_IMAGE] = SRV_NOT_AN_IMAGE, [HEED_BAD_IMAGE] = SRV_BAD_IMAGE,
    [HEED_TOO_LARGE] = SRV_IMAGE_TOO_LARGE, [HEED_BAD_MODEL] = SRV_FAULT,
    [HEED_BAD_WEIGHTS] = SRV_FAULT,         [HEED_IO] = SRV_FAULT,
    [HEED_NO_MEMORY] = SRV_NO_MEMORY,       [HEED_CANCELLED] = SRV_CLIENT_LEFT,
    [HEED_DEADLINE] = SRV_DEADLINE,         [HEED_OUTGROWN] = SRV_TOO_MUCH_MEMORY,
};

unsigned srv_refusal_http(enum srv_refusal refusal)
{
    assert(refusal < SRV_REFUSAL_COUNT);
    return refusals[refusal].http;
}

const char *srv_refusal_label(enum srv_refusal refusal)
{
    assert(refusal < SRV_REFUSAL_COUNT);
    return refusals[refusal].label;
}

const char *srv_refusal_title(enum srv_refusal refusal)
{
    assert(refusal < SRV_REFUSAL_COUNT);
    return refusals[refusal].title;
}

enum srv_refusal srv_refusal_of(enum heed_status status)
{
    assert(status > HEED_OK);
    assert(status < HEED_STATUS_COUNT);
    return of_status[status];
}
