/* heed bench: how long a photo takes, and where the time goes. The whole way is timed as users have it, from bytes to
 * runs of masks; the layers are timed in rounds of their own, so that noting them costs the figures above nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "flags.h"
#include "options.h"
#include "session.h"
#include "text.h"

enum { LAYERS_MAX = 1024, ROUNDS_MAX = 100000, SIDE_MAX = 8192, JPEG_QUALITY = 90 };

enum part { DECODE, INFER, MASKS, TOTAL, PARTS };
static const char *const part_names[PARTS] = { "decode", "infer", "masks", "total" };

struct summary {
    double median, least, p10, p90; /* milliseconds */
};

struct bench {
    struct srv_session session;
    struct heed_detect_options options;
    uint8_t *photo;
    size_t photo_size;
    uint32_t width, height;
    size_t rounds, detections;
    double *ms[PARTS]; /* (rounds) */
    struct summary summary[PARTS];
    struct heed_profile profile;
    size_t profiled_rounds;
    double peak; /* multiply-adds a second: the machine's, with these threads, whatever level was asked for */
};

/* ---- The photo ------------------------------------------------------------------------------------ */

/* Smooth colours with edges and some noise: a JPEG of it costs about what one of a real photo does. */
static void paint(struct heed_image *image)
{
    uint32_t noise = 1;
    for (uint32_t y = 0; y < image->height; y++)
        for (uint32_t x = 0; x < image->width; x++) {
            noise = noise * 1664525 + 1013904223;
            const uint32_t edge = (x / 40 + y / 40) % 3 * 50, grain = noise >> 28;
            uint8_t *const pixel = image->rgb + 3 * ((size_t)y * image->width + x);
            pixel[0] = (uint8_t)(edge + x * 100 / image->width + grain);
            pixel[1] = (uint8_t)(edge + y * 100 / image->height + grain);
            pixel[2] = (uint8_t)(150 - edge + grain);
        }
}

static enum heed_status make_photo(struct bench *bench, struct heed_error *error)
{
    struct heed_image image = { .width = bench->width, .height = bench->height };
    image.rgb = malloc((size_t)image.width * image.height * 3);
    if (!image.rgb) {
        snprintf(error->text, sizeof error->text, "a photo of %u x %u: memory ran out", image.width, image.height);
        return error->status = HEED_NO_MEMORY;
    }
    paint(&image);
    const enum heed_status status =
        heed_image_encode_jpeg(&image, JPEG_QUALITY, NULL, &bench->photo, &bench->photo_size, error);
    free(image.rgb);
    return status;
}

/* ---- Measuring ------------------------------------------------------------------------------------ */

static enum heed_status detect_once(struct bench *bench, double ms[PARTS], struct heed_error *error)
{
    struct heed_result result;
    const uint64_t start = heed_now_ns();
    const enum heed_status status =
        srv_session_detect(&bench->session, bench->photo, bench->photo_size, &bench->options, &result, error);
    const uint64_t total_ns = heed_now_ns() - start;
    if (status != HEED_OK)
        return status;
    const uint64_t ns[PARTS] = { result.decode_ns, result.infer_ns, result.masks_ns, total_ns };
    for (int part = 0; part < PARTS; part++)
        ms[part] = (double)ns[part] / 1e6;
    bench->width = result.width;
    bench->height = result.height;
    bench->detections = result.detection_count;
    heed_result_deinit(&result);
    return HEED_OK;
}

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static struct summary summarise(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    const size_t last = count - 1;
    return (struct summary){
        .median = (values[last / 2] + values[count / 2]) / 2,
        .least = values[0],
        .p10 = values[last / 10],
        .p90 = values[last - last / 10],
    };
}

/* On a terminal, so that a large model's minutes are not silent. */
static void show_progress(const char *what, size_t done, size_t of)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, done < of ? "\r\033[K%s %zu of %zu" : "\r\033[K", what, done + 1, of);
}

