#define LEVEL avx512
#include "kernels/window.inc"
