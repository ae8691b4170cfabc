#define LEVEL v128
#include "kernels/softmax.inc"
