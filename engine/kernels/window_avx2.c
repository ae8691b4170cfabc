#define LEVEL avx2
#include "kernels/window.inc"
