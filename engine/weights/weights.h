/* safetensors: an 8-byte little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
 * bytes. The file is mapped, every field is checked against the file's size, and nothing in it is ever executed.
 * F32, F16 and BF16 are read; all become float. One thread at a time: reading notes what was read. */
#ifndef HEED_WEIGHTS_WEIGHTS_H
#define HEED_WEIGHTS_WEIGHTS_H

#include "heed.h"

#define HEED_RANK_MAX 5

struct heed_weights;

HEED_CHECKED enum heed_status heed_weights_open(const char *path, struct heed_weights **weights,
                                                struct heed_error *error);
/* The bytes are borrowed and must outlive the weights; `name` stands for the path in errors. */
HEED_CHECKED enum heed_status heed_weights_open_memory(const char *name, const uint8_t *bytes, size_t size,
                                                       struct heed_weights **weights, struct heed_error *error);
void heed_weights_free(struct heed_weights *weights); /* NULL is fine */

/* A shape's product is never larger than the file. */
struct heed_weight {
    const char *name;
    size_t rank, shape[HEED_RANK_MAX], count;
};

/* False if there is no tensor of that name. */
bool heed_weights_find(const struct heed_weights *weights, const char *name, struct heed_weight *weight);
size_t heed_weights_count(const struct heed_weights *weights);

/* Reads a tensor of exactly this shape into out (product of shape floats) and marks it as used. Errors name the file,
 * the tensor, the shape found and the shape wanted. Values that are not finite are an error: one makes NaN of every
 * answer. */
HEED_CHECKED enum heed_status heed_weights_read(struct heed_weights *weights, const char *name, size_t rank,
                                                const size_t *shape, float *out, struct heed_error *error);
/* A tensor that no heed_weights_read asked for, or NULL: names ending in ".num_batches_tracked" are not counted. */
const char *heed_weights_unused(const struct heed_weights *weights);

#endif
