/* How a description is read: members are taken out of their object one by one, so what is left when a section has been
 * read is a member nobody knows. The first error is kept and makes every later take give zero: a section reads as a
 * list of its members, and is asked once at the end. */
#include "models/spec.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "models/family.h"
#include "weights/file.h"

enum { FILE_BYTES_MAX = 1 << 20, LABELS_MAX = 10000, SIDE_MAX = 8192, CHANNELS_MAX = 8192 };

struct reader {
    const char *file;           /* where other paths begin */
    struct heed_file_name name; /* for errors */
    json_t *taken;              /* an array that keeps taken values alive */
    enum heed_status status;
    struct heed_error *error;
};

/* One JSON object being read. An object that is missing after an error is NULL: taking from it gives zeros. */
struct section {
    struct reader *reader;
    const char *name; /* "head."; "" for the whole */
    json_t *json;
};

/* ---- Taking members --------------------------------------------------------------------------------- */

static void HEED_PRINTF(2, 3) complain(struct reader *reader, const char *format, ...)
{
    char text[sizeof reader->error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (reader->status == HEED_OK)
        reader->status = heed_fail(reader->error, HEED_BAD_MODEL, "%s: %s", reader->name.text, text);
}

/* "head.nms_iou is 7, allowed is 0 to 1" */
static void refuse(const struct section *section, const char *member, const json_t *value, const char *allowed)
{
    char *const text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    complain(section->reader, "%s%s is %.60s, allowed is %s", section->name, member, text ? text : "?", allowed);
    free(text);
}

/* NULL if it is not there. */
static json_t *take_optional(const struct section *section, const char *member)
{
    json_t *const value = section->json ? json_object_get(section->json, member) : NULL;
    if (!value)
        return NULL;
    if (json_array_append(section->reader->taken, value) != 0) {
        section->reader->status = heed_fail(section->reader->error, HEED_NO_MEMORY, "%s", section->reader->name.text);
        return NULL;
    }
    json_object_del(section->json, member);
    return value;
}

static json_t *take(const struct section *section, const char *member)
{
    json_t *const value = take_optional(section, member);
    if (!value)
        complain(section->reader, "%s%s is missing", section->name, member);
    return value;
}

static double check_number(const struct section *section, const char *member, const json_t *value, double least,
                           double most)
{
    const double number = json_number_value(value);
    if (value && (!json_is_number(value) || number < least || number > most)) {
        char allowed[64];
        snprintf(allowed, sizeof allowed, "a number from %g to %g", least, most);
        refuse(section, member, value, allowed);
        return 0;
    }
    return number;
}

static double take_number(const struct section *section, const char *member, double least, double most)
{
    return check_number(section, member, take(section, member), least, most);
}

static size_t check_size(const struct section *section, const char *member, const json_t *value, size_t least,
                         size_t most)
{
    const json_int_t number = json_integer_value(value);
    if (value && (!json_is_integer(value) || number < (json_int_t)least || number > (json_int_t)most)) {
        char allowed[64];
        snprintf(allowed, sizeof allowed, least == most ? "%zu" : "a whole number from %zu to %zu", least, most);
        refuse(section, member, value, allowed);
        return 0;
    }
    return (size_t)number;
}

static size_t take_size(const struct section *section, const char *member, size_t least, size_t most)
{
    return check_size(section, member, take(section, member), least, most);
}

/* `count` numbers; `least` and `most` are those of each. */
static json_t *take_array(const struct section *section, const char *member, size_t count)
{
    json_t *const value = take(section, member);
    if (value && (!json_is_array(value) || json_array_size(value) != count)) {
        char allowed[64];
        snprintf(allowed, sizeof allowed, "an array of %zu numbers", count);
        refuse(section, member, value, allowed);
        return NULL;
    }
    return value;
}

static void take_sizes(const struct section *section, const char *member, size_t count, size_t least, size_t most,
                       size_t *sizes)
{
    const json_t *const value = take_array(section, member, count);
    for (size_t i = 0; i < count && value; i++)
        sizes[i] = check_size(section, member, json_array_get(value, i), least, most);
}

static void take_three(const struct section *section, const char *member, double least, double most, double numbers[3])
{
    const json_t *const value = take_array(section, member, 3);
    for (size_t i = 0; i < 3; i++)
        numbers[i] = check_number(section, member, json_array_get(value, i), least, most);
}

static bool take_bool(const struct section *section, const char *member)
{
    const json_t *const value = take(section, member);
    if (value && !json_is_boolean(value))
        refuse(section, member, value, "true or false");
    return json_is_true(value);
}

/* The index among the choices, which end with NULL; 0 after an error. */
static unsigned check_choice(const struct section *section, const char *member, const json_t *value,
                             const char *const *choices)
{
    char allowed[128] = "";
    const char *const text = json_string_value(value);
    for (unsigned i = 0; choices[i] && value; i++) {
        if (text && strcmp(text, choices[i]) == 0)
            return i;
        const size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof allowed - used, "%s\"%s\"", i ? ", " : "", choices[i]);
    }
    if (value)
        refuse(section, member, value, allowed);
    return 0;
}

