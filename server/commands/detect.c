/* heed detect: photos from files or standard input, answers as the server gives them, one after the other. A photo that
 * fails is named on standard error and does not stop the others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "flags.h"
#include "options.h"
#include "reply_json.h"
#include "session.h"
#include "text.h"

enum format { FORMAT_AUTO, FORMAT_TABLE, FORMAT_JSON, FORMAT_COCO };

enum { PIXELS_MAX = 1 << 28, SCANS_MAX = 500, JPEG_QUALITY = 92 };

/* The file behind a name, whatever the name: of what is not there, zeros. */
struct file_id {
    dev_t device;
    ino_t inode;
};

struct run {
    struct srv_session session;
    struct heed_detect_options options;
    bool *classes; /* of options; owned */
    enum format format;
    enum srv_masks masks;
    const char *draw; /* NULL: no pictures */
    bool draw_into_folder;
    char **photos;
    struct file_id *photo_ids, *picture_ids; /* (photo_count) where pictures are drawn; owned */
    size_t photo_count, written;             /* photos asked for; photos and detections printed so far */
};

static int complain(const char *about, const struct heed_error *error)
{
    fprintf(stderr, "heed: %s: %s\n", about, error->text);
    return SRV_EXIT_FAILED;
}

static enum heed_status no_memory(struct heed_error *error)
{
    error->status = HEED_NO_MEMORY;
    snprintf(error->text, sizeof error->text, "%s", heed_status_text(HEED_NO_MEMORY));
    return HEED_NO_MEMORY;
}

/* ---- Pictures ------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcasecmp(text + length - tail, ending) == 0;
}

static bool is_picture(const char *path)
{
    return ends_with(path, ".jpg") || ends_with(path, ".jpeg") || ends_with(path, ".png");
}

/* Where a photo's picture goes: the file that was named, or one of the photo's name in the folder that was. */
static void picture_path(const struct run *run, const char *photo, char *path, size_t size)
{
    const char *const slash = strrchr(photo, '/');
    const char *const name = slash ? slash + 1 : photo;
    const char *const dot = strrchr(name, '.');
    if (run->draw_into_folder)
        snprintf(path, size, "%s/%.*s.jpg", run->draw, (int)(dot ? dot - name : (long)strlen(name)), name);
    else
        snprintf(path, size, "%s", run->draw);
}

static struct file_id file_id(const char *path)
{
    struct stat about;
    const bool there = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &about) == 0 : stat(path, &about) == 0;
    return there ? (struct file_id){ .device = about.st_dev, .inode = about.st_ino } : (struct file_id){ 0 };
}

static bool is_same(struct file_id a, struct file_id b)
{
    return a.inode != 0 && a.inode == b.inode && a.device == b.device;
}

/* A picture replaces what was there before, but no photo and no picture of this run. */
static enum heed_status check_picture(const struct run *run, size_t index, struct heed_error *error)
{
    char path[4096];
    picture_path(run, run->photos[index], path, sizeof path);
    const struct file_id id = file_id(path);
    for (size_t i = 0; i < run->photo_count; i++) {
        const bool is_photo = is_same(id, run->photo_ids[i]);
        if (!is_photo && !is_same(id, run->picture_ids[i]))
            continue;
        error->status = HEED_IO;
        snprintf(error->text, sizeof error->text, "not drawn: %.120s is %s %.120s", path,
                 is_photo ? "the photo" : "already the picture of", run->photos[i]);
        return HEED_IO;
    }
    return HEED_OK;
}

static enum heed_status write_file(const char *path, const uint8_t *bytes, size_t size, struct heed_error *error)
{
    FILE *const file = fopen(path, "wbe");
    const bool written = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) == 0 && written)
        return HEED_OK;
    error->status = HEED_IO;
    snprintf(error->text, sizeof error->text, "%.200s: %s", path, strerror(errno));
    return HEED_IO;
}