static enum heed_status measure(struct bench *bench, size_t warm_up, struct heed_error *error)
{
    double ms[PARTS];
    enum heed_status status = HEED_OK;
    for (size_t i = 0; i < warm_up && status == HEED_OK; i++) {
        show_progress("warm-up", i, warm_up);
        status = detect_once(bench, ms, error);
    }
    for (size_t i = 0; i < bench->rounds && status == HEED_OK; i++) {
        show_progress("round", i, bench->rounds);
        status = detect_once(bench, ms, error);
        for (int part = 0; part < PARTS; part++)
            bench->ms[part][i] = ms[part];
    }
    show_progress("", bench->rounds, bench->rounds);
    if (status != HEED_OK)
        return status;
    for (int part = 0; part < PARTS; part++)
        bench->summary[part] = summarise(bench->ms[part], bench->rounds);
    return HEED_OK;
}

static int by_time(const void *left, const void *right)
{
    const struct heed_profile_entry *const a = left, *const b = right;
    return a->ns > b->ns ? -1 : a->ns < b->ns;
}

static enum heed_status measure_layers(struct bench *bench, struct heed_error *error)
{
    double ms[PARTS];
    enum heed_status status = detect_once(bench, ms, error); /* the context is there before it is profiled */
    if (status != HEED_OK)
        return status;
    heed_context_profile(bench->session.context, &bench->profile);
    for (size_t i = 0; i < bench->profiled_rounds && status == HEED_OK; i++)
        status = detect_once(bench, ms, error);
    heed_context_profile(bench->session.context, NULL);
    qsort(bench->profile.entries, bench->profile.count, sizeof *bench->profile.entries, by_time);
    return status;
}

/* ---- Telling -------------------------------------------------------------------------------------- */

/* "AMD EPYC 7763"; the machine's architecture where the system does not name its CPU. */
static void cpu_name(char *name, size_t size)
{
    snprintf(name, size, "unknown CPU");
    char line[256];
    FILE *const file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(name, size, "%s", strchr(line, ':') + 2);
            name[strcspn(name, "\n")] = 0;
            break;
        }
    if (file)
        fclose(file);
}

/* Of one photo. A multiply-add counts as two operations, as everywhere. */
static double layer_ms(const struct bench *bench, const struct heed_profile_entry *layer)
{
    return (double)layer->ns / 1e6 / (double)bench->profiled_rounds;
}

static double layer_gflops(const struct heed_profile_entry *layer)
{
    return layer->ns ? 2 * (double)layer->multiply_adds / (double)layer->ns : 0;
}

static void print_layers(const struct bench *bench, size_t shown)
{
    double layers_ms = 0;
    for (size_t i = 0; i < bench->profile.count; i++)
        layers_ms += layer_ms(bench, &bench->profile.entries[i]);
    printf("\n%-36s %6s %9s %6s %9s %8s\n", "layer", "calls", "ms", "%", "GFLOP/s", "of peak");
    for (size_t i = 0; i < bench->profile.count && i < shown; i++) {
        const struct heed_profile_entry *const layer = &bench->profile.entries[i];
        printf("%-36s %6.0f %9.3f %5.1f%%", layer->name, (double)layer->calls / (double)bench->profiled_rounds,
               layer_ms(bench, layer), 100 * layer_ms(bench, layer) / layers_ms);
        if (layer->multiply_adds)
            printf(" %9.1f %7.1f%%", layer_gflops(layer), 100 * layer_gflops(layer) * 1e9 / (2 * bench->peak));
        putchar('\n');
    }
    printf("%-36s %6s %9.3f\n", "all layers", "", layers_ms);
}

static void print_table(const struct bench *bench, size_t warm_up, size_t layers)
{
    const struct heed_model_info *const info = bench->session.info;
    char name[128];
    cpu_name(name, sizeof name);
    printf("%s, %s, %u thread%s, peak %.1f GFLOP/s\n", name, info->cpu_level, bench->session.threads,
           bench->session.threads == 1 ? "" : "s", 2 * bench->peak / 1e9);
    printf("%s, photo %u x %u, %zu detections, %zu rounds after %zu\n\n", info->name, bench->width, bench->height,
           bench->detections, bench->rounds, warm_up);
    printf("%-8s %9s %9s %9s %9s\n", "ms", "median", "least", "p10", "p90");
    for (int part = 0; part < PARTS; part++) {
        const struct summary *const summary = &bench->summary[part];
        printf("%-8s %9.2f %9.2f %9.2f %9.2f\n", part_names[part], summary->median, summary->least, summary->p10,
               summary->p90);
    }
    if (layers)
        print_layers(bench, layers);
}

