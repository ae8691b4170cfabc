/* The answer as a picture: masks, then boxes, then labels, in each the most certain in front. A pixel has the colour of
 * one mask only, so that things inside and behind each other stay readable. Lines and letters grow with the photo: a
 * picture looks the same whatever its size. */
#include "image/draw.h"

#include "base/error.h"
#include "image/paint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* How one detection is shown. */
struct label {
    char text[96];
    struct heed_colour colour;
    float em;
    struct heed_rect plate;
};

/* ---- Style --------------------------------------------------------------------------------------- */

/* Bright enough for photos, and far from each other. */
static const struct heed_colour palette[] = {
    { 255, 86, 78 },   { 58, 151, 255 },  { 60, 200, 98 },   { 255, 184, 28 },  { 178, 110, 255 }, { 0, 199, 206 },
    { 255, 116, 184 }, { 168, 214, 16 },  { 255, 140, 62 },  { 104, 128, 255 }, { 24, 212, 158 },  { 226, 84, 220 },
    { 246, 222, 62 },  { 128, 202, 255 }, { 222, 150, 106 }, { 160, 232, 164 },
};
static const struct heed_colour black = { 16, 18, 24 }, white = { 255, 255, 255 };

static struct heed_colour towards(struct heed_colour from, struct heed_colour to, float share)
{
    return (struct heed_colour){
        .r = (uint8_t)lrintf((float)from.r + ((float)to.r - (float)from.r) * share),
        .g = (uint8_t)lrintf((float)from.g + ((float)to.g - (float)from.g) * share),
        .b = (uint8_t)lrintf((float)from.b + ((float)to.b - (float)from.b) * share),
    };
}

enum { PALETTE_SIZE = sizeof palette / sizeof *palette };

/* Each class of the photo gets a colour: its own, unless another class of this photo has that. */
static size_t slot_for(uint32_t class_index, const uint32_t owners[PALETTE_SIZE], const bool taken[PALETTE_SIZE])
{
    size_t slot = class_index % PALETTE_SIZE;
    for (size_t tried = 0; tried < PALETTE_SIZE && taken[slot] && owners[slot] != class_index; tried++)
        slot = (slot + 5) % PALETTE_SIZE; /* 5 and 16 share no divisor: every slot is tried */
    return slot;
}

/* Instances of one class are told apart by lighter and darker shades. */
static struct heed_colour shade_of(struct heed_colour colour, size_t instance)
{
    static const struct {
        bool lighter;
        float share;
    } shades[] = { { true, 0.0f }, { true, 0.32f }, { false, 0.26f }, { true, 0.16f }, { false, 0.13f } };
    const size_t shade = instance % (sizeof shades / sizeof *shades);
    return towards(colour, shades[shade].lighter ? white : black, shades[shade].share);
}

static void choose_colours(const struct heed_result *result, struct label *labels)
{
    uint32_t owners[PALETTE_SIZE];
    bool taken[PALETTE_SIZE] = { false };
    size_t instances[PALETTE_SIZE] = { 0 };
    for (size_t i = 0; i < result->detection_count; i++) {
        const uint32_t class_index = result->detections[i].class_index;
        const size_t slot = slot_for(class_index, owners, taken);
        taken[slot] = true;
        owners[slot] = class_index;
        labels[i].colour = shade_of(palette[slot], instances[slot]++);
    }
}

static struct heed_colour ink_on(struct heed_colour plate)
{
    const float light = 0.299f * plate.r + 0.587f * plate.g + 0.114f * plate.b;
    return light > 140.0f ? black : white;
}

/* Sizes in pixels. */
struct style {
    float line, em;
};

static struct style style_for(const struct heed_image *image)
{
    const float side = sqrtf((float)image->width * (float)image->height);
    return (struct style){ .line = fmaxf(1.6f, side * 0.0042f), .em = fmaxf(11.0f, side * 0.027f) };
}

/* ---- Labels -------------------------------------------------------------------------------------- */

