/* One pass over the body's outermost members finds the value of "image"; the body without it is parsed by jansson.
 *
 *     {"score": 0.5, "image": "/9j/4AAQ...", "masks": "none"}
 *      `---- to jansson ----` ^^^ in place   `- to jansson -`
 *
 * Escapes in the value, such as the \/ that PHP writes, are undone in a copy. A name that is written with escapes is
 * not found: jansson reads it, as long as the whole is no larger than what jansson may be given.
 */
#include "body_json.h"
#include "text.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cut {
    size_t from, to; /* the text between the quotes */
};

/* Control characters must be escaped in JSON, and a photo's text needs none. */
static bool holds_control(const char *text, size_t size)
{
    unsigned char found = 0;
    for (size_t i = 0; i < size; i++)
        found |= (unsigned char)text[i] < 0x20;
    return found;
}

/* The byte that the escape stands for; moves *at behind it. 0 where it is none, or not one of ASCII. */
static char unescape(const char **at, const char *end)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *const name = memchr(names, **at, sizeof names - 1);
    if (name) {
        (*at)++;
        return bytes[name - names];
    }
    char digits[3] = { 0 };
    if (end - *at < 5 || memcmp(*at, "u00", 3) != 0)
        return 0;
    memcpy(digits, *at + 3, 2);
    char *stop;
    const unsigned long code = isxdigit((unsigned char)digits[0]) ? strtoul(digits, &stop, 16) : 0;
    if (code == 0 || code > 0x7f || *stop)
        return 0;
    *at += 5;
    return (char)code;
}

static size_t skip_space(const char *body, size_t size, size_t i)
{
    while (i < size && strchr(" \t\r\n", body[i]) && body[i])
        i++;
    return i;
}

/* i is at an opening quote; gives the index after the closing one, 0 if there is none. */
static size_t skip_string(const char *body, size_t size, size_t i)
{
    const char *quote = body + i;
    while ((quote = memchr(quote + 1, '"', (size_t)(body + size - quote - 1)))) {
        size_t escapes = 0;
        while (quote[-1 - (ptrdiff_t)escapes] == '\\')
            escapes++;
        if (escapes % 2 == 0)
            return (size_t)(quote - body) + 1;
    }
    return 0;
}

/* The index after a value that starts at i, as far as quotes and brackets tell. */
static size_t skip_value(const char *body, size_t size, size_t i)
{
    size_t depth = 0;
    while (i < size) {
        const char c = body[i];
        if (c == '"') {
            i = skip_string(body, size, i);
            if (i == 0)
                return 0;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}'))
            return i;
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']')
            depth -= depth > 0;
        i++;
    }
    return 0;
}

/* Gives up where more lies before the image than may. */
static bool find_image(const char *body, size_t size, struct cut *cut)
{
    static const char name[] = "\"image\"";
    const size_t reach = size < SRV_JSON_REST_MAX ? size : SRV_JSON_REST_MAX;
    size_t i = skip_space(body, reach, 0);
    if (i == reach || body[i] != '{')
        return false;
    do {
        i = skip_space(body, reach, i + 1);
        if (i == reach || body[i] != '"')
            return false;
        const size_t start = i;
        i = skip_string(body, reach, i);
        if (i == 0)
            return false;
        const bool is_image = i - start == sizeof name - 1 && memcmp(body + start, name, sizeof name - 1) == 0;
        i = skip_space(body, reach, i);
        if (i == reach || body[i] != ':')
            return false;
        i = skip_space(body, reach, i + 1);
        if (is_image) {
            const size_t end = i < reach && body[i] == '"' ? skip_string(body, size, i) : 0;
            if (end)
                *cut = (struct cut){ .from = i + 1, .to = end - 1 };
            return end > 0;
        }
        i = skip_value(body, reach, i);
    } while (i && i < reach && body[i] == ',');
    return false;
}

/* Notes where the image's text is: in the body, or without its escapes in a copy. */
static bool take_image(struct srv_body_json *json, const char *text, size_t size, struct srv_problem *problem)
{
    if (holds_control(text, size))
        return srv_refuse(problem, SRV_MALFORMED, "the body is not JSON: \"image\" holds a control character");
    json->image = (const uint8_t *)text;
    json->image_size = size;
    const char *const end = text + size, *escape = memchr(text, '\\', size);
    if (!escape)
        return true;
    char *const copy = malloc(size), *to = copy;
    if (!copy)
        return srv_refuse(problem, SRV_NO_MEMORY, "there is no memory to read the body");
    json->keep[2] = copy;
    json->held = size;
    for (const char *from = text;; escape = memchr(from, '\\', (size_t)(end - from))) {
        const size_t plain = (size_t)((escape ? escape : end) - from);
        memcpy(to, from, plain);
        to += plain;
        if (!escape)
            break;
        from = escape + 1;
        *to = unescape(&from, end);
        if (!*to++)
            return srv_refuse(problem, SRV_MALFORMED,
                              "\"image\" is not base64: it holds an escape that stands for none of its characters");
    }
    json->image = (const uint8_t *)copy;
    json->image_size = (size_t)(to - copy);
    return true;
}

/* The number as it was most likely written, and in any case the same number. */
static void real_text(struct srv_text *text, double value)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.15g", value);
    if (strtod(digits, NULL) != value)
        snprintf(digits, sizeof digits, "%.17g", value);
    srv_text_string(text, digits);
}

