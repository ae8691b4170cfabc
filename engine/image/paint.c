/* Every shape is painted the same way: for each pixel the signed distance of its centre to the shape's edge, and from
 * that how much of the pixel the shape covers. */
#include "image/paint.h"

#include "base/error.h"
#include "base/stop.h"
#include "image/font.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much of a pixel lies inside, its centre being `distance` inside the edge. */
static inline float covered(float distance)
{
    return fminf(fmaxf(distance + 0.5f, 0.0f), 1.0f);
}

static inline void mix(uint8_t *pixel, struct heed_colour colour, float opacity)
{
    pixel[0] = (uint8_t)((float)pixel[0] + ((float)colour.r - (float)pixel[0]) * opacity + 0.5f);
    pixel[1] = (uint8_t)((float)pixel[1] + ((float)colour.g - (float)pixel[1]) * opacity + 0.5f);
    pixel[2] = (uint8_t)((float)pixel[2] + ((float)colour.b - (float)pixel[2]) * opacity + 0.5f);
}

/* Whole pixels [x0, x1) x [y0, y1). */
struct area {
    int64_t x0, y0, x1, y1;
};

static int64_t clamp_to(float at, uint32_t size)
{
    return (int64_t)fminf(fmaxf(at, 0.0f), (float)size);
}

/* The pixels of the photo that a rectangle touches. */
static struct area area_within(const struct heed_image *image, struct heed_rect rect)
{
    return (struct area){
        .x0 = clamp_to(floorf(rect.left), image->width),
        .y0 = clamp_to(floorf(rect.top), image->height),
        .x1 = clamp_to(ceilf(rect.right), image->width),
        .y1 = clamp_to(ceilf(rect.bottom), image->height),
    };
}

static inline uint8_t *pixel_at(const struct heed_image *image, int64_t x, int64_t y)
{
    return image->rgb + ((size_t)y * image->width + (size_t)x) * 3;
}

/* ---- Rectangles ---------------------------------------------------------------------------------- */

/* How far a pixel's centre is inside a rounded rectangle. */
static float inside_rect(struct heed_rect rect, float radius, int64_t x, int64_t y)
{
    const float dx = fabsf((float)x + 0.5f - (rect.left + rect.right) / 2) - (rect.right - rect.left) / 2 + radius;
    const float dy = fabsf((float)y + 0.5f - (rect.top + rect.bottom) / 2) - (rect.bottom - rect.top) / 2 + radius;
    return radius - hypotf(fmaxf(dx, 0.0f), fmaxf(dy, 0.0f)) - fminf(fmaxf(dx, dy), 0.0f);
}

void heed_paint_plate(struct heed_image *image, struct heed_rect rect, float radius, struct heed_colour colour,
                      float opacity)
{
    const struct area area = area_within(image, rect);
    for (int64_t y = area.y0; y < area.y1; y++)
        for (int64_t x = area.x0; x < area.x1; x++)
            mix(pixel_at(image, x, y), colour, opacity * covered(inside_rect(rect, radius, x, y)));
}

void heed_paint_frame(struct heed_image *image, struct heed_rect rect, float radius, float line,
                      struct heed_colour colour, float opacity)
{
    const float out = line / 2 + 1, in = out + radius;
    const struct heed_rect outer = { rect.left - out, rect.top - out, rect.right + out, rect.bottom + out };
    const struct heed_rect hole = { rect.left + in, rect.top + in, rect.right - in, rect.bottom - in };
    const struct area area = area_within(image, outer), inner = area_within(image, hole);
    const bool hollow = hole.left < hole.right;
    for (int64_t y = area.y0; y < area.y1; y++) {
        const bool skips = hollow && y > inner.y0 && y + 1 < inner.y1;
        for (int64_t x = area.x0; x < area.x1; x++) {
            if (skips && x > inner.x0 && x + 1 < inner.x1)
                x = inner.x1 - 1;
            const float distance = fabsf(inside_rect(rect, radius, x, y));
            mix(pixel_at(image, x, y), colour, opacity * covered(line / 2 - distance));
        }
    }
}

/* ---- Text ---------------------------------------------------------------------------------------- */

/* The next character, and the text after it. Anything that is not UTF-8 is one replacement character a byte. */
static uint32_t next_character(const char **text)
{
    const uint8_t *const b = (const uint8_t *)*text;
    const int extra = b[0] < 0x80 ? 0 : b[0] >> 5 == 6 ? 1 : b[0] >> 4 == 14 ? 2 : b[0] >> 3 == 30 ? 3 : -1;
    uint32_t character = extra <= 0 ? b[0] : b[0] & (0x3fu >> extra);
    for (int i = 1; i <= extra; i++) {
        if (b[i] >> 6 != 2) {
            *text += 1;
            return 0xfffd;
        }
        character = character << 6 | (b[i] & 0x3f);
    }
    *text += extra > 0 ? extra + 1 : 1;
    return extra < 0 ? 0xfffd : character;
}

