/* Options are rows of one table; a row's function reads the value and says what is allowed. */
#include "detect.h"
#include "multipart.h"

#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the option functions see. */
struct reader {
    struct srv_detect *detect;
    const struct srv_models *models;
    const struct srv_options *options;
    struct srv_problem *problem;
    struct srv_pair classes; /* marked once the model is known */
    unsigned seen;           /* one bit for each row */
};

typedef bool read_fn(struct reader *reader, const struct srv_pair *pair);

static bool wrong(struct reader *reader, const struct srv_pair *pair, const char *allowed)
{
    return srv_refuse(reader->problem, SRV_BAD_OPTION, "option \"%.*s\" is \"%.*s\", allowed is %s",
                      (int)pair->name_size, pair->name, (int)(pair->value_size < 40 ? pair->value_size : 40),
                      pair->value, allowed);
}

static bool equals(const struct srv_pair *pair, const char *text)
{
    return pair->value_size == strlen(text) && memcmp(pair->value, text, pair->value_size) == 0;
}

/* A number without anything before or behind it. */
static bool number(const struct srv_pair *pair, double min, double max, bool whole, double *value)
{
    char text[40], *end;
    if (pair->value_size == 0 || pair->value_size >= sizeof text || !strchr("-.0123456789", pair->value[0]) ||
        !pair->value[0])
        return false;
    memcpy(text, pair->value, pair->value_size);
    text[pair->value_size] = '\0';
    *value = strtod(text, &end);
    return end == text + pair->value_size && *value >= min && *value <= max &&
           strspn(text, whole ? "-0123456789" : "-+.eE0123456789") == pair->value_size;
}

static bool read_model(struct reader *reader, const struct srv_pair *pair)
{
    reader->detect->model = srv_models_find(reader->models, pair->value, pair->value_size);
    if (reader->detect->model)
        return true;
    return srv_refuse(reader->problem, SRV_NO_MODEL, "there is no model \"%.*s\"; GET /v1/models lists them",
                      (int)(pair->value_size < 60 ? pair->value_size : 60), pair->value);
}

static bool read_score(struct reader *reader, const struct srv_pair *pair)
{
    return number(pair, 0, 1, false, &reader->detect->score) || wrong(reader, pair, "a number from 0 to 1");
}

static bool read_max(struct reader *reader, const struct srv_pair *pair)
{
    double value;
    if (!number(pair, 1, 1000, true, &value))
        return wrong(reader, pair, "a whole number from 1 to 1000");
    reader->detect->max = (uint32_t)value;
    return true;
}

static bool read_classes(struct reader *reader, const struct srv_pair *pair)
{
    reader->classes = *pair;
    return true;
}

static bool read_masks(struct reader *reader, const struct srv_pair *pair)
{
    static const char *const names[] = { "rle", "polygon", "png", "none" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (equals(pair, names[i])) {
            reader->detect->masks = (enum srv_masks)i;
            return true;
        }
    }
    return wrong(reader, pair, "one of rle, polygon, png, none");
}

static bool read_timeout(struct reader *reader, const struct srv_pair *pair)
{
    double value;
    if (!number(pair, 1, 3600000, true, &value))
        return wrong(reader, pair, "a whole number from 1 to 3600000");
    reader->detect->timeout_ms = (uint64_t)value;
    return true;
}

static bool read_priority(struct reader *reader, const struct srv_pair *pair)
{
    double value;
    if (!number(pair, -1, 1, true, &value))
        return wrong(reader, pair, "one of -1, 0, 1");
    reader->detect->priority = (int)value;
    return true;
}

static bool read_format(struct reader *reader, const struct srv_pair *pair)
{
    if (!equals(pair, "heed") && !equals(pair, "coco"))
        return wrong(reader, pair, "one of heed, coco");
    reader->detect->format = equals(pair, "coco") ? SRV_FORMAT_COCO : SRV_FORMAT_HEED;
    return true;
}

