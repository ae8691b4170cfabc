/* Pasting a mask into its photo, one column of run lengths after the other.
 *
 * torchvision pads the mask with a ring of zeros, enlarges the box to match, cuts its corners to whole pixels, resizes
 * the mask to that box (bilinear) and takes what is above a half. A column of the photo lies between two columns of the
 * mask: blending those gives `side` + 2 values, and the pixels between two neighbours of these are blends of the two:
 *
 *     mask rows      0.1    0.2       0.7      0.9    0.8    0.3
 *     photo rows     | . . . | . . 1 1 | 1 1 1 1 | 1 1 1 | 1 . . |
 *                      whole   pixel     whole     whole   pixel by pixel
 *
 * Where both are on one side of a half so are all their blends, and the whole stretch is one run: only stretches that
 * cross are looked at pixel by pixel. No full image is ever made.
 */
#include "results/masks.h"

#include "base/checked.h"
#include "base/error.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 64 };

/* ---- Runs ---------------------------------------------------------------------------------------- */

struct runs {
    uint32_t *items;
    size_t count, capacity, max; /* items[count - 1] is still growing */
    bool value;
    enum heed_status status; /* sticky */
};

static void runs_add(struct runs *runs, bool value, size_t length)
{
    if (length == 0 || runs->status != HEED_OK)
        return;
    if (value == runs->value && runs->count) {
        runs->items[runs->count - 1] += (uint32_t)length;
        return;
    }
    const bool first_empty = value && runs->count == 0; /* the first run is of zeros */
    if (runs->count + 1 + first_empty > runs->max) {
        runs->status = HEED_OUTGROWN;
        return;
    }
    if (runs->count + 2 > runs->capacity) {
        const size_t capacity = runs->capacity ? 2 * runs->capacity : 64;
        uint32_t *const items = realloc(runs->items, capacity * sizeof *items);
        if (!items) {
            runs->status = HEED_NO_MEMORY;
            return;
        }
        runs->items = items;
        runs->capacity = capacity;
    }
    if (first_empty)
        runs->items[runs->count++] = 0;
    runs->items[runs->count++] = (uint32_t)length;
    runs->value = value;
}

/* ---- Where the mask stands ----------------------------------------------------------------------- */

/* The enlarged box along x or y, in whole pixels, and the part of it inside the photo. */
struct extent {
    int64_t begin, length; /* of the box; length >= 1 */
    size_t first, end;     /* of what is visible; first >= end where nothing is */
};

/* torchvision's arithmetic, in its single precision. */
static struct extent extent_of(float low, float high, size_t side, size_t size)
{
    const float centre = (high + low) * 0.5f, half = (high - low) * 0.5f * (float)((double)(side + 2) / (double)side);
    const float far = 1e9f; /* beyond any photo: boxes that are not numbers, too, end here */
    const int64_t begin = (int64_t)fmaxf(-far, fminf(centre - half, far));
    const int64_t last = (int64_t)fmaxf(-far, fminf(centre + half, far));
    const int64_t end = last + 1 < (int64_t)size ? last + 1 : (int64_t)size;
    return (struct extent){
        .begin = begin,
        .length = last - begin + 1 > 1 ? last - begin + 1 : 1,
        .first = begin > 0 ? (size_t)begin : 0,
        .end = end > 0 ? (size_t)end : 0,
    };
}

/* A pixel lies between cells `cell` and `next`, at `share` of the way. */
struct place {
    size_t cell, next;
    float share;
};

static struct place place_of(const struct extent *extent, size_t pixel, size_t cells)
{
    const float ratio = (float)cells / (float)extent->length;
    const float at = fmaxf(fmaf(ratio, (float)((int64_t)pixel - extent->begin) + 0.5f, -0.5f), 0.0f);
    const size_t cell = (size_t)at < cells - 1 ? (size_t)at : cells - 1;
    return (struct place){
        .cell = cell,
        .next = cell + 1 < cells ? cell + 1 : cell,
        .share = fminf(at - (float)cell, 1.0f),
    };
}

static inline float blend(float a, float b, float share)
{
    return a * (1.0f - share) + b * share;
}

/* ---- Pasting ------------------------------------------------------------------------------------- */

