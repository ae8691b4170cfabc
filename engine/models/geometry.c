#include <assert.h>
#include <math.h>

#include "models/family.h"

/* round(side * long_side / longest), halves up, at least 1: a thin photo stays one. */
static size_t fit(size_t side, size_t long_side, size_t longest)
{
    const size_t rounded = (2 * side * long_side + longest) / (2 * longest);
    return rounded > 0 ? rounded : 1;
}

/* torchvision's, in doubles: floor(side * scale). */
static size_t scaled(size_t side, double scale)
{
    const double floored = floor((double)side * scale);
    return floored >= 1 ? (size_t)floored : 1;
}

static size_t padded(size_t side, size_t multiple)
{
    return (side + multiple - 1) / multiple * multiple;
}

struct heed_geometry heed_geometry(const struct heed_input_spec *input, size_t photo_w, size_t photo_h)
{
    assert(photo_w > 0 && photo_h > 0);
    struct heed_geometry geometry = { .photo_w = photo_w, .photo_h = photo_h };
    const size_t longest = photo_w > photo_h ? photo_w : photo_h, shortest = photo_w > photo_h ? photo_h : photo_w;
    if (input->resize == HEED_RESIZE_FIT) {
        geometry.resized_w = fit(photo_w, input->long_side, longest);
        geometry.resized_h = fit(photo_h, input->long_side, longest);
    } else {
        const double scale =
            fmin((double)input->short_side / (double)shortest, (double)input->long_side / (double)longest);
        geometry.resized_w = scaled(photo_w, scale);
        geometry.resized_h = scaled(photo_h, scale);
    }
    geometry.input_w = padded(geometry.resized_w, input->multiple);
    geometry.input_h = padded(geometry.resized_h, input->multiple);
    return geometry;
}
