#define LEVEL v128
#include "kernels/window.inc"
