/* Fills the table: plain C first and complete, then each CPU level in rising order puts its own over it. The only place
 * that asks which level is wanted. */
#include "kernels/blas.h"
#include "kernels/levels.h"

#include "heed.h"

#define USE(kernel, version) kernels->kernel = heed_##kernel##_##version;

static void use_ref(struct heed_kernels *kernels)
{
#define X(kernel) USE(kernel, ref)
    HEED_KERNEL_LIST(X)
#undef X
}

/* What every CPU has; products by OpenBLAS where it is installed. */
static void use_blas(struct heed_kernels *kernels)
{
#define X(kernel) USE(kernel, v128)
    HEED_KERNEL_LIST(X)
#undef X
    if (heed_blas_load()) {
        USE(gemm, blas)
        USE(gemm_packed_floats, blas)
        USE(gemm_pack, blas)
        USE(gemm_tn, blas)
        USE(conv, blas)
    }
}

#if defined(__x86_64__)
static void use_avx2(struct heed_kernels *kernels)
{
#define X(kernel) USE(kernel, avx2)
    HEED_KERNEL_LIST(X)
#undef X
}

static void use_avx512(struct heed_kernels *kernels)
{
#define X(kernel) USE(kernel, avx512)
    HEED_KERNEL_LIST(X)
#undef X
}
#endif

void heed_kernels_init(struct heed_kernels *kernels, unsigned cpu)
{
    *kernels = (struct heed_kernels){ .level = cpu & (HEED_CPU_BLAS | HEED_CPU_AVX2 | HEED_CPU_AVX512) };
    use_ref(kernels);
#if defined(__x86_64__)
    if (cpu & HEED_CPU_AVX512)
        use_avx512(kernels);
    else if (cpu & HEED_CPU_AVX2)
        use_avx2(kernels);
    else
#endif
        if (cpu & HEED_CPU_BLAS)
        use_blas(kernels);
}