#define CHOICES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static unsigned take_choice(const struct section *section, const char *member, const char *const *choices)
{
    return check_choice(section, member, take(section, member), choices);
}

/* A borrowed text of 1 to `length_max` bytes, as long as the reader lives; "" after an error. */
static const char *take_text(const struct section *section, const char *member, size_t length_max)
{
    const json_t *const value = take(section, member);
    const char *const text = json_string_value(value);
    if (value && (!text || !*text || strlen(text) > length_max)) {
        char allowed[64];
        snprintf(allowed, sizeof allowed, "a text of 1 to %zu bytes", length_max);
        refuse(section, member, value, allowed);
        return "";
    }
    return text ? text : "";
}

static struct section take_section(const struct section *section, const char *member, const char *name)
{
    json_t *const value = take(section, member);
    if (value && !json_is_object(value)) {
        refuse(section, member, value, "an object");
        return (struct section){ .reader = section->reader, .name = name };
    }
    return (struct section){ .reader = section->reader, .name = name, .json = value };
}

static void close_section(const struct section *section)
{
    void *const left = section->json ? json_object_iter(section->json) : NULL;
    if (left)
        complain(section->reader, "%s%.60s is not a member there is", section->name, json_object_iter_key(left));
}

/* ---- Sections --------------------------------------------------------------------------------------- */

/* (x / 255 - mean) / std is (x - 255 mean) * (1 / (255 std)). */
static void take_normalisation(const struct section *section, struct heed_input_spec *input)
{
    double mean[3], factor[3];
    const bool of_unit = json_object_get(section->json, "std") != NULL;
    take_three(section, "mean", -1000, 1000, mean);
    take_three(section, of_unit ? "std" : "scale", 1e-6, 1000, factor);
    for (int i = 0; i < 3; i++) {
        input->mean[i] = (float)(of_unit ? 255 * mean[i] : mean[i]);
        input->scale[i] = (float)(of_unit ? 1 / (255 * factor[i]) : factor[i]);
    }
}

/* The backbones halve a side five times. */
static uint32_t take_multiple(const struct section *section)
{
    const json_t *const value = take(section, "multiple");
    const size_t multiple = check_size(section, "multiple", value, 32, 256);
    if (multiple % 32)
        refuse(section, "multiple", value, "a multiple of 32");
    return (uint32_t)multiple;
}

static void read_input(const struct section *whole, struct heed_input_spec *input)
{
    const struct section section = take_section(whole, "input", "input.");
    input->resize = take_choice(&section, "resize", CHOICES("fit", "short_side"));
    if (input->resize == HEED_RESIZE_FIT) {
        input->long_side = (uint32_t)take_size(&section, "long_side", 32, SIDE_MAX);
    } else {
        input->short_side = (uint32_t)take_size(&section, "short_side", 32, SIDE_MAX);
        input->long_side = (uint32_t)take_size(&section, "long_side_max", input->short_side, SIDE_MAX);
    }
    input->antialias = take_bool(&section, "antialias");
    input->multiple = take_multiple(&section);
    input->bgr = take_choice(&section, "channels", CHOICES("rgb", "bgr")) == 1;
    take_normalisation(&section, input);
    close_section(&section);
}

