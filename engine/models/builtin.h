/* The default model's files, inside the binary as they are in config/. */
#ifndef HEED_MODELS_BUILTIN_H
#define HEED_MODELS_BUILTIN_H

#include <stddef.h>
#include <stdint.h>

struct heed_builtin {
    const uint8_t *spec, *labels, *weights;
    size_t spec_size, labels_size, weights_size;
};
struct heed_builtin heed_builtin(void);

#endif
