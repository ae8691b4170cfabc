#include "weights/weights.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "weights/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian and read as it stands");

enum {
    LENGTH_BYTES = 8,
    HEADER_BYTES_MAX = 100000000, /* the reference implementation's limit */
};

/* X(name, bytes): all the format has in whole bytes. Those that are not read may stand in a file (batch counters do).
 */
#define DTYPE_LIST(X)                                                                                                  \
    X(F32, 4)                                                                                                          \
    X(F16, 2)                                                                                                          \
    X(BF16, 2)                                                                                                         \
    X(F64, 8)                                                                                                          \
    X(I64, 8)                                                                                                          \
    X(U64, 8)                                                                                                          \
    X(I32, 4)                                                                                                          \
    X(U32, 4)                                                                                                          \
    X(I16, 2)                                                                                                          \
    X(U16, 2)                                                                                                          \
    X(I8, 1)                                                                                                           \
    X(U8, 1)                                                                                                           \
    X(BOOL, 1)                                                                                                         \
    X(F8_E4M3, 1)                                                                                                      \
    X(F8_E5M2, 1)                                                                                                      \
    X(F8_E8M0, 1)                                                                                                      \
    X(C64, 8)

enum dtype {
#define X(name, bytes) DTYPE_##name,
    DTYPE_LIST(X)
#undef X
        DTYPE_COUNT
};

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
#define X(name, bytes) { #name, bytes },
    DTYPE_LIST(X)
#undef X
};

struct entry {
    struct heed_weight weight; /* name owned */
    enum dtype dtype;
    size_t begin, end; /* in the data */
    bool used;
};

struct heed_weights {
    char *file; /* for errors */
    const uint8_t *bytes;
    size_t size;
    bool mapped; /* ours to unmap */

    const uint8_t *data;
    size_t data_size;
    struct entry *entries; /* by name */
    size_t count;
};

/* ---- One tensor of the header ----------------------------------------------------------------------- */

/* Names are the file's: as much of one as an error has room for. */
#define NAME "%s: tensor %.100s"

static enum heed_status read_dtype(const struct heed_weights *weights, const json_t *value, struct entry *entry,
                                   struct heed_error *error)
{
    const char *const text = json_string_value(value);
    if (!text)
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has no dtype", weights->file, entry->weight.name);
    for (unsigned i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(text, dtypes[i].name) == 0) {
            entry->dtype = (enum dtype)i;
            return HEED_OK;
        }
    return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has dtype %.20s, which is not read", weights->file,
                     entry->weight.name, text);
}

/* A size as the format writes one: an integer that is not negative. */
static bool read_size(const json_t *value, size_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *size = (size_t)json_integer_value(value);
    return true;
}

static enum heed_status read_shape(const struct heed_weights *weights, const json_t *value, struct entry *entry,
                                   struct heed_error *error)
{
    struct heed_weight *const weight = &entry->weight;
    if (!json_is_array(value))
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has no shape", weights->file, weight->name);
    weight->rank = json_array_size(value);
    if (weight->rank > HEED_RANK_MAX)
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has %zu dimensions, at most %d are read", weights->file,
                         weight->name, weight->rank, HEED_RANK_MAX);
    weight->count = 1;
    bool fits = true, empty = false;
    for (size_t i = 0; i < weight->rank; i++) {
        if (!read_size(json_array_get(value, i), &weight->shape[i]))
            return heed_fail(error, HEED_BAD_WEIGHTS, NAME ": dimension %zu of its shape is not a size", weights->file,
                             weight->name, i);
        fits = heed_mul_fits(weight->count, weight->shape[i], &weight->count) && fits;
        empty = empty || weight->shape[i] == 0;
    }
    if (empty)
        weight->count = 0;
    else if (!fits)
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has an impossibly large shape", weights->file, weight->name);
    return HEED_OK;
}

