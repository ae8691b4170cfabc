/* 6 x 16 tiles: 12 of the 16 registers hold sums. */
#define LEVEL avx2
#define ROWS 6
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#include "kernels/gemm.inc"
