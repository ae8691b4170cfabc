/* For tests of what opens files: a pipe that nobody writes to. After cmocka.h. */
#ifndef TESTS_UNIT_PIPE_H
#define TESTS_UNIT_PIPE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heed.h"

/* `open` must say at once that it is no file. */
static inline void refuses_pipe(enum heed_status (*open)(const char *path, struct heed_error *error))
{
    char folder[] = "/tmp/heed-test-pipe-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10);
    struct heed_error error;
    assert_int_equal(open(path, &error), HEED_IO);
    assert_non_null(strstr(error.text, "pipe: not a file"));
    alarm(0);
    unlink(path);
    rmdir(folder);
}

#endif
