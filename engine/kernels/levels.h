/* Every version of every kernel, declared by its type. Only kernels.c and the files that define them include this. */
#ifndef HEED_KERNELS_LEVELS_H
#define HEED_KERNELS_LEVELS_H

#include "kernels/kernels.h"

heed_gemm_fn heed_gemm_ref;
heed_gemm_packed_floats_fn heed_gemm_packed_floats_ref;
heed_gemm_pack_fn heed_gemm_pack_ref;
heed_gemm_tn_fn heed_gemm_tn_ref;
heed_im2col_fn heed_im2col_ref;
heed_depthwise_fn heed_depthwise_ref;
heed_max_pool_fn heed_max_pool_ref;
heed_bilinear_fn heed_bilinear_ref;
heed_nearest_fn heed_nearest_ref;
heed_roi_align_fn heed_roi_align_ref;
heed_softmax_rows_fn heed_softmax_rows_ref;
heed_column_max_fn heed_column_max_ref;
heed_column_exp_fn heed_column_exp_ref;
heed_add_fn heed_add_ref;
heed_sigmoid_fn heed_sigmoid_ref;

heed_gemm_fn heed_gemm_avx2;
heed_gemm_packed_floats_fn heed_gemm_packed_floats_avx2;
heed_gemm_pack_fn heed_gemm_pack_avx2;

heed_gemm_fn heed_gemm_avx512;
heed_gemm_packed_floats_fn heed_gemm_packed_floats_avx512;
heed_gemm_pack_fn heed_gemm_pack_avx512;

#endif
