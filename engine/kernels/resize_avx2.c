#define LEVEL avx2
#include "kernels/resize.inc"
