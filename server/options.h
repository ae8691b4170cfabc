/* The server's options. One list gives each its three spellings (--queue-slots, HEED_QUEUE_SLOTS, "queue_slots" in the
 * configuration file), its default, its range and its line of --help. A flag beats the environment beats the file.
 *
 *   INTEGER(name, default, min, max, help)      CHOICE(name, default, "a|b|c", help): the index of the choice
 *   TEXT(name, default, help)                   PATH(name, help): empty where not given
 *                                               PATHS(name, help): a list, commas between; in the file an array */
#ifndef SRV_OPTIONS_H
#define SRV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SRV_CPU_CHOICES "any|ref|blas|avx2|avx512"
#define SRV_OPTION_LIST(INTEGER, TEXT, CHOICE, PATH, PATHS)                                                            \
    TEXT(address, "0.0.0.0", "address to listen on")                                                                   \
    INTEGER(port, 8080, 0, 65535, "TCP port; 0 lets the system choose one")                                            \
    PATHS(models, "model descriptions (JSON files) to serve beside the built-in one")                                  \
    TEXT(default_model, "", "the model of a request that names none; empty: the built-in one")                         \
    INTEGER(threads, 0, 0, 1024, "worker threads; 0: one for each core")                                               \
    CHOICE(cpu, "any", SRV_CPU_CHOICES, "highest kernel level to use")                                                 \
    INTEGER(queue_slots, 64, 1, 65536, "requests held before the answer is 429")                                       \
    INTEGER(timeout_ms, 10000, 1, 3600000, "deadline of a request that names none: queue and work together")           \
    INTEGER(body_bytes_max, 33554432, 1024, 1073741824, "largest request body")                                        \
    INTEGER(images_max, 16, 1, 256, "most photos in one request")                                                      \
    INTEGER(pixels_max, 33554432, 1, 1073741824, "most pixels of a photo")                                             \
    INTEGER(scans_max, 100, 1, 500, "most scans of a progressive JPEG")                                                \
    INTEGER(memory_mb, 0, 0, 1048576, "memory budget in MiB; 0: what the models need and 512 for requests")            \
    INTEGER(connections_max, 2048, 1, 65536, "most connections at a time")                                             \
    INTEGER(header_timeout_ms, 10000, 10, 3600000, "time for a request's headers to arrive")                           \
    INTEGER(body_timeout_ms, 30000, 10, 3600000, "time for a body to arrive, and a second more for each 64 KiB")       \
    INTEGER(send_timeout_ms, 30000, 10, 3600000, "time for a reply to be taken, and a second more for each 64 KiB")    \
    INTEGER(idle_timeout_ms, 60000, 10, 3600000, "time a connection may wait for its next request")                    \
    INTEGER(drain_ms, 30000, 0, 3600000, "time for accepted requests to finish after SIGTERM")                         \
    INTEGER(jpeg_quality, 90, 1, 100, "quality of drawn JPEG pictures")                                                \
    CHOICE(jpeg_decoding, "exact", "exact|scaled",                                                                     \
           "how a JPEG of twice a model's input or more is read; scaled: smaller, unless to be drawn on")              \
    PATH(api_keys, "file of API keys; empty: none are needed")                                                         \
    CHOICE(log_format, "text", "text|json", "form of the log")                                                         \
    CHOICE(log_level, "info", "error|warn|info|debug", "least important events to log")

struct srv_list {
    char **items;
    size_t count;
};

struct srv_options {
#define SRV_INTEGER(name, ...) uint64_t name;
#define SRV_TEXT(name, ...) char *name;
#define SRV_CHOICE(name, ...) unsigned name;
#define SRV_PATH(name, ...) char *name;
#define SRV_PATHS(name, ...) struct srv_list name;
    SRV_OPTION_LIST(SRV_INTEGER, SRV_TEXT, SRV_CHOICE, SRV_PATH, SRV_PATHS)
#undef SRV_INTEGER
#undef SRV_TEXT
#undef SRV_CHOICE
#undef SRV_PATH
#undef SRV_PATHS
};

enum srv_jpeg_decoding { SRV_JPEG_EXACT, SRV_JPEG_SCALED }; /* jpeg_decoding's choices */

struct srv_options_error {
    char text[400];
};

/* Reads defaults, then the file (--config PATH, HEED_CONFIG, else config/heed.json or /etc/heed/heed.json where one of
 * these exists), the environment (NULL-terminated, as environ) and the flags (without the program's and the command's
 * name). Paths in the file are relative to it. False with a sentence in error; options must be deinited either way. */
bool srv_options_read(struct srv_options *options, int argc, char *const *argv, char *const *environment,
                      struct srv_options_error *error);
/* One step of the above: the text of a configuration file. `folder` is what its paths are relative to. */
bool srv_options_parse_file(struct srv_options *options, const char *json, size_t size, const char *folder,
                            struct srv_options_error *error);
bool srv_options_init(struct srv_options *options); /* the defaults; false without memory */
void srv_options_deinit(struct srv_options *options);

void srv_options_help(FILE *file);

/* The HEED_CPU_* mask that the choice of this index stands for. */
unsigned srv_cpu_mask(unsigned choice);

#endif
