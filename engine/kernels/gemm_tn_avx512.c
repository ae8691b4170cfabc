#define LEVEL avx512
#include "kernels/gemm_tn.inc"
