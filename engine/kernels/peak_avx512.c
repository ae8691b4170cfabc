#define LEVEL avx512
#include "kernels/peak.inc"
