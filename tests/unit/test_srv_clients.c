/* Connections as sockets, with a socket pair for each: phases, deadlines, clients that leave, lingering. */
#include "clients.h"
#include "heed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct srv_loop loop;
static struct srv_clients clients;
static struct srv_client client;
static int ours, theirs;
static unsigned heard, left, late;

static void on_heard(struct srv_client *who)
{
    assert_ptr_equal(who, &client);
    heard++;
}

static void on_left(struct srv_client *who)
{
    assert_ptr_equal(who, &client);
    left++;
}

static void on_late(struct srv_client *who)
{
    assert_ptr_equal(who, &client);
    late++;
    srv_client_hang_up(who);
}

static int set_up(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ours = pair[0];
    theirs = pair[1];
    heard = left = late = 0;
    assert_true(srv_loop_init(&loop));
    srv_clients_init(&clients, &loop, on_heard, on_left, on_late);
    srv_client_open(&clients, &client, ours);
    assert_int_equal(clients.count, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    srv_client_close(&client);
    close(ours);
    if (theirs >= 0)
        close(theirs);
    srv_clients_deinit(&clients);
    srv_loop_deinit(&loop);
    return 0;
}

static void first_bytes_are_told_once_and_the_end_is_told_after_them(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send(theirs, "GET", 3, 0), 3);
        srv_loop_wait(&loop, i == 0 ? 1000 : 0);
        srv_loop_wait(&loop, 0);
        assert_int_equal(heard, 1);
        assert_false(client.half_closed);
    }
    shutdown(theirs, SHUT_WR);
    srv_loop_wait(&loop, 1000);
    assert_int_equal(heard, 1);
    assert_true(client.half_closed);
}

static void first_bytes_that_come_with_the_end_are_told_both(void **state)
{
    (void)state;
    assert_int_equal(send(theirs, "GET", 3, 0), 3);
    shutdown(theirs, SHUT_WR);
    srv_loop_wait(&loop, 1000);
    srv_loop_wait(&loop, 0);
    assert_int_equal(heard, 1);
    assert_true(client.half_closed);
}

static void client_that_leaves_while_it_waits_is_told_once(void **state)
{
    (void)state;
    srv_client_enter(&client, SRV_CLIENT_WAIT, 0);
    assert_int_equal(clients.active, 1);
    shutdown(theirs, SHUT_WR);
    srv_loop_wait(&loop, 1000);
    srv_loop_wait(&loop, 0);
    assert_int_equal(left, 1);
    assert_true(client.half_closed);
}

static void client_that_leaves_elsewhere_is_only_noted(void **state)
{
    (void)state;
    srv_client_enter(&client, SRV_CLIENT_REPLY, 1000);
    close(theirs);
    theirs = -1;
    srv_loop_wait(&loop, 1000);
    assert_int_equal(left, 0);
    assert_true(client.half_closed);
}

static void half_closed_client_is_hung_up_once_all_is_read(void **state)
{
    (void)state;
    srv_client_enter(&client, SRV_CLIENT_BODY, 100000);
    assert_int_equal(send(theirs, "half", 4, 0), 4);
    shutdown(theirs, SHUT_WR);
    srv_loop_wait(&loop, 1000);
    srv_clients_sweep(&clients, heed_now_ns());
    assert_false(srv_client_hung_up(&client));
    char text[8];
    assert_int_equal(recv(ours, text, sizeof text, 0), 4);
    srv_clients_sweep(&clients, heed_now_ns());
    assert_true(srv_client_hung_up(&client));
    assert_int_equal(late, 0);
}

static void deadline_of_a_phase_is_told_once_and_only_when_it_has_passed(void **state)
{
    (void)state;
    srv_client_enter(&client, SRV_CLIENT_HEADERS, 1000);
    const uint64_t now_ns = heed_now_ns();
    srv_clients_sweep(&clients, now_ns + UINT64_C(900000000));
    assert_int_equal(late, 0);
    srv_clients_sweep(&clients, now_ns + UINT64_C(1000000000));
    srv_clients_sweep(&clients, now_ns + UINT64_C(2000000000));
    assert_int_equal(late, 1);
}

static void waiting_has_no_deadline(void **state)
{
    (void)state;
    srv_client_enter(&client, SRV_CLIENT_WAIT, 0);
    srv_clients_sweep(&clients, UINT64_MAX);
    assert_int_equal(late, 0);
}

