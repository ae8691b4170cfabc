/* The listening socket. */
#ifndef SRV_LISTEN_H
#define SRV_LISTEN_H

#include <stddef.h>
#include <stdint.h>

/* Bound, listening, not blocking; -1 with a sentence in error. *port is the port it got (port 0 asks for any). */
int srv_listen(const char *address, uint16_t port, uint16_t *bound_port, char *error, size_t error_size);

#endif
