/* One pass over the body's outermost members finds the value of "image"; the body without it is parsed by jansson.
 * Whatever the pass cannot follow (an escape in the name or the value, say) is left to jansson whole: slower, same
 * answer.
 *
 *     {"score": 0.5, "image": "/9j/4AAQ...", "masks": "none"}
 *      `---- to jansson ----` ^^^ in place   `- to jansson -`
 */
#include "body_json.h"
#include "text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cut {
    size_t from, to; /* the text between the quotes */
};

static size_t skip_space(const char *body, size_t size, size_t i)
{
    while (i < size && strchr(" \t\r\n", body[i]) && body[i])
        i++;
    return i;
}

/* i is at an opening quote; gives the index after the closing one, 0 if there is none. */
static size_t skip_string(const char *body, size_t size, size_t i)
{
    for (i++; i < size; i++) {
        const char *const quote = memchr(body + i, '"', size - i);
        if (!quote)
            return 0;
        const size_t end = (size_t)(quote - body);
        const char *const escape = memchr(body + i, '\\', end - i);
        if (!escape)
            return end + 1;
        i = (size_t)(escape - body) + 1; /* the escaped character is skipped by i++ */
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

static bool find_image(const char *body, size_t size, struct cut *cut)
{
    static const char name[] = "\"image\"";
    size_t i = skip_space(body, size, 0);
    if (i == size || body[i] != '{')
        return false;
    do {
        i = skip_space(body, size, i + 1);
        if (i == size || body[i] != '"')
            return false;
        const size_t start = i;
        i = skip_string(body, size, i);
        if (i == 0)
            return false;
        const bool is_image = i - start == sizeof name - 1 && memcmp(body + start, name, sizeof name - 1) == 0;
        i = skip_space(body, size, i);
        if (i == size || body[i] != ':')
            return false;
        i = skip_space(body, size, i + 1);
        if (is_image) {
            if (i == size || body[i] != '"')
                return false;
            const char *const end = memchr(body + i + 1, '"', size - i - 1);
            if (!end)
                return false;
            *cut = (struct cut){ .from = i + 1, .to = (size_t)(end - body) };
            return !memchr(body + cut->from, '\\', cut->to - cut->from);
        }
        i = skip_value(body, size, i);
    } while (i && i < size && body[i] == ',');
    return false;
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

bool srv_body_json_read(struct srv_body_json *json, const uint8_t *body, size_t size, struct srv_problem *problem)
{
    *json = (struct srv_body_json){ 0 };
    const char *const text = (const char *)body;
    struct cut cut = { 0 };
    const bool was_cut = find_image(text, size, &cut);
    struct srv_text rest = { 0 };
    if (was_cut) {
        json->image = body + cut.from;
        json->image_size = cut.to - cut.from;
        srv_text_add(&rest, text, cut.from);
        srv_text_add(&rest, text + cut.to, size - cut.to);
        if (rest.failed)
            return srv_refuse(problem, SRV_NO_MEMORY, "there is no memory to read the body");
    }
    json_error_t wrong;
    const char *const parsed = was_cut ? rest.data : text;
    const size_t parsed_size = was_cut ? rest.size : size;
    json_t *const root = json_loadb(parsed, parsed_size, JSON_REJECT_DUPLICATES, &wrong);
    const bool ok = root || refuse_json(parsed, parsed_size, &wrong, problem);
    srv_text_deinit(&rest);
    if (!ok)
        return false;
    json->keep[0] = root;
    if (!json_is_object(root))
        return srv_refuse(problem, SRV_MALFORMED, "the body must be a JSON object with a member \"image\"");
    return collect(json, root, was_cut, problem);
}

void srv_body_json_deinit(struct srv_body_json *json)
{
    json_decref(json->keep[0]);
    free(json->keep[1]);
    *json = (struct srv_body_json){ 0 };
}