static void active_counts_what_waits_and_what_is_answered(void **state)
{
    (void)state;
    static const enum srv_client_phase phases[] = { SRV_CLIENT_HEADERS, SRV_CLIENT_BODY,  SRV_CLIENT_WAIT,
                                                    SRV_CLIENT_WAIT,    SRV_CLIENT_REPLY, SRV_CLIENT_IDLE,
                                                    SRV_CLIENT_REPLY };
    static const size_t active[] = { 0, 0, 1, 1, 1, 0, 1 };
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        srv_client_enter(&client, phases[i], 1000);
        assert_int_equal(clients.active, active[i]);
    }
}

static void reply_is_written_whole(void **state)
{
    (void)state;
    struct srv_problem problem;
    struct srv_reply reply;
    srv_refuse(&problem, SRV_SLOW_CLIENT, "too slow");
    problem.retry_after_s = 3;
    srv_reply_problem(&reply, &problem);
    srv_client_write(&client, &reply, "id-1");
    char text[2048];
    const ssize_t size = recv(theirs, text, sizeof text - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    assert_memory_equal(text, "HTTP/1.1 408 ", 13);
    assert_non_null(strstr(text, "\r\nX-Request-Id: id-1\r\n"));
    assert_non_null(strstr(text, "\r\nRetry-After: 3\r\n"));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n\r\n"));
    assert_string_equal(text + size - reply.size, reply.body);
    srv_reply_deinit(&reply);
}

static void lingering_socket_takes_what_still_comes(void **state)
{
    (void)state;
    struct srv_client other;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    srv_client_open(&clients, &other, pair[0]);
    other.linger = true;
    shutdown(pair[0], SHUT_WR);
    srv_client_close(&other);
    close(pair[0]);
    assert_int_equal(clients.linger.count, 1);
    char waste[1000] = { 0 };
    for (int i = 0; i < 1000; i++) { /* more than a socket holds */
        while (send(pair[1], waste, sizeof waste, MSG_NOSIGNAL) < 0) {
            assert_int_equal(errno, EAGAIN);
            srv_loop_wait(&loop, 1000);
        }
    }
    close(pair[1]);
    for (int i = 0; i < 100 && clients.linger.count; i++)
        srv_loop_wait(&loop, 1000);
    assert_int_equal(clients.linger.count, 0);
}

static void parting_client_may_finish_sending_and_hears_the_end_of_the_reply(void **state)
{
    (void)state;
    char text[8];
    srv_client_enter(&client, SRV_CLIENT_BODY, 100000);
    assert_int_equal(send(ours, "reply", 5, 0), 5);
    srv_client_part(&client);
    assert_int_equal(clients.parting, 1);
    assert_int_equal(clients.active, 0);
    assert_int_equal(send(theirs, "more", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(theirs, text, sizeof text, 0), 5);
    assert_int_equal(recv(theirs, text, sizeof text, 0), 0);
    srv_clients_sweep(&clients, heed_now_ns());
    assert_int_equal(late, 0);
    srv_clients_sweep(&clients, heed_now_ns() + UINT64_C(60000000000));
    assert_int_equal(late, 1);
    srv_client_close(&client);
    assert_int_equal(clients.parting, 0);
    assert_int_equal(clients.linger.count, 1);
    srv_client_open(&clients, &client, ours);
}

static void lingering_ends_in_time(void **state)
{
    (void)state;
    srv_linger_add(&clients.linger, theirs);
    assert_int_equal(clients.linger.count, 1);
    srv_linger_sweep(&clients.linger, heed_now_ns());
    assert_int_equal(clients.linger.count, 1);
    srv_linger_sweep(&clients.linger, heed_now_ns() + UINT64_C(60000000000));
    assert_int_equal(clients.linger.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_bytes_are_told_once_and_the_end_is_told_after_them),
        TEST(first_bytes_that_come_with_the_end_are_told_both),
        TEST(client_that_leaves_while_it_waits_is_told_once),
        TEST(client_that_leaves_elsewhere_is_only_noted),
        TEST(half_closed_client_is_hung_up_once_all_is_read),
        TEST(deadline_of_a_phase_is_told_once_and_only_when_it_has_passed),
        TEST(waiting_has_no_deadline),
        TEST(active_counts_what_waits_and_what_is_answered),
        TEST(reply_is_written_whole),
        TEST(lingering_socket_takes_what_still_comes),
        TEST(parting_client_may_finish_sending_and_hears_the_end_of_the_reply),
        TEST(lingering_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
