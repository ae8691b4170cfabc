#define LEVEL avx2
#include "kernels/softmax.inc"