/* -7, 0, 42: what is written like this in a query or a form is taken for a number. */
static bool is_whole_number(const struct srv_pair *pair)
{
    enum { DIGITS_MAX = 18 };
    const size_t sign = pair->value_size > 0 && pair->value[0] == '-', digits = pair->value_size - sign;
    if (digits < 1 || digits > DIGITS_MAX || (pair->value[sign] == '0' && pair->value_size > 1))
        return false;
    for (size_t i = sign; i < pair->value_size; i++)
        if (pair->value[i] < '0' || pair->value[i] > '9')
            return false;
    return true;
}

/* Kept as JSON. */
static bool read_image_id(struct reader *reader, const struct srv_pair *pair)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/ ";
    const bool is_number = pair->kind == SRV_KIND_NUMBER || (pair->kind == SRV_KIND_TEXT && is_whole_number(pair));
    if (pair->value_size == 0 || pair->value_size > SRV_IMAGE_ID_MAX - 2)
        return wrong(reader, pair, "1 to 62 letters, digits, spaces and -_.:/");
    for (size_t i = 0; i < pair->value_size && !is_number; i++)
        if (!pair->value[i] || !strchr(allowed, pair->value[i]))
            return wrong(reader, pair, "1 to 62 letters, digits, spaces and -_.:/");
    snprintf(reader->detect->image_id, sizeof reader->detect->image_id, is_number ? "%.*s" : "\"%.*s\"",
             (int)pair->value_size, pair->value);
    return true;
}

static const struct {
    const char *name;
    read_fn *read;
} rows[] = {
    { "model", read_model },     { "score", read_score },       { "max", read_max },
    { "classes", read_classes }, { "masks", read_masks },       { "timeout_ms", read_timeout },
    { "format", read_format },   { "priority", read_priority }, { "image_id", read_image_id },
};

static bool read_option(struct reader *reader, const struct srv_pair *pair)
{
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].name) != pair->name_size || memcmp(rows[i].name, pair->name, pair->name_size) != 0)
            continue;
        if (reader->seen & 1u << i)
            return srv_refuse(reader->problem, SRV_BAD_OPTION, "option \"%s\" is given twice", rows[i].name);
        reader->seen |= 1u << i;
        return rows[i].read(reader, pair);
    }
    return srv_refuse(reader->problem, SRV_BAD_OPTION,
                      "there is no option \"%.*s\"; there are model, score, max, classes, masks, timeout_ms, format, "
                      "priority, image_id",
                      (int)(pair->name_size < 60 ? pair->name_size : 60), pair->name);
}

static bool read_options(struct reader *reader, const struct srv_pairs *pairs)
{
    if (pairs->overflowed)
        return srv_refuse(reader->problem, SRV_BAD_OPTION, "there are more than %d options", SRV_PAIRS_MAX);
    for (size_t i = 0; i < pairs->count; i++)
        if (!read_option(reader, &pairs->items[i]))
            return false;
    return true;
}

/* Marks every class of this label; a label may stand for several. */
static bool mark_label(struct reader *reader, const char *label, size_t size)
{
    const struct heed_model_info *const info = reader->detect->model->info;
    bool found = false;
    for (size_t i = 0; i < info->label_count; i++) {
        const char *const name = info->labels[i].name;
        if (name && strlen(name) == size && memcmp(name, label, size) == 0)
            reader->detect->classes[i] = found = true;
    }
    return found || srv_refuse(reader->problem, SRV_BAD_OPTION,
                               "option \"classes\" is \"%.*s\", allowed are the labels of %.60s, commas between them; "
                               "GET /v1/models/%.60s lists them",
                               (int)(size < 60 ? size : 60), label, info->name, info->name);
}

