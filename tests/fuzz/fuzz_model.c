/* A model's description; what follows a NUL byte is its labels. */
#include "fuzz.h"
#include "models/family.h"
#include "models/spec.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char some_labels[] = "[{\"id\": 1, \"name\": \"cat\"}, {\"id\": 3, \"name\": \"dog\"}]";
    const char *const json = (const char *)data;
    const char *const end = memchr(json, 0, size);
    const size_t json_size = end ? (size_t)(end - json) : size;
    const char *const labels = end ? end + 1 : some_labels;
    const size_t labels_size = end ? size - json_size - 1 : sizeof some_labels - 1;

    struct heed_spec spec;
    struct heed_error error;
    if (heed_spec_parse("fuzz", json, json_size, labels, labels_size, &spec, &error) != HEED_OK) {
        assert(strlen(error.text) > 0);
        return 0;
    }
    /* What was accepted can be used. */
    const struct heed_geometry geometry = heed_geometry(&spec.input, 640, 480);
    assert(geometry.resized_w >= 1 && geometry.resized_w <= geometry.input_w);
    assert(geometry.resized_h >= 1 && geometry.resized_h <= geometry.input_h);
    heed_spec_deinit(&spec);
    return 0;
}
