#define LEVEL avx512
#include "kernels/interleave.inc"
