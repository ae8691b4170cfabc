#define LEVEL v128
#include "kernels/roi_align.inc"