static void add_number(struct srv_text *text, const char *name, double value)
{
    srv_text_print(text, ",\"%s\":", name);
    srv_text_number(text, value, 4);
}

static void add_all(struct srv_text *text, const double *ms, size_t rounds)
{
    srv_text_string(text, ",\"all\":[");
    for (size_t i = 0; i < rounds; i++) {
        if (i)
            srv_text_string(text, ",");
        srv_text_number(text, ms[i], 4);
    }
    srv_text_string(text, "]");
}

static void add_layers(struct srv_text *text, const struct bench *bench, size_t shown)
{
    srv_text_string(text, ",\"layers\":[");
    for (size_t i = 0; i < bench->profile.count && i < shown; i++) {
        const struct heed_profile_entry *const layer = &bench->profile.entries[i];
        srv_text_string(text, i ? ",{\"name\":" : "{\"name\":");
        srv_text_json_string(text, layer->name);
        add_number(text, "calls", (double)layer->calls / (double)bench->profiled_rounds);
        add_number(text, "ms", layer_ms(bench, layer));
        add_number(text, "gflops", layer_gflops(layer));
        srv_text_string(text, "}");
    }
    srv_text_string(text, "]");
}

static int print_json(const struct bench *bench, size_t warm_up, size_t layers)
{
    const struct heed_model_info *const info = bench->session.info;
    char name[128];
    cpu_name(name, sizeof name);
    struct srv_text text = { 0 };
    srv_text_string(&text, "{\"cpu\":");
    srv_text_json_string(&text, name);
    srv_text_print(&text, ",\"level\":\"%s\",\"threads\":%u", info->cpu_level, bench->session.threads);
    add_number(&text, "peak_gflops", 2 * bench->peak / 1e9);
    srv_text_string(&text, ",\"model\":");
    srv_text_json_string(&text, info->name);
    srv_text_print(&text, ",\"width\":%u,\"height\":%u,\"detections\":%zu,\"rounds\":%zu,\"warm_up\":%zu,\"ms\":{",
                   bench->width, bench->height, bench->detections, bench->rounds, warm_up);
    for (int part = 0; part < PARTS; part++) {
        const struct summary *const summary = &bench->summary[part];
        srv_text_print(&text, "%s\"%s\":{\"rounds\":%zu", part ? "," : "", part_names[part], bench->rounds);
        add_number(&text, "median", summary->median);
        add_number(&text, "least", summary->least);
        add_number(&text, "p10", summary->p10);
        add_number(&text, "p90", summary->p90);
        add_all(&text, bench->ms[part], bench->rounds);
        srv_text_string(&text, "}");
    }
    srv_text_string(&text, "}");
    if (layers)
        add_layers(&text, bench, layers);
    srv_text_string(&text, "}");
    const bool printed = !text.failed && puts(text.data) >= 0;
    srv_text_deinit(&text);
    return printed ? SRV_EXIT_OK : SRV_EXIT_FAILED;
}

/* ---- The command ---------------------------------------------------------------------------------- */

static bool read_size(const char *text, uint32_t *width, uint32_t *height)
{
    unsigned w, h;
    char more;
    if (sscanf(text, "%ux%u%c", &w, &h, &more) != 2 || w < 1 || h < 1 || w > SIDE_MAX || h > SIDE_MAX)
        return false;
    *width = w;
    *height = h;
    return true;
}

static enum heed_status run(struct bench *bench, const char *photo, size_t warm_up, struct heed_error *error)
{
    enum heed_status status =
        photo ? srv_photo_read(photo, &bench->photo, &bench->photo_size, error) : make_photo(bench, error);
    if (status == HEED_OK)
        status = measure(bench, warm_up, error);
    if (status == HEED_OK && bench->profiled_rounds)
        status = measure_layers(bench, error);
    return status;
}

static bool reserve(struct bench *bench)
{
    bench->profile.capacity = LAYERS_MAX;
    bench->profile.entries = calloc(LAYERS_MAX, sizeof *bench->profile.entries);
    bool reserved = bench->profile.entries != NULL;
    for (int part = 0; part < PARTS; part++) {
        bench->ms[part] = calloc(bench->rounds, sizeof *bench->ms[part]);
        reserved = reserved && bench->ms[part];
    }
    return reserved;
}