static void read_attention_at(const struct section *section, const char *const *places,
                              struct heed_attention_spec *spec)
{
    snprintf(spec->after, sizeof spec->after, "%s", places[take_choice(section, "after", places)]);
    spec->type = take_choice(section, "type", CHOICES("efficient", "dot_product"));
    const json_t *const normalization = take_optional(section, "normalization");
    spec->normalization = check_choice(section, "normalization", normalization, CHOICES("softmax", "scaling"));
    const json_t *const scale = take_optional(section, "scale");
    spec->scale = (float)check_number(section, "scale", scale, 0, 1e6);
    spec->key_channels = take_size(section, "key_channels", 1, CHANNELS_MAX);
    spec->value_channels = take_size(section, "value_channels", 1, CHANNELS_MAX);
    spec->heads = take_size(section, "heads", 1, CHANNELS_MAX);
    if (scale && spec->normalization != HEED_NORMALIZATION_SCALING)
        complain(section->reader, "%sscale stands only beside normalization \"scaling\"", section->name);
    if (normalization && spec->type != HEED_ATTENTION_EFFICIENT)
        complain(section->reader, "%snormalization stands only beside type \"efficient\"", section->name);
    if (spec->heads && (spec->key_channels % spec->heads || spec->value_channels % spec->heads))
        complain(section->reader, "%sheads is %zu, which does not divide key_channels %zu and value_channels %zu",
                 section->name, spec->heads, spec->key_channels, spec->value_channels);
    close_section(section);
}

static void read_attention(const struct section *whole, const char *const *places, struct heed_spec *spec)
{
    const json_t *const array = take(whole, "attention");
    if (array && (!json_is_array(array) || json_array_size(array) > HEED_ATTENTION_MAX))
        complain(whole->reader, "attention is an array of at most %d objects", HEED_ATTENTION_MAX);
    for (size_t i = 0; i < json_array_size(array) && whole->reader->status == HEED_OK; i++) {
        char name[48];
        snprintf(name, sizeof name, "attention[%zu].", i);
        const struct section section = { .reader = whole->reader, .name = name, .json = json_array_get(array, i) };
        if (!json_is_object(section.json)) {
            complain(whole->reader, "attention[%zu] is not an object", i);
            return;
        }
        read_attention_at(&section, places, &spec->attention[i]);
        for (size_t before = 0; before < i; before++)
            if (strcmp(spec->attention[before].after, spec->attention[i].after) == 0)
                complain(whole->reader, "attention[%zu] stands after %s, as attention[%zu] does", i,
                         spec->attention[i].after, before);
        spec->attention_count++;
    }
}

/* 0, or enough for single precision to divide by. */
static double take_decay_sigma(const struct section *head)
{
    const json_t *const value = take_optional(head, "decay_sigma");
    const double sigma = check_number(head, "decay_sigma", value, 0, 100);
    if (sigma > 0 && sigma < 1e-3)
        refuse(head, "decay_sigma", value, "0, or a number from 0.001 to 100");
    return sigma;
}

/* What every head has. */
static void read_detections(const struct section *head, struct heed_spec *spec)
{
    spec->score_min = (float)take_number(head, "score_min", 0, 1);
    spec->nms_iou = take_number(head, "nms_iou", 0, 1);
    spec->decay_sigma = take_decay_sigma(head);
    spec->detections = take_size(head, "detections", 1, HEED_DETECTIONS_MAX);
}

