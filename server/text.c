/* Growing strings and the small encodings replies are made of. */
#include "text.h"

#include <assert.h>
#include <math.h>
#include <nettle/base64.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and the NUL. */
static bool reserve(struct srv_text *text, size_t more)
{
    if (text->failed)
        return false;
    size_t wanted;
    if (__builtin_add_overflow(text->size, more, &wanted) || wanted > SIZE_MAX / 2 - 1) {
        text->failed = true;
        return false;
    }
    if (text->size_max && wanted > text->size_max) {
        text->failed = text->outgrown = true;
        return false;
    }
    if (wanted < text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity <= wanted)
        capacity *= 2;
    if (text->size_max && capacity > text->size_max)
        capacity = text->size_max + 1; /* the NUL */
    char *const data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void srv_text_add(struct srv_text *text, const char *bytes, size_t size)
{
    if (!reserve(text, size))
        return;
    if (size)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void srv_text_string(struct srv_text *text, const char *string)
{
    srv_text_add(text, string, strlen(string));
}

void srv_text_print(struct srv_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    if (reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->size, (size_t)length + 1, format, again);
        text->size += (size_t)length;
    }
    va_end(again);
}

/* Bytes of the UTF-8 sequence at p, 0 if it is none (overlong forms, surrogates and beyond U+10FFFF included). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max;
        size_t length;
    } forms[] = {
        { 0x00, 0x7f, 0x80, 0xbf, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
            continue;
        if (left < forms[i].length)
            return 0;
        for (size_t k = 1; k < forms[i].length; k++) {
            const unsigned char low = k == 1 ? forms[i].second_min : 0x80;
            const unsigned char high = k == 1 ? forms[i].second_max : 0xbf;
            if (p[k] < low || p[k] > high)
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

/* The code of a sequence of two or three bytes. */
static unsigned code_of(const unsigned char *p, size_t length)
{
    return length == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
                       : (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
}

/* What ends a line, moves a cursor or turns the direction of writing, where such a text is shown. */
static bool is_control(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

void srv_text_json(struct srv_text *text, const char *bytes, size_t size)
{
    srv_text_add(text, "\"", 1);
    for (size_t i = 0; i < size;) {
        const unsigned char *const p = (const unsigned char *)bytes + i;
        const size_t length = utf8_length(p, size - i);
        const unsigned code = length == 2 || length == 3 ? code_of(p, length) : *p;
        if (length == 0)
            srv_text_string(text, "\\ufffd");
        else if (code == '"' || code == '\\')
            srv_text_print(text, "\\%c", code);
        else if (length < 4 && is_control(code))
            srv_text_print(text, "\\u%04x", code);
        else
            srv_text_add(text, bytes + i, length);
        i += length ? length : 1;
    }
    srv_text_add(text, "\"", 1);
}

void srv_text_json_string(struct srv_text *text, const char *string)
{
    srv_text_json(text, string, strlen(string));
}

void srv_text_number(struct srv_text *text, double value, unsigned decimals)
{
    assert(decimals <= 6);
    assert(isfinite(value));
    char digits[400]; /* DBL_MAX has 309 */
    int length = snprintf(digits, sizeof digits, "%.*f", (int)decimals, value);
    if (decimals) {
        while (digits[length - 1] == '0')
            length--;
        if (digits[length - 1] == '.')
            length--;
    }
    if (length == 2 && digits[0] == '-' && digits[1] == '0')
        srv_text_add(text, "0", 1);
    else
        srv_text_add(text, digits, (size_t)length);
}

void srv_text_base64(struct srv_text *text, const uint8_t *bytes, size_t size)
{
    if (size > SIZE_MAX / 4 || !reserve(text, BASE64_ENCODE_RAW_LENGTH(size))) {
        text->failed = true;
        return;
    }
    base64_encode_raw(text->data + text->size, size, bytes);
    text->size += BASE64_ENCODE_RAW_LENGTH(size);
    text->data[text->size] = '\0';
}

char *srv_text_take(struct srv_text *text, size_t *size)
{
    if (!text->failed && !text->data)
        srv_text_add(text, "", 0);
    if (text->failed) {
        srv_text_deinit(text);
        return NULL;
    }
    char *const data = text->data;
    if (size)
        *size = text->size;
    *text = (struct srv_text){ 0 };
    return data;
}

void srv_text_deinit(struct srv_text *text)
{
    free(text->data);
    *text = (struct srv_text){ 0 };
}
