/* The function table of the arithmetic: plain C first and complete, then each CPU level puts its own over what it
 * does better. Kernels see pointers, lengths and strides, never a tensor; they allocate nothing, keep no state
 * and may be called from any thread. Floats are single precision; strides are in floats. What is written overlaps
 * nothing that is read unless it is said. Each version of a kernel is declared by its type, so none drifts from another.
 *
 * A level's result may differ from plain C's within the tolerance its checker states (tests/kernels), but for one
 * level and one shape it is always the same to the last bit: the order of every sum is fixed.
 */
#ifndef HEED_KERNELS_KERNELS_H
#define HEED_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum heed_activation { HEED_ACT_NONE, HEED_ACT_RELU, HEED_ACT_LEAKY };

/* What happens to a sum before it is stored: y = act(sum + bias[column] + residual[row][column]). */
struct heed_epilogue {
    const float *bias;     /* (n), or NULL */
    const float *residual; /* (m, n), rows residual_stride apart, or NULL; may be the output itself */
    size_t residual_stride;
    enum heed_activation activation;
    float slope; /* of HEED_ACT_LEAKY for negative values */
};

/* C (m, n) = epilogue(A (m, k) * B (n, k)^T): rows of C and A are c_stride, a_stride apart; B was packed by the
 * same table. Any m, n, k >= 1. C may not overlap A. */
typedef void heed_gemm_fn(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b_packed, size_t m,
                          size_t n, size_t k, const struct heed_epilogue *epilogue);
/* Floats that B (n, k) takes when packed, and the packing; b[j * row_stride + p * column_stride] is row j, column p. */
typedef size_t heed_gemm_packed_floats_fn(size_t n, size_t k);
typedef void heed_gemm_pack_fn(float *packed, const float *b, size_t row_stride, size_t column_stride, size_t n,
                               size_t k);

/* C (m, n) += A (rows, m)^T * B (rows, n): the sum over rows goes in row order. */
typedef void heed_gemm_tn_fn(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b,
                             size_t b_stride, size_t m, size_t n, size_t rows);

/* Rows of an im2col matrix (pixels, kh*kw*c) with taps row-major and channels last, for the output pixels [first,
 * first + count) of one image, counted row-major over (out_h, out_w). Outside the image is zero. */
struct heed_window {
    size_t h, w, c, stride; /* input: floats between pixels is stride */
    size_t out_h, out_w;
    size_t kernel_h, kernel_w, step, pad, dilation;
};
typedef void heed_im2col_fn(float *columns, const float *x, const struct heed_window *window, size_t first,
                            size_t count);

/* Dense convolution of output rows [row, row + rows) where an output pixel's inputs are few: reads them where they lie.
 * Weights (n, kernel_h * kernel_w * c), taps row-major and channels last, were packed by gemm_pack. Needs stride == c,
 * dilation 1 and kernel_h * kernel_w * c <= HEED_CONV_INPUTS_MAX. y's pixels are y_stride apart, the residual's too. */
#define HEED_CONV_INPUTS_MAX 256
typedef void heed_conv_fn(float *y, size_t y_stride, const float *x, const struct heed_window *window,
                          const float *weights, size_t n, const struct heed_epilogue *epilogue, size_t row,
                          size_t rows);

/* Winograd's F(m x m, 3x3) for 3x3 convolutions, m = 4 and 6 of step 1 and m = 3 of step 2: p = (m + 2)^2 products, or
 * 49, where the plain way has 9 m^2 (winograd_transforms.inc). The output is cut into tiles of m x m pixels, counted
 * row-major over the sheet of all images (winograd_sheet.h).
 *
 *     weights g (9, ...)        -> u (q, ...), value by value: what gemm_pack made of the nine taps' matrices (n, k)
 *                                  gives q packed ones; taps are g_stride apart and hold n values, u likewise. q is p,
 *                                  or 25 (heed_winograd_matrix tells which is a product's)
 *     tiles [first, first + count) of x -> v, c floats for each tile (v_tile apart) and product (v_stride apart)
 *     m, likewise n floats, m[t][i] = u[product i's] * v[t][i] -> output pixels, with the epilogue
 */
struct heed_winograd_sheet {
    struct heed_window window; /* of an image; pad <= 2 */
    size_t images, across;     /* of them lie side by side */
};
typedef void heed_winograd_weights_fn(float *u, size_t u_stride, const float *g, size_t g_stride, size_t n);
typedef void heed_winograd_input_fn(float *v, size_t v_tile, size_t v_stride, const float *x,
                                    const struct heed_winograd_sheet *sheet, size_t first, size_t count);
typedef void heed_winograd_output_fn(float *y, size_t y_stride, const float *m, size_t m_tile, size_t m_stride,
                                     size_t n, const struct heed_winograd_sheet *sheet, size_t first, size_t count,
                                     const struct heed_epilogue *epilogue);
