/* What every golden check shares: the stored cases, each CPU level of the machine, each number of threads, the
 * comparison.
 *
 *     data/SUITE.json ---- cases ----> a check builds inputs and weights (generated.h), runs the engine
 *     data/SUITE.safetensors --------> what the reference answered: compared within a tolerance
 *                                      once per CPU level; 2 and 3 threads must repeat 1 thread's bits
 */
#ifndef TESTS_GOLDEN_GOLDEN_H
#define TESTS_GOLDEN_GOLDEN_H

#include <jansson.h>

#include "heed.h"
#include "kernels/kernels.h"
#include "layers/forward.h"
#include "layers/loader.h"
#include "tensor/tensor.h"
#include "weights/weights.h"

/* ---- The stored data ------------------------------------------------------------------------------ */

struct golden_suite {
    json_t *description;
    json_t *cases;
    struct heed_weights *values; /* NULL if the cases' own lines hold all */
};
void golden_open(struct golden_suite *suite, const char *name);
void golden_close(struct golden_suite *suite);

/* Members of a case; a missing one fails the test. */
json_t *golden_member(const json_t *object, const char *name);
const char *golden_text(const json_t *object, const char *name);
double golden_number(const json_t *object, const char *name);
size_t golden_size(const json_t *object, const char *name);
void golden_sizes(const json_t *object, const char *name, size_t *sizes, size_t count);
void golden_floats(const json_t *object, const char *name, float *values, size_t count);

/* ---- Levels and threads ---------------------------------------------------------------------------- */

#define GOLDEN_LEVELS_MAX 4
#define GOLDEN_THREADS_MAX 3

/* The masks for heed_kernels_init that give different tables on this machine, plain C first; returns how many. */
size_t golden_levels(unsigned levels[GOLDEN_LEVELS_MAX]);

/* A crew of this many threads, the caller counted. */
struct heed_crew *golden_crew(unsigned threads);

/* ---- Layers ---------------------------------------------------------------------------------------- */

#define GOLDEN_OUTPUTS_MAX 10

/* How the cases of a kind are answered: load builds the layer (NULL: there is nothing to load), run is a forward pass;
 * run_many is one of several outputs, stored as "NAME/0" and so on, and stands in place of run. */
struct golden_layer {
    const char *kind; /* NULL: all cases of the suite */
    void *(*load)(struct heed_loader *loader, const json_t *c);
    struct heed_tensor (*run)(struct heed_forward *forward, const void *layer, const struct heed_tensor *input,
                              const json_t *c);
    size_t (*run_many)(struct heed_forward *forward, const void *layer, const struct heed_tensor *input,
                       struct heed_tensor outputs[GOLDEN_OUTPUTS_MAX]);
    float input_spread; /* 0: 1 */
};

/* Every case of the kind at every level with 1, 2 and 3 threads. The tolerance is a share of the largest expected
 * value. The input "NAME/input" of the shape `input` is generated; the pass is planned first and must keep to its plan.
 */
void golden_check_layer(const struct golden_suite *suite, const struct golden_layer *layer, float tolerance);

/* Each output's error against the stored values, root mean square over root mean square, at the best level; with 3x3
 * convolutions by Winograd's way or by the plain sum. Returns how many outputs there are. */
size_t golden_layer_errors(const struct golden_suite *suite, const struct golden_layer *layer, const json_t *c,
                           bool winograd, double errors[GOLDEN_OUTPUTS_MAX]);

/* A generated tensor "NAME/PART" in the pass's arena. */
struct heed_tensor golden_tensor(struct heed_forward *forward, const char *name, const char *part, float spread,
                                 size_t n, size_t h, size_t w, size_t c);

/* ---- Models ---------------------------------------------------------------------------------------- */

uint32_t golden_category(size_t class_index); /* unlike the index */

/* The description of a case's model and its labels, texts for the caller to free. The weights are "model.safetensors",
 * the labels "labels.json". */
char *golden_model_text(const json_t *c);
char *golden_labels_text(const json_t *c);

#endif