static void release(struct bench *bench)
{
    for (int part = 0; part < PARTS; part++)
        free(bench->ms[part]);
    free(bench->profile.entries);
    free(bench->photo);
    srv_session_close(&bench->session);
}

int srv_command_bench(int argc, char **argv)
{
    const char *model = NULL, *photo = NULL, *size = "640x480";
    unsigned threads = 0, cpu = 0, rounds = 50, warm_up = 5, layers = 15;
    bool json = false, no_masks = false, scaled_jpeg = false;
    double score = 0.3;
    const struct srv_flag items[] = {
        { "model", SRV_FLAG_TEXT, &model, 0, 0, "PATH", "a model's JSON instead of the built-in model" },
        { "photo", SRV_FLAG_TEXT, &photo, 0, 0, "FILE", "a photo instead of a painted one" },
        { "size", SRV_FLAG_TEXT, &size, 0, 0, "WxH", "size of the painted photo" },
        { "threads", SRV_FLAG_COUNT, &threads, 0, 1024, "N", "cores to use; 0: all" },
        { "cpu", SRV_FLAG_CHOICE, &cpu, 0, 0, SRV_CPU_CHOICES, "highest kernel level to use" },
        { "rounds", SRV_FLAG_COUNT, &rounds, 1, ROUNDS_MAX, "N", "photos that are timed" },
        { "warm-up", SRV_FLAG_COUNT, &warm_up, 0, ROUNDS_MAX, "N", "photos before these" },
        { "score", SRV_FLAG_NUMBER, &score, 0, 1, "S",
          "smallest score to report: a lower one gives the masks more work" },
        { "scaled-jpeg", SRV_FLAG_ON, &scaled_jpeg, 0, 0, NULL,
          "decode a large JPEG smaller, as --jpeg-decoding scaled does" },
        { "no-masks", SRV_FLAG_ON, &no_masks, 0, 0, NULL, "boxes only" },
        { "layers", SRV_FLAG_COUNT, &layers, 0, LAYERS_MAX, "N", "slowest layers to show; 0: do not look at layers" },
        { "json", SRV_FLAG_ON, &json, 0, 0, NULL, "JSON instead of tables" },
    };
    const struct srv_flags flags = {
        .usage = "heed bench [options]",
        .about =
            "Measures one photo's way from bytes to masks on this machine, and each layer's speed against the fastest\n"
            "multiply-adds the cores can do. Exit status: 0 done, 1 failed, 2 wrong usage, 3 no model.",
        .items = items,
        .count = sizeof items / sizeof *items,
    };
    int rest, exit_status;
    if (!srv_flags_read(&flags, argc, argv, &rest, &exit_status))
        return exit_status;
    struct bench bench = {
        .options = { .score_min = (float)score, .detections_max = 100, .masks = !no_masks, .scaled_jpeg = scaled_jpeg },
        .rounds = rounds,
        .profiled_rounds = layers ? (rounds + 4) / 5 : 0,
    };
    if (rest > 0)
        return srv_usage_error(&flags, "what is %s?", argv[0]);
    if (!read_size(size, &bench.width, &bench.height))
        return srv_usage_error(&flags, "--size is \"%s\", allowed is WxH, each 1 to %d", size, SIDE_MAX);

    struct heed_error error = { .text = "memory ran out" };
    if (srv_session_open(&bench.session, model, threads, cpu, &error) != HEED_OK) {
        exit_status = SRV_EXIT_MODEL;
    } else if (!reserve(&bench) || run(&bench, photo, warm_up, &error) != HEED_OK) {
        exit_status = SRV_EXIT_FAILED;
    } else {
        bench.peak = heed_cpu_peak(HEED_CPU_ANY) * bench.session.threads;
        exit_status = SRV_EXIT_OK;
    }
    const char *const about = exit_status == SRV_EXIT_FAILED ? photo : NULL;
    if (exit_status != SRV_EXIT_OK)
        fprintf(stderr, "heed: %s%s%s\n", about ? about : "", about ? ": " : "", error.text);
    else if (json)
        exit_status = print_json(&bench, warm_up, layers);
    else
        print_table(&bench, warm_up, layers);
    release(&bench);
    return exit_status;
}
