#define LEVEL avx512
#include "kernels/winograd.inc"
