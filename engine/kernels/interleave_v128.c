#define LEVEL v128
#include "kernels/interleave.inc"
