#include "session.h"
#include "file.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

enum heed_status srv_session_open(struct srv_session *session, const char *model_path, unsigned threads,
                                  unsigned cpu_choice, struct heed_error *error)
{
    const struct heed_model_options options = { .cpu = srv_cpu_mask(cpu_choice) };
    *session = (struct srv_session){ .threads = threads ? threads : heed_cpu_cores() };
    const enum heed_status status = model_path ? heed_model_load(model_path, &options, &session->model, error)
                                               : heed_model_load_builtin(&options, &session->model, error);
    if (status != HEED_OK)
        return status;
    session->info = heed_model_info(session->model);
    return heed_crew_create(session->threads - 1, session->threads, &session->crew, error);
}

void srv_session_close(struct srv_session *session)
{
    heed_context_free(session->context);
    heed_crew_free(session->crew);
    heed_model_free(session->model);
    *session = (struct srv_session){ 0 };
}

static enum heed_status grow(struct srv_session *session, const struct heed_image_info *photo, struct heed_error *error)
{
    const size_t bytes = heed_model_memory(session->model, photo->width, photo->height, session->threads);
    if (session->context && bytes <= session->context_bytes)
        return HEED_OK;
    heed_context_free(session->context);
    session->context = NULL;
    session->context_bytes = bytes;
    return heed_context_create(session->crew, bytes, &session->context, error);
}

enum heed_status srv_session_detect(struct srv_session *session, const uint8_t *bytes, size_t size,
                                    const struct heed_detect_options *options, struct heed_result *result,
                                    struct heed_error *error)
{
    struct heed_image_info photo;
    *result = (struct heed_result){ 0 };
    enum heed_status status = heed_image_probe(bytes, size, &options->limits, &photo, error);
    if (status == HEED_OK)
        status = grow(session, &photo, error);
    return status == HEED_OK ? heed_detect(session->context, session->model, bytes, size, options, result, error)
                             : status;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

enum heed_status srv_photo_read(const char *path, uint8_t **bytes, size_t *size, struct heed_error *error)
{
    *bytes =
        (uint8_t *)srv_file_read(strcmp(path, "-") == 0 ? NULL : path, SIZE_MAX, size, error->text, sizeof error->text);
    error->status = *bytes ? HEED_OK : HEED_IO;
    return error->status;
}
