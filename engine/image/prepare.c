/* Resizing as two small matrices: each output row is a weighted sum of few input rows, each of its pixels a weighted
 * sum of few pixels of that. Rows first: the sum runs along whole rows of bytes, and needs one row of scratch per
 * thread, however large the photo.
 *
 *     photo rows (u8) --weights of y--> one row of floats --weights of x, mean, scale--> a row of the input
 *
 * Both of PyTorch's filters are such matrices. Resizing is linear and its weights add up to one, so normalising after
 * it is the same as before it. Positions are computed in single precision, as PyTorch computes them (fused, where its
 * build fuses): that is where its rounding shows. Beyond 2^24 pixels a side that rounding passes whole pixels, so what
 * is read is held within the photo in integers.
 */
#include "image/prepare.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Output i is the sum over j < count[i] of weights[i * taps + j] times input first[i] + j. */
struct axis {
    uint32_t *first, *count; /* (out) */
    float *weights;          /* (out, taps) */
    size_t in, out, taps;
};

/* How far a filter reaches to either side, in input pixels: the triangle is as wide as the reduction. */
static float reach_of(size_t in, size_t out)
{
    const float ratio = (float)in / (float)out;
    return ratio > 1.0f ? ratio : 1.0f;
}

static struct axis axis_layout(struct heed_arena *arena, size_t in, size_t out, bool antialias)
{
    struct axis axis = { .in = in, .out = out, .taps = antialias ? (size_t)ceilf(reach_of(in, out)) * 2 + 1 : 2 };
    axis.first = heed_arena_bytes(arena, out, sizeof *axis.first);
    axis.count = heed_arena_bytes(arena, out, sizeof *axis.count);
    axis.weights = heed_arena_floats(arena, out, axis.taps);
    return axis;
}

