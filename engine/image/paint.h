/* Antialiased shapes on a photo: what draw.c draws with. All positions are in pixels, pixel (x, y) covering [x, x + 1)
 * x [y, y + 1); what falls outside the photo is left out. Any thread. */
#ifndef HEED_IMAGE_PAINT_H
#define HEED_IMAGE_PAINT_H

#include "heed.h"

struct heed_colour {
    uint8_t r, g, b;
};

struct heed_rect {
    float left, top, right, bottom;
};

/* Opacity is 0..1. Corners are rounded by `radius`. */
void heed_paint_plate(struct heed_image *image, struct heed_rect rect, float radius, struct heed_colour colour,
                      float opacity);
/* The outline of the rectangle; the line's middle lies on it. */
void heed_paint_frame(struct heed_image *image, struct heed_rect rect, float radius, float line,
                      struct heed_colour colour, float opacity);

/* UTF-8; what the font does not have, or is no UTF-8, shows as a replacement character. `em` is the font's size. */
float heed_paint_text_width(const char *text, float em);
void heed_paint_text(struct heed_image *image, const char *text, float em, float left, float baseline,
                     struct heed_colour colour);

/* How much of a pixel masks have taken, of 255. */
struct heed_claim {
    uint8_t line, fill;
};

/* A mask of the photo's size: filled, and outlined with a line along its edge, whose steps are smoothed. Masks are
 * painted from the front to the back: where a line is nothing more is painted, where a fill is only lines are. `claims`
 * (height, width) tells that, and is all zero before the first mask. Can be stopped between two rows. */
HEED_CHECKED enum heed_status heed_paint_mask(struct heed_image *image, const struct heed_rle *mask, float line,
                                              struct heed_colour colour, float fill_opacity, struct heed_claim *claims,
                                              const struct heed_stop *stop, struct heed_error *error);

/* Pixels of the smallest upright rectangle around a mask: what painting it costs. */
uint64_t heed_paint_mask_cost(const struct heed_rle *mask);

#endif
