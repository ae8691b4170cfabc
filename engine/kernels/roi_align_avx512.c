#define LEVEL avx512
#include "kernels/roi_align.inc"