static bool mark_classes(struct reader *reader)
{
    const char *p = reader->classes.value;
    const char *const end = p + reader->classes.value_size;
    reader->detect->classes = calloc(reader->detect->model->info->label_count + 1, sizeof(bool));
    if (!reader->detect->classes)
        return srv_refuse(reader->problem, SRV_NO_MEMORY, "there is no memory for the list of classes");
    for (size_t names = 1;; names++) {
        if (names > reader->detect->model->info->label_count)
            return srv_refuse(reader->problem, SRV_BAD_OPTION,
                              "option \"classes\" has more names than there are labels");
        while (p < end && *p == ' ')
            p++;
        const char *const comma = memchr(p, ',', (size_t)(end - p));
        const char *const stop = comma ? comma : end;
        size_t size = (size_t)(stop - p);
        while (size && p[size - 1] == ' ')
            size--;
        if (!mark_label(reader, p, size))
            return false;
        if (!comma)
            return true;
        p = comma + 1;
    }
}

static bool add_photo(struct reader *reader, const uint8_t *bytes, size_t size, bool base64)
{
    struct srv_detect *const detect = reader->detect;
    if (size == 0)
        return srv_refuse(reader->problem, SRV_MALFORMED, "\"image\" is empty; it should hold a JPEG or PNG photo");
    if (detect->photo_count == reader->options->images_max)
        return srv_refuse(reader->problem, SRV_BODY_TOO_LARGE, "the request holds more than %llu images",
                          (unsigned long long)reader->options->images_max);
    struct srv_photo *const photos = realloc(detect->photos, (detect->photo_count + 1) * sizeof *photos);
    if (!photos)
        return srv_refuse(reader->problem, SRV_NO_MEMORY, "there is no memory for the list of images");
    detect->photos = photos;
    photos[detect->photo_count++] = (struct srv_photo){ .bytes = bytes, .size = size, .base64 = base64 };
    return true;
}

/* Borrows from the body only. */
static bool read_multipart(struct reader *reader, const struct srv_request *request)
{
    struct srv_multipart multipart;
    if (!srv_multipart_start(&multipart, request->content_type, request->body, request->body_size, reader->problem))
        return false;
    struct srv_part part;
    bool found;
    while (srv_multipart_next(&multipart, &part, &found, reader->problem)) {
        if (!found)
            return reader->detect->photo_count ||
                   srv_refuse(reader->problem, SRV_MALFORMED, "the form has no field \"image\"");
        const struct srv_pair pair = {
            .name = part.name, .name_size = part.name_size, .value = (const char *)part.value, .value_size = part.size
        };
        const bool is_image = part.name_size == 5 && memcmp(part.name, "image", 5) == 0;
        if (is_image ? !add_photo(reader, part.value, part.size, false) : !read_option(reader, &pair))
            return false;
    }
    return false;
}

static bool read_json(struct reader *reader, const struct srv_request *request)
{
    struct srv_body_json *const json = &reader->detect->json;
    if (!srv_body_json_read(json, request->body, request->body_size, reader->problem))
        return false;
    if (!json->image)
        return srv_refuse(reader->problem, SRV_MALFORMED, "the JSON object has no member \"image\"");
    return read_options(reader, &json->members) && add_photo(reader, json->image, json->image_size, true);
}

/* A photo's first bytes say what it is: whatever the Content-Type, a photo is a photo. */
static bool is_photo(const struct srv_request *request)
{
    struct heed_image_info info;
    const struct heed_image_limits none = { 0 };
    struct heed_error error;
    return heed_image_probe(request->body, request->body_size, &none, &info, &error) != HEED_NOT_AN_IMAGE;
}

/* curl sends a body of any kind as a form of its own type: most JSON that is not said to be some comes like this. */
static bool refuse_untyped_json(const struct srv_request *request, struct srv_problem *problem)
{
    return srv_refuse(problem, SRV_NOT_AN_IMAGE,
                      "the bytes are neither JPEG nor PNG; they begin like JSON, which is read with "
                      "\"Content-Type: application/json\", and Content-Type is \"%.60s\"",
                      request->content_type ? request->content_type : "");
}