static enum heed_status draw(struct run *run, size_t index, const struct heed_result *result, struct heed_error *error)
{
    char path[4096];
    picture_path(run, run->photos[index], path, sizeof path);
    struct heed_image image = heed_context_image(run->session.context);
    enum heed_status status = heed_draw(&image, result, run->session.model, NULL, error);
    if (status != HEED_OK)
        return status;
    uint8_t *bytes;
    size_t size;
    status = ends_with(path, ".png") ? heed_image_encode_png(&image, NULL, &bytes, &size, error)
                                     : heed_image_encode_jpeg(&image, JPEG_QUALITY, NULL, &bytes, &size, error);
    if (status != HEED_OK)
        return status;
    status = write_file(path, bytes, size, error);
    run->picture_ids[index] = file_id(path);
    free(bytes);
    return status;
}

/* ---- Answers -------------------------------------------------------------------------------------- */

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void print_table(const struct run *run, const char *photo, const struct heed_result *result)
{
    printf("%s  %u x %u  decode %.1f ms, infer %.1f ms, masks %.1f ms\n", photo, result->width, result->height,
           ms(result->decode_ns), ms(result->infer_ns), ms(result->masks_ns));
    for (size_t i = 0; i < result->detection_count; i++) {
        const struct heed_detection *const found = &result->detections[i];
        const char *const label = run->session.info->labels[found->class_index].name;
        printf("  %-16s %5.3f  x %7.1f  y %7.1f  %7.1f x %-7.1f", label ? label : "", (double)found->score,
               (double)found->box[0], (double)found->box[1], (double)found->box[2], (double)found->box[3]);
        if (found->mask.runs)
            printf("  mask %llu px", (unsigned long long)heed_rle_area(&found->mask));
        putchar('\n');
    }
}

/* COCO tools know a photo by its number, and COCO's photos are named by it: "000000000139.jpg" is 139. */
static char *image_id_of(const char *photo)
{
    const char *const slash = strrchr(photo, '/');
    const char *const name = slash ? slash + 1 : photo;
    const size_t digits = strspn(name, "0123456789");
    struct srv_text text = { 0 };
    if (digits > 0 && digits < 19 && (name[digits] == 0 || name[digits] == '.'))
        srv_text_print(&text, "%llu", strtoull(name, NULL, 10));
    else
        srv_text_json_string(&text, name);
    return srv_text_take(&text, &(size_t){ 0 });
}

static enum heed_status write_coco(struct run *run, struct srv_text *text, const char *photo,
                                   const struct heed_result *result, struct heed_error *error)
{
    char *const image_id = image_id_of(photo);
    if (!image_id)
        return no_memory(error);
    const enum heed_status status = srv_coco_result(text, image_id, run->written == 0, result, run->masks, NULL, error);
    free(image_id);
    return status;
}

static enum heed_status write_heed(struct run *run, struct srv_text *text, const struct heed_result *result,
                                   uint64_t start_ns, struct heed_error *error)
{
    srv_text_string(text, run->written ? ",\n" : "");
    const char *const model = run->photo_count == 1 ? run->session.info->name : NULL;
    const enum heed_status status = srv_json_result(text, model, run->session.info, result, run->masks, NULL, error);
    const struct srv_timing timing = { .decode_ns = result->decode_ns,
                                       .infer_ns = result->infer_ns,
                                       .masks_ns = result->masks_ns,
                                       .total_ns = heed_now_ns() - start_ns };
    srv_json_result_end(text, &timing);
    return status;
}

/* One photo's answer, printed at once, so that a reader of a long run sees it grow. */
static enum heed_status print(struct run *run, const char *photo, const struct heed_result *result, uint64_t start_ns,
                              struct heed_error *error)
{
    if (run->format == FORMAT_TABLE) {
        print_table(run, photo, result);
        return HEED_OK;
    }
    struct srv_text text = { 0 };
    enum heed_status status = run->format == FORMAT_COCO ? write_coco(run, &text, photo, result, error)
                                                         : write_heed(run, &text, result, start_ns, error);
    if (status == HEED_OK && text.failed)
        status = no_memory(error);
    if (status == HEED_OK) {
        fwrite(text.data, 1, text.size, stdout);
        run->written += run->format == FORMAT_COCO ? result->detection_count : 1;
    }
    srv_text_deinit(&text);
    return status;
}

