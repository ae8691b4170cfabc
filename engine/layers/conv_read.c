#include "layers/conv_read.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

static const float *read_part(struct heed_loader *loader, const char *norm, const char *part, size_t count)
{
    return heed_loader_read_temporary(loader, heed_loader_name(loader, "%s.%s", norm, part), 1, &count);
}

/* y = (x - mean) * w / sqrt(var + eps) + b  =  x * factor + (b - mean * factor) */
static void fold(struct heed_loader *loader, const char *norm, float eps, size_t count, float *factor, float *bias)
{
    const float *var = read_part(loader, norm, "running_var", count);
    for (size_t j = 0; var && j < count; j++) {
        factor[j] = 1 / sqrtf(var[j] + eps);
        if (!isfinite(factor[j])) {
            loader->status = heed_fail(loader->error, HEED_BAD_WEIGHTS, "%s.running_var holds %g, which is no variance",
                                       norm, (double)var[j]);
            return;
        }
    }
    const float *weight = read_part(loader, norm, "weight", count);
    for (size_t j = 0; weight && j < count; j++)
        factor[j] *= weight[j];
    const float *mean = read_part(loader, norm, "running_mean", count);
    for (size_t j = 0; mean && j < count; j++)
        bias[j] -= mean[j] * factor[j];
}

float *heed_conv_read(struct heed_loader *loader, const char *name, const struct heed_conv_shape *shape, size_t rank,
                      const size_t *weight_shape, float **bias)
{
    const size_t out = weight_shape[0];
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= weight_shape[i]; /* reading says whether there is so much */

    *bias = heed_loader_read(loader, heed_loader_name(loader, "%s.bias", shape->norm ? shape->norm : name), 1, &out);
    if (!*bias)
        return NULL;
    float *factor = malloc(out * sizeof *factor), *weights = NULL;
    if (!factor)
        goto no_memory;
    for (size_t j = 0; j < out; j++)
        factor[j] = 1;
    if (shape->norm) {
        fold(loader, shape->norm, shape->norm_eps, out, factor, *bias);
        loader->parameters -= 4 * out; /* a frozen norm's are not counted in the field */
    }

    const char *const weight_name = heed_loader_name(loader, "%s.weight", name);
    const float *const from = heed_loader_read_temporary(loader, weight_name, rank, weight_shape);
    if (!from)
        goto done;
    weights = malloc(count * sizeof *weights);
    if (!weights)
        goto no_memory;
    const size_t in = weight_shape[1] / (rank == 2 ? shape->kernel * shape->kernel : 1), taps = count / out / in;
    for (size_t j = 0; j < out; j++)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t i = 0; i < in; i++)
                weights[(j * taps + tap) * in + i] = from[(j * in + i) * taps + tap] * factor[j];
    goto done;

no_memory:
    loader->status = heed_fail(loader->error, HEED_NO_MEMORY, "weights of %s", name);
done:
    free(factor);
    return weights;
}
