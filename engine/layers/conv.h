/* Convolutions, NHWC, square kernels: dense (1x1 included), depthwise, and the transposed 2x2 of stride 2.
 *
 *     y = activation(conv(x) + bias + residual)
 *
 * Weights are read under the reference implementation's names (NAME.weight, NAME.bias), a batch norm behind the
 * convolution is folded into them, and they are packed for the kernels: all at load. The output is cut into tiles of
 * pixels; a dense tile is laid out as a matrix (im2col) in the lane's scratch, which stays in its L2, and multiplied.
 * A 1x1 of step 1 reads its input where it lies, or multiplies what a depthwise convolution has just made of it. A
 * convolution of few inputs, the stem, reads them where they lie too. A 3x3 of step 1 or 2 goes by Winograd's way
 * (conv_winograd.h). */
#ifndef HEED_LAYERS_CONV_H
#define HEED_LAYERS_CONV_H

#include "layers/forward.h"
#include "layers/loader.h"

struct heed_conv_shape {
    size_t in, out, kernel, step, pad; /* depthwise: in = out */
    const char *norm;                  /* the batch norm's name, in place of a bias; NULL: NAME.bias is read */
    float norm_eps;
    enum heed_activation activation;
    float slope; /* of HEED_ACT_LEAKY */
};

struct heed_conv {
    const char *name;
    struct heed_conv_shape shape;
    float *weights; /* dense: packed (out, kernel * kernel * in); depthwise: (kernel * kernel, c); transposed: packed (4
                     * out, in); Winograd's way: packed (9, out, in) */
    bool winograd;
    const float *transformed;          /* heed_conv_prepared: Winograd's weights, packed ((side + 2)^2, out, in) */
    size_t side;                       /* of the tiles they are for */
    float *bias;                       /* (out) */
    const struct heed_conv *depthwise; /* of a 1x1: what makes its input, or NULL; heed_conv_follow */
};

/* NAME is kept by reference: a literal or heed_loader_name's. */
void heed_conv_load(struct heed_loader *loader, struct heed_conv *conv, const char *name, struct heed_conv_shape shape);
/* A 1x1 whose first outputs and whose others are computed apart. */
void heed_conv_load_two(struct heed_loader *loader, struct heed_conv *first, struct heed_conv *second, const char *name,
                        struct heed_conv_shape shape, size_t first_out);
void heed_depthwise_load(struct heed_loader *loader, struct heed_conv *conv, const char *name,
                         struct heed_conv_shape shape);
/* `conv`, a 1x1 of step 1, is from now on both: its input is the depthwise convolution's, which is computed tile by
 * tile, just before it is multiplied, and never stored as a map. */
void heed_conv_follow(struct heed_conv *conv, const struct heed_conv *depthwise);
/* Kernel 2, step 2: weights (in, out, 2, 2). */
void heed_deconv_load(struct heed_loader *loader, struct heed_conv *conv, const char *name,
                      struct heed_conv_shape shape);

/* Pixels of a side after a window of kernel, step and padding went over it. */
static inline size_t heed_conv_side(const struct heed_conv_shape *shape, size_t side)
{
    return (side + 2 * shape->pad - shape->kernel) / shape->step + 1;
}

/* A convolution that one pass runs more than once, with what each run would work out of its weights: in the arena. x
 * has the size of its largest input. */
struct heed_conv heed_conv_prepared(struct heed_forward *forward, const struct heed_conv *conv,
                                    const struct heed_tensor *x);

/* Into a tensor from the arena. */
struct heed_tensor heed_conv(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x);

/* A transposed convolution whose result is not stored: `take` gets it in runs, from any thread, each pixel of
 * (n, 2 h, 2 w) once. sums (pixels, out) are those of pixels first, first + 2, ... of one row. */
typedef void heed_deconv_take_fn(void *arg, const float *sums, size_t first, size_t pixels);
void heed_deconv_each(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                      heed_deconv_take_fn *take, void *arg);

/* Into y, which may be some channels of a wider tensor but may not overlap x; residual is NULL or of y's shape, and may
 * be y. */
void heed_conv_into(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                    const struct heed_tensor *residual, const struct heed_tensor *y);

/* y = shuffle by two groups of concatenate(first, activation(conv(x) + bias)): channel 2i is first's i, 2i + 1 the
 * convolution's i. `first` may be the first half of y's own channels. */
void heed_conv_shuffled_into(struct heed_forward *forward, const struct heed_conv *conv, const struct heed_tensor *x,
                             const struct heed_tensor *first, const struct heed_tensor *y);

#endif
