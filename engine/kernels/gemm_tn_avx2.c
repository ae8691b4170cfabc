#define LEVEL avx2
#include "kernels/gemm_tn.inc"
