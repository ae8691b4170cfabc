/* Starting, serving, ending.
 *
 *   LOADING   the loop answers already: live, not ready; a thread loads models, makes workers, tests each model once
 *   READY     requests are taken
 *   DRAINING  first signal: not ready; accepted requests are finished, new ones are told to go elsewhere
 *   end       nothing accepted is left, or drain_ms is over
 */
#include "serve.h"
#include "http.h"
#include "listen.h"
#include "log.h"
#include "notify.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    PROCESS_BYTES = 32 << 20, /* code, threads' stacks in use, what is small */
    FLIGHT_BYTES_DEFAULT = 512 << 20,
    FLIGHT_BYTES_MIN = 16 << 20,
    FLIGHT_BYTES_FEW = 128 << 20, /* left to requests before the last cores get a context, too */
    LAST_WORDS_MS = 2000          /* for those who are refused or cancelled at the very end to hear of it */
};

/* All of a running server; srv_server is what its parts share. */
struct serve {
    struct srv_server server;
    struct srv_loop loop;
    struct srv_http *http;
    struct srv_watch signals;
    pthread_t loader;
    bool has_loader;
    atomic_bool load_failed;
    uint64_t drain_until_ns; /* 0: not draining */
    uint64_t watchdog_ns, next_sign_ns;
    uint16_t port;
};

/* ---- Loading, on a thread of its own ------------------------------------------------------------------ */

/* How many photos are worked on at a time: one for each thread, or as many as the limit (0: none) has room for. */
static size_t plan_workers(const struct srv_server *server, size_t others, size_t limit)
{
    const size_t each = server->models.context_bytes, threads = server->thread_count;
    if (!limit || limit >= others + threads * each + FLIGHT_BYTES_MIN)
        return threads;
    const size_t room = limit > others + FLIGHT_BYTES_FEW ? (limit - others - FLIGHT_BYTES_FEW) / each : 0;
    const size_t workers = room > 1 ? room : 1;
    if (workers < threads)
        srv_log(SRV_LOG_WARN, "workers", SRV_N("threads", threads), SRV_N("photos_at_a_time", workers),
                SRV_N("memory_mib", limit >> 20), SRV_N("context_mib", each >> 20),
                SRV_S("advice", "every thread still helps; raise the memory, or lower pixels_max"));
    return workers;
}

/* What all of heed may take: as told, or what is usual where the control group allows it. */
static size_t plan_limit(const struct srv_server *server, size_t told, size_t allowed)
{
    const size_t fixed = server->budget.fixed, least = fixed + FLIGHT_BYTES_MIN, usual = fixed + FLIGHT_BYTES_DEFAULT;
    if (allowed && allowed < (told ? told : least))
        srv_log(SRV_LOG_WARN, "memory", SRV_N("cgroup_mib", allowed >> 20),
                SRV_N("may_need_mib", (told ? told : least) >> 20),
                SRV_S("advice", "raise the limit, or lower pixels_max or connections_max"));
    if (told)
        return told;
    return !allowed || allowed > usual ? usual : allowed > least ? allowed : least;
}

static bool plan_budget(struct srv_server *server)
{
    struct srv_budget *const budget = &server->budget;
    const size_t told = server->options->memory_mb << 20, allowed = heed_memory_limit();
    const size_t weights = server->models.weights_bytes;
    const size_t connections = server->connections_max * SRV_CONNECTION_BYTES;
    const size_t others = PROCESS_BYTES + weights + connections;
    budget->workers = plan_workers(server, others, told ? told : allowed);
    const size_t contexts = budget->workers * server->models.context_bytes;
    budget->fixed = others + contexts;
    const size_t limit = plan_limit(server, told, allowed);
    srv_log(SRV_LOG_INFO, "memory", SRV_N("weights_mib", weights >> 20), SRV_N("contexts_mib", contexts >> 20),
            SRV_N("connections_mib", connections >> 20), SRV_N("process_mib", PROCESS_BYTES >> 20),
            SRV_N("fixed_mib", budget->fixed >> 20), SRV_N("budget_mib", limit >> 20));
    if (limit < budget->fixed + FLIGHT_BYTES_MIN) {
        char text[200];
        snprintf(text, sizeof text, "memory_mb is %zu, needed are %zu; or lower pixels_max or connections_max",
                 limit >> 20, (budget->fixed + FLIGHT_BYTES_MIN + (1 << 20) - 1) >> 20);
        srv_log(SRV_LOG_ERROR, "start", SRV_S("error", text));
        return false;
    }
    budget->flight = limit - budget->fixed;
    return true;
}

