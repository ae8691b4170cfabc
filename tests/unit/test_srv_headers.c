/* The strict reading of a request's head. */
#include "headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "Name: value" lines, NULL-terminated. */
static bool check(const char *method, const char *target, const char *version, const char *const *lines,
                  struct srv_framing *framing, struct srv_problem *problem)
{
    static struct srv_headers headers;
    headers = (struct srv_headers){ 0 };
    for (; *lines; lines++) {
        const char *const colon = strchr(*lines, ':');
        assert_non_null(colon);
        const char *const value = colon + 1 + strspn(colon + 1, " ");
        srv_headers_add(&headers, *lines, (size_t)(colon - *lines), value, strlen(value));
    }
    return srv_headers_check(method, target, version, &headers, framing, problem);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void refused(const char *const *lines, const char *named)
{
    struct srv_framing framing;
    struct srv_problem problem = { 0 };
    assert_false(check("POST", "/v1/detect", "HTTP/1.1", lines, &framing, &problem));
    assert_int_equal(problem.reason, SRV_MALFORMED);
    assert_non_null(strstr(problem.text, named));
    assert_true(srv_framing_has_body(&framing)); /* for all that is known */
}

static void plain_requests_pass(void **state)
{
    (void)state;
    struct srv_framing framing;
    struct srv_problem problem;
    assert_true(
        check("POST", "/v1/detect?score=0.5", "HTTP/1.1", LINES("Host: h", "content-length: 18"), &framing, &problem));
    assert_true(framing.has_length);
    assert_false(framing.chunked);
    assert_int_equal(framing.length, 18);
    assert_true(srv_framing_has_body(&framing));
    assert_true(check("POST", "/", "HTTP/1.1", LINES("Host: h", "transfer-ENCODING: Chunked"), &framing, &problem));
    assert_true(framing.chunked);
    assert_true(check("GET", "/", "HTTP/1.0", LINES("Accept: */*"), &framing, &problem));
    assert_false(srv_framing_has_body(&framing));
    assert_true(check("GET", "http://h/x", "HTTP/1.1", LINES("Host: h", "X-Name: caf\xc3\xa9\t!"), &framing, &problem));
}

static void lengths_that_two_programs_could_read_differently_are_refused(void **state)
{
    (void)state;
    refused(LINES("Host: h", "Content-Length: 5", "Content-Length: 5"), "Content-Length");
    refused(LINES("Host: h", "Content-Length: 5", "content-length: 6"), "Content-Length");
    refused(LINES("Host: h", "Content-Length: +5"), "+5");
    refused(LINES("Host: h", "Content-Length: 5, 5"), "5, 5");
    refused(LINES("Host: h", "Content-Length: 0x5"), "0x5");
    refused(LINES("Host: h", "Content-Length:"), "digits");
    refused(LINES("Host: h", "Content-Length: 99999999999999999999"), "digits");
    refused(LINES("Host: h", "Content-Length: 5", "Transfer-Encoding: chunked"), "exclude");
}

static void codings_but_chunked_are_refused(void **state)
{
    (void)state;
    refused(LINES("Host: h", "Transfer-Encoding: gzip"), "gzip");
    refused(LINES("Host: h", "Transfer-Encoding: gzip, chunked"), "gzip");
    refused(LINES("Host: h", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "allowed is one");
    refused(LINES("Host: h", "Transfer-Encoding:"), "chunked");
    struct srv_framing framing;
    struct srv_problem problem;
    assert_false(check("POST", "/", "HTTP/1.0", LINES("Transfer-Encoding: chunked"), &framing, &problem));
}

static void coded_bodies_are_not_read(void **state)
{
    (void)state;
    static const char *const names[] = { "gzip", "br", "identity, gzip", "x-gzip" };
    struct srv_framing framing;
    struct srv_problem problem;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[60];
        snprintf(line, sizeof line, "content-encoding: %s", names[i]);
        assert_false(check("POST", "/", "HTTP/1.1", LINES("Host: h", "Content-Length: 5", line), &framing, &problem));
        assert_int_equal(problem.reason, SRV_NOT_AN_IMAGE);
        assert_non_null(strstr(problem.text, names[i]));
        assert_true(framing.known); /* so that a kept connection stays in step */
    }
    assert_false(
        check("POST", "/", "HTTP/1.1",
              LINES("Host: h", "Transfer-Encoding: chunked", "Content-Encoding: identity", "Content-Encoding: gzip"),
              &framing, &problem));
    assert_true(check("POST", "/", "HTTP/1.1",
                      LINES("Host: h", "Content-Length: 5", "Content-Encoding: Identity", "Content-Encoding:"),
                      &framing, &problem));
    assert_true(check("GET", "/", "HTTP/1.1", LINES("Host: h", "Content-Encoding: gzip"), &framing, &problem));
}

static void hosts_must_be_one(void **state)
{
    (void)state;
    refused(LINES("Accept: */*"), "Host");
    refused(LINES("Host: h", "Host: h"), "Host");
}

static void names_and_values_must_be_of_their_characters(void **state)
{
    (void)state;
    refused(LINES("Host: h", "Content-Length : 5"), "Content-Length ");
    refused(LINES("Host: h", ": x"), "not a header name");
    refused(LINES("Host: h", "X\x80: x"), "not a header name");
    refused(LINES("Host: h", "X: a\rb"), "control");
    refused(LINES("Host: h", "X: a\x0b"), "control");
}

static void methods_targets_and_versions_are_checked(void **state)
{
    (void)state;
    struct srv_framing framing;
    struct srv_problem problem;
    assert_false(check("G@T", "/", "HTTP/1.1", LINES("Host: h"), &framing, &problem));
    assert_false(check("", "/", "HTTP/1.1", LINES("Host: h"), &framing, &problem));
    assert_false(check("GET", "/a b", "HTTP/1.1", LINES("Host: h"), &framing, &problem));
    assert_false(check("GET", "x", "HTTP/1.1", LINES("Host: h"), &framing, &problem));
    assert_false(check("GET", "", "HTTP/1.1", LINES("Host: h"), &framing, &problem));
    assert_false(check("GET", "/\x7f", "HTTP/1.1", LINES("Host: h"), &framing, &problem));
    assert_false(check("GET", "/", "HTTP/2.0", LINES("Host: h"), &framing, &problem));
    assert_false(check("GET", "/", "http/1.1", LINES("Host: h"), &framing, &problem));
}

static void first_bytes_may_become_a_request_or_not(void **state)
{
    (void)state;
    static const char *const may[] = { "", "G", "GET", "GET ", "GET /", "\r\n", "\r\n\nPOST /", "x-y! \x01" };
    static const char *const never[] = { "GET\r\n", "GET\t/", " GET /", "\r\n /", "\x16\x03\x01", "G\xff", "a/b c" };
    for (size_t i = 0; i < sizeof may / sizeof *may; i++)
        assert_true(srv_may_begin_request(may[i], strlen(may[i])));
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_false(srv_may_begin_request(never[i], strlen(never[i])));
    assert_false(srv_may_begin_request("", 1));
}

static void heads_have_a_limit(void **state)
{
    (void)state;
    static struct srv_headers headers;
    struct srv_framing framing;
    struct srv_problem problem;
    srv_headers_add(&headers, "Host", 4, "h", 1);
    for (int i = 0; i < SRV_HEADERS_MAX; i++)
        srv_headers_add(&headers, "X", 1, "y", 1);
    assert_false(srv_headers_check("GET", "/", "HTTP/1.1", &headers, &framing, &problem));
    assert_int_equal(problem.reason, SRV_HEADERS_TOO_LARGE);
    headers = (struct srv_headers){ 0 };
    static char large[SRV_HEADER_BYTES_MAX];
    memset(large, 'x', sizeof large);
    srv_headers_add(&headers, "X", 1, large, sizeof large);
    assert_false(srv_headers_check("GET", "/", "HTTP/1.1", &headers, &framing, &problem));
    assert_int_equal(problem.reason, SRV_HEADERS_TOO_LARGE);
}

static void lines_of_one_name_are_one_list(void **state)
{
    (void)state;
    static struct srv_headers headers;
    srv_headers_add(&headers, "Accept", 6, "text/html", 9);
    srv_headers_add(&headers, "Host", 4, "h", 1);
    srv_headers_add(&headers, "accept", 6, "image/png;q=0.5", 15);
    char *const list = srv_headers_join(&headers, "Accept");
    assert_string_equal(list, "text/html, image/png;q=0.5");
    free(list);
    char *const one = srv_headers_join(&headers, "Host");
    assert_string_equal(one, "h");
    free(one);
    char *const none = srv_headers_join(&headers, "Cookie");
    assert_string_equal(none, "");
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_requests_pass),
        cmocka_unit_test(lengths_that_two_programs_could_read_differently_are_refused),
        cmocka_unit_test(codings_but_chunked_are_refused),
        cmocka_unit_test(coded_bodies_are_not_read),
        cmocka_unit_test(hosts_must_be_one),
        cmocka_unit_test(names_and_values_must_be_of_their_characters),
        cmocka_unit_test(methods_targets_and_versions_are_checked),
        cmocka_unit_test(first_bytes_may_become_a_request_or_not),
        cmocka_unit_test(heads_have_a_limit),
        cmocka_unit_test(lines_of_one_name_are_one_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
