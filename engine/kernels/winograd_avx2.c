#define LEVEL avx2
#include "kernels/winograd.inc"