static bool read_body(struct reader *reader, const struct srv_request *request)
{
    if (request->body_size == 0)
        return srv_refuse(reader->problem, SRV_MALFORMED, "the body is empty; it should hold a JPEG or PNG photo");
    const bool multipart = srv_media_type_is(request->content_type, "multipart/form-data");
    const bool json = srv_media_type_is(request->content_type, "application/json");
    if ((multipart || json) && !is_photo(request))
        return multipart ? read_multipart(reader, request) : read_json(reader, request);
    if (request->body[0] == '{')
        return refuse_untyped_json(request, reader->problem);
    return add_photo(reader, request->body, request->body_size, false);
}

static bool refuse_photo(struct srv_problem *problem, size_t index, size_t count, const struct heed_error *error)
{
    const enum srv_refusal reason = srv_refusal_of(error->status);
    if (count == 1)
        return srv_refuse(problem, reason, "%s", error->text);
    return srv_refuse(problem, reason, "image %zu of %zu: %s", index + 1, count, error->text);
}

/* The caller frees *bytes. With `whole` the end must be one. */
static bool decode_base64(const uint8_t *text, size_t text_size, bool whole, uint8_t **bytes, size_t *size,
                          struct srv_problem *problem)
{
    *bytes = malloc(BASE64_DECODE_LENGTH(text_size) + 1);
    if (!*bytes)
        return srv_refuse(problem, SRV_NO_MEMORY, "there is no memory to decode the base64 image");
    struct base64_decode_ctx state;
    base64_decode_init(&state);
    if (base64_decode_update(&state, size, *bytes, text_size, (const char *)text) &&
        (!whole || base64_decode_final(&state)))
        return true;
    free(*bytes);
    return srv_refuse(problem, SRV_MALFORMED, "\"image\" is not base64");
}

/* The first bytes of a base64 photo are mostly enough for its header; only where they are not all of it is decoded
 * here, and once more by the worker. */
static bool probe(struct reader *reader, size_t index)
{
    enum { LOOK = 96 * 1024 };
    const struct srv_options *const options = reader->options;
    struct srv_photo *const photo = &reader->detect->photos[index];
    const struct heed_image_limits limits = { .bytes_max = 0,
                                              .pixels_max = options->pixels_max,
                                              .scans_max = (uint32_t)options->scans_max };
    struct heed_error error;
    enum heed_status status = HEED_BAD_IMAGE;
    if (!photo->base64)
        status = heed_image_probe(photo->bytes, photo->size, &limits, &photo->info, &error);
    for (size_t look = LOOK; photo->base64 && status == HEED_BAD_IMAGE; look = SIZE_MAX) {
        const bool whole = photo->size <= look;
        uint8_t *bytes;
        size_t size;
        if (!decode_base64(photo->bytes, whole ? photo->size : look, whole, &bytes, &size, reader->problem))
            return false;
        status = heed_image_probe(bytes, size, &limits, &photo->info, &error);
        free(bytes);
        if (whole)
            break;
    }
    return status == HEED_OK || refuse_photo(reader->problem, index, reader->detect->photo_count, &error);
}

bool srv_detect_read(struct srv_detect *detect, const struct srv_request *request, const struct srv_models *models,
                     const struct srv_options *options, struct srv_problem *problem)
{
    *detect = (struct srv_detect){
        .score = 0.3, .max = 100, .timeout_ms = options->timeout_ms, .output = srv_accept(request->accept)
    };
    struct reader reader = { .detect = detect, .models = models, .options = options, .problem = problem };
    if (!read_options(&reader, &request->query) || !read_body(&reader, request))
        return false;
    if (!detect->model)
        detect->model = models->standard;
    if (reader.classes.value && !mark_classes(&reader))
        return false;
    if (detect->output != SRV_ACCEPT_JSON && detect->photo_count > 1)
        return srv_refuse(problem, SRV_BAD_OPTION, "a drawn picture is made of one image, the request holds %zu",
                          detect->photo_count);
    if (detect->image_id[0] && detect->photo_count > 1)
        return srv_refuse(problem, SRV_BAD_OPTION, "option \"image_id\" is of one image, the request holds %zu",
                          detect->photo_count);
    if (detect->format == SRV_FORMAT_COCO && !srv_coco_masks(detect->masks))
        return srv_refuse(problem, SRV_BAD_OPTION,
                          "option \"masks\" is \"png\", allowed with format coco is one of rle, polygon, none");
    for (size_t i = 0; i < detect->photo_count; i++)
        if (!probe(&reader, i))
            return false;
    return true;
}