static void read_heed_s(const struct section *whole, struct heed_spec *spec)
{
    const struct section backbone = take_section(whole, "backbone", "backbone.");
    static const char *const shufflenet = "shufflenet_v2";
    take_choice(&backbone, "type", CHOICES(shufflenet));
    snprintf(spec->backbone, sizeof spec->backbone, "%s", shufflenet);
    take_sizes(&backbone, "stages", 3, 1, 64, spec->stage_blocks);
    take_sizes(&backbone, "widths", 4, 2, CHANNELS_MAX, spec->stage_widths);
    for (int i = 1; i < 4; i++)
        if (spec->stage_widths[i] % 2)
            complain(whole->reader, "backbone.widths: %zu is odd, but a stage is two halves", spec->stage_widths[i]);
    close_section(&backbone);

    const struct section neck = take_section(whole, "neck", "neck.");
    take_choice(&neck, "type", CHOICES("pan"));
    spec->neck_channels = take_size(&neck, "channels", 1, CHANNELS_MAX);
    close_section(&neck);

    const struct section head = take_section(whole, "head", "head.");
    take_choice(&head, "type", CHOICES("gfl"));
    spec->bins = take_size(&head, "bins", 2, 64);
    size_t strides[3] = { 8, 16, 32 };
    take_sizes(&head, "strides", 3, 8, 32, strides);
    if (strides[0] != 8 || strides[1] != 16 || strides[2] != 32)
        complain(whole->reader, "head.strides is not [8,16,32], the strides of the neck");
    spec->candidates = take_size(&head, "candidates", 1, 10000);
    read_detections(&head, spec);
    close_section(&head);

    const struct section mask = take_section(whole, "mask", "mask.");
    spec->mask_channels = take_size(&mask, "channels", 1, CHANNELS_MAX);
    spec->mask_convs = take_size(&mask, "convs", 0, 16);
    spec->mask_pool = take_size(&mask, "pool", HEED_MASK_SIDE / 2, HEED_MASK_SIDE / 2);
    take_size(&mask, "stride", 8, 8);
    close_section(&mask);

    read_attention(whole, CHOICES("stage2", "stage3", "stage4", "pan8", "pan16", "pan32", "mask"), spec);
    spec->classes = spec->label_count;
    /* The head numbers the pairs of cell and class of its finest level, of stride 8, with 32 bits. */
    const uint64_t side = (spec->input.long_side + spec->input.multiple) / 8;
    if (side * side * spec->classes > UINT32_MAX)
        complain(whole->reader, "%zu labels are too many for an input of %u pixels a side", spec->classes,
                 spec->input.long_side);
}

static void read_mask_rcnn(const struct section *whole, struct heed_spec *spec)
{
    static const char *const resnets[] = { "resnet18", "resnet34", "resnet50", "resnet101", NULL };
    const struct section backbone = take_section(whole, "backbone", "backbone.");
    snprintf(spec->backbone, sizeof spec->backbone, "%s", resnets[take_choice(&backbone, "type", resnets)]);
    spec->norm_eps = (float)take_number(&backbone, "norm_eps", 0, 1);
    close_section(&backbone);

    const struct section neck = take_section(whole, "neck", "neck.");
    take_choice(&neck, "type", CHOICES("fpn"));
    spec->neck_channels = take_size(&neck, "channels", 1, CHANNELS_MAX);
    close_section(&neck);

    const struct section rpn = take_section(whole, "rpn", "rpn.");
    spec->rpn_candidates = take_size(&rpn, "candidates", 1, 10000);
    spec->rpn_proposals = take_size(&rpn, "proposals", 1, 10000);
    spec->rpn_nms_iou = take_number(&rpn, "nms_iou", 0, 1);
    close_section(&rpn);

    const struct section head = take_section(whole, "head", "head.");
    spec->classes = take_size(&head, "classes", 2, LABELS_MAX);
    read_detections(&head, spec);
    close_section(&head);
    if (spec->classes != spec->label_count)
        complain(whole->reader, "head.classes is %zu, but there are %zu labels", spec->classes, spec->label_count);

    read_attention(whole, CHOICES("res2", "res3", "res4", "res5", "fpn1", "fpn2", "fpn3", "fpn4", "fpn5", "mask"),
                   spec);
}

