/* Memory may run out anywhere: every allocation of this thread, the libraries' included, fails once, one in each round.
 * Each round ends with a status or, where a library can do without, with success; nothing is lost and nothing breaks.
 *
 * The allocator's functions are replaced by ones that count, and that fail at the chosen one; they stand before the C
 * library's for the whole program. Sanitizers bring allocators of their own: there this test has nothing to replace. */
#include "engine_tools.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REPLACED 0
#endif
#endif
#ifndef REPLACED
#define REPLACED 1
#endif

static _Thread_local bool counting;
static _Thread_local size_t allocations; /* since counting began */
static _Thread_local size_t failing;     /* which of them fails; 0: none */
static _Thread_local bool failed;
static _Thread_local long alive; /* allocated and not freed since counting began */

#if REPLACED
#define EXPORTED __attribute__((visibility("default"))) /* the libraries' calls come here too */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static bool fails_now(void)
{
    if (!counting || ++allocations != failing)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    alive += counting && memory;
    return memory;
}

EXPORTED void *malloc(size_t size)
{
    return fails_now() ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : counted(__libc_calloc(count, size));
}

EXPORTED void *realloc(void *old, size_t size)
{
    if (fails_now())
        return NULL;
    return old ? __libc_realloc(old, size) : counted(__libc_realloc(NULL, size));
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : counted(__libc_memalign(alignment, size));
}

EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails_now())
        return ENOMEM;
    *memory = counted(__libc_memalign(alignment, size));
    return *memory ? 0 : ENOMEM;
}

EXPORTED void free(void *memory)
{
    alive -= counting && memory;
    __libc_free(memory);
}
#endif

/* ---- Rounds ---------------------------------------------------------------------------------------- */

/* Does its work and leaves nothing behind; HEED_OK, or what failed. */
typedef enum heed_status work_fn(struct heed_error *error);

static enum heed_status counted_work(work_fn *work, size_t fail_at, struct heed_error *error)
{
    *error = (struct heed_error){ 0 };
    allocations = 0;
    alive = 0;
    failed = false;
    failing = fail_at;
    counting = true;
    const enum heed_status status = work(error);
    counting = false;
    return status;
}

static void survives_every_failure(work_fn *work)
{
    struct heed_error error;
    assert_int_equal(counted_work(work, 0, &error), HEED_OK); /* what is made once and kept is made now */
    assert_int_equal(counted_work(work, 0, &error), HEED_OK);
    assert_int_equal(alive, 0);
    assert_true(!REPLACED || allocations > 0);
    for (size_t i = 1;; i++) {
        const enum heed_status status = counted_work(work, i, &error);
        if (!failed) {
            assert_int_equal(status, HEED_OK);
            return;
        }
        if (alive != 0)
            fail_msg("allocation %zu failed, then %ld were not freed", i, alive);
        /* Not always HEED_NO_MEMORY: libraries blame what they read when they run out. */
        if (status != HEED_OK && (error.status != status || !error.text[0]))
            fail_msg("allocation %zu failed, then: %s, \"%s\"", i, heed_status_text(status), error.text);
    }
}

/* ---- Work ------------------------------------------------------------------------------------------ */

static struct heed_model *model;
static struct bed bed;
static struct photo photos[2]; /* small: a JPEG, a PNG */

static int load(void **state)
{
    (void)state;
#if REPLACED
    json_set_alloc_funcs(__libc_malloc, __libc_free);
#endif
    model = builtin_model(HEED_CPU_ANY);
    bed = bed_make(1, 1 << 28);
    uint8_t pixels[24 * 32 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 7);
    const struct heed_image image = { .rgb = pixels, .width = 32, .height = 24 };
    struct heed_error error;
    return heed_image_encode_jpeg(&image, 90, &photos[0].bytes, &photos[0].size, &error) != HEED_OK ||
           heed_image_encode_png(&image, &photos[1].bytes, &photos[1].size, &error) != HEED_OK;
}

