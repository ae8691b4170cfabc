/* The C half of generated.py: the same numbers from the same keys, so that large weights and pictures need not be
 * stored. */
#ifndef TESTS_GOLDEN_GENERATED_H
#define TESTS_GOLDEN_GENERATED_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Element i of a key's endless row of 64-bit numbers. */
uint64_t generated_hash(uint64_t key, uint64_t i);
uint64_t generated_key(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* out[i] uniform in [centre - spread, centre + spread). */
void generated_fill(float *out, size_t count, uint64_t key, float centre, float spread);

/* rgb (height, width, 3) */
void generated_picture(uint8_t *rgb, size_t height, size_t width, const char *key);

/* A safetensors file in memory, for the caller to free: `recipes` is a list of [name, shape, centre, spread], a
 * tensor's key is "KEY/NAME". */
uint8_t *generated_weights(const char *key, const json_t *recipes, size_t *size);

#endif