static void put_in_mailbox(void *arg, struct srv_job *job)
{
    srv_mailbox_put(arg, job);
}

static bool load(struct srv_server *server)
{
    struct heed_error error = { 0 };
    if (srv_models_load(&server->models, server->options, server->thread_count, &error) != HEED_OK)
        goto fail;
    char unknown[120];
    if (!srv_keys_check(&server->keys, &server->models, unknown, sizeof unknown)) {
        snprintf(error.text, sizeof error.text, "%.180s: %s", server->options->api_keys, unknown);
        goto fail;
    }
    if (!plan_budget(server))
        return false;
    const struct srv_workers_plan plan = {
        .threads = server->thread_count,
        .workers = (unsigned)server->budget.workers,
        .context_bytes = server->models.context_bytes,
        .options = server->options,
        .queue = server->queue,
        .done = put_in_mailbox,
        .done_arg = &server->mailbox,
    };
    uint64_t fastest_ns;
    if (srv_workers_create(&plan, &server->workers, &error) != HEED_OK ||
        srv_workers_self_test(server->workers, &server->models, &fastest_ns, &error) != HEED_OK ||
        srv_workers_start(server->workers, &error) != HEED_OK)
        goto fail;
    server->service_s_min = (double)fastest_ns / 1e9;
    return true;

fail:
    srv_log(SRV_LOG_ERROR, "start", SRV_S("error", error.text));
    return false;
}

static void *load_in_thread(void *arg)
{
    struct serve *const serve = arg;
    struct srv_server *const server = &serve->server;
    if (!load(server)) {
        serve->load_failed = true;
        return NULL;
    }
    server->loaded = true;
    int expected = SRV_STATE_LOADING;
    if (!atomic_compare_exchange_strong(&server->state, &expected, SRV_STATE_READY))
        return NULL;
    for (size_t i = 0; i < server->models.count; i++) {
        const struct heed_model_info *const info = server->models.items[i].info;
        srv_log(SRV_LOG_INFO, "model", SRV_S("name", info->name), SRV_S("family", info->family),
                SRV_S("cpu", info->cpu_level), SRV_N("parameters", info->parameters),
                SRV_N("context_mib", server->models.items[i].context_bytes >> 20));
    }
    srv_log(SRV_LOG_INFO, "ready", SRV_N("port", serve->port), SRV_N("workers", server->budget.workers),
            SRV_MS("after_ms", (double)(heed_now_ns() - server->started_ns) / 1e6));
    srv_notify("READY=1");
    return NULL;
}

/* ---- Ending ------------------------------------------------------------------------------------------- */

/* Ends as whoever sends the signal expects it of a process that does not know it: at once, and its status names it. */
static void end_by(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number); /* as the first process of a container, which the system spares such a signal */
}

static void on_signal(struct srv_watch *watch, uint32_t events)
{
    struct serve *const serve = (struct serve *)((char *)watch - offsetof(struct serve, signals));
    struct signalfd_siginfo signal;
    (void)events;
    if (read(watch->fd, &signal, sizeof signal) != sizeof signal)
        return;
    if (serve->drain_until_ns) {
        srv_log(SRV_LOG_WARN, "ended at once", SRV_N("signal", signal.ssi_signo));
        end_by((int)signal.ssi_signo);
    }
    if (!serve->server.loaded && !serve->load_failed) { /* nothing has been accepted; loading may take its time */
        srv_log(SRV_LOG_INFO, "ended", SRV_S("while", "loading"));
        _exit(0);
    }
    serve->drain_until_ns = heed_now_ns() + serve->server.options->drain_ms * 1000000 + 1;
    serve->server.state = SRV_STATE_DRAINING;
    srv_notify("STOPPING=1");
    srv_log(SRV_LOG_INFO, "draining", SRV_N("signal", signal.ssi_signo), SRV_N("active", srv_http_active(serve->http)));
    srv_http_refuse_receiving(serve->http);
}

static bool is_over(const struct serve *serve)
{
    if (serve->load_failed)
        return true;
    if (!serve->drain_until_ns)
        return false;
    return srv_http_active(serve->http) == 0 || heed_now_ns() >= serve->drain_until_ns;
}

