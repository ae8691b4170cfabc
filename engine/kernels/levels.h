/* Every version of every kernel, declared by its type. Only kernels.c and the files that define them include this.
 *
 *     ref      plain C
 *     v128     vectors of 16 bytes, as every 64-bit CPU has them
 *     blas     OpenBLAS: products only
 *     avx2, avx512
 */
#ifndef HEED_KERNELS_LEVELS_H
#define HEED_KERNELS_LEVELS_H

#include "kernels/kernels.h"

#define HEED_KERNEL_LIST(X)                                                                                            \
    X(gemm)                                                                                                            \
    X(gemm_packed_floats)                                                                                              \
    X(gemm_pack)                                                                                                       \
    X(gemm_tn)                                                                                                         \
    X(im2col)                                                                                                          \
    X(conv)                                                                                                            \
    X(winograd_weights3)                                                                                               \
    X(winograd_weights4)                                                                                               \
    X(winograd_weights6)                                                                                               \
    X(winograd_input3)                                                                                                 \
    X(winograd_input4)                                                                                                 \
    X(winograd_input6)                                                                                                 \
    X(winograd_output3)                                                                                                \
    X(winograd_output4)                                                                                                \
    X(winograd_output6)                                                                                                \
    X(depthwise)                                                                                                       \
    X(max_pool)                                                                                                        \
    X(bilinear)                                                                                                        \
    X(nearest)                                                                                                         \
    X(roi_align)                                                                                                       \
    X(softmax_rows)                                                                                                    \
    X(column_max)                                                                                                      \
    X(column_exp)                                                                                                      \
    X(interleave)                                                                                                      \
    X(add)                                                                                                             \
    X(peak)

#define X(kernel)                                                                                                      \
    heed_##kernel##_fn heed_##kernel##_ref, heed_##kernel##_v128, heed_##kernel##_avx2, heed_##kernel##_avx512;
HEED_KERNEL_LIST(X)
#undef X

heed_gemm_fn heed_gemm_blas;
heed_gemm_packed_floats_fn heed_gemm_packed_floats_blas;
heed_gemm_pack_fn heed_gemm_pack_blas;
heed_gemm_tn_fn heed_gemm_tn_blas;
heed_conv_fn heed_conv_blas;

#endif
