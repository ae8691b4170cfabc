/* What a command that runs a model needs: the model, the cores, and a context that grows with the photos. One thread.
 */
#ifndef SRV_COMMANDS_SESSION_H
#define SRV_COMMANDS_SESSION_H

#include "heed.h"

struct srv_session {
    struct heed_model *model;
    const struct heed_model_info *info;
    struct heed_crew *crew;
    struct heed_context *context;
    size_t context_bytes;
    unsigned threads;
};

/* model_path NULL: the built-in one. threads 0: every core. Close either way. */
HEED_CHECKED enum heed_status srv_session_open(struct srv_session *session, const char *model_path, unsigned threads,
                                               unsigned cpu_choice, struct heed_error *error);
void srv_session_close(struct srv_session *session);

/* heed_detect in a context that is large enough. */
HEED_CHECKED enum heed_status srv_session_detect(struct srv_session *session, const uint8_t *bytes, size_t size,
                                                 const struct heed_detect_options *options, struct heed_result *result,
                                                 struct heed_error *error);

/* A whole file, "-" for standard input, to free(). */
HEED_CHECKED enum heed_status srv_photo_read(const char *path, uint8_t **bytes, size_t *size, struct heed_error *error);

#endif