static bool overlap(struct heed_rect a, struct heed_rect b)
{
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/* The plate with its corner at (left, top), pushed into the photo. */
static struct heed_rect plate_at(const struct heed_image *image, float left, float top, float width, float height)
{
    left = fmaxf(0.0f, fminf(left, (float)image->width - width));
    top = fmaxf(0.0f, fminf(top, (float)image->height - height));
    return (struct heed_rect){ left, top, left + width, top + height };
}

/* On the box's upper edge, inside it, below it: the first of them that covers no better label. */
static struct heed_rect find_place(const struct heed_image *image, const float box[4], float width, float height,
                                   float line, const struct label *placed, size_t placed_count)
{
    const float left = box[0] - line / 2, right = box[0] + box[2] + line / 2 - width;
    const float over = box[1] - line / 2 - height, inside = box[1] - line / 2, under = box[1] + box[3] + line / 2;
    const float places[][2] = {
        { left, over },           { left, inside },          { right, over }, { right, inside },
        { left, under - height }, { right, under - height }, { left, under }, { right, under }
    };
    struct heed_rect first = { 0 };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i][1] < 0.0f && places[i][1] == over)
            continue; /* would be pushed down onto what is in the box: inside is meant for that */
        const struct heed_rect plate = plate_at(image, places[i][0], places[i][1], width, height);
        bool is_free = true;
        for (size_t j = 0; j < placed_count && is_free; j++)
            is_free = !overlap(plate, placed[j].plate);
        if (is_free)
            return plate;
        if (first.right == 0.0f)
            first = plate;
    }
    return first;
}

static const float plate_height = 1.36f, plate_margin = 0.38f, capital_height = 0.729f; /* in em */

static void place_label(struct label *label, const struct heed_image *image, const struct heed_detection *detection,
                        const char *name, struct style style, const struct label *placed, size_t placed_count)
{
    snprintf(label->text, sizeof label->text, "%.80s %.0f%%", name, (double)detection->score * 100.0);
    /* Small things get smaller labels, and no label is wider than the photo. */
    const float size = sqrtf(fmaxf(detection->box[2] * detection->box[3], 0.0f));
    label->em = style.em * fminf(fmaxf(size / (style.em * 5.0f), 0.72f), 1.0f);
    const float wide = heed_paint_text_width(label->text, 1.0f) + 2 * plate_margin;
    label->em = fminf(label->em, fminf((float)image->width / wide, (float)image->height / plate_height));
    label->plate =
        find_place(image, detection->box, wide * label->em, plate_height * label->em, style.line, placed, placed_count);
}

static void draw_label(struct heed_image *image, const struct label *label)
{
    const float height = label->plate.bottom - label->plate.top;
    if (label->em < 6.0f)
        return; /* the photo is too small for anything readable */
    heed_paint_plate(image, label->plate, label->em * 0.22f, label->colour, 0.94f);
    heed_paint_text(image, label->text, label->em, label->plate.left + plate_margin * label->em,
                    label->plate.top + (height + capital_height * label->em) / 2, ink_on(label->colour));
}

/* ---- All of it ----------------------------------------------------------------------------------- */

/* Painting many masks that each fill a large photo would take seconds and show nothing: past this many times the
 * photo's pixels the least certain go without. */
enum { MASK_COST_MAX = 8 };

/* The first detections, up to the last one whose mask is painted; 0 where there is none. */
static size_t count_masked(const struct heed_image *image, const struct heed_result *result)
{
    const uint64_t most = (uint64_t)image->width * image->height * MASK_COST_MAX;
    uint64_t cost = 0;
    size_t count = 0;
    for (size_t i = 0; i < result->detection_count; i++) {
        const struct heed_rle *const mask = &result->detections[i].mask;
        if (!mask->runs)
            continue;
        cost += heed_paint_mask_cost(mask);
        if (cost > most)
            break;
        count = i + 1;
    }
    return count;
}

