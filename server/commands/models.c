/* heed models: what `heed serve` with the same options, environment and file would serve. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "models.h"
#include "options.h"
#include "text.h"

static void print_table(const struct srv_models *models)
{
    printf("%-24s %-12s %12s %10s %8s %10s %s\n", "model", "family", "parameters", "weights", "labels", "input",
           "level");
    for (size_t i = 0; i < models->count; i++) {
        const struct heed_model_info *const info = models->items[i].info;
        char side[32];
        snprintf(side, sizeof side, "%ux%u", info->input_width_max, info->input_height_max);
        printf("%-24s %-12s %12llu %7.1f MB %8zu %10s %s%s\n", info->name, info->family,
               (unsigned long long)info->parameters, (double)info->weights_bytes / 1e6, info->label_count, side,
               info->cpu_level, models->standard == &models->items[i] ? "  (default)" : "");
    }
}

static int print_json(const struct srv_models *models)
{
    struct srv_text text = { 0 };
    srv_models_list_json(models, &text);
    const bool printed = !text.failed && puts(text.data) >= 0;
    srv_text_deinit(&text);
    return printed ? SRV_EXIT_OK : SRV_EXIT_FAILED;
}

static void print_help(void)
{
    puts("usage: heed models [--json] [options of heed serve]\n\n"
         "Loads and lists the models that heed serve would serve with the same options. Exit status: 0 done,\n"
         "1 failed, 2 wrong usage, 3 no model.\n\n"
         "  --json                     the answer of GET /v1/models");
    srv_options_help(stdout);
}

static int list(const struct srv_options *options, bool json)
{
    struct srv_models models = { 0 };
    struct heed_error error;
    int exit_status = SRV_EXIT_OK;
    if (srv_models_load(&models, options, heed_cpu_cores(), &error) != HEED_OK) {
        fprintf(stderr, "heed: %s\n", error.text);
        exit_status = SRV_EXIT_MODEL;
    } else if (json) {
        exit_status = print_json(&models);
    } else {
        print_table(&models);
    }
    srv_models_deinit(&models);
    return exit_status;
}

int srv_command_models(int argc, char **argv)
{
    bool json = false;
    int rest = 0;
    for (int i = 0; i < argc; i++) { /* what is left is the server's */
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return SRV_EXIT_OK;
        }
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            argv[rest++] = argv[i];
    }
    struct srv_options options = { 0 };
    struct srv_options_error why;
    int exit_status = SRV_EXIT_USAGE;
    if (srv_options_read(&options, rest, argv, environ, &why))
        exit_status = list(&options, json);
    else
        fprintf(stderr, "heed: %s\n", why.text);
    srv_options_deinit(&options);
    return exit_status;
}
