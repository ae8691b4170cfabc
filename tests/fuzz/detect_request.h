/* A detection request read as the server reads it, up to the photos' headers; no model is loaded. */
#ifndef TESTS_FUZZ_DETECT_REQUEST_H
#define TESTS_FUZZ_DETECT_REQUEST_H

#include "detect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void read_request(const char *content_type, const uint8_t *body, size_t size)
{
    static const struct heed_label labels[] = { { "person", 1 }, { NULL, 0 }, { "traffic light", 10 } };
    static const struct heed_model_info info = { .name = "heed-s", .labels = labels, .label_count = 3 };
    static struct srv_model model = { .info = &info };
    static const struct srv_models models = { .items = &model, .count = 1, .standard = &model };
    struct srv_options options;
    const bool ready = srv_options_init(&options);
    assert(ready);

    const struct srv_request request = {
        .method = "POST", .path = "/v1/detect", .content_type = content_type, .body = body, .body_size = size
    };
    struct srv_detect detect;
    struct srv_problem problem = { 0 };
    if (srv_detect_read(&detect, &request, &models, &options, &problem)) {
        assert(detect.photo_count >= 1);
        assert(detect.max >= 1 && detect.max <= 1000);
        assert(detect.score >= 0 && detect.score <= 1);
        srv_detect_plan(&detect, 64 << 20);
        assert(srv_detect_cost(&detect) > 0);
        for (size_t i = 0; i < detect.photo_count; i++) {
            const uint8_t *bytes;
            size_t count;
            uint8_t *owned = NULL;
            if (srv_photo_bytes(&detect.photos[i], &bytes, &count, &owned, &problem))
                assert(count == 0 || bytes);
            free(owned);
        }
    } else {
        assert(strlen(problem.text) > 0);
    }
    srv_detect_deinit(&detect);
    srv_options_deinit(&options);
}

#endif
