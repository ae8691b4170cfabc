/* The end of a sum in plain C, for the kernels that finish one value at a time. */
#ifndef HEED_KERNELS_EPILOGUE_H
#define HEED_KERNELS_EPILOGUE_H

#include "kernels/kernels.h"

static inline float heed_activate(float x, const struct heed_epilogue *epilogue)
{
    switch (epilogue->activation) {
    case HEED_ACT_RELU:
        return x < 0 ? 0 : x; /* NaN stays NaN, here and in every level: damage is not hidden */
    case HEED_ACT_LEAKY:
        return x < 0 ? x * epilogue->slope : x;
    case HEED_ACT_NONE:
        break;
    }
    return x;
}

#endif
