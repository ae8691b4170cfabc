/* The option table and everything that reads it. Every source (default, file, environment, flag) comes down to one
 * function, set(), that is given a row and a text. */
#include "options.h"
#include "file.h"
#include "heed.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { INTEGER, TEXT, CHOICE, PATH, PATHS };

struct row {
    const char *name, *default_text, *choices, *help;
    enum kind kind;
    size_t offset;
    uint64_t min, max;
};

#define ROW_INTEGER(id, value, low, high, text)                                                                        \
    { .name = #id,                                                                                                     \
      .kind = INTEGER,                                                                                                 \
      .offset = offsetof(struct srv_options, id),                                                                      \
      .default_text = #value,                                                                                          \
      .min = low,                                                                                                      \
      .max = high,                                                                                                     \
      .help = text },
#define ROW_TEXT(id, value, text)                                                                                      \
    { .name = #id, .kind = TEXT, .offset = offsetof(struct srv_options, id), .default_text = value, .help = text },
#define ROW_CHOICE(id, value, all, text)                                                                               \
    { .name = #id,                                                                                                     \
      .kind = CHOICE,                                                                                                  \
      .offset = offsetof(struct srv_options, id),                                                                      \
      .default_text = value,                                                                                           \
      .choices = all,                                                                                                  \
      .help = text },
#define ROW_PATH(id, text)                                                                                             \
    { .name = #id, .kind = PATH, .offset = offsetof(struct srv_options, id), .default_text = "", .help = text },
#define ROW_PATHS(id, text)                                                                                            \
    { .name = #id, .kind = PATHS, .offset = offsetof(struct srv_options, id), .default_text = "", .help = text },
static const struct row table[] = { SRV_OPTION_LIST(ROW_INTEGER, ROW_TEXT, ROW_CHOICE, ROW_PATH, ROW_PATHS) };
static const size_t table_size = sizeof table / sizeof *table;

static const char *const config_paths[] = { "config/heed.json", "/etc/heed/heed.json" };

__attribute__((format(printf, 2, 3))) static bool fail(struct srv_options_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

static void *field(struct srv_options *options, const struct row *row)
{
    return (char *)options + row->offset;
}

/* Where an option was spelled, for errors: "--queue-slots", "HEED_QUEUE_SLOTS", "queue_slots". */
typedef void spelling_fn(char *out, size_t size, const char *name);

static void spell_flag(char *out, size_t size, const char *name)
{
    snprintf(out, size, "--%s", name);
    for (char *p = out; *p; p++)
        if (*p == '_')
            *p = '-';
}

static void spell_variable(char *out, size_t size, const char *name)
{
    snprintf(out, size, "HEED_%s", name);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
}

static void spell_member(char *out, size_t size, const char *name)
{
    snprintf(out, size, "\"%s\"", name);
}

static const struct row *find(spelling_fn *spell, const char *spelled, size_t length)
{
    for (size_t i = 0; i < table_size; i++) {
        char name[64];
        spell(name, sizeof name, table[i].name);
        if (strlen(name) == length && memcmp(name, spelled, length) == 0)
            return &table[i];
    }
    return NULL;
}

static void list_clear(struct srv_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct srv_list){ 0 };
}

/* folder/path, or path where it is absolute or there is no folder. */
static char *path_in(const char *folder, const char *path, size_t length)
{
    char *joined;
    if (!folder || path[0] == '/')
        return strndup(path, length);
    return asprintf(&joined, "%s/%.*s", folder, (int)length, path) < 0 ? NULL : joined;
}

static bool list_add(struct srv_list *list, const char *path, size_t length, const char *folder)
{
    char **const items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items)
        return false;
    list->items = items;
    char *const item = path_in(folder, path, length);
    if (item)
        items[list->count++] = item;
    return item != NULL;
}

static bool set_integer(uint64_t *value, const struct row *row, const char *text, const char *spelled,
                        struct srv_options_error *error)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || number < row->min || number > row->max)
        return fail(error, "%s is \"%.40s\", allowed is a whole number from %llu to %llu", spelled, text,
                    (unsigned long long)row->min, (unsigned long long)row->max);
    *value = number;
    return true;
}

static bool set_choice(unsigned *value, const struct row *row, const char *text, const char *spelled,
                       struct srv_options_error *error)
{
    unsigned index = 0;
    for (const char *p = row->choices; *p; index++) {
        const size_t length = strcspn(p, "|");
        if (strlen(text) == length && memcmp(p, text, length) == 0) {
            *value = index;
            return true;
        }
        p += length + (p[length] == '|');
    }
    return fail(error, "%s is \"%.40s\", allowed is one of %s", spelled, text, row->choices);
}

