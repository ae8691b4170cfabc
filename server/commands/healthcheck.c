/* heed healthcheck: asks a server on this machine (or of a URL) whether it is ready: 0 yes, 1 no. For container health
 * checks: it needs no curl, and with the same environment and file it finds the server's own address and port. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "commands.h"
#include "heed.h"
#include "options.h"

enum { TIMEOUT_S = 3 };

struct target {
    char host[256], port[8], path[1024];
};

/* "http://host:port/path", port and path optional. */
static bool read_url(const char *url, struct target *target)
{
    char authority[300] = "";
    strcpy(target->path, "/health/ready");
    if (sscanf(url, "http://%299[^/]%1023s", authority, target->path) < 1)
        return false;
    char *port = strrchr(authority, ':');
    if (port && strchr(port, ']'))
        port = NULL; /* a colon inside [::1] */
    snprintf(target->port, sizeof target->port, "%.7s", port ? port + 1 : "80");
    if (port)
        *port = 0;
    const size_t length = strlen(authority);
    const bool bracketed = authority[0] == '[' && length > 2 && authority[length - 1] == ']';
    snprintf(target->host, sizeof target->host, "%.*s", (int)(bracketed ? length - 2 : length), authority + bracketed);
    return target->host[0] != 0;
}

/* Where a server with these options listens, as seen from this machine. */
static void read_options(const struct srv_options *options, struct target *target)
{
    const char *host = options->address;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    if (strcmp(host, "::") == 0)
        host = "::1";
    snprintf(target->host, sizeof target->host, "%s", host);
    snprintf(target->port, sizeof target->port, "%u", (unsigned)options->port & 0xffff);
    strcpy(target->path, "/health/ready");
}

/* A connected socket, or -1 with errno. */
static int connect_to(const struct target *target)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *addresses;
    if (getaddrinfo(target->host, target->port, &hints, &addresses) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    const struct timeval patience = { .tv_sec = TIMEOUT_S };
    int handle = -1;
    for (const struct addrinfo *at = addresses; at && handle < 0; at = at->ai_next) {
        handle = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (handle < 0)
            continue;
        setsockopt(handle, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* of connect() too */
        setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(handle, at->ai_addr, at->ai_addrlen) != 0) {
            const int why = errno;
            close(handle);
            errno = why;
            handle = -1;
        }
    }
    freeaddrinfo(addresses);
    return handle;
}

/* The status of the answer; 0 with errno where there is none. */
static int ask(int handle, const struct target *target)
{
    char text[1600];
    const int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n",
                                target->path, target->host, target->port);
    if (send(handle, text, (size_t)length, MSG_NOSIGNAL) != length)
        return 0;
    size_t received = 0;
    while (received < strlen("HTTP/1.1 200")) {
        const ssize_t got = recv(handle, text + received, sizeof text - 1 - received, 0);
        if (got <= 0) {
            errno = got == 0 ? ECONNRESET : errno;
            return 0;
        }
        received += (size_t)got;
    }
    text[received] = 0;
    int status = 0;
    if (sscanf(text, "HTTP/1.%*1[01] %3d", &status) != 1)
        errno = EPROTO;
    return status;
}

static int check(const struct target *target)
{
    const int handle = connect_to(target);
    const int status = handle < 0 ? 0 : ask(handle, target);
    if (status == 0)
        fprintf(stderr, "heed: %s:%s: %s\n", target->host, target->port,
                errno == EAGAIN ? "no answer in time" : strerror(errno));
    else if (status != 200)
        fprintf(stderr, "heed: %s:%s%s answers %d\n", target->host, target->port, target->path, status);
    if (handle >= 0)
        close(handle);
    return status == 200 ? SRV_EXIT_OK : SRV_EXIT_FAILED;
}

static void print_help(void)
{
    puts("usage: heed healthcheck [--url URL] [options of heed serve]\n\n"
         "Asks whether a server is ready. Exit status: 0 it is, 1 it is not, 2 wrong usage.\n\n"
         "  --url URL                  what to ask [http://ADDRESS:PORT/health/ready of the options]");
    srv_options_help(stdout);
}

int srv_command_healthcheck(int argc, char **argv)
{
    struct target target;
    const char *url = NULL;
    int rest = 0;
    for (int i = 0; i < argc; i++) { /* what is left is the server's */
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return SRV_EXIT_OK;
        }
        if (strcmp(argv[i], "--url") == 0 && i + 1 < argc)
            url = argv[++i];
        else if (strncmp(argv[i], "--url=", 6) == 0)
            url = argv[i] + 6;
        else
            argv[rest++] = argv[i];
    }
    struct srv_options options = { 0 };
    struct srv_options_error why;
    const bool right = srv_options_read(&options, rest, argv, environ, &why);
    if (right)
        read_options(&options, &target);
    else
        fprintf(stderr, "heed: %s\n", why.text);
    srv_options_deinit(&options);
    if (right && url && !read_url(url, &target)) {
        fprintf(stderr, "heed: --url is \"%s\", allowed is http://HOST[:PORT][/PATH]\n", url);
        return SRV_EXIT_USAGE;
    }
    return right ? check(&target) : SRV_EXIT_USAGE;
}
