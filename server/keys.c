/* Reading and comparing API keys. */
#include "keys.h"
#include "file.h"
#include "headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_MIN = 8, KEY_MAX = 256 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t without_comment(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (line[i] == '#' && (i == 0 || is_blank(line[i - 1])))
            return i;
    return size;
}

static bool add_key(struct srv_keys *keys, const char *line, size_t size, unsigned number)
{
    const size_t key_size = strcspn(line, " \t\r\n") < size ? strcspn(line, " \t\r\n") : size;
    struct srv_key *const items = realloc(keys->items, (keys->count + 1) * sizeof *items);
    if (!items)
        return false;
    keys->items = items;
    struct srv_key *const key = &items[keys->count];
    *key = (struct srv_key){ .text = calloc(1, size + 3), .size = key_size, .line = number };
    if (!key->text)
        return false;
    keys->count++;
    memcpy(key->text, line, key_size);
    char *out = key->text + key_size + 1;
    for (const char *p = line + key_size; p < line + size;) {
        p += strspn(p, " \t\r");
        const size_t length = strcspn(p, " \t\r\n");
        if (p >= line + size || length == 0)
            break;
        *out++ = ' ';
        memcpy(out, p, length);
        out += length;
        p += length;
        key->limited = true;
    }
    *out = ' ';
    return true;
}

/* A header brings visible ASCII characters only, so a key of others would open nothing. */
static bool check_key(const struct srv_keys *keys, const char *key, size_t key_size, unsigned number, char *error,
                      size_t size)
{
    for (size_t i = 0; i < key_size; i++)
        if (key[i] < '!' || key[i] > '~') {
            snprintf(error, size, "line %u: the key holds the byte 0x%02x, allowed are visible ASCII characters%s",
                     number, (unsigned char)key[i],
                     strncmp(key, "\xef\xbb\xbf", 3) == 0 ? "; it begins with a byte order mark" : "");
            return false;
        }
    if (key_size < KEY_MIN || key_size > KEY_MAX) {
        snprintf(error, size, "line %u: the key has %zu characters, allowed are %d to %d", number, key_size, KEY_MIN,
                 KEY_MAX);
        return false;
    }
    for (size_t i = 0; i < keys->count; i++)
        if (keys->items[i].size == key_size && memcmp(keys->items[i].text, key, key_size) == 0) {
            snprintf(error, size, "line %u: the key is that of line %u again", number, keys->items[i].line);
            return false;
        }
    return true;
}

bool srv_keys_parse(struct srv_keys *keys, const char *text, char *error, size_t size)
{
    *keys = (struct srv_keys){ 0 };
    unsigned number = 1;
    for (const char *line = text; *line; number++) {
        const char *const end = line + strcspn(line, "\n");
        while (line < end && is_blank(*line))
            line++;
        const size_t length = without_comment(line, (size_t)(end - line));
        const size_t word = strcspn(line, " \t\r\n"), key_size = word < length ? word : length;
        if (key_size && !check_key(keys, line, key_size, number, error, size))
            return false;
        if (key_size && !add_key(keys, line, length, number)) {
            snprintf(error, size, "there is no memory for the keys");
            return false;
        }
        line = end + (*end == '\n');
    }
    if (keys->count == 0) {
        snprintf(error, size, "there is no key in it");
        return false;
    }
    return true;
}

/* A line of the text that holds a NUL byte, and so hides what follows; 0 for none. */
static unsigned line_with_nul(const char *text, size_t length)
{
    if (strlen(text) == length)
        return 0;
    unsigned number = 1;
    for (const char *p = text; *p; p++)
        number += *p == '\n';
    return number;
}

bool srv_keys_load(struct srv_keys *keys, const char *path, char *error, size_t size)
{
    *keys = (struct srv_keys){ 0 };
    char inner[160];
    size_t length;
    char *const text = srv_file_read(path, SRV_TEXT_FILE_BYTES, &length, inner, sizeof inner);
    const unsigned number = text ? line_with_nul(text, length) : 0;
    if (number)
        snprintf(inner, sizeof inner, "line %u: there is a NUL byte in it", number);
    const bool ok = text && number == 0 && srv_keys_parse(keys, text, inner, sizeof inner);
    if (!ok)
        snprintf(error, size, "%.200s: %s", path, inner);
    free(text);
    return ok;
}

bool srv_keys_check(const struct srv_keys *keys, const struct srv_models *models, char *error, size_t size)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct srv_key *const key = &keys->items[i];
        const char *word = key->text + key->size + 1;
        for (word += strspn(word, " "); *word; word += strspn(word, " ")) {
            const size_t length = strcspn(word, " ");
            if (!srv_models_find(models, word, length)) {
                snprintf(error, size, "line %u: there is no model \"%.*s\"", key->line,
                         (int)(length < 60 ? length : 60), word);
                return false;
            }
            word += length;
        }
    }
    return true;
}

void srv_keys_deinit(struct srv_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->items[i].text);
    free(keys->items);
    *keys = (struct srv_keys){ 0 };
}

const struct srv_key *srv_keys_find(const struct srv_keys *keys, const char *text)
{
    const size_t size = srv_value_size(text);
    const struct srv_key *found = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const struct srv_key *const key = &keys->items[i];
        unsigned char different = key->size != size;
        for (size_t k = 0; k < size; k++)
            different |= (unsigned char)(text[k] ^ key->text[k < key->size ? k : 0]);
        if (!different)
            found = key;
    }
    return found;
}

bool srv_key_allows(const struct srv_key *key, const char *model)
{
    if (!key->limited)
        return true;
    const size_t size = strlen(model);
    const char *p = key->text + key->size + 1;
    while ((p = strstr(p, model))) {
        if (p[-1] == ' ' && p[size] == ' ')
            return true;
        p++;
    }
    return false;
}

const char *srv_keys_sent(const char *authorization, const char *api_key)
{
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        return authorization + 7 + strspn(authorization + 7, " ");
    return api_key;
}
