/* heed healthcheck: asks a server on this machine (or of a URL) whether it is ready: 0 yes, 1 no. For container health
 * checks: it needs no curl, and with the same environment and file it finds the server's own address and port. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands.h"
#include "heed.h"
#include "options.h"

enum { TIMEOUT_S = 3 }; /* from the name's look-up to the answer's status */

struct target {
    char host[256], port[8], path[1024];
};

static bool is_port(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits >= 1 && digits <= 5 && !text[digits] && atoi(text) >= 1 && atoi(text) <= 65535;
}

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
    if (port && !is_port(port + 1))
        return false;
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

/* ---- Time ----------------------------------------------------------------------------------------- */

static char late[300]; /* what is said then */

static void on_late(int number)
{
    (void)number;
    const ssize_t written = write(STDERR_FILENO, late, strlen(late));
    (void)written;
    _exit(SRV_EXIT_FAILED);
}

/* An alarm ends it all: nothing else is bounded in every step, a name's look-up least. */
static void start_clock(const struct target *target)
{
    snprintf(late, sizeof late, "heed: %s:%s: no answer in %d s\n", target->host, target->port, TIMEOUT_S);
    signal(SIGALRM, on_late);
    alarm(TIMEOUT_S);
}

/* ---- Asking --------------------------------------------------------------------------------------- */

/* A connected socket, or -1 with a reason. */
static int connect_to(const struct target *target, const char **why)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *addresses;
    const int failure = getaddrinfo(target->host, target->port, &hints, &addresses);
    if (failure != 0) {
        *why = gai_strerror(failure);
        return -1;
    }
    int handle = -1;
    for (const struct addrinfo *at = addresses; at && handle < 0; at = at->ai_next) {
        handle = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (handle < 0) {
            *why = strerror(errno);
            continue;
        }
        if (connect(handle, at->ai_addr, at->ai_addrlen) != 0) {
            *why = strerror(errno);
            close(handle);
            handle = -1;
        }
    }
    freeaddrinfo(addresses);
    return handle;
}

/* The status of the answer; 0 with a reason where there is none. */
static int ask(int handle, const struct target *target, const char **why)
{
    char text[1600];
    const bool address6 = strchr(target->host, ':') != NULL;
    const int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\n\r\n",
                                target->path, address6 ? "[" : "", target->host, address6 ? "]" : "", target->port);
    size_t received = 0;
    ssize_t got = send(handle, text, (size_t)length, MSG_NOSIGNAL);
    while (got > 0 && received < strlen("HTTP/1.1 200")) {
        got = recv(handle, text + received, sizeof text - 1 - received, 0);
        received += got > 0 ? (size_t)got : 0;
    }
    text[received] = 0;
    int status = 0;
    if (got <= 0)
        *why = got == 0 ? "it closed the connection" : strerror(errno);
    else if (sscanf(text, "HTTP/1.%*1[01] %3d", &status) != 1)
        *why = "what it answers is not HTTP";
    return status;
}

static int check(const struct target *target)
{
    start_clock(target);
    const char *why = "no address";
    const int handle = connect_to(target, &why);
    const int status = handle < 0 ? 0 : ask(handle, target, &why);
    if (status == 0)
        fprintf(stderr, "heed: %s:%s: %s\n", target->host, target->port, why);
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
        if (strcmp(argv[i], "--url") == 0) {
            if (i + 1 == argc) {
                fputs("heed: --url needs a value\n", stderr);
                return SRV_EXIT_USAGE;
            }
            url = argv[++i];
        } else if (strncmp(argv[i], "--url=", 6) == 0) {
            url = argv[i] + 6;
        } else {
            argv[rest++] = argv[i];
        }
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
        fprintf(stderr, "heed: --url is \"%s\", allowed is http://HOST[:PORT][/PATH], PORT from 1 to 65535\n", url);
        return SRV_EXIT_USAGE;
    }
    return right ? check(&target) : SRV_EXIT_USAGE;
}
