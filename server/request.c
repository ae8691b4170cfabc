/* The small parts of a request. */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

void srv_pairs_add(struct srv_pairs *pairs, const char *name, size_t name_size, const char *value, size_t value_size)
{
    if (pairs->count == SRV_PAIRS_MAX) {
        pairs->overflowed = true;
        return;
    }
    pairs->items[pairs->count++] =
        (struct srv_pair){ .name = name, .name_size = name_size, .value = value, .value_size = value_size };
}

char *srv_request_path(char *target)
{
    char *path = target;
    if (target[0] != '/' && strncasecmp(target, "http://", 7) == 0) {
        path = target + 7 + strcspn(target + 7, "/?#");
        if (*path != '/')
            return memcpy(target, "/", 2);
    }
    path[strcspn(path, "?")] = '\0';
    return path;
}

bool srv_request_id_ok(const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+/=";
    const size_t length = strspn(id, allowed);
    return length >= 1 && length <= SRV_ID_MAX && id[length] == '\0';
}

void srv_request_id_make(char id[SRV_ID_MAX + 1])
{
    /* A random start of this process, then a count: unique here, and in a fleet as far as 64 random bits go. */
    static _Thread_local uint64_t start, count;
    if (!count && getrandom(&start, sizeof start, 0) != sizeof start)
        start = (uintptr_t)&start;
    count++;
    snprintf(id, SRV_ID_MAX + 1, "%016llx-%llx", (unsigned long long)start, (unsigned long long)count);
}

/* Whether the text begins with this type, and one of `ends` or nothing follows. */
static bool begins_with_type(const char *text, const char *type, const char *ends)
{
    const size_t length = strlen(type);
    return strncasecmp(text, type, length) == 0 && strchr(ends, text[length]);
}

bool srv_media_type_is(const char *content_type, const char *type)
{
    return content_type && begins_with_type(content_type, type, "; \t");
}

/* The q of one element of an Accept header, 0..1; 1 where none is said. */
static double quality(const char *element, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (element[i] != ';')
            continue;
        size_t k = i + 1;
        while (k < size && (element[k] == ' ' || element[k] == '\t'))
            k++;
        if (k + 1 < size && (element[k] == 'q' || element[k] == 'Q') && element[k + 1] == '=') {
            char number[8] = { 0 };
            memcpy(number, element + k + 2, size - k - 2 < 7 ? size - k - 2 : 7);
            const double q = strtod(number, NULL);
            return q >= 0 && q <= 1 ? q : 0;
        }
    }
    return 1;
}

enum srv_accept srv_accept(const char *accept)
{
    static const char *const types[] = { [SRV_ACCEPT_JSON] = "application/json",
                                         [SRV_ACCEPT_JPEG] = "image/jpeg",
                                         [SRV_ACCEPT_PNG] = "image/png",
                                         "application/*",
                                         "*/*" };
    enum { COUNT = sizeof types / sizeof *types, NAMED = SRV_ACCEPT_PNG + 1 };
    double q[COUNT] = { -1, -1, -1, -1, -1 }; /* -1: not there */
    enum srv_accept best = SRV_ACCEPT_JSON;
    for (const char *p = accept ? accept : ""; *p;) {
        p += strspn(p, " \t");
        const size_t size = strcspn(p, ",");
        for (unsigned i = 0; i < COUNT; i++) {
            if (!begins_with_type(p, types[i], ";, \t"))
                continue;
            q[i] = quality(p, size);
            if (i < NAMED && q[i] > 0 && (q[best] < 0 || q[i] > q[best]))
                best = (enum srv_accept)i;
        }
        p += size + (p[size] == ',');
    }
    /* JSON may be meant by a wildcard, the narrower one first; a picture that is named goes before it. */
    const double meant = q[SRV_ACCEPT_JSON] >= 0 ? -1 : q[NAMED] >= 0 ? q[NAMED] : q[NAMED + 1];
    return meant > q[best] ? SRV_ACCEPT_JSON : best;
}
