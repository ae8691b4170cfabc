/* Boxes as offsets from other boxes, in torchvision's floats: what the proposal head and the box head predict. */
#ifndef HEED_MODELS_BOX_CODER_H
#define HEED_MODELS_BOX_CODER_H

#include <math.h>
#include <stddef.h>

/* deltas: dx, dy, dw, dh; centres move by d times the side, sides grow by e^d, at most 1000/16 times; weights divide
 * the deltas: one for the centre, one for the sides. */
static inline void heed_box_decode(const float from[4], const float deltas[4], float centre_weight, float side_weight,
                                   float box[4])
{
    const float growth_max = (float)4.135166556742356; /* ln(1000 / 16) */
    for (int axis = 0; axis < 2; axis++) {
        const float side = from[axis + 2] - from[axis], centre = from[axis] + 0.5f * side;
        const float new_centre = deltas[axis] / centre_weight * side + centre;
        const float new_half = 0.5f * (expf(fminf(deltas[axis + 2] / side_weight, growth_max)) * side);
        box[axis] = new_centre - new_half;
        box[axis + 2] = new_centre + new_half;
    }
}

static inline void heed_box_clip(float box[4], size_t w, size_t h)
{
    for (int i = 0; i < 4; i++)
        box[i] = fminf(fmaxf(box[i], 0), (float)(i % 2 ? h : w));
}

static inline int heed_box_has_sides(const float box[4], float least)
{
    return box[2] - box[0] >= least && box[3] - box[1] >= least;
}

#endif
