/* Matrix products by OpenBLAS, for CPUs without a product of our own; the one file that knows cblas.h.
 *
 * The library is opened when a table for this level is made, and not linked: its start takes 1.6 ms, 3.3 MB and a
 * thread for every core but one, which nobody should pay who has AVX2. It computes on the calling thread alone: the
 * crew is what uses cores. Where it is not installed the level does without. */
#include <assert.h>
#include <cblas.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "kernels/blas.h"
#include "kernels/columns.h"
#include "kernels/epilogue.h"
#include "kernels/levels.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static __typeof__(cblas_sgemm) *sgemm; /* written once, before anybody holds a table that calls it */

static void load(void)
{
    void *const library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    __typeof__(openblas_set_num_threads) *set_num_threads;
    *(void **)&set_num_threads = dlsym(library, "openblas_set_num_threads");
    if (!set_num_threads)
        return;
    set_num_threads(1);
    *(void **)&sgemm = dlsym(library, "cblas_sgemm");
}

bool heed_blas_load(void)
{
    pthread_once(&once, load);
    return sgemm != NULL;
}

static int to_int(size_t size)
{
    assert(size <= INT_MAX);
    return (int)size;
}

size_t heed_gemm_packed_floats_blas(size_t n, size_t k)
{
    return n * k;
}

void heed_gemm_pack_blas(float *packed, const float *b, size_t row_stride, size_t column_stride, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < k; p++)
            packed[j * k + p] = b[j * row_stride + p * column_stride];
}

static void finish_row(float *c, size_t n, const struct heed_epilogue *epilogue)
{
    for (size_t j = 0; epilogue->bias && j < n; j++)
        c[j] += epilogue->bias[j];
    for (size_t j = 0; epilogue->activation != HEED_ACT_NONE && j < n; j++)
        c[j] = heed_activate(c[j], epilogue);
}

/* The residual is put where the sums will be added to it; it may be there already. */
void heed_gemm_blas(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b_packed, size_t m,
                    size_t n, size_t k, const struct heed_epilogue *epilogue)
{
    const float *const residual = epilogue->residual;
    for (size_t i = 0; residual && residual != c && i < m; i++)
        memcpy(c + i * c_stride, residual + i * epilogue->residual_stride, n * sizeof *c);
    sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, to_int(m), to_int(n), to_int(k), 1, a, to_int(a_stride), b_packed,
          to_int(k), residual ? 1 : 0, c, to_int(c_stride));
    for (size_t i = 0; i < m; i++)
        finish_row(c + i * c_stride, n, epilogue);
}

void heed_gemm_tn_blas(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b, size_t b_stride,
                       size_t m, size_t n, size_t rows)
{
    sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, to_int(m), to_int(n), to_int(rows), 1, a, to_int(a_stride), b,
          to_int(b_stride), 1, c, to_int(c_stride));
}

void heed_conv_blas(float *y, size_t y_stride, const float *x, const struct heed_window *window, const float *weights,
                    size_t n, const struct heed_epilogue *epilogue, size_t row, size_t rows)
{
    heed_conv_by_columns(heed_im2col_v128, heed_gemm_blas, y, y_stride, x, window, weights, n, epilogue, row, rows);
}
