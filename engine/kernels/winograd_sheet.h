/* Where Winograd's tiles lie. The images of a batch lie on one sheet, `across` to a row, with the padding's zeros
 * between them, so that a tile need not end where a small image does: 16 of 14 x 14 pixels are 15 x 15 tiles of side 4,
 * not 16 times 4 x 4. */
#ifndef HEED_KERNELS_WINOGRAD_SHEET_H
#define HEED_KERNELS_WINOGRAD_SHEET_H

#include "kernels/kernels.h"

#define WINOGRAD_INPUTS_MAX 8 /* a side's: 6 + 2 */

/* Inputs to a side of a tile, and as many products. A convolution of step 2 has tiles of side 3, one of step 1 of 4 or
 * 6. */
static inline size_t heed_winograd_inputs(size_t side)
{
    return side == 3 ? 7 : side + 2;
}

/* Transformed weights to a side of the kernel: the products of side 3 from its fifth on have the same. */
static inline size_t heed_winograd_weights(size_t side)
{
    return side == 3 ? 5 : side + 2;
}

/* Which matrix of transformed weights product `i` is with. */
static inline size_t heed_winograd_matrix(size_t side, size_t i)
{
    const size_t inputs = heed_winograd_inputs(side), last = heed_winograd_weights(side) - 1;
    const size_t y = i / inputs, x = i % inputs;
    return (y < last ? y : last) * (last + 1) + (x < last ? x : last);
}

/* Output pixels from an image's first to its neighbour's, across and down. */
static inline size_t heed_winograd_pitch(size_t length, const struct heed_window *w)
{
    return (length + w->pad + w->step - 1) / w->step;
}

static inline size_t heed_winograd_tiles_across(const struct heed_winograd_sheet *sheet, size_t side)
{
    const struct heed_window *const w = &sheet->window;
    return ((sheet->across - 1) * heed_winograd_pitch(w->w, w) + w->out_w + side - 1) / side;
}

static inline size_t heed_winograd_tiles(const struct heed_winograd_sheet *sheet, size_t side)
{
    const struct heed_window *const w = &sheet->window;
    const size_t down = (sheet->images + sheet->across - 1) / sheet->across;
    return heed_winograd_tiles_across(sheet, side) *
           (((down - 1) * heed_winograd_pitch(w->h, w) + w->out_h + side - 1) / side);
}

/* A row or a column of the sheet: which image's it is, and which of its own. */
struct heed_winograd_line {
    size_t image, at;
    int inside; /* an image */
};

static inline struct heed_winograd_line heed_winograd_line_at(ptrdiff_t line, size_t pitch, size_t length)
{
    const size_t at = (size_t)line % pitch; /* of a negative line without a meaning */
    return (struct heed_winograd_line){ .image = (size_t)line / pitch, .at = at, .inside = line >= 0 && at < length };
}

enum heed_winograd_end { HEED_WINOGRAD_INPUT, HEED_WINOGRAD_OUTPUT };

/* The pixels a tile reads or those it writes: their indices in the tensor, -1 where none is. */
static inline void heed_winograd_pixels(ptrdiff_t pixels[WINOGRAD_INPUTS_MAX][WINOGRAD_INPUTS_MAX],
                                        const struct heed_winograd_sheet *sheet, size_t tile, size_t side,
                                        enum heed_winograd_end end)
{
    const struct heed_window *const window = &sheet->window;
    const int input = end == HEED_WINOGRAD_INPUT;
    const size_t h = input ? window->h : window->out_h, w = input ? window->w : window->out_w;
    const size_t across = heed_winograd_tiles_across(sheet, side), count = input ? heed_winograd_inputs(side) : side;
    const size_t step = input ? window->step : 1;
    const size_t pitch_y = step * heed_winograd_pitch(window->h, window);
    const size_t pitch_x = step * heed_winograd_pitch(window->w, window);
    const ptrdiff_t before = input ? (ptrdiff_t)window->pad : 0;
    const ptrdiff_t y = (ptrdiff_t)(tile / across * side * step) - before;
    const ptrdiff_t x = (ptrdiff_t)(tile % across * side * step) - before;
    struct heed_winograd_line columns[WINOGRAD_INPUTS_MAX];
    for (size_t j = 0; j < count; j++)
        columns[j] = heed_winograd_line_at(x + (ptrdiff_t)j, pitch_x, w);
    for (size_t i = 0; i < count; i++) {
        const struct heed_winograd_line row = heed_winograd_line_at(y + (ptrdiff_t)i, pitch_y, h);
        for (size_t j = 0; j < count; j++) {
            const size_t image = row.image * sheet->across + columns[j].image;
            const int inside =
                row.inside && columns[j].inside && columns[j].image < sheet->across && image < sheet->images;
            pixels[i][j] = inside ? (ptrdiff_t)((image * h + row.at) * w + columns[j].at) : -1;
        }
    }
}

#endif
