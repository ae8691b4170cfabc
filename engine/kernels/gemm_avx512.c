/* 12 x 32 tiles: 24 of the 32 registers hold sums. */
#define LEVEL avx512
#include "kernels/gemm.inc"