/* Between the two nearest pixel centres. */
static void axis_fill_bilinear(struct axis *axis)
{
    const float ratio = (float)axis->in / (float)axis->out;
    for (size_t i = 0; i < axis->out; i++) {
        const float at = fmaxf(fmaf(ratio, (float)i + 0.5f, -0.5f), 0.0f);
        const size_t left = (size_t)at < axis->in - 1 ? (size_t)at : axis->in - 1;
        const float share = fminf(at - (float)left, 1.0f);
        axis->first[i] = (uint32_t)left;
        axis->count[i] = left + 1 < axis->in ? 2 : 1;
        axis->weights[2 * i] = axis->count[i] == 2 ? 1.0f - share : 1.0f;
        axis->weights[2 * i + 1] = share;
    }
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A triangle over all pixels within reach, its weights divided by their sum. */
static void axis_fill_triangle(struct axis *axis)
{
    const float ratio = (float)axis->in / (float)axis->out, reach = reach_of(axis->in, axis->out);
    for (size_t i = 0; i < axis->out; i++) {
        const float centre = ratio * ((float)i + 0.5f);
        const float low = fmaxf(centre - reach + 0.5f, 0.0f), high = fminf(centre + reach + 0.5f, (float)axis->in);
        const size_t first = (size_t)low, end = least_of((size_t)high, axis->in);
        float *const weights = axis->weights + i * axis->taps;
        assert(first < end);
        const size_t count = least_of(end - first, axis->taps);
        float sum = 0.0f;
        for (size_t j = 0; j < count; j++) {
            const float distance = fabsf(((float)(first + j) - centre + 0.5f) / reach);
            weights[j] = distance < 1.0f ? 1.0f - distance : 0.0f;
            sum += weights[j];
        }
        for (size_t j = 0; j < count; j++)
            weights[j] /= sum;
        axis->first[i] = (uint32_t)first;
        axis->count[i] = (uint32_t)count;
    }
}

enum { ROWS_PER_TILE = 4 };

struct preparation {
    const struct heed_image *image;
    struct heed_tensor input;
    struct axis x, y;
    struct heed_scratch rows; /* per lane: (photo width, 3), and one float that is read and not used */
    float mean[3], scale[3];  /* of red, green, blue */
    size_t red, blue;         /* where they stand in the input's channels */
};

/* sum += weight * bytes; the first row of a sum is stored. */
static void add_bytes(float *restrict sum, const uint8_t *restrict bytes, float weight, bool first, size_t n)
{
    if (first)
        for (size_t i = 0; i < n; i++)
            sum[i] = weight * (float)bytes[i];
    else
        for (size_t i = 0; i < n; i++)
            sum[i] += weight * (float)bytes[i];
}

/* Red, green, blue, and one number of no meaning: four together are as fast as one. */
typedef float pixel __attribute__((vector_size(16)));

/* Reads one float beyond the pixel. */
static pixel pixel_load(const float *from)
{
    pixel value;
    memcpy(&value, from, sizeof value);
    return value;
}

static void prepare_row(const struct preparation *p, size_t y, float *restrict row)
{
    const size_t row_bytes = (size_t)p->image->width * 3;
    for (size_t j = 0; j < p->y.count[y]; j++)
        add_bytes(row, p->image->rgb + (p->y.first[y] + j) * row_bytes, p->y.weights[y * p->y.taps + j], j == 0,
                  row_bytes);

    float *out = heed_tensor_at(&p->input, 0, y, 0);
    const pixel mean = { p->mean[0], p->mean[1], p->mean[2] }, scale = { p->scale[0], p->scale[1], p->scale[2] };
    for (size_t x = 0; x < p->x.out; x++, out += 3) {
        const float *const weights = p->x.weights + x * p->x.taps;
        const float *from = row + (size_t)p->x.first[x] * 3;
        pixel sum = { 0 };
        for (size_t j = 0; j < p->x.count[x]; j++, from += 3)
            sum += weights[j] * pixel_load(from);
        const pixel value = (sum - mean) * scale;
        out[p->red] = value[0];
        out[1] = value[1];
        out[p->blue] = value[2];
    }
    memset(out, 0, (p->input.w - p->x.out) * 3 * sizeof *out);
}

static void prepare_tile(void *arg, size_t tile, unsigned lane)
{
    const struct preparation *const p = arg;
    for (size_t y = tile * ROWS_PER_TILE; y < (tile + 1) * ROWS_PER_TILE && y < p->input.h; y++) {
        if (y < p->y.out)
            prepare_row(p, y, heed_scratch_lane(&p->rows, lane));
        else
            memset(heed_tensor_at(&p->input, 0, y, 0), 0, p->input.w * 3 * sizeof(float));
    }
}

struct heed_tensor heed_prepare(struct heed_forward *forward, const struct heed_image *image,
                                const struct heed_input_spec *spec, const struct heed_geometry *geometry)
{
    struct preparation p = { .image = image, .red = spec->bgr ? 2 : 0, .blue = spec->bgr ? 0 : 2 };
    p.input = heed_forward_tensor(forward, 1, geometry->input_h, geometry->input_w, 3);
    const size_t mark = heed_arena_mark(forward->arena);
    p.x = axis_layout(forward->arena, geometry->photo_w, geometry->resized_w, spec->antialias);
    p.y = axis_layout(forward->arena, geometry->photo_h, geometry->resized_h, spec->antialias);
    p.rows = heed_forward_scratch(forward, geometry->photo_w * 3 + 1);

    if (heed_forward_computes(forward)) {
        assert(image->width == geometry->photo_w);
        assert(image->height == geometry->photo_h);
        void (*const fill)(struct axis *) = spec->antialias ? axis_fill_triangle : axis_fill_bilinear;
        fill(&p.x);
        fill(&p.y);
        for (size_t c = 0; c < 3; c++) {
            const size_t channel = spec->bgr ? 2 - c : c;
            p.mean[c] = spec->mean[channel];
            p.scale[c] = spec->scale[channel];
        }
        const uint64_t multiply_adds = 3 * (geometry->resized_h * p.y.taps * geometry->photo_w +
                                            geometry->resized_h * p.x.taps * geometry->resized_w);
        heed_forward_run(forward, "prepare", multiply_adds, prepare_tile, &p,
                         (p.input.h + ROWS_PER_TILE - 1) / ROWS_PER_TILE);
    }
    heed_arena_release(forward->arena, mark);
    return p.input;
}
