#include "base/error.h"

enum heed_status heed_stop_check(const struct heed_stop *stop, struct heed_error *error)
{
    enum heed_status status = HEED_OK;
    if (stop && stop->cancel && atomic_load_explicit(stop->cancel, memory_order_relaxed))
        status = HEED_CANCELLED;
    else if (stop && stop->deadline_ns && heed_now_ns() > stop->deadline_ns)
        status = HEED_DEADLINE;
    return status == HEED_OK ? HEED_OK : heed_fail(error, status, "%s", heed_status_text(status));
}