static enum heed_status read_offsets(const struct heed_weights *weights, const json_t *value, struct entry *entry,
                                     struct heed_error *error)
{
    const char *const name = entry->weight.name;
    if (!json_is_array(value) || json_array_size(value) != 2 || !read_size(json_array_get(value, 0), &entry->begin) ||
        !read_size(json_array_get(value, 1), &entry->end))
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME ": data_offsets are not two sizes", weights->file, name);
    if (entry->begin > entry->end || entry->end > weights->data_size)
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " is said to be bytes %zu to %zu of %zu", weights->file, name,
                         entry->begin, entry->end, weights->data_size);
    size_t bytes;
    if (!heed_mul_fits(entry->weight.count, dtypes[entry->dtype].bytes, &bytes) || bytes != entry->end - entry->begin)
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has %zu bytes for %zu values of %s", weights->file, name,
                         entry->end - entry->begin, entry->weight.count, dtypes[entry->dtype].name);
    return HEED_OK;
}

static enum heed_status read_entry(struct heed_weights *weights, const char *name, const json_t *value,
                                   struct heed_error *error)
{
    struct entry *const entry = &weights->entries[weights->count];
    entry->weight.name = strdup(name);
    if (!entry->weight.name)
        return heed_fail(error, HEED_NO_MEMORY, "%s: the names of its tensors", weights->file);
    weights->count++;
    if (!json_is_object(value))
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " is not described by an object", weights->file, name);
    enum heed_status status = read_dtype(weights, json_object_get(value, "dtype"), entry, error);
    if (status == HEED_OK)
        status = read_shape(weights, json_object_get(value, "shape"), entry, error);
    if (status == HEED_OK)
        status = read_offsets(weights, json_object_get(value, "data_offsets"), entry, error);
    return status;
}

/* ---- The header ------------------------------------------------------------------------------------- */

static int by_place(const void *left, const void *right)
{
    const struct entry *const a = left, *const b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

static int by_name(const void *left, const void *right)
{
    const struct entry *const a = left, *const b = right;
    return strcmp(a->weight.name, b->weight.name);
}

/* Every byte of the data belongs to exactly one tensor, as the format demands: nothing hides between them. */
static enum heed_status check_places(struct heed_weights *weights, struct heed_error *error)
{
    qsort(weights->entries, weights->count, sizeof *weights->entries, by_place);
    size_t end = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const struct entry *const entry = &weights->entries[i];
        if (entry->begin != end)
            return heed_fail(error, HEED_BAD_WEIGHTS, NAME " begins at byte %zu where the one before it ends at %zu",
                             weights->file, entry->weight.name, entry->begin, end);
        end = entry->end;
    }
    if (end != weights->data_size)
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: the tensors end at byte %zu of %zu", weights->file, end,
                         weights->data_size);
    return HEED_OK;
}

static enum heed_status read_header(struct heed_weights *weights, const json_t *header, struct heed_error *error)
{
    if (!json_is_object(header))
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: the header is not a JSON object", weights->file);
    weights->entries = calloc(json_object_size(header) + 1, sizeof *weights->entries);
    if (!weights->entries)
        return heed_fail(error, HEED_NO_MEMORY, "%s: %zu tensors", weights->file, json_object_size(header));

    /* The iterator, not json_object_foreach: that macro wants a header that is not const. */
    for (void *at = json_object_iter((json_t *)header); at; at = json_object_iter_next((json_t *)header, at)) {
        if (strcmp(json_object_iter_key(at), "__metadata__") == 0)
            continue;
        const enum heed_status status =
            read_entry(weights, json_object_iter_key(at), json_object_iter_value(at), error);
        if (status != HEED_OK)
            return status;
    }
    const enum heed_status status = check_places(weights, error);
    qsort(weights->entries, weights->count, sizeof *weights->entries, by_name);
    return status;
}