void srv_detect_deinit(struct srv_detect *detect)
{
    free(detect->classes);
    free(detect->photos);
    srv_body_json_deinit(&detect->json);
    *detect = (struct srv_detect){ 0 };
}

bool srv_photo_bytes(const struct srv_photo *photo, const uint8_t **bytes, size_t *size, uint8_t **owned,
                     struct srv_problem *problem)
{
    *owned = NULL;
    *bytes = photo->bytes;
    *size = photo->size;
    if (!photo->base64)
        return true;
    if (!decode_base64(photo->bytes, photo->size, true, owned, size, problem)) {
        *owned = NULL;
        return false;
    }
    *bytes = *owned;
    return true;
}

/* ---- Memory -------------------------------------------------------------------------------------- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of one mask in the reply. Measured on masks as large as the photo: run lengths up to 4 bytes a column; rings up to 10
 * and PNG up to 5 bytes for each pixel of half the photo's perimeter. */
static size_t mask_text_bytes(enum srv_masks masks, size_t width, size_t height)
{
    switch (masks) {
    case SRV_MASKS_RLE:
        return width * 6;
    case SRV_MASKS_POLYGON:
        return (width + height) * 16;
    case SRV_MASKS_PNG:
        return (width + height) * 8;
    case SRV_MASKS_NONE:
        break;
    }
    return 0;
}

void srv_detect_plan(struct srv_detect *detect, size_t flight_bytes)
{
    enum { BASE = 64 * 1024, RAGGED_MAX = 512 * 1024, DETECTION = 512, RUNS = 2 * sizeof(uint32_t) };
    const bool drawn = detect->output != SRV_ACCEPT_JSON, masks = detect->masks != SRV_MASKS_NONE;
    size_t reply = BASE, runs = 0;
    for (size_t i = 0; i < detect->photo_count; i++) {
        const size_t width = detect->photos[i].info.width, height = detect->photos[i].info.height;
        /* A column is mostly entered and left once; where it is not, in one ragged mask among few, this is more. */
        const size_t ragged = masks ? smaller(2 * width * height, RAGGED_MAX) : 0;
        const size_t photo_runs = ragged + detect->max * width * RUNS;
        reply += drawn ? 0 : ragged + detect->max * (DETECTION + mask_text_bytes(detect->masks, width, height));
        runs = photo_runs > runs ? photo_runs : runs;
    }
    detect->reply_bytes_max = smaller(reply, flight_bytes / 4);
    detect->mask_bytes_max = masks ? smaller(BASE + runs, flight_bytes / 16) : 0;
}

size_t srv_detect_cost(const struct srv_detect *detect)
{
    return detect->reply_bytes_max + detect->json.held;
}

size_t srv_detect_work_bytes(const struct srv_detect *detect)
{
    enum { DRAWN_BYTES = 3 }; /* a pixel */
    size_t largest = 0;       /* photos are worked on one after the other */
    for (size_t i = 0; i < detect->photo_count; i++) {
        const struct srv_photo *const photo = &detect->photos[i];
        const size_t pixels = (size_t)photo->info.width * photo->info.height;
        size_t bytes = photo->base64 ? BASE64_DECODE_LENGTH(photo->size) : 0;
        bytes += photo->info.codec_bytes;
        if (detect->output != SRV_ACCEPT_JSON)
            bytes += pixels * DRAWN_BYTES;
        else if (detect->masks == SRV_MASKS_PNG)
            bytes += pixels / 8;
        largest = bytes > largest ? bytes : largest;
    }
    return largest + detect->mask_bytes_max;
}