static const struct heed_glyph *glyph_of(uint32_t character)
{
    for (size_t i = 0; i < heed_font_glyph_count; i++)
        if (heed_font_glyphs[i].character == character)
            return &heed_font_glyphs[i];
    return &heed_font_glyphs[heed_font_glyph_count - 1];
}

float heed_paint_text_width(const char *text, float em)
{
    float width = 0.0f;
    while (*text)
        width += glyph_of(next_character(&text))->advance;
    return width * em / HEED_FONT_EM;
}

/* The grid's distance at (x, y), in its pixels; beyond its border it is far outside. */
static float glyph_level(const struct heed_glyph *glyph, int x, int y)
{
    int level = 0;
    if (x >= 0 && y >= 0 && x < glyph->width && y < glyph->height) {
        const char letter = glyph->levels[y * glyph->width + x];
        level = letter - (letter > '\\' ? 'A' + 1 : 'A');
    }
    return ((float)level * 2.0f / (HEED_FONT_LEVELS - 1) - 1.0f) * HEED_FONT_SPREAD;
}

static float glyph_distance(const struct heed_glyph *glyph, float x, float y)
{
    const float left = floorf(x), top = floorf(y), dx = x - left, dy = y - top;
    const int i = (int)left, j = (int)top;
    const float upper = glyph_level(glyph, i, j) * (1 - dx) + glyph_level(glyph, i + 1, j) * dx;
    const float lower = glyph_level(glyph, i, j + 1) * (1 - dx) + glyph_level(glyph, i + 1, j + 1) * dx;
    return upper * (1 - dy) + lower * dy;
}

void heed_paint_text(struct heed_image *image, const char *text, float em, float left, float baseline,
                     struct heed_colour colour)
{
    const float scale = em / HEED_FONT_EM;
    for (float pen = left; *text;) {
        const struct heed_glyph *const glyph = glyph_of(next_character(&text));
        const float x0 = pen + glyph->left * scale, y0 = baseline + glyph->top * scale;
        const struct heed_rect cell = { x0, y0, x0 + glyph->width * scale, y0 + glyph->height * scale };
        const struct area area = area_within(image, cell);
        for (int64_t y = area.y0; y < area.y1; y++)
            for (int64_t x = area.x0; x < area.x1; x++) {
                const float gx = ((float)x + 0.5f - x0) / scale - 0.5f, gy = ((float)y + 0.5f - y0) / scale - 0.5f;
                mix(pixel_at(image, x, y), colour, covered(glyph_distance(glyph, gx, gy) * scale));
            }
        pen += glyph->advance * scale;
    }
}

/* ---- Masks --------------------------------------------------------------------------------------- */

/* The smallest area around what is set. */
static struct area area_of_mask(const struct heed_rle *mask)
{
    struct area area = { .x0 = INT64_MAX, .y0 = INT64_MAX };
    uint64_t at = 0;
    for (size_t i = 0; i < mask->run_count; at += mask->runs[i++]) {
        if (i % 2 == 0 || mask->runs[i] == 0)
            continue;
        const uint64_t last = at + mask->runs[i] - 1;
        const int64_t x0 = (int64_t)(at / mask->height), x1 = (int64_t)(last / mask->height) + 1;
        const bool one_column = x0 + 1 == x1;
        const int64_t y0 = one_column ? (int64_t)(at % mask->height) : 0;
        const int64_t y1 = one_column ? (int64_t)(last % mask->height) + 1 : mask->height;
        area.x0 = x0 < area.x0 ? x0 : area.x0;
        area.y0 = y0 < area.y0 ? y0 : area.y0;
        area.x1 = x1 > area.x1 ? x1 : area.x1;
        area.y1 = y1 > area.y1 ? y1 : area.y1;
    }
    return area;
}

uint64_t heed_paint_mask_cost(const struct heed_rle *mask)
{
    const struct area area = area_of_mask(mask);
    return area.x1 > area.x0 ? (uint64_t)(area.x1 - area.x0) * (uint64_t)(area.y1 - area.y0) : 0;
}