/* A photo that failed keeps its place among the answers of many. */
static void print_failure(struct run *run, const struct heed_error *error)
{
    if (run->format != FORMAT_JSON || run->photo_count == 1)
        return;
    struct srv_text text = { 0 };
    srv_text_json_string(&text, error->text);
    if (!text.failed)
        printf("%s{\"error\":%s}", run->written++ ? ",\n" : "", text.data);
    srv_text_deinit(&text);
}

/* What stands round the answers, as round the server's: nothing round one photo's. */
static void print_head(const struct run *run)
{
    if (run->format == FORMAT_COCO)
        putchar('[');
    if (run->format == FORMAT_JSON && run->photo_count > 1)
        printf("{\"model\":\"%s\",\"results\":[\n", run->session.info->name);
}

static void print_tail(const struct run *run)
{
    if (run->format == FORMAT_COCO)
        putchar(']');
    if (run->format == FORMAT_JSON && run->photo_count > 1)
        fputs("]}", stdout);
    if (run->format == FORMAT_COCO || (run->format == FORMAT_JSON && run->written))
        putchar('\n');
}

/* ---- Photos --------------------------------------------------------------------------------------- */

static enum heed_status detect_one(struct run *run, size_t index, struct heed_error *error)
{
    const char *const photo = run->photos[index];
    uint8_t *bytes;
    size_t size;
    const uint64_t start_ns = heed_now_ns();
    enum heed_status status = run->draw ? check_picture(run, index, error) : HEED_OK;
    if (status == HEED_OK)
        status = srv_photo_read(photo, &bytes, &size, error);
    if (status != HEED_OK)
        return status;
    struct heed_result result;
    status = srv_session_detect(&run->session, bytes, size, &run->options, &result, error);
    free(bytes);
    if (status == HEED_OK && run->draw)
        status = draw(run, index, &result, error);
    if (status == HEED_OK)
        status = print(run, photo, &result, start_ns, error);
    heed_result_deinit(&result);
    return status;
}

static int detect_all(struct run *run)
{
    const bool show_progress = run->photo_count > 1 && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
    int exit_status = SRV_EXIT_OK;
    print_head(run);
    for (size_t i = 0; i < run->photo_count; i++) {
        struct heed_error error = { 0 };
        if (show_progress)
            fprintf(stderr, "\r%zu of %zu ", i + 1, run->photo_count);
        if (detect_one(run, i, &error) != HEED_OK) {
            exit_status = complain(run->photos[i], &error);
            print_failure(run, &error);
        }
    }
    print_tail(run);
    if (show_progress)
        fputs("\r\033[K", stderr);
    return exit_status;
}

/* ---- Options -------------------------------------------------------------------------------------- */

/* Marks the label of this name; false if there is none. */
static bool want_class(struct run *run, const char *name, size_t length)
{
    bool found = false;
    for (size_t i = 0; i < run->session.info->label_count; i++) {
        const char *const label = run->session.info->labels[i].name;
        if (label && strlen(label) == length && strncmp(label, name, length) == 0)
            found = run->classes[i] = true;
    }
    return found;
}

/* "cat,traffic light"; false after a usage error. */
static bool read_classes(struct run *run, const struct srv_flags *flags, const char *list)
{
    run->classes = calloc(run->session.info->label_count, sizeof *run->classes);
    for (const char *at = list; run->classes; at += strcspn(at, ",") + 1) {
        const size_t length = strcspn(at, ",");
        if (!want_class(run, at, length)) {
            srv_usage_error(flags, "--classes: model %s has no label \"%.*s\"", run->session.info->name, (int)length,
                            at);
            return false;
        }
        if (at[length] == 0)
            break;
    }
    run->options.classes = run->classes;
    return run->classes != NULL;
}

static bool note_photos(struct run *run)
{
    run->photo_ids = calloc(run->photo_count, sizeof *run->photo_ids);
    run->picture_ids = calloc(run->photo_count, sizeof *run->picture_ids);
    for (size_t i = 0; i < run->photo_count && run->photo_ids; i++)
        run->photo_ids[i] = file_id(run->photos[i]);
    return run->photo_ids && run->picture_ids;
}

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