typedef heed_winograd_weights_fn heed_winograd_weights3_fn, heed_winograd_weights4_fn, heed_winograd_weights6_fn;
typedef heed_winograd_input_fn heed_winograd_input3_fn, heed_winograd_input4_fn, heed_winograd_input6_fn;
typedef heed_winograd_output_fn heed_winograd_output3_fn, heed_winograd_output4_fn, heed_winograd_output6_fn;

/* Depthwise convolution of output rows [row, row + rows): weights (kh*kw, c), bias (c) or NULL; activation as in the
 * epilogue (residual unused). y is the first of these rows; its pixels are y_stride apart. */
typedef void heed_depthwise_fn(float *y, size_t y_stride, const float *x, const struct heed_window *window,
                               const float *weights, const struct heed_epilogue *epilogue, size_t row, size_t rows);

/* Largest value of each window for output rows [row, row + rows); outside the image does not count. */
typedef void heed_max_pool_fn(float *y, size_t y_stride, const float *x, const struct heed_window *window, size_t row,
                              size_t rows);

/* Bilinear resize, align_corners false, of (h, w, c) to (out_h, out_w, c), output rows [row, row + rows):
 * src = max(0, (dst + 0.5) * h / out_h - 0.5). y = sample, or y += sample where add is set. */
struct heed_resize {
    size_t h, w, c, stride, out_h, out_w, out_stride;
    int add;
};
typedef void heed_bilinear_fn(float *y, const float *x, const struct heed_resize *resize, size_t row, size_t rows);
/* Nearest, src = floor(dst * h / out_h); same arguments. */
typedef void heed_nearest_fn(float *y, const float *x, const struct heed_resize *resize, size_t row, size_t rows);

/* torchvision's RoIAlign, aligned false, sampling_ratio 2, one region: roi is x1, y1, x2, y2 in input pixels times
 * `scale`; y (out, out, c) dense; x (h, w, c) with pixels stride apart. */
typedef void heed_roi_align_fn(float *y, const float *x, size_t h, size_t w, size_t c, size_t stride,
                               const float roi[4], float scale, size_t out);

/* In place softmax of each of `rows` rows of `n`, rows stride apart. The row's largest value is subtracted first. */
typedef void heed_softmax_rows_fn(float *x, size_t stride, size_t rows, size_t n);
/* Streaming softmax over positions: max[j] = max(max[j], x[i][j]) over the rows. */
typedef void heed_column_max_fn(float *max, const float *x, size_t stride, size_t rows, size_t n);
/* x[i][j] = exp(x[i][j] - max[j]), sum[j] += x[i][j] in row order. */
typedef void heed_column_exp_fn(float *x, size_t stride, float *sum, const float *max, size_t rows, size_t n);

/* ShuffleNet's shuffle by two groups: y (pixels, 2 * half), channel 2i from first's i and 2i + 1 from second's. `first`
 * may lie at y, with its stride; second overlaps neither. */
typedef void heed_interleave_fn(float *y, size_t y_stride, const float *first, size_t first_stride, const float *second,
                                size_t second_stride, size_t pixels, size_t half);

/* y[i] += x[i] */
typedef void heed_add_fn(float *y, const float *x, size_t n);
/* x[i] = 1 / (1 + exp(-x[i])) */

/* `rounds` of independent multiply-adds in registers; how many that were. values: factor and term, then a result. */
typedef uint64_t heed_peak_fn(uint64_t rounds, float values[2]);

struct heed_kernels {
    unsigned level; /* the HEED_CPU_* mask this table was made for */
    heed_gemm_fn *gemm;
    heed_gemm_packed_floats_fn *gemm_packed_floats;
    heed_gemm_pack_fn *gemm_pack;
    heed_gemm_tn_fn *gemm_tn;
    heed_im2col_fn *im2col;
    heed_conv_fn *conv;
    heed_winograd_weights_fn *winograd_weights3, *winograd_weights4, *winograd_weights6;
    heed_winograd_input_fn *winograd_input3, *winograd_input4, *winograd_input6;
    heed_winograd_output_fn *winograd_output3, *winograd_output4, *winograd_output6;
    heed_depthwise_fn *depthwise;
    heed_max_pool_fn *max_pool;
    heed_bilinear_fn *bilinear;
    heed_nearest_fn *nearest;
    heed_roi_align_fn *roi_align;
    heed_softmax_rows_fn *softmax_rows;
    heed_column_max_fn *column_max;
    heed_column_exp_fn *column_exp;
    heed_interleave_fn *interleave;
    heed_add_fn *add;
    heed_peak_fn *peak;
};

/* The best table for the CPU levels in the mask. */
void heed_kernels_init(struct heed_kernels *kernels, unsigned cpu);

#endif
