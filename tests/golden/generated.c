/* See generated.py for what the numbers are. Every step is exact or rounded once, here and there alike. */
#include "generated.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t generated_key(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof text);

    uint64_t state = 0xCBF29CE484222325;
    for (int i = 0; i < length; i++)
        state = (state ^ (unsigned char)text[i]) * 0x100000001B3;
    return state;
}

uint64_t generated_hash(uint64_t key, uint64_t i)
{
    uint64_t z = key + (i + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

void generated_fill(float *out, size_t count, uint64_t key, float centre, float spread)
{
    for (size_t i = 0; i < count; i++) {
        const float unit = (float)(generated_hash(key, i) >> 40) * 0x1p-23f - 1.0f;
        out[i] = centre + spread * unit;
    }
}

void generated_picture(uint8_t *rgb, size_t height, size_t width, const char *key)
{
    static const struct {
        size_t cell, share;
    } layers[] = { { 64, 8 }, { 16, 5 }, { 4, 2 }, { 1, 1 } };
    uint64_t keys[4];
    for (size_t l = 0; l < 4; l++)
        keys[l] = generated_key("%s/%zu", key, layers[l].cell);

    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t channel = 0; channel < 3; channel++) {
                size_t total = 0;
                for (size_t l = 0; l < 4; l++) {
                    const size_t cell = layers[l].cell, columns = (width + cell - 1) / cell;
                    const size_t at = ((y / cell) * columns + x / cell) * 3 + channel;
                    total += layers[l].share * (generated_hash(keys[l], at) >> 56);
                }
                rgb[(y * width + x) * 3 + channel] = (uint8_t)(total / 16);
            }
}

static size_t elements(const json_t *shape)
{
    size_t count = 1, i;
    json_t *side;
    json_array_foreach(shape, i, side) count *= (size_t)json_integer_value(side);
    return count;
}

uint8_t *generated_weights(const char *key, const json_t *recipes, size_t *size)
{
    json_t *const header = json_object();
    size_t i, end = 0;
    json_t *recipe;
    json_array_foreach(recipes, i, recipe)
    {
        json_t *const shape = json_array_get(recipe, 1);
        const size_t start = end;
        end += elements(shape) * sizeof(float);
        json_object_set_new(header, json_string_value(json_array_get(recipe, 0)),
                            json_pack("{s:s, s:O, s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets",
                                      (json_int_t)start, (json_int_t)end));
    }
    char *const text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    assert(text);
    const size_t length = strlen(text), padded = (length + 7) / 8 * 8; /* spaces may follow the JSON */

    *size = 8 + padded + end;
    uint8_t *const bytes = malloc(*size);
    assert(bytes);
    for (size_t b = 0; b < 8; b++)
        bytes[b] = (uint8_t)((uint64_t)padded >> (8 * b));
    memset(bytes + 8, ' ', padded);
    memcpy(bytes + 8, text, length);
    free(text);

    float *data = (float *)(void *)(bytes + 8 + padded);
    json_array_foreach(recipes, i, recipe)
    {
        const char *const name = json_string_value(json_array_get(recipe, 0));
        const size_t count = elements(json_array_get(recipe, 1));
        generated_fill(data, count, generated_key("%s/%s", key, name),
                       (float)json_number_value(json_array_get(recipe, 2)),
                       (float)json_number_value(json_array_get(recipe, 3)));
        data += count;
    }
    return bytes;
}