int srv_command_detect(int argc, char **argv)
{
    const char *model = NULL, *draw_to = NULL, *classes = NULL;
    unsigned threads = 0, cpu = 0, format = FORMAT_AUTO, masks = SRV_MASKS_RLE, most = 100;
    double score = 0.3;
    const struct srv_flag items[] = {
        { "model", SRV_FLAG_TEXT, &model, 0, 0, "PATH", "a model's JSON instead of the built-in model" },
        { "format", SRV_FLAG_CHOICE, &format, 0, 0, "auto|table|json|coco", "auto: a table on a terminal, else JSON" },
        { "draw", SRV_FLAG_TEXT, &draw_to, 0, 0, "FILE", "draw on the photo; a folder where there are several photos" },
        { "score", SRV_FLAG_NUMBER, &score, 0, 1, "S", "smallest score to report" },
        { "max", SRV_FLAG_COUNT, &most, 1, 1000, "N", "most detections of a photo" },
        { "classes", SRV_FLAG_TEXT, &classes, 0, 0, "A,B", "labels to report; all where not given" },
        { "masks", SRV_FLAG_CHOICE, &masks, 0, 0, "rle|polygon|png|none", "form of the masks" },
        { "threads", SRV_FLAG_COUNT, &threads, 0, 1024, "N", "cores to use; 0: all" },
        { "cpu", SRV_FLAG_CHOICE, &cpu, 0, 0, SRV_CPU_CHOICES, "highest kernel level to use" },
    };
    const struct srv_flags flags = {
        .usage = "heed detect [options] PHOTO...",
        .about = "Finds and outlines what is on the photos (JPEG or PNG files; - is standard input).\n"
                 "Exit status: 0 done, 1 some photo failed, 2 wrong usage, 3 no model.",
        .items = items,
        .count = sizeof items / sizeof *items,
    };
    int photo_count, exit_status;
    if (!srv_flags_read(&flags, argc, argv, &photo_count, &exit_status))
        return exit_status;
    if (photo_count == 0)
        return srv_usage_error(&flags, "no photo was named");

    struct run run = {
        .options = { .limits = { .pixels_max = PIXELS_MAX, .scans_max = SCANS_MAX },
                     .score_min = (float)score,
                     .detections_max = most,
                     .masks = masks != SRV_MASKS_NONE || draw_to },
        .format = format != FORMAT_AUTO   ? format
                  : isatty(STDOUT_FILENO) ? FORMAT_TABLE
                                          : FORMAT_JSON,
        .masks = masks,
        .draw = draw_to,
        .draw_into_folder = draw_to && is_folder(draw_to),
        .photos = argv,
        .photo_count = (size_t)photo_count,
    };
    if (run.format == FORMAT_COCO && !srv_coco_masks(run.masks))
        return srv_usage_error(&flags, "--masks is \"png\", allowed with --format coco is one of rle, polygon, none");
    if (draw_to && !run.draw_into_folder && !is_picture(draw_to))
        return srv_usage_error(
            &flags, "--draw is \"%s\", allowed is a folder or a name that ends in .jpg, .jpeg or .png", draw_to);
    if (draw_to && photo_count > 1 && !run.draw_into_folder)
        return srv_usage_error(&flags, "--draw is \"%s\", which is no folder, and there are %d photos", draw_to,
                               photo_count);

    struct heed_error error = { 0 };
    if (srv_session_open(&run.session, model, threads, cpu, &error) != HEED_OK) {
        fprintf(stderr, "heed: %s\n", error.text);
        exit_status = SRV_EXIT_MODEL;
    } else if (classes && !read_classes(&run, &flags, classes)) {
        exit_status = SRV_EXIT_USAGE;
    } else if (draw_to && !note_photos(&run)) {
        fprintf(stderr, "heed: %s\n", heed_status_text(HEED_NO_MEMORY));
        exit_status = SRV_EXIT_FAILED;
    } else {
        exit_status = detect_all(&run);
    }
    free(run.picture_ids);
    free(run.photo_ids);
    free(run.classes);
    srv_session_close(&run.session);
    return exit_status;
}
