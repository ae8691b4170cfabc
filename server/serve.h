/* A server from start to end: `heed serve`. */
#ifndef SRV_SERVE_H
#define SRV_SERVE_H

#include "options.h"

/* Serves until SIGTERM or SIGINT and gives the exit status: 0 after an orderly end, 1 when it could not start. Blocks
 * these signals for the process and takes them itself; a second one ends the process at once. */
int srv_serve(const struct srv_options *options);

#endif
