#define LEVEL avx2
#include "kernels/interleave.inc"