static int unload(void **state)
{
    (void)state;
    bed_free(&bed);
    heed_model_free(model);
    free(photos[0].bytes);
    free(photos[1].bytes);
    return 0;
}

static enum heed_status load_builtin(struct heed_error *error)
{
    struct heed_model *loaded;
    const enum heed_status status = heed_model_load_builtin(NULL, &loaded, error);
    if (status == HEED_OK)
        heed_model_free(loaded);
    return status;
}

static enum heed_status load_file(struct heed_error *error)
{
    struct heed_model *loaded;
    const enum heed_status status = heed_model_load(HEED_SOURCE_DIR "/config/models/heed-s.json", NULL, &loaded, error);
    if (status == HEED_OK)
        heed_model_free(loaded);
    return status;
}

static enum heed_status make_crew_and_context(struct heed_error *error)
{
    struct heed_crew *crew;
    struct heed_context *context;
    enum heed_status status = heed_crew_create(1, 2, &crew, error);
    if (status != HEED_OK)
        return status;
    status = heed_context_create(crew, 4096, &context, error);
    if (status == HEED_OK)
        heed_context_free(context);
    heed_crew_free(crew);
    return status;
}

static enum heed_status tell_masks(const struct heed_result *result, struct heed_error *error)
{
    enum heed_status status = HEED_OK;
    for (size_t i = 0; i < result->detection_count && status == HEED_OK; i++) {
        const struct heed_rle *const mask = &result->detections[i].mask;
        struct heed_polygon polygon;
        char *text;
        uint8_t *png;
        size_t size;
        status = heed_rle_to_string(mask, &text, error);
        if (status == HEED_OK) {
            free(text);
            status = heed_rle_to_polygon(mask, &polygon, error);
        }
        if (status == HEED_OK) {
            heed_polygon_deinit(&polygon);
            status = heed_rle_to_png(mask, &png, &size, error);
        }
        if (status == HEED_OK)
            free(png);
    }
    return status;
}

static enum heed_status detect_photo(const struct photo *photo, struct heed_error *error)
{
    const struct heed_detect_options options = { .detections_max = 2, .masks = true };
    struct heed_result result;
    enum heed_status status = heed_detect(bed.context, model, photo->bytes, photo->size, &options, &result, error);
    if (status == HEED_OK)
        status = tell_masks(&result, error);
    if (status == HEED_OK) {
        struct heed_image image = heed_context_image(bed.context);
        status = heed_draw(&image, &result, model, error);
    }
    heed_result_deinit(&result);
    return status;
}

static enum heed_status detect_jpeg(struct heed_error *error)
{
    return detect_photo(&photos[0], error);
}

static enum heed_status detect_png(struct heed_error *error)
{
    return detect_photo(&photos[1], error);
}

static enum heed_status encode(struct heed_error *error)
{
    uint8_t pixels[3 * 4 * 4] = { 0 };
    const struct heed_image image = { .rgb = pixels, .width = 4, .height = 4 };
    uint8_t *bytes;
    size_t size;
    enum heed_status status = heed_image_encode_jpeg(&image, 90, &bytes, &size, error);
    if (status != HEED_OK)
        return status;
    free(bytes);
    status = heed_image_encode_png(&image, &bytes, &size, error);
    if (status == HEED_OK)
        free(bytes);
    return status;
}

#define SURVIVES(work)                                                                                                 \
    static void work##_survives(void **state)                                                                          \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        survives_every_failure(work);                                                                                  \
    }
SURVIVES(load_builtin)
SURVIVES(load_file)
SURVIVES(make_crew_and_context)
SURVIVES(detect_jpeg)
SURVIVES(detect_png)
SURVIVES(encode)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_builtin_survives),
        cmocka_unit_test(load_file_survives),
        cmocka_unit_test(make_crew_and_context_survives),
        cmocka_unit_test(detect_jpeg_survives),
        cmocka_unit_test(detect_png_survives),
        cmocka_unit_test(encode_survives),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
