/* Building a network's layers from weights: the state that all the *_load functions of layers share. An error is kept
 * and makes what follows do nothing, so a model's load reads as a list of its layers and asks `status` once. One
 * thread. */
#ifndef HEED_LAYERS_LOADER_H
#define HEED_LAYERS_LOADER_H

#include "heed.h"
#include "kernels/kernels.h"
#include "weights/weights.h"

struct heed_loader {
    struct heed_weights *weights;
    const struct heed_kernels *kernels;
    struct heed_keep *keep; /* the model's memory: all that is loaded lives there and is freed with the model */
    uint64_t parameters;
    bool without_winograd; /* set by tests, to measure its error */
    enum heed_status status;
    struct heed_error *error;
};

/* Memory of one model: aligned pieces that are freed together. */
struct heed_keep;
HEED_CHECKED enum heed_status heed_keep_create(struct heed_keep **keep, struct heed_error *error);
void heed_keep_free(struct heed_keep *keep); /* NULL is fine */
/* Loading is over: gives the temporary memory back. */
void heed_keep_seal(struct heed_keep *keep);
size_t heed_keep_bytes(const struct heed_keep *keep);

/* `count` floats that live as long as the model, aligned to HEED_ALIGN; NULL after an error. */
float *heed_loader_floats(struct heed_loader *loader, size_t count);
/* A zeroed struct for the model; NULL after an error. */
void *heed_loader_bytes(struct heed_loader *loader, size_t size);
/* A copy of a formatted name that lives as long as the model; "" after an error. */
const char *heed_loader_name(struct heed_loader *loader, const char *format, ...) HEED_PRINTF(2, 3);
/* Reads a tensor of exactly this shape into kept memory; NULL after an error. */
float *heed_loader_read(struct heed_loader *loader, const char *name, size_t rank, const size_t *shape);
/* The same into memory that only lives until the next call: for weights that are packed at once. */
const float *heed_loader_read_temporary(struct heed_loader *loader, const char *name, size_t rank, const size_t *shape);

#endif
