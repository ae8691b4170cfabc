#define LEVEL avx2
#include "kernels/peak.inc"