/* A name stands in addresses: letters, digits, '.', '-', '_'. */
static void read_name(const struct section *whole, struct heed_spec *spec)
{
    const char *const name = take_text(whole, "name", sizeof spec->name - 1);
    snprintf(spec->name, sizeof spec->name, "%s", name);
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    if (name[strspn(name, allowed)])
        complain(whole->reader, "name is \"%.60s\", allowed are letters, digits, '.', '-' and '_'", name);
}

static void read_sections(const struct section *whole, struct heed_spec *spec)
{
    static const struct {
        const char *name;
        void (*read)(const struct section *whole, struct heed_spec *spec);
    } families[] = { { "heed_s", read_heed_s }, { "mask_rcnn", read_mask_rcnn } };

    const unsigned family = take_choice(whole, "family", CHOICES(families[0].name, families[1].name));
    snprintf(spec->family, sizeof spec->family, "%s", families[family].name);
    read_input(whole, &spec->input);
    families[family].read(whole, spec);
    close_section(whole);
}

/* ---- Labels ----------------------------------------------------------------------------------------- */

static void read_label(struct reader *reader, const json_t *value, size_t index, struct heed_label *label)
{
    if (json_is_null(value))
        return;
    const json_t *const id = json_object_get(value, "id");
    const char *const name = json_string_value(json_object_get(value, "name"));
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > 1000000 || !name || !*name ||
        strlen(name) > 63 || json_object_size(value) != 2) {
        complain(reader, "label %zu is not null or {\"id\": 0 to 1000000, \"name\": \"1 to 63 bytes\"}", index);
        return;
    }
    label->category_id = (uint32_t)json_integer_value(id);
    label->name = strdup(name);
    if (!label->name)
        reader->status = heed_fail(reader->error, HEED_NO_MEMORY, "%s: the labels", reader->name.text);
}

static void read_labels(struct reader *reader, const json_t *array, struct heed_spec *spec)
{
    const size_t count = json_array_size(array);
    if (count == 0 || count > LABELS_MAX) {
        complain(reader, "labels are a JSON array of 1 to %d", LABELS_MAX);
        return;
    }
    spec->labels = calloc(count, sizeof *spec->labels);
    if (!spec->labels) {
        reader->status = heed_fail(reader->error, HEED_NO_MEMORY, "%s: %zu labels", reader->name.text, count);
        return;
    }
    spec->label_count = count;
    for (size_t i = 0; i < count && reader->status == HEED_OK; i++)
        read_label(reader, json_array_get(array, i), i, &spec->labels[i]);
}

/* ---- Texts and files -------------------------------------------------------------------------------- */

static json_t *parse_json(struct reader *reader, const char *text, size_t size)
{
    json_error_t why;
    json_t *const json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!json && !*why.text) /* the library says nothing where memory ran out */
        reader->status = heed_fail(reader->error, HEED_NO_MEMORY, "%s", reader->name.text);
    else if (!json)
        complain(reader, "line %d, column %d: %s", why.line, why.column, why.text);
    return json;
}

static void parse_labels(struct reader *reader, const char *file, const char *text, size_t size, struct heed_spec *spec)
{
    struct reader labels = { .file = file, .name = heed_file_name(file), .error = reader->error };
    json_t *const json = parse_json(&labels, text, size);
    if (json)
        read_labels(&labels, json, spec);
    json_decref(json);
    reader->status = labels.status;
}

