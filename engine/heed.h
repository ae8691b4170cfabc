/* libheed: attention vision models on a CPU. Image bytes in, boxes and masks out.
 *
 *     struct heed_model *model;      weights, labels, dimensions; never changes after loading
 *     struct heed_crew *crew;        the threads that help each other
 *     struct heed_context *context;  one worker's scratch memory; never shared
 *
 *     heed_model_load_builtin(NULL, &model, &error);
 *     heed_crew_create(helpers, helpers + 1, &crew, &error);
 *     heed_context_create(crew, heed_model_memory(model, width, height, helpers + 1), &context, &error);
 *     heed_detect(context, model, bytes, size, &options, &result, &error);
 *     heed_result_deinit(&result);
 *
 * Thread use: load a model once; any number of threads may share it, each with a context of its own.
 * A context serves one call at a time. Every function that has no context or crew among its arguments
 * may be called from any thread at any time.
 *
 * Errors: a function that can fail because of the world (a damaged photo, a full disk) returns a
 * heed_status and fills the caller's heed_error. Our own mistakes are asserts. The engine neither
 * logs nor exits. Where a status is not HEED_OK, outputs hold nothing that must be freed.
 *
 * Pixels: photos are rows of 8-bit RGB, top row first. Coordinates are pixels of the photo as a person
 * sees it (EXIF orientation applied), x to the right, y down; a box is [x, y, width, height].
 */