struct paste {
    size_t cells;                                /* side + 2 */
    float soft[(SIDE_MAX + 2) * (SIDE_MAX + 2)]; /* (cells, cells), a ring of zeros around the mask */
    struct extent x, y;
    float *shares;                /* of each visible row */
    size_t stretch[SIDE_MAX + 3]; /* visible rows [stretch[r], stretch[r + 1]) lie between cells r and r + 1 */
};

static void paste_soften(struct paste *p, const float *logits, size_t side)
{
    memset(p->soft, 0, p->cells * p->cells * sizeof *p->soft);
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            p->soft[(y + 1) * p->cells + x + 1] = 1.0f / (1.0f + expf(-logits[y * side + x]));
}

static void paste_place_rows(struct paste *p)
{
    size_t row = p->y.first;
    for (size_t cell = 0; cell < p->cells; cell++) {
        p->stretch[cell] = row;
        for (; row < p->y.end; row++) {
            const struct place place = place_of(&p->y, row, p->cells);
            if (place.cell != cell)
                break;
            p->shares[row - p->y.first] = place.share;
        }
    }
    assert(row == p->y.end);
    p->stretch[p->cells] = row;
}

/* The visible rows of one column. */
static void paste_column(const struct paste *p, size_t x, struct runs *runs)
{
    const float margin = 1e-5f; /* of rounding: a blend of two values is between them but for this */
    const struct place place = place_of(&p->x, x, p->cells);
    float above = 0.0f, below = blend(p->soft[place.cell], p->soft[place.next], place.share);
    for (size_t cell = 0; cell < p->cells; cell++) {
        above = below;
        if (cell + 1 < p->cells) {
            const float *const row = p->soft + (cell + 1) * p->cells;
            below = blend(row[place.cell], row[place.next], place.share);
        }
        const size_t first = p->stretch[cell], end = p->stretch[cell + 1];
        if (above < 0.5f - margin && below < 0.5f - margin)
            runs_add(runs, false, end - first);
        else if (above > 0.5f + margin && below > 0.5f + margin)
            runs_add(runs, true, end - first);
        else
            for (size_t y = first; y < end; y++)
                runs_add(runs, blend(above, below, p->shares[y - p->y.first]) > 0.5f, 1);
    }
}

enum heed_status heed_mask_paste(const float *logits, size_t side, const float box[4], uint32_t height, uint32_t width,
                                 size_t runs_max, struct heed_rle *rle, struct heed_error *error)
{
    assert(side >= 1);
    assert(side <= SIDE_MAX);
    *rle = (struct heed_rle){ .height = height, .width = width };
    size_t pixels;
    if (!heed_mul_fits(height, width, &pixels) || pixels > UINT32_MAX)
        return heed_fail(error, HEED_TOO_LARGE, "a mask of %u x %u has more pixels than a run can count", width,
                         height);

    struct paste p = {
        .cells = side + 2,
        .x = extent_of(box[0], box[2], side, width),
        .y = extent_of(box[1], box[3], side, height),
    };
    struct runs runs = { .max = runs_max ? runs_max : SIZE_MAX };
    if (p.x.first < p.x.end && p.y.first < p.y.end) {
        p.shares = malloc((p.y.end - p.y.first) * sizeof *p.shares);
        if (!p.shares)
            return heed_fail(error, HEED_NO_MEMORY, "mask of %u x %u", width, height);
        paste_soften(&p, logits, side);
        paste_place_rows(&p);
        runs_add(&runs, false, p.x.first * height);
        for (size_t x = p.x.first; x < p.x.end; x++) {
            runs_add(&runs, false, p.y.first);
            paste_column(&p, x, &runs);
            runs_add(&runs, false, height - p.y.end);
        }
        runs_add(&runs, false, (width - p.x.end) * height);
        free(p.shares);
    } else {
        runs_add(&runs, false, pixels);
    }
    if (runs.status != HEED_OK) {
        free(runs.items);
        return heed_fail(error, runs.status, "runs of a mask of %u x %u: %s", width, height,
                         heed_status_text(runs.status));
    }
    uint32_t *const fitted = realloc(runs.items, runs.count * sizeof *runs.items);
    rle->runs = fitted ? fitted : runs.items;
    rle->run_count = runs.count;
    return HEED_OK;
}
