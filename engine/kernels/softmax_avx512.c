#define LEVEL avx512
#include "kernels/softmax.inc"