#ifndef HEED_H
#define HEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <atomic>
using std::atomic_bool; /* the same size and meaning as C's */
extern "C" {
#else
#include <stdatomic.h>
#endif

#if defined(__GNUC__)
#define HEED_CHECKED __attribute__((warn_unused_result))
#define HEED_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define HEED_API __attribute__((visibility("default")))
#else
#define HEED_CHECKED
#define HEED_PRINTF(text, first)
#define HEED_API
#endif

/* ---- Errors -------------------------------------------------------------------------------------- */

#define HEED_STATUS_LIST(X)                                             \
    X(OK,           "ok")                                               \
    X(BAD_ARGUMENT, "an argument is outside what is allowed")           \
    X(NOT_AN_IMAGE, "the bytes are not an image type that is read")     \
    X(BAD_IMAGE,    "the image cannot be decoded")                      \
    X(TOO_LARGE,    "the input is beyond a configured limit")           \
    X(BAD_MODEL,    "the model description is wrong")                   \
    X(BAD_WEIGHTS,  "the weights do not fit the model")                 \
    X(IO,           "a file cannot be read or written")                 \
    X(NO_MEMORY,    "memory ran out")                                   \
    X(CANCELLED,    "the work was cancelled")                           \
    X(DEADLINE,     "the deadline has passed")                          \
    X(OUTGROWN,     "the result is beyond a configured limit")

enum heed_status {
#define X(name, text) HEED_##name,
    HEED_STATUS_LIST(X)
#undef X
    HEED_STATUS_COUNT
};

struct heed_error {
    enum heed_status status;
    char text[320]; /* one sentence for a person: what was found, what was wanted */
};

/* A fixed text for the status; never NULL. */
HEED_API const char *heed_status_text(enum heed_status status);

/* ---- Stopping ------------------------------------------------------------------------------------ */

/* How long work is wanted. Where a function takes a pointer to one, NULL means: to its end. What was stopped on its way
 * ends with HEED_CANCELLED or HEED_DEADLINE. */
struct heed_stop {
    const atomic_bool *cancel; /* NULL: never */
    uint64_t deadline_ns;      /* on heed_now_ns()'s clock; 0: none */
};

/* HEED_OK as long as the work is wanted. */
HEED_CHECKED HEED_API enum heed_status heed_stop_check(const struct heed_stop *stop, struct heed_error *error);

/* ---- Images -------------------------------------------------------------------------------------- */

enum heed_image_format { HEED_IMAGE_JPEG, HEED_IMAGE_PNG };

/* Checked against the header, before anything is allocated for pixels. 0 means no limit of ours. */
struct heed_image_limits {
    uint64_t bytes_max;
    uint64_t pixels_max;
    uint32_t scans_max; /* of a progressive JPEG; the codec itself goes through 500 at most */
};

struct heed_image_info {
    enum heed_image_format format;
    uint32_t width, height;               /* as a person sees it */
    uint32_t stored_width, stored_height; /* before the EXIF orientation */
    uint8_t orientation;                  /* EXIF, 1..8 */
    uint64_t codec_bytes; /* what the codec allocates while decoding, beside the context: a progressive JPEG's
                             coefficients, the rows of a PNG it works on */
};

struct heed_image {
    uint8_t *rgb; /* (height, width, 3) */
    uint32_t width, height;
};

/* Reads the header, and of a JPEG of several scans the markers to its end: no pixel is decoded. */
HEED_CHECKED HEED_API enum heed_status heed_image_probe(const uint8_t *bytes, size_t size,
                                                        const struct heed_image_limits *limits,
                                                        struct heed_image_info *info,
                                                        struct heed_error *error);

/* Encoders give the caller bytes to free with free(). Quality is JPEG's 1..100. */
HEED_CHECKED HEED_API enum heed_status heed_image_encode_jpeg(const struct heed_image *image, int quality,
                                                              const struct heed_stop *stop, uint8_t **bytes,
                                                              size_t *size, struct heed_error *error);
HEED_CHECKED HEED_API enum heed_status heed_image_encode_png(const struct heed_image *image,
                                                             const struct heed_stop *stop, uint8_t **bytes,
                                                             size_t *size, struct heed_error *error);

/* ---- Masks --------------------------------------------------------------------------------------- */

/* COCO's run lengths: column by column, top to bottom, runs of 0 and 1 in turn, the first of 0 and
 * possibly empty. Every run but the first is at least 1; the runs add up to height * width. */
struct heed_rle {
    uint32_t height, width;
    uint32_t *runs;
    size_t run_count;
};

/* Rings of one mask in image coordinates (pixel corners), closed implicitly. An outer ring runs clockwise
 * as seen on screen, a hole counter-clockwise. Even-odd filling the rings gives the mask back exactly. */
struct heed_polygon {
    size_t ring_count;
    size_t *ring_ends; /* ring r is points ring_ends[r-1] (0 for the first) to ring_ends[r]-1 */
    uint32_t *points;  /* x, y, x, y... */
};

HEED_API uint64_t heed_rle_area(const struct heed_rle *rle);

/* COCO's compressed string, NUL-terminated, for the caller to free(). */
HEED_CHECKED HEED_API enum heed_status heed_rle_to_string(const struct heed_rle *rle, char **text,
                                                          struct heed_error *error);
HEED_CHECKED HEED_API enum heed_status heed_rle_to_polygon(const struct heed_rle *rle,
                                                           struct heed_polygon *polygon,
                                                           struct heed_error *error);
HEED_API void heed_polygon_deinit(struct heed_polygon *polygon);

/* A grey PNG of depth one, size of the image, 1 where the mask is; bytes for the caller to free(). */
HEED_CHECKED HEED_API enum heed_status heed_rle_to_png(const struct heed_rle *rle, const struct heed_stop *stop,
                                                       uint8_t **bytes, size_t *size, struct heed_error *error);

/* ---- CPU and crew -------------------------------------------------------------------------------- */

/* The levels a build has kernels for, as a mask; each includes those below it. */
enum heed_cpu { HEED_CPU_REF = 0, HEED_CPU_BLAS = 1, HEED_CPU_AVX2 = 2, HEED_CPU_AVX512 = 4, HEED_CPU_ANY = 0xff };

HEED_API unsigned heed_cpu_detect(void);            /* what this machine and this build have */
HEED_API const char *heed_cpu_level_name(unsigned cpu); /* "ref", "blas", "avx2", "avx512" */
/* Multiply-adds a second that one core can do at most at this level: measured, for some ten milliseconds. */
HEED_API double heed_cpu_peak(unsigned cpu);
/* Cores this process may use: affinity and the cgroup's quota counted; at least 1. */
HEED_API unsigned heed_cpu_cores(void);
/* Bytes the control group (cgroup) lets this process have; 0 where it sets no limit. */
HEED_API uint64_t heed_memory_limit(void);

/* The crew: threads that lend themselves to each other's loops. `helpers` are threads the crew starts
 * itself; others lend themselves with heed_crew_help. lanes = helpers + threads that will lend
 * themselves or run jobs at the same time; it bounds the scratch memory of every context. */
struct heed_crew;
HEED_CHECKED HEED_API enum heed_status heed_crew_create(unsigned helpers, unsigned lanes,
                                                        struct heed_crew **crew, struct heed_error *error);
HEED_API void heed_crew_free(struct heed_crew *crew); /* no job may be running; NULL is fine */

/* Lends the calling thread until leave(arg) is true; leave is asked before each tile and after each wake.
 * Sleeps when there is nothing to help with. */
typedef bool heed_leave_fn(void *arg);
HEED_API void heed_crew_help(struct heed_crew *crew, heed_leave_fn *leave, void *arg);
/* Makes every helper ask its leave again: call after changing what a leave looks at. */
HEED_API void heed_crew_wake(struct heed_crew *crew);

/* ---- Models -------------------------------------------------------------------------------------- */

struct heed_model;

struct heed_model_options {
    unsigned cpu; /* mask of HEED_CPU_*; HEED_CPU_ANY for the best there is */
};

struct heed_label {
    const char *name;     /* NULL for a class index that is not used */
    uint32_t category_id; /* COCO's 1..90 for COCO labels */
};

/* Borrowed from the model; lives as long as it. */
struct heed_model_info {
    const char *name, *family, *cpu_level;
    const struct heed_label *labels; /* by class index */
    size_t label_count;
    uint32_t input_width_max, input_height_max; /* the network's input, padding included */
    size_t weights_bytes;                       /* resident: packed weights */
    uint64_t parameters;
    uint32_t detections_max; /* what the model's description says, when a request does not */
};

/* `path` is a model's JSON; the weights file is named in it, relative to it. */
HEED_CHECKED HEED_API enum heed_status heed_model_load(const char *path, const struct heed_model_options *options,
                                                       struct heed_model **model, struct heed_error *error);
/* The model inside the binary. */
HEED_CHECKED HEED_API enum heed_status heed_model_load_builtin(const struct heed_model_options *options,
                                                               struct heed_model **model,
                                                               struct heed_error *error);
HEED_API void heed_model_free(struct heed_model *model);
HEED_API const struct heed_model_info *heed_model_info(const struct heed_model *model);

/* Bytes of context memory a photo of this size needs (scratch of the forward pass, decoded pixels),
 * with `lanes` threads in the crew; 0 for one without pixels. Exact: the forward pass's own arithmetic, run without
 * computing. */
HEED_API size_t heed_model_memory(const struct heed_model *model, uint32_t width, uint32_t height, unsigned lanes);

/* ---- Detection ----------------------------------------------------------------------------------- */

struct heed_context;

/* Reserves `memory_bytes` of address space (touched only as used). The largest heed_model_memory of what
 * will be admitted is enough. A photo that needs more is refused with HEED_TOO_LARGE. */
HEED_CHECKED HEED_API enum heed_status heed_context_create(struct heed_crew *crew, size_t memory_bytes,
                                                           struct heed_context **context,
                                                           struct heed_error *error);
HEED_API void heed_context_free(struct heed_context *context);

struct heed_detect_options {
    struct heed_image_limits limits;
    float score_min;            /* 0..1 */
    uint32_t detections_max;    /* 1..1000; 0: the model's */
    const bool *classes;        /* by class index, true to report; NULL for all */
    bool masks;                 /* false: boxes only, the mask head does not run */
    size_t mask_bytes_max;      /* of the run lengths of all masks together; 0: no limit */
    bool scaled_jpeg;           /* true: a JPEG of twice the network's input or more is decoded at a half, a quarter or
                                   an eighth, which is faster and almost the same; heed_context_image is then that
                                   smaller picture, not one to draw on */
    struct heed_stop stop;      /* checked between the rows of a PNG, layers and masks; a JPEG is decoded in one go */
};

struct heed_detection {
    uint32_t class_index;
    uint32_t category_id;
    float score;
    float box[4];         /* x, y, width, height in pixels of the photo */
    struct heed_rle mask; /* of the whole photo; runs NULL where masks were not asked for */
};

struct heed_result {
    uint32_t width, height; /* of the photo as a person sees it */
    size_t detection_count; /* by falling score */
    struct heed_detection *detections;
    uint64_t decode_ns, infer_ns, masks_ns; /* masks: from 28x28 logits to run lengths */
};

HEED_CHECKED HEED_API enum heed_status heed_detect(struct heed_context *context, const struct heed_model *model,
                                                   const uint8_t *bytes, size_t size,
                                                   const struct heed_detect_options *options,
                                                   struct heed_result *result, struct heed_error *error);
HEED_API void heed_result_deinit(struct heed_result *result);

/* The photo of the context's last heed_detect, for drawing on; valid until the context's next call. */
HEED_API struct heed_image heed_context_image(struct heed_context *context);

/* Where the time of a pass goes, layer by layer. */
struct heed_profile_entry {
    const char *name; /* the layer's; lives as long as the model */
    uint64_t ns, multiply_adds, calls;
};
struct heed_profile {
    struct heed_profile_entry *entries;
    size_t count, capacity; /* layers beyond the capacity are not noted */
};

/* From now on the context's passes add their layers to *profile, which stays the caller's; NULL ends it. */
HEED_API void heed_context_profile(struct heed_context *context, struct heed_profile *profile);

/* Draws boxes, labels with scores and masks on the photo. Where it is stopped the photo is half drawn.
 * HEED_BAD_ARGUMENT where the result is of a photo of another size or of a model with fewer classes. */
HEED_CHECKED HEED_API enum heed_status heed_draw(struct heed_image *image, const struct heed_result *result,
                                                 const struct heed_model *model, const struct heed_stop *stop,
                                                 struct heed_error *error);

/* Monotonic nanoseconds; the clock of every deadline and timing. */
HEED_API uint64_t heed_now_ns(void);

#ifdef __cplusplus
}
#endif
#endif
