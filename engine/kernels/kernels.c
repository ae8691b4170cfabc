/* Fills the table: plain C first and complete, then each CPU level in rising order. The only place that asks which
 * level is wanted. */
#include "kernels/levels.h"

#include "heed.h"

#if defined(__x86_64__)
static void use_avx2(struct heed_kernels *kernels)
{
    kernels->level |= HEED_CPU_AVX2;
    kernels->gemm = heed_gemm_avx2;
    kernels->gemm_packed_floats = heed_gemm_packed_floats_avx2;
    kernels->gemm_pack = heed_gemm_pack_avx2;
    kernels->gemm_tn = heed_gemm_tn_avx2;
    kernels->depthwise = heed_depthwise_avx2;
    kernels->im2col = heed_im2col_avx2;
    kernels->winograd_input = heed_winograd_input_avx2;
    kernels->winograd_output = heed_winograd_output_avx2;
    kernels->max_pool = heed_max_pool_avx2;
    kernels->bilinear = heed_bilinear_avx2;
    kernels->nearest = heed_nearest_avx2;
    kernels->roi_align = heed_roi_align_avx2;
    kernels->softmax_rows = heed_softmax_rows_avx2;
    kernels->column_max = heed_column_max_avx2;
    kernels->column_exp = heed_column_exp_avx2;
    kernels->add = heed_add_avx2;
    kernels->sigmoid = heed_sigmoid_avx2;
    kernels->peak = heed_peak_avx2;
}

static void use_avx512(struct heed_kernels *kernels)
{
    kernels->level |= HEED_CPU_AVX512;
    kernels->gemm = heed_gemm_avx512;
    kernels->gemm_packed_floats = heed_gemm_packed_floats_avx512;
    kernels->gemm_pack = heed_gemm_pack_avx512;
    kernels->gemm_tn = heed_gemm_tn_avx512;
    kernels->depthwise = heed_depthwise_avx512;
    kernels->im2col = heed_im2col_avx512;
    kernels->winograd_input = heed_winograd_input_avx512;
    kernels->winograd_output = heed_winograd_output_avx512;
    kernels->max_pool = heed_max_pool_avx512;
    kernels->bilinear = heed_bilinear_avx512;
    kernels->nearest = heed_nearest_avx512;
    kernels->roi_align = heed_roi_align_avx512;
    kernels->softmax_rows = heed_softmax_rows_avx512;
    kernels->column_max = heed_column_max_avx512;
    kernels->column_exp = heed_column_exp_avx512;
    kernels->add = heed_add_avx512;
    kernels->sigmoid = heed_sigmoid_avx512;
    kernels->peak = heed_peak_avx512;
}
#endif

void heed_kernels_init(struct heed_kernels *kernels, unsigned cpu)
{
    *kernels = (struct heed_kernels){
        .level = HEED_CPU_REF,
        .gemm = heed_gemm_ref,
        .gemm_packed_floats = heed_gemm_packed_floats_ref,
        .gemm_pack = heed_gemm_pack_ref,
        .gemm_tn = heed_gemm_tn_ref,
        .im2col = heed_im2col_ref,
        .winograd_input = heed_winograd_input_ref,
        .winograd_output = heed_winograd_output_ref,
        .depthwise = heed_depthwise_ref,
        .max_pool = heed_max_pool_ref,
        .bilinear = heed_bilinear_ref,
        .nearest = heed_nearest_ref,
        .roi_align = heed_roi_align_ref,
        .softmax_rows = heed_softmax_rows_ref,
        .column_max = heed_column_max_ref,
        .column_exp = heed_column_exp_ref,
        .add = heed_add_ref,
        .sigmoid = heed_sigmoid_ref,
        .peak = heed_peak_ref,
    };
#if defined(__x86_64__)
    if (cpu & HEED_CPU_AVX2)
        use_avx2(kernels);
    if (cpu & HEED_CPU_AVX512)
        use_avx512(kernels);
#endif
}