static bool set_paths(struct srv_list *list, const char *text, const char *folder)
{
    list_clear(list);
    for (const char *p = text; *p;) {
        const size_t length = strcspn(p, ",");
        if (length && !list_add(list, p, length, folder))
            return false;
        p += length + (p[length] == ',');
    }
    return true;
}

static bool set(struct srv_options *options, const struct row *row, const char *text, const char *folder,
                spelling_fn *spell, struct srv_options_error *error)
{
    char spelled[64];
    spell(spelled, sizeof spelled, row->name);
    switch (row->kind) {
    case INTEGER:
        return set_integer(field(options, row), row, text, spelled, error);
    case CHOICE:
        return set_choice(field(options, row), row, text, spelled, error);
    case PATHS:
        return set_paths(field(options, row), text, folder) || fail(error, "%s: no memory", spelled);
    case TEXT:
    case PATH:
        break;
    }
    char *const copy = row->kind == PATH && text[0] ? path_in(folder, text, strlen(text)) : strdup(text);
    if (!copy)
        return fail(error, "%s: no memory", spelled);
    char **const value = field(options, row);
    free(*value);
    *value = copy;
    return true;
}

bool srv_options_init(struct srv_options *options)
{
    struct srv_options_error error;
    *options = (struct srv_options){ 0 };
    for (size_t i = 0; i < table_size; i++)
        if (!set(options, &table[i], table[i].default_text, NULL, spell_member, &error))
            return false;
    return true;
}

void srv_options_deinit(struct srv_options *options)
{
    for (size_t i = 0; i < table_size; i++) {
        if (table[i].kind == TEXT || table[i].kind == PATH)
            free(*(char **)field(options, &table[i]));
        else if (table[i].kind == PATHS)
            list_clear(field(options, &table[i]));
    }
    *options = (struct srv_options){ 0 };
}

static bool set_array(struct srv_options *options, const struct row *row, const json_t *array, const char *folder,
                      struct srv_options_error *error)
{
    struct srv_list *const list = field(options, row);
    list_clear(list);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *const item = json_array_get(array, i);
        if (!json_is_string(item))
            return fail(error, "\"%s\" has an item that is not a string", row->name);
        if (!list_add(list, json_string_value(item), json_string_length(item), folder))
            return fail(error, "\"%s\": no memory", row->name);
    }
    return true;
}

static bool set_member(struct srv_options *options, const char *name, const json_t *value, const char *folder,
                       struct srv_options_error *error)
{
    char spelled[64];
    spell_member(spelled, sizeof spelled, name);
    const struct row *const row = find(spell_member, spelled, strlen(spelled));
    if (!row)
        return fail(error, "there is no option \"%.60s\"", name);
    if (row->kind == PATHS && json_is_array(value))
        return set_array(options, row, value, folder, error);
    char number[32];
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return set(options, row, number, folder, spell_member, error);
    }
    if (json_is_string(value))
        return set(options, row, json_string_value(value), folder, spell_member, error);
    return fail(error, "\"%s\" must be a whole number or a string", row->name);
}

bool srv_options_parse_file(struct srv_options *options, const char *json, size_t size, const char *folder,
                            struct srv_options_error *error)
{
    json_error_t wrong;
    json_t *const root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &wrong);
    if (!root)
        return fail(error, "line %d: %s", wrong.line, wrong.text);
    bool ok = json_is_object(root) || fail(error, "the file must hold one JSON object");
    const char *name;
    json_t *value;
    if (ok) {
        json_object_foreach(root, name, value)
        {
            ok = ok && set_member(options, name, value, folder, error);
        }
    }
    json_decref(root);
    return ok;
}

static bool read_file(struct srv_options *options, const char *path, struct srv_options_error *error)
{
    struct srv_options_error inner;
    size_t size;
    char *const text = srv_file_read(path, SRV_TEXT_FILE_BYTES, &size, inner.text, sizeof inner.text);
    char *const folder = strdup(path);
    if (text && !folder)
        snprintf(inner.text, sizeof inner.text, "%s", strerror(errno));
    bool ok = text && folder;
    if (ok) {
        char *const slash = strrchr(folder, '/');
        if (slash)
            *slash = '\0';
        ok = srv_options_parse_file(options, text, size, slash ? folder : ".", &inner);
    }
    if (!ok)
        fail(error, "%.200s: %.190s", path, inner.text);
    free(folder);
    free(text);
    return ok;
}