static enum heed_status draw_masks(struct heed_image *image, const struct heed_result *result, struct style style,
                                   const struct label *labels, const struct heed_stop *stop, struct heed_error *error)
{
    const size_t count = count_masked(image, result);
    if (count == 0)
        return HEED_OK;
    struct heed_claim *const claims = calloc((size_t)image->width * image->height, sizeof *claims);
    if (!claims)
        return heed_fail(error, HEED_NO_MEMORY, "masks on a photo of %u x %u", image->width, image->height);
    enum heed_status status = HEED_OK;
    for (size_t i = 0; i < count && status == HEED_OK; i++)
        if (result->detections[i].mask.runs)
            status = heed_paint_mask(image, &result->detections[i].mask, style.line, labels[i].colour, 0.42f, claims,
                                     stop, error);
    free(claims);
    return status;
}

static void draw_box(struct heed_image *image, const struct heed_detection *detection, struct style style,
                     struct heed_colour colour)
{
    const float *const box = detection->box;
    const float line = detection->mask.runs ? style.line * 0.9f : style.line; /* a mask has its own outline */
    /* The whole line stays in the photo. */
    const struct heed_rect rect = {
        .left = fmaxf(box[0], line / 2),
        .top = fmaxf(box[1], line / 2),
        .right = fminf(box[0] + box[2], (float)image->width - line / 2),
        .bottom = fminf(box[1] + box[3], (float)image->height - line / 2),
    };
    const float radius = fmaxf(0.0f, fminf(line * 2, fminf(rect.right - rect.left, rect.bottom - rect.top) / 2));
    heed_paint_frame(image, rect, radius, line * 1.9f, black, 0.28f); /* a soft dark edge, for bright places */
    heed_paint_frame(image, rect, radius, line, colour, 0.96f);
}

enum heed_status heed_draw_labelled(struct heed_image *image, const struct heed_result *result,
                                    const struct heed_label *labels, size_t label_count, const struct heed_stop *stop,
                                    struct heed_error *error)
{
    if (result->width != image->width || result->height != image->height)
        return heed_fail(error, HEED_BAD_ARGUMENT, "the result is of %u x %u pixels, the photo has %u x %u",
                         result->width, result->height, image->width, image->height);
    for (size_t i = 0; i < result->detection_count; i++)
        if (result->detections[i].class_index >= label_count)
            return heed_fail(error, HEED_BAD_ARGUMENT, "detection %zu is of class %u, the model has %zu", i,
                             result->detections[i].class_index, label_count);
    if (result->detection_count == 0)
        return HEED_OK;
    const struct style style = style_for(image);
    struct label *const shown = calloc(result->detection_count, sizeof *shown);
    if (!shown)
        return heed_fail(error, HEED_NO_MEMORY, "labels of %zu detections", result->detection_count);
    choose_colours(result, shown);
    for (size_t i = 0; i < result->detection_count; i++) {
        const struct heed_detection *const detection = &result->detections[i];
        const char *const name = labels[detection->class_index].name;
        place_label(&shown[i], image, detection, name ? name : "?", style, shown, i);
    }

    enum heed_status status = draw_masks(image, result, style, shown, stop, error);
    for (size_t i = result->detection_count; i-- > 0 && status == HEED_OK;) {
        draw_box(image, &result->detections[i], style, shown[i].colour);
        status = heed_stop_check(stop, error);
    }
    for (size_t i = result->detection_count; i-- > 0 && status == HEED_OK;) {
        draw_label(image, &shown[i]);
        status = heed_stop_check(stop, error);
    }
    free(shown);
    return status;
}

enum heed_status heed_draw(struct heed_image *image, const struct heed_result *result, const struct heed_model *model,
                           const struct heed_stop *stop, struct heed_error *error)
{
    const struct heed_model_info *const info = heed_model_info(model);
    return heed_draw_labelled(image, result, info->labels, info->label_count, stop, error);
}
