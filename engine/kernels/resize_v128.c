#define LEVEL v128
#include "kernels/resize.inc"
