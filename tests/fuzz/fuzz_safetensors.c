/* A weights file: opened, and every tensor read. */
#include "fuzz.h"
#include "weights/weights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heed_weights *weights;
    struct heed_error error;
    if (heed_weights_open_memory("fuzz", data, size, &weights, &error) != HEED_OK) {
        assert(strlen(error.text) > 0);
        return 0;
    }
    size_t left = heed_weights_count(weights) + 1;
    for (const char *name; left > 0 && (name = heed_weights_unused(weights)); left--) {
        struct heed_weight weight;
        const bool found = heed_weights_find(weights, name, &weight);
        assert(found);
        float *const values = malloc(weight.count ? weight.count * sizeof *values : 1);
        if (heed_weights_read(weights, name, weight.rank, weight.shape, values, &error) != HEED_OK)
            left = 1;
        free(values);
    }
    heed_weights_free(weights);
    return 0;
}