static void show_life(struct serve *serve)
{
    const uint64_t now_ns = heed_now_ns();
    if (!serve->watchdog_ns || now_ns < serve->next_sign_ns)
        return;
    srv_notify("WATCHDOG=1");
    serve->next_sign_ns = now_ns + serve->watchdog_ns;
}

static void end(struct serve *serve)
{
    struct srv_server *const server = &serve->server;
    if (serve->has_loader)
        pthread_join(serve->loader, NULL);
    if (serve->http) {
        srv_http_cancel_all(serve->http);
        const uint64_t until_ns = heed_now_ns() + LAST_WORDS_MS * UINT64_C(1000000);
        while ((srv_http_active(serve->http) || srv_http_unaware(serve->http)) && heed_now_ns() < until_ns)
            srv_http_turn(serve->http);
    }
    srv_workers_free(server->workers);
    srv_http_free(serve->http);
    srv_models_deinit(&server->models);
    srv_queue_free(server->queue);
    srv_mailbox_deinit(&server->mailbox);
    srv_keys_deinit(&server->keys);
    srv_budget_deinit(&server->budget);
    if (serve->signals.fd >= 0)
        close(serve->signals.fd);
    srv_loop_deinit(&serve->loop);
}

/* ---- Starting ----------------------------------------------------------------------------------------- */

/* How many connections there may be: a descriptor each, of as many as the system gives. */
static size_t connections_max(const struct srv_options *options)
{
    enum { OWN = 64 }; /* listening, epoll, models being read, connections that are told that there are too many */
    const size_t wanted = (size_t)options->connections_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max >= wanted + OWN)
        return wanted;
    const size_t possible = limit.rlim_max > OWN ? (size_t)limit.rlim_max - OWN : 1;
    srv_log(SRV_LOG_WARN, "connections", SRV_N("wanted", wanted), SRV_N("possible", possible),
            SRV_N("descriptors", limit.rlim_max), SRV_S("advice", "raise ulimit -n, or lower connections_max"));
    return possible;
}

static bool take_signals(struct serve *serve)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before there is any thread: all inherit it */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    serve->signals = (struct srv_watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal };
    return serve->signals.fd >= 0 && srv_loop_add(&serve->loop, &serve->signals, EPOLLIN);
}

static bool start(struct serve *serve, char *error, size_t size)
{
    struct srv_server *const server = &serve->server;
    const struct srv_options *const options = server->options;
    server->queue = srv_queue_create((size_t)options->queue_slots);
    if (!server->queue || !srv_mailbox_init(&server->mailbox) || !srv_loop_init(&serve->loop) || !take_signals(serve)) {
        snprintf(error, size, "the system gives no memory or no descriptors: %s", strerror(errno));
        return false;
    }
    if (options->api_keys[0] && !srv_keys_load(&server->keys, options->api_keys, error, size))
        return false;
    const int fd = srv_listen(options->address, (uint16_t)options->port, &serve->port, error, size);
    if (fd < 0)
        return false;
    serve->http = srv_http_create(server, &serve->loop, fd, error, size);
    if (!serve->http)
        return false;
    srv_log(SRV_LOG_INFO, "listening", SRV_S("address", options->address), SRV_N("port", serve->port));
    serve->has_loader = pthread_create(&serve->loader, NULL, load_in_thread, serve) == 0;
    if (!serve->has_loader)
        snprintf(error, size, "the system gives no thread");
    return serve->has_loader;
}

int srv_serve(const struct srv_options *options)
{
    struct serve *const serve = calloc(1, sizeof *serve);
    if (!serve)
        return 1;
    srv_log_setup((enum srv_log_format)options->log_format, (enum srv_log_level)options->log_level);
    serve->loop.fd = serve->signals.fd = serve->server.mailbox.fd = -1;
    serve->server.options = options;
    serve->server.connections_max = connections_max(options);
    serve->server.started_ns = heed_now_ns();
    serve->server.thread_count = options->threads ? (unsigned)options->threads : heed_cpu_cores();
    serve->watchdog_ns = srv_notify_watchdog_ns();
    char error[300];
    bool ok = start(serve, error, sizeof error);
    if (!ok)
        srv_log(SRV_LOG_ERROR, "start", SRV_S("error", error));
    while (ok && !is_over(serve)) {
        srv_http_turn(serve->http);
        show_life(serve);
    }
    ok = ok && !serve->load_failed;
    if (ok)
        srv_log(SRV_LOG_INFO, "ended", SRV_N("unfinished", srv_http_active(serve->http)));
    end(serve);
    free(serve);
    return ok ? 0 : 1;
}
