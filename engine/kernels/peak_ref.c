#define LEVEL ref
#include "kernels/peak.inc"
