/* getaddrinfo, socket, bind, listen. */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_socket(const struct addrinfo *where)
{
    const int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    const int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, where->ai_addr, where->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        const int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

int srv_listen(const char *address, uint16_t port, uint16_t *bound_port, char *error, size_t error_size)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo *found;
    const int wrong = getaddrinfo(address, service, &hints, &found);
    if (wrong) {
        snprintf(error, error_size, "address \"%.100s\": %s", address, gai_strerror(wrong));
        return -1;
    }
    const int fd = open_socket(found);
    if (fd < 0)
        snprintf(error, error_size, "cannot listen on %.100s port %u: %s", address, port, strerror(errno));
    else
        *bound_port = port_of(fd);
    freeaddrinfo(found);
    return fd;
}
