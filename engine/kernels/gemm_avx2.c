/* 6 x 16 tiles: 12 of the 16 registers hold sums. */
#define LEVEL avx2
#include "kernels/gemm.inc"