/* Text of one member: a string as it is, a number or boolean as JSON writes it, an array of strings with commas. */
static bool member_text(struct srv_text *text, const json_t *value)
{
    if (json_is_string(value)) {
        srv_text_add(text, json_string_value(value), json_string_length(value));
        return true;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *const item = json_array_get(value, i);
            if (!json_is_string(item))
                return false;
            srv_text_string(text, i ? "," : "");
            srv_text_add(text, json_string_value(item), json_string_length(item));
        }
        return true;
    }
    if (json_is_integer(value))
        srv_text_print(text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        real_text(text, json_real_value(value));
    else
        return false;
    return true;
}

/* Notes the members' names, and their values one after the other in `texts`, value i ending at ends[i]. */
static bool gather(struct srv_body_json *json, json_t *root, bool was_cut, struct srv_text *texts, size_t *ends,
                   struct srv_problem *problem)
{
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        if (strcmp(name, "image") == 0) {
            if (!json_is_string(value))
                return srv_refuse(problem, SRV_MALFORMED, "\"image\" must be a string of base64");
            if (!was_cut) {
                json->image = (const uint8_t *)json_string_value(value);
                json->image_size = json->held = json_string_length(value);
            }
            continue;
        }
        if (json->members.count == SRV_PAIRS_MAX)
            return srv_refuse(problem, SRV_MALFORMED, "there are more than %d members", SRV_PAIRS_MAX);
        if (!member_text(texts, value))
            return srv_refuse(problem, SRV_BAD_OPTION, "\"%.60s\" must be a string, a number or a list of strings",
                              name);
        ends[json->members.count] = texts->size;
        srv_pairs_add(&json->members, name, strlen(name), NULL, 0);
        json->members.items[json->members.count - 1].kind = json_is_number(value) ? SRV_KIND_NUMBER : SRV_KIND_STRING;
    }
    return true;
}

static bool collect(struct srv_body_json *json, json_t *root, bool was_cut, struct srv_problem *problem)
{
    struct srv_text texts = { 0 };
    size_t ends[SRV_PAIRS_MAX];
    if (!gather(json, root, was_cut, &texts, ends, problem)) {
        srv_text_deinit(&texts);
        return false;
    }
    char *const values = srv_text_take(&texts, NULL);
    if (!values)
        return srv_refuse(problem, SRV_NO_MEMORY, "there is no memory to read the body");
    json->keep[1] = values;
    for (size_t i = 0, start = 0; i < json->members.count; start = ends[i], i++) {
        json->members.items[i].value = values + start;
        json->members.items[i].value_size = ends[i] - start;
    }
    return true;
}

/* The name in front of the value that ends at `end`: of the last "name": before it. False where there is none. */
static bool name_before(const char *text, size_t end, struct cut *name)
{
    const char *const colon = memrchr(text, ':', end);
    const char *const close = colon ? memrchr(text, '"', (size_t)(colon - text)) : NULL;
    const char *const open = close ? memrchr(text, '"', (size_t)(close - text)) : NULL;
    if (!open)
        return false;
    *name = (struct cut){ .from = (size_t)(open + 1 - text), .to = (size_t)(close - text) };
    return true;
}

static bool refuse_json(const char *text, size_t size, const json_error_t *wrong, struct srv_problem *problem)
{
    struct cut name;
    if (json_error_code(wrong) != json_error_numeric_overflow)
        return srv_refuse(problem, SRV_MALFORMED, "the body is not JSON: line %d: %.200s", wrong->line, wrong->text);
    if (wrong->position < 0 || (size_t)wrong->position > size || !name_before(text, (size_t)wrong->position, &name))
        return srv_refuse(problem, SRV_MALFORMED, "line %d: a number is out of range", wrong->line);
    const size_t length = name.to - name.from < 60 ? name.to - name.from : 60;
    return srv_refuse(problem, SRV_BAD_OPTION, "option \"%.*s\" on line %d is a number beyond what any option allows",
                      (int)length, text + name.from, wrong->line);
}

/* The body, without its image where it holds one in `cut`, goes through jansson. */
static json_t *parse(const char *text, size_t size, const struct cut *cut, struct srv_problem *problem)
{
    struct srv_text rest = { 0 };
    srv_text_add(&rest, text, cut->from);
    srv_text_add(&rest, text + cut->to, size - cut->to);
    json_error_t wrong;
    json_t *const root = rest.failed ? NULL : json_loadb(rest.data, rest.size, JSON_REJECT_DUPLICATES, &wrong);
    if (rest.failed)
        srv_refuse(problem, SRV_NO_MEMORY, "there is no memory to read the body");
    else if (!root)
        refuse_json(rest.data, rest.size, &wrong, problem);
    srv_text_deinit(&rest);
    return root;
}

bool srv_body_json_read(struct srv_body_json *json, const uint8_t *body, size_t size, struct srv_problem *problem)
{
    *json = (struct srv_body_json){ 0 };
    const char *const text = (const char *)body;
    struct cut cut = { 0 };
    const bool was_cut = find_image(text, size, &cut);
    if (size - (cut.to - cut.from) > SRV_JSON_REST_MAX)
        return srv_refuse(
            problem, SRV_MALFORMED,
            "the body is not a JSON object with \"image\": \"<base64>\" and at most %d bytes of other members",
            SRV_JSON_REST_MAX);
    if (was_cut && !take_image(json, text + cut.from, cut.to - cut.from, problem))
        return false;
    json_t *const root = parse(text, size, &cut, problem);
    json->keep[0] = root;
    if (!root)
        return false;
    if (!json_is_object(root))
        return srv_refuse(problem, SRV_MALFORMED, "the body must be a JSON object with a member \"image\"");
    return collect(json, root, was_cut, problem);
}

void srv_body_json_deinit(struct srv_body_json *json)
{
    json_decref(json->keep[0]);
    free(json->keep[1]);
    free(json->keep[2]);
    *json = (struct srv_body_json){ 0 };
}
