/* What tests of the whole engine share: the model inside the binary, a photo, a context. */
#ifndef HEED_TESTS_ENGINE_TOOLS_H
#define HEED_TESTS_ENGINE_TOOLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heed.h"

struct photo {
    uint8_t *bytes; /* of exactly this size */
    size_t size;
};

static inline struct photo photo_read(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, HEED_SOURCE_DIR "/tests/photos/%s", name);
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    struct photo photo = { .size = (size_t)ftell(file) };
    rewind(file);
    photo.bytes = malloc(photo.size);
    assert_int_equal(fread(photo.bytes, 1, photo.size, file), photo.size);
    fclose(file);
    return photo;
}

/* A crew of this many threads and a context of this much memory. */
struct bed {
    struct heed_crew *crew;
    struct heed_context *context;
};

static inline struct bed bed_make(unsigned threads, size_t memory)
{
    struct bed bed = { 0 };
    struct heed_error error = { 0 };
    assert_int_equal(heed_crew_create(threads - 1, threads, &bed.crew, &error), HEED_OK);
    assert_int_equal(heed_context_create(bed.crew, memory, &bed.context, &error), HEED_OK);
    return bed;
}

static inline void bed_free(struct bed *bed)
{
    heed_context_free(bed->context);
    heed_crew_free(bed->crew);
}

static inline struct heed_model *builtin_model(unsigned cpu)
{
    struct heed_model *model = NULL;
    struct heed_error error = { 0 };
    if (heed_model_load_builtin(&(struct heed_model_options){ .cpu = cpu }, &model, &error) != HEED_OK)
        fail_msg("%s", error.text);
    return model;
}

#endif
