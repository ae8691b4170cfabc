/* Opens OpenBLAS, once; false where it is not installed. Any thread. */
#ifndef HEED_KERNELS_BLAS_H
#define HEED_KERNELS_BLAS_H

#include <stdbool.h>

bool heed_blas_load(void);

#endif