/* A small file's text, for free(); NULL after an error. */
static char *read_file(struct reader *reader, const char *path, size_t *size)
{
    int opened;
    reader->status = heed_file_open(path, &opened, size, reader->error);
    if (reader->status != HEED_OK)
        return NULL;
    const struct heed_file_name name = heed_file_name(path);
    FILE *const file = fdopen(opened, "r");
    char *const text = file ? malloc(FILE_BYTES_MAX) : NULL;
    if (!text) {
        reader->status = heed_fail(reader->error, HEED_NO_MEMORY, "%s", name.text);
    } else {
        *size = fread(text, 1, FILE_BYTES_MAX, file);
        if (ferror(file))
            reader->status = heed_fail(reader->error, HEED_IO, "%s: %s", name.text, strerror(errno));
        else if (*size == FILE_BYTES_MAX)
            reader->status =
                heed_fail(reader->error, HEED_BAD_MODEL, "%s: larger than %d bytes", name.text, FILE_BYTES_MAX - 1);
    }
    if (file)
        fclose(file);
    else
        close(opened);
    if (reader->status == HEED_OK)
        return text;
    free(text);
    return NULL;
}

/* `path` as seen from the folder of `base`, for free(); NULL after an error. */
static char *resolve(struct reader *reader, const char *base, const char *path)
{
    const char *const slash = strrchr(base, '/');
    const int folder = *path != '/' && slash ? (int)(slash - base) + 1 : 0;
    char *resolved = NULL;
    if (reader->status == HEED_OK && asprintf(&resolved, "%.*s%s", folder, base, path) < 0) {
        reader->status = heed_fail(reader->error, HEED_NO_MEMORY, "%s", reader->name.text);
        return NULL;
    }
    return resolved;
}

static void read_whole(struct reader *reader, json_t *json, const char *labels, size_t labels_size,
                       struct heed_spec *spec)
{
    const struct section whole = { .reader = reader, .name = "", .json = json };
    if (!json_is_object(json)) {
        complain(reader, "the description is not a JSON object");
        return;
    }
    read_name(&whole, spec);
    spec->weights_path = resolve(reader, reader->file, take_text(&whole, "weights", 1000));
    spec->labels_path = resolve(reader, reader->file, take_text(&whole, "labels", 1000));
    char *text = NULL;
    if (!labels && reader->status == HEED_OK)
        labels = text = read_file(reader, spec->labels_path, &labels_size);
    if (reader->status == HEED_OK)
        parse_labels(reader, spec->labels_path, labels, labels_size, spec);
    free(text);
    if (reader->status == HEED_OK)
        read_sections(&whole, spec);
}

static enum heed_status parse_spec(struct reader *reader, const char *text, size_t size, const char *labels,
                                   size_t labels_size, struct heed_spec *spec)
{
    reader->taken = json_array();
    json_t *const json = reader->taken ? parse_json(reader, text, size) : NULL;
    if (!reader->taken)
        reader->status = heed_fail(reader->error, HEED_NO_MEMORY, "%s", reader->name.text);
    if (json)
        read_whole(reader, json, labels, labels_size, spec);
    json_decref(json);
    json_decref(reader->taken);
    if (reader->status != HEED_OK)
        heed_spec_deinit(spec);
    return reader->status;
}

enum heed_status heed_spec_parse(const char *name, const char *json, size_t size, const char *labels_json,
                                 size_t labels_size, struct heed_spec *spec, struct heed_error *error)
{
    struct heed_error ignored;
    struct reader reader = { .file = name, .name = heed_file_name(name), .error = error ? error : &ignored };
    *spec = (struct heed_spec){ 0 };
    return parse_spec(&reader, json, size, labels_json, labels_size, spec);
}

enum heed_status heed_spec_load(const char *path, struct heed_spec *spec, struct heed_error *error)
{
    struct heed_error ignored;
    struct reader reader = { .file = path, .name = heed_file_name(path), .error = error ? error : &ignored };
    *spec = (struct heed_spec){ 0 };
    size_t size;
    char *const text = read_file(&reader, path, &size);
    if (text)
        (void)!parse_spec(&reader, text, size, NULL, 0, spec);
    free(text);
    return reader.status;
}

void heed_spec_deinit(struct heed_spec *spec)
{
    for (size_t i = 0; i < spec->label_count; i++)
        free((char *)spec->labels[i].name);
    free(spec->labels);
    free(spec->weights_path);
    free(spec->labels_path);
    *spec = (struct heed_spec){ 0 };
}