static enum heed_status parse(struct heed_weights *weights, struct heed_error *error)
{
    uint64_t length;
    if (weights->size < LENGTH_BYTES)
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: %zu bytes are too few for a safetensors file", weights->file,
                         weights->size);
    memcpy(&length, weights->bytes, sizeof length);
    if (length > weights->size - LENGTH_BYTES)
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: a header of %llu bytes is said to be in a file of %zu",
                         weights->file, (unsigned long long)length, weights->size);
    if (length > HEADER_BYTES_MAX)
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: a header of %llu bytes, limit is %d", weights->file,
                         (unsigned long long)length, HEADER_BYTES_MAX);
    weights->data = weights->bytes + LENGTH_BYTES + length;
    weights->data_size = weights->size - LENGTH_BYTES - length;

    json_error_t why;
    json_t *const header =
        json_loadb((const char *)weights->bytes + LENGTH_BYTES, length, JSON_REJECT_DUPLICATES, &why);
    if (!header && !*why.text) /* the library says nothing where memory ran out */
        return heed_fail(error, HEED_NO_MEMORY, "%s: its header", weights->file);
    if (!header)
        return heed_fail(error, HEED_BAD_WEIGHTS, "%s: the header is not JSON: byte %d: %s", weights->file,
                         why.position, why.text);
    const enum heed_status status = read_header(weights, header, error);
    json_decref(header);
    return status;
}

/* ---- Opening ---------------------------------------------------------------------------------------- */

static enum heed_status map(struct heed_weights *weights, const char *path, struct heed_error *error)
{
    int file;
    const enum heed_status status = heed_file_open(path, &file, &weights->size, error);
    if (status != HEED_OK)
        return status;
    void *const bytes = weights->size ? mmap(NULL, weights->size, PROT_READ, MAP_PRIVATE, file, 0) : NULL;
    close(file);
    if (bytes == MAP_FAILED)
        return heed_fail(error, HEED_IO, "%s cannot be mapped: %s", weights->file, strerror(errno));
    weights->bytes = bytes;
    weights->mapped = bytes != NULL;
    return HEED_OK;
}

static enum heed_status create(const char *name, struct heed_weights **weights, struct heed_error *error)
{
    *weights = calloc(1, sizeof **weights);
    if (*weights && ((*weights)->file = strdup(heed_file_name(name).text)))
        return HEED_OK;
    heed_weights_free(*weights);
    return heed_fail(error, HEED_NO_MEMORY, "%s", heed_file_name(name).text);
}

enum heed_status heed_weights_open(const char *path, struct heed_weights **out, struct heed_error *error)
{
    struct heed_weights *weights;
    enum heed_status status = create(path, &weights, error);
    if (status != HEED_OK)
        return status;
    status = map(weights, path, error);
    if (status == HEED_OK)
        status = parse(weights, error);
    if (status == HEED_OK)
        *out = weights;
    else
        heed_weights_free(weights);
    return status;
}

enum heed_status heed_weights_open_memory(const char *name, const uint8_t *bytes, size_t size,
                                          struct heed_weights **out, struct heed_error *error)
{
    struct heed_weights *weights;
    enum heed_status status = create(name, &weights, error);
    if (status != HEED_OK)
        return status;
    weights->bytes = bytes;
    weights->size = size;
    status = parse(weights, error);
    if (status == HEED_OK)
        *out = weights;
    else
        heed_weights_free(weights);
    return status;
}

