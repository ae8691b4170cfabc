#define LEVEL v128
#include "kernels/winograd.inc"
