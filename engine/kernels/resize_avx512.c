#define LEVEL avx512
#include "kernels/resize.inc"
