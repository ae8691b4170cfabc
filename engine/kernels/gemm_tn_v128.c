#define LEVEL v128
#include "kernels/gemm_tn.inc"