void heed_weights_free(struct heed_weights *weights)
{
    if (!weights)
        return;
    for (size_t i = 0; i < weights->count; i++)
        free((char *)weights->entries[i].weight.name);
    free(weights->entries);
    if (weights->mapped)
        munmap((void *)weights->bytes, weights->size);
    free(weights->file);
    free(weights);
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

static struct entry *find(const struct heed_weights *weights, const char *name)
{
    const struct entry key = { .weight = { .name = name } };
    return weights->count ? bsearch(&key, weights->entries, weights->count, sizeof key, by_name) : NULL;
}

bool heed_weights_find(const struct heed_weights *weights, const char *name, struct heed_weight *weight)
{
    const struct entry *const entry = find(weights, name);
    if (entry)
        *weight = entry->weight;
    return entry != NULL;
}

size_t heed_weights_count(const struct heed_weights *weights)
{
    return weights->count;
}

/* Data begins wherever the header ends, so values may stand on any address: each is copied out. */

static void read_f16(float *out, const uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        /* Exponent and mantissa moved to their places are the value times 2^-112, denormals included. */
        uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
        float value;
        memcpy(&value, &bits, sizeof value);
        value *= 0x1p112f;
        memcpy(&bits, &value, sizeof bits);
        bits |= (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0; /* infinity and NaN */
        bits |= (uint32_t)(half & 0x8000) << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static void read_bf16(float *out, const uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t upper;
        memcpy(&upper, data + 2 * i, sizeof upper);
        const uint32_t bits = (uint32_t)upper << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static bool same_shape(const struct heed_weight *weight, size_t rank, const size_t *shape)
{
    bool same = weight->rank == rank;
    for (size_t i = 0; i < rank && same; i++)
        same = weight->shape[i] == shape[i];
    return same;
}

/* "[64, 3, 7, 7]" */
static const char *shape_text(char text[128], size_t rank, const size_t *shape)
{
    size_t used = (size_t)snprintf(text, 128, "[");
    for (size_t i = 0; i < rank && used < 128; i++)
        used += (size_t)snprintf(text + used, 128 - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < 128)
        snprintf(text + used, 128 - used, "]");
    return text;
}

/* Exponents of all ones are infinity and NaN. Without a branch, for the compiler to vectorise. */
static bool all_finite(const float *values, size_t count)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        bad |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !bad;
}

/* A tensor that was read is mostly read once: its pages are given back, to be read from the file again if need be. So
 * loading never has the file and what is made of it in memory both. */
static void let_go(const struct heed_weights *weights, const struct entry *entry)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)(weights->data + entry->begin) / page * page;
    if (weights->mapped)
        madvise((void *)begin, (uintptr_t)(weights->data + entry->end) - begin, MADV_DONTNEED);
}

enum heed_status heed_weights_read(struct heed_weights *weights, const char *name, size_t rank, const size_t *shape,
                                   float *out, struct heed_error *error)
{
    char found[128], wanted[128];
    struct entry *const entry = find(weights, name);
    if (!entry)
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " of shape %s is missing", weights->file, name,
                         shape_text(wanted, rank, shape));
    const struct heed_weight *const weight = &entry->weight;
    if (!same_shape(weight, rank, shape))
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has shape %s, wanted is %s", weights->file, name,
                         shape_text(found, weight->rank, weight->shape), shape_text(wanted, rank, shape));

    const uint8_t *const data = weights->data + entry->begin;
    if (entry->dtype == DTYPE_F32)
        memcpy(out, data, entry->end - entry->begin);
    else if (entry->dtype == DTYPE_F16)
        read_f16(out, data, weight->count);
    else if (entry->dtype == DTYPE_BF16)
        read_bf16(out, data, weight->count);
    else
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " has dtype %s; F32, F16 and BF16 are read", weights->file, name,
                         dtypes[entry->dtype].name);
    entry->used = true;
    let_go(weights, entry);
    if (!all_finite(out, weight->count))
        return heed_fail(error, HEED_BAD_WEIGHTS, NAME " holds a value that is not a finite number", weights->file,
                         name);
    return HEED_OK;
}

static bool is_batch_counter(const char *name)
{
    static const char ending[] = ".num_batches_tracked";
    const size_t length = strlen(name);
    return length >= sizeof ending - 1 && strcmp(name + length - (sizeof ending - 1), ending) == 0;
}

const char *heed_weights_unused(const struct heed_weights *weights)
{
    for (size_t i = 0; i < weights->count; i++)
        if (!weights->entries[i].used && !is_batch_counter(weights->entries[i].weight.name))
            return weights->entries[i].weight.name;
    return NULL;
}
