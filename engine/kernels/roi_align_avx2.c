#define LEVEL avx2
#include "kernels/roi_align.inc"