static const char *variable(char *const *environment, const char *name)
{
    const size_t length = strlen(name);
    for (char *const *p = environment; p && *p; p++)
        if (strncmp(*p, name, length) == 0 && (*p)[length] == '=')
            return *p + length + 1;
    return NULL;
}

/* The value of flag i, which is "--name=value" or "--name value"; *used is how many arguments it took. */
static const char *flag_value(int argc, char *const *argv, int i, int *used)
{
    const char *const equals = strchr(argv[i], '=');
    *used = equals ? 1 : 2;
    if (equals)
        return equals + 1;
    return i + 1 < argc ? argv[i + 1] : NULL;
}

static bool is_flag(const char *argument, const char *flag)
{
    return strcspn(argument, "=") == strlen(flag) && strncmp(argument, flag, strlen(flag)) == 0;
}

static bool read_config(struct srv_options *options, int argc, char *const *argv, char *const *environment,
                        struct srv_options_error *error)
{
    const char *path = variable(environment, "HEED_CONFIG");
    if (path && !path[0])
        path = NULL;
    int used;
    for (int i = 0; i < argc; i += used) {
        const char *const value = flag_value(argc, argv, i, &used);
        if (is_flag(argv[i], "--config")) {
            if (!value)
                return fail(error, "--config needs a path");
            path = value;
        }
    }
    if (path)
        return read_file(options, path, error);
    for (size_t i = 0; i < sizeof config_paths / sizeof *config_paths; i++) {
        if (access(config_paths[i], F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
            return read_file(options, config_paths[i], error); /* there, readable or not */
    }
    return true;
}

static bool read_environment(struct srv_options *options, char *const *environment, struct srv_options_error *error)
{
    for (size_t i = 0; i < table_size; i++) {
        char name[64];
        spell_variable(name, sizeof name, table[i].name);
        const char *const value = variable(environment, name);
        if (value && table[i].kind == INTEGER && strncmp(value, "tcp://", 6) == 0)
            continue; /* HEED_PORT=tcp://...: what Kubernetes tells all pods of a service named heed */
        if (value && !set(options, &table[i], value, NULL, spell_variable, error))
            return false;
    }
    return true;
}

static bool read_flags(struct srv_options *options, int argc, char *const *argv, struct srv_options_error *error)
{
    int used;
    for (int i = 0; i < argc; i += used) {
        const char *const value = flag_value(argc, argv, i, &used);
        const size_t length = strcspn(argv[i], "=");
        const struct row *const row = find(spell_flag, argv[i], length);
        if (!row && !is_flag(argv[i], "--config"))
            return fail(error, "there is no option \"%.60s\"", argv[i]);
        if (!value)
            return fail(error, "%s needs a value", argv[i]);
        if (row && !set(options, row, value, NULL, spell_flag, error))
            return false;
    }
    return true;
}

bool srv_options_read(struct srv_options *options, int argc, char *const *argv, char *const *environment,
                      struct srv_options_error *error)
{
    if (!srv_options_init(options))
        return fail(error, "there is no memory for the options");
    return read_config(options, argc, argv, environment, error) && read_environment(options, environment, error) &&
           read_flags(options, argc, argv, error);
}

void srv_options_help(FILE *file)
{
    fprintf(file, "  %-26s %s\n", "--config PATH", "configuration file [config/heed.json, else /etc/heed/heed.json]");
    for (size_t i = 0; i < table_size; i++) {
        const struct row *const row = &table[i];
        static const char *const placeholders[] = { "N", "TEXT", "NAME", "PATH", "PATH,..." };
        char flag[64], left[96];
        spell_flag(flag, sizeof flag, row->name);
        snprintf(left, sizeof left, "%s %s", flag, placeholders[row->kind]);
        fprintf(file, "  %-26s %s", left, row->help);
        if (row->kind == CHOICE)
            fprintf(file, ": %s", row->choices);
        if (row->kind == INTEGER)
            fprintf(file, " (%llu to %llu)", (unsigned long long)row->min, (unsigned long long)row->max);
        if (row->default_text[0])
            fprintf(file, " [%s]", row->default_text);
        fputc('\n', file);
    }
    fputs("  Each may also stand in the environment (HEED_QUEUE_SLOTS) and in the file (\"queue_slots\").\n", file);
}

unsigned srv_cpu_mask(unsigned choice)
{
    static const unsigned masks[] = {
        HEED_CPU_ANY,
        HEED_CPU_REF,
        HEED_CPU_BLAS,
        HEED_CPU_BLAS | HEED_CPU_AVX2,
        HEED_CPU_BLAS | HEED_CPU_AVX2 | HEED_CPU_AVX512,
    };
    return masks[choice];
}