/* One byte a pixel of `area`, 1 where the mask is. */
static void unroll(const struct heed_rle *mask, struct area area, uint8_t *bits)
{
    const size_t width = (size_t)(area.x1 - area.x0);
    uint64_t at = 0;
    for (size_t i = 0; i < mask->run_count; at += mask->runs[i++]) {
        if (i % 2 == 0)
            continue;
        size_t x = at / mask->height, y = at % mask->height;
        for (uint32_t left = mask->runs[i]; left > 0; left--) {
            bits[(y - (size_t)area.y0) * width + x - (size_t)area.x0] = 1;
            if (++y == mask->height) {
                y = 0;
                x++;
            }
        }
    }
}

/* sums[x] counts what is set in column x of the rows within reach of row y. */
static void move_down(uint32_t *sums, const uint8_t *bits, size_t width, int64_t height, int64_t y, int64_t reach)
{
    const int64_t entering = y + reach, leaving = y - reach - 1;
    if (entering >= 0 && entering < height)
        for (size_t x = 0; x < width; x++)
            sums[x] += bits[(size_t)entering * width + x];
    if (leaving >= 0 && leaving < height)
        for (size_t x = 0; x < width; x++)
            sums[x] -= bits[(size_t)leaving * width + x];
}

/* Takes what nobody has taken; returns the opacity to paint with. */
static float claim_pixel(struct heed_claim *claim, float line, float fill, float fill_opacity)
{
    const float line_taken = (float)claim->line / 255.0f, fill_taken = (float)claim->fill / 255.0f;
    const float line_left = fmaxf(line - line_taken, 0.0f);
    const float fill_left = fmaxf(fill - fmaxf(fill_taken, line_taken), 0.0f) * (1.0f - line_left);
    claim->line = (uint8_t)(fmaxf(line_taken, line) * 255.0f + 0.5f);
    claim->fill = (uint8_t)(fmaxf(fill_taken, fill) * 255.0f + 0.5f);
    return line_left + fill_left * fill_opacity;
}

/* The share of a square of pixels around each that is set falls from one to zero across the mask's edge: a distance to
 * a smoothed edge, without the steps of a mask that was 28 pixels wide once. */
static enum heed_status paint_smoothed(struct heed_image *image, struct area area, const uint8_t *bits, uint32_t *sums,
                                       float line, struct heed_colour colour, float fill_opacity,
                                       struct heed_claim *claims, const struct heed_stop *stop,
                                       struct heed_error *error)
{
    struct heed_stop_watch watch = { .stop = stop };
    const int64_t reach = (int64_t)ceilf(line / 2) + 1, side = 2 * reach + 1;
    const int64_t width = area.x1 - area.x0, height = area.y1 - area.y0;
    for (int64_t y = -reach - reach; y < height + reach; y++) {
        move_down(sums, bits, (size_t)width, height, y, reach);
        const enum heed_status status = heed_stop_watch(&watch, (size_t)width, error);
        if (status != HEED_OK)
            return status;
        if (y < -reach || area.y0 + y < 0 || area.y0 + y >= image->height)
            continue;
        uint32_t set = 0;
        for (int64_t x = -reach - reach; x < width + reach; x++) {
            set += x + reach >= 0 && x + reach < width ? sums[x + reach] : 0;
            set -= x - reach - 1 >= 0 && x - reach - 1 < width ? sums[x - reach - 1] : 0;
            if (set == 0 || area.x0 + x < 0 || area.x0 + x >= image->width)
                continue;
            const float inside = ((float)set / (float)(side * side) - 0.5f) * (float)side;
            struct heed_claim *const claim = &claims[(size_t)(area.y0 + y) * image->width + (size_t)(area.x0 + x)];
            mix(pixel_at(image, area.x0 + x, area.y0 + y), colour,
                claim_pixel(claim, covered(line / 2 - fabsf(inside)), covered(inside), fill_opacity));
        }
    }
    return HEED_OK;
}

enum heed_status heed_paint_mask(struct heed_image *image, const struct heed_rle *mask, float line,
                                 struct heed_colour colour, float fill_opacity, struct heed_claim *claims,
                                 const struct heed_stop *stop, struct heed_error *error)
{
    assert(mask->width == image->width);
    assert(mask->height == image->height);
    const struct area area = area_of_mask(mask);
    if (area.x0 >= area.x1)
        return HEED_OK;
    const size_t width = (size_t)(area.x1 - area.x0), height = (size_t)(area.y1 - area.y0);
    uint8_t *const bits = calloc(height, width);
    uint32_t *const sums = calloc(width, sizeof *sums);
    enum heed_status status;
    if (bits && sums) {
        unroll(mask, area, bits);
        status = paint_smoothed(image, area, bits, sums, line, colour, fill_opacity, claims, stop, error);
    } else {
        status = heed_fail(error, HEED_NO_MEMORY, "mask of %zu x %zu", width, height);
    }
    free(bits);
    free(sums);
    return status;
}
