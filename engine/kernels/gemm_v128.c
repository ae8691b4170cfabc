#define LEVEL v128
#include "kernels/gemm.inc"
