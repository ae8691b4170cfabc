/* heed_draw without a model: what it draws needs only the names of the classes. */
#ifndef HEED_IMAGE_DRAW_H
#define HEED_IMAGE_DRAW_H

#include "heed.h"

HEED_CHECKED enum heed_status heed_draw_labelled(struct heed_image *image, const struct heed_result *result,
                                                 const struct heed_label *labels, size_t label_count,
                                                 const struct heed_stop *stop, struct heed_error *error);

#endif
