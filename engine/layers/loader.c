#include "layers/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/pages.h"

/* ---- Keep ------------------------------------------------------------------------------------------ */

/* Stands before each piece; as wide as the alignment, so that the piece is aligned too. */
struct piece {
    _Alignas(HEED_ALIGN) struct piece *next;
};

struct heed_keep {
    struct piece *pieces;
    size_t bytes;
    float *temporary;
    size_t temporary_floats;
};

enum heed_status heed_keep_create(struct heed_keep **keep, struct heed_error *error)
{
    *keep = calloc(1, sizeof **keep);
    return *keep ? HEED_OK : heed_fail(error, HEED_NO_MEMORY, "a model's memory");
}

void heed_keep_free(struct heed_keep *keep)
{
    if (!keep)
        return;
    for (struct piece *piece = keep->pieces, *next; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    heed_keep_seal(keep);
    free(keep);
}

void heed_keep_seal(struct heed_keep *keep)
{
    free(keep->temporary);
    keep->temporary = NULL;
    keep->temporary_floats = 0;
}

size_t heed_keep_bytes(const struct heed_keep *keep)
{
    return keep->bytes;
}

/* `size` bytes aligned to HEED_ALIGN behind `before` bytes; NULL if there are none to have. */
static void *allocate(size_t before, size_t size)
{
    size_t total;
    if (!heed_add_fits(before, size, &total) || !heed_add_fits(total, HEED_ALIGN - 1, &total))
        return NULL;
    return aligned_alloc(HEED_ALIGN, total - total % HEED_ALIGN);
}

/* Not zeroed. NULL if memory ran out. */
static void *keep_add(struct heed_keep *keep, size_t size)
{
    struct piece *const piece = allocate(sizeof *piece, size);
    if (!piece)
        return NULL;
    heed_pages_enlarge(piece, size);
    piece->next = keep->pieces;
    keep->pieces = piece;
    keep->bytes += size;
    return piece + 1;
}

static float *keep_temporary(struct heed_keep *keep, size_t count)
{
    if (count > keep->temporary_floats) {
        heed_keep_seal(keep);
        size_t bytes;
        if (!heed_mul_fits(count, sizeof(float), &bytes) || !(keep->temporary = allocate(0, bytes)))
            return NULL;
        keep->temporary_floats = count;
    }
    return keep->temporary;
}

/* ---- Loader ---------------------------------------------------------------------------------------- */

static void *no_memory(struct heed_loader *loader, size_t count, size_t size)
{
    loader->status = heed_fail(loader->error, HEED_NO_MEMORY, "%zu times %zu bytes of the model", count, size);
    return NULL;
}

float *heed_loader_floats(struct heed_loader *loader, size_t count)
{
    if (loader->status != HEED_OK)
        return NULL;
    size_t bytes;
    float *const floats = heed_mul_fits(count, sizeof *floats, &bytes) ? keep_add(loader->keep, bytes) : NULL;
    return floats ? floats : no_memory(loader, count, sizeof *floats);
}

void *heed_loader_bytes(struct heed_loader *loader, size_t size)
{
    if (loader->status != HEED_OK)
        return NULL;
    void *const bytes = keep_add(loader->keep, size);
    return bytes ? memset(bytes, 0, size) : no_memory(loader, 1, size);
}

const char *heed_loader_name(struct heed_loader *loader, const char *format, ...)
{
    char name[256]; /* longer than any a network makes; cut, it finds no tensor */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    char *const kept = heed_loader_bytes(loader, strlen(name) + 1);
    return kept ? strcpy(kept, name) : "";
}

/* The shape's product; 0 and an error where it overflows or has no element. */
static size_t shape_floats(struct heed_loader *loader, const char *name, size_t rank, const size_t *shape)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        if (!heed_mul_fits(count, shape[i], &count))
            count = 0;
    if (count == 0)
        loader->status =
            heed_fail(loader->error, HEED_BAD_MODEL, "tensor %s: the description gives it no possible size", name);
    return count;
}

static float *read_into(struct heed_loader *loader, const char *name, size_t rank, const size_t *shape, float *out)
{
    loader->status = heed_weights_read(loader->weights, name, rank, shape, out, loader->error);
    return loader->status == HEED_OK ? out : NULL;
}

float *heed_loader_read(struct heed_loader *loader, const char *name, size_t rank, const size_t *shape)
{
    const size_t count = loader->status == HEED_OK ? shape_floats(loader, name, rank, shape) : 0;
    float *const out = count ? heed_loader_floats(loader, count) : NULL;
    if (!out)
        return NULL;
    loader->parameters += count;
    return read_into(loader, name, rank, shape, out);
}

const float *heed_loader_read_temporary(struct heed_loader *loader, const char *name, size_t rank, const size_t *shape)
{
    const size_t count = loader->status == HEED_OK ? shape_floats(loader, name, rank, shape) : 0;
    if (!count)
        return NULL;
    float *const out = keep_temporary(loader->keep, count);
    if (!out)
        return no_memory(loader, count, sizeof *out);
    loader->parameters += count;
    return read_into(loader, name, rank, shape, out);
}
