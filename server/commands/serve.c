/* heed serve: the options, then the server. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"
#include "serve.h"

int srv_command_serve(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            puts("usage: heed serve [options]\n\n"
                 "Serves the models over HTTP until SIGTERM: accepted requests are then finished, a second signal ends "
                 "at once.\n");
            srv_options_help(stdout);
            return SRV_EXIT_OK;
        }
    struct srv_options options = { 0 };
    struct srv_options_error why;
    int exit_status = SRV_EXIT_USAGE;
    if (srv_options_read(&options, argc, argv, environ, &why))
        exit_status = srv_serve(&options);
    else
        fprintf(stderr, "heed: %s\nusage: heed serve [options], heed serve --help\n", why.text);
    srv_options_deinit(&options);
    return exit_status;
}
