/* The one font pictures are labelled with: printable ASCII, the Latin-1 letters and the replacement character.
 * font_table.c is written by font.py. A glyph is a grid of signed distances to its outline, so it is crisp at any size.
 */
#ifndef HEED_IMAGE_FONT_H
#define HEED_IMAGE_FONT_H

#include <stddef.h>
#include <stdint.h>

enum {
    HEED_FONT_EM = 28,     /* pixels of the grids to the em */
    HEED_FONT_SPREAD = 2,  /* pixels that the first level lies outside the outline, and the last inside */
    HEED_FONT_LEVELS = 57, /* A to z without the backslash */
};

struct heed_glyph {
    uint32_t character;
    float advance;
    int8_t left, top; /* of the grid, from the pen on the baseline */
    uint8_t width, height;
    const char *levels; /* (height, width) */
};

extern const struct heed_glyph heed_font_glyphs[]; /* by rising character; the replacement character is last */
extern const size_t heed_font_glyph_count;

#endif
