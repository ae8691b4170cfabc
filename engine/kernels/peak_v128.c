#define LEVEL v128
#include "kernels/peak.inc"
