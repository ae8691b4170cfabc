/* 12 x 32 tiles: 24 of the 32 registers hold sums. */
#define LEVEL avx512
#define ROWS 12
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#include "kernels/gemm.inc"
