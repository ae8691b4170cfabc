/* The protocol of sd_notify, against a socket of our own. */
#include "notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Binds a datagram socket to the path ('@' first: abstract) and receives what srv_notify sends there. */
static void arrives_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    unlink(path);
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    srv_notify("READY=1");
    char text[32] = "";
    assert_int_equal(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
    unlink(path);
}

static void state_arrives_at_a_socket_file_and_at_an_abstract_socket(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/heed-notify-%d", (int)getpid());
    arrives_at(path);
    snprintf(path, sizeof path, "@heed-notify-%d", (int)getpid());
    arrives_at(path);
}

static void nothing_happens_without_a_socket(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    srv_notify("READY=1");
    setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
    srv_notify("READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    srv_notify("READY=1");
}

static void watchdog_is_half_of_what_is_allowed_and_ours(void **state)
{
    (void)state;
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(srv_notify_watchdog_ns(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(srv_notify_watchdog_ns(), UINT64_C(15000000000));
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(srv_notify_watchdog_ns(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_arrives_at_a_socket_file_and_at_an_abstract_socket),
        cmocka_unit_test(nothing_happens_without_a_socket),
        cmocka_unit_test(watchdog_is_half_of_what_is_allowed_and_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
