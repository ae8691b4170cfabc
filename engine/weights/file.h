/* A model's files, whatever the path leads to: opened without waiting for a pipe's other end, and named in errors by
 * the end of their path, so that a long one leaves room for the reason. Any thread. */
#ifndef HEED_WEIGHTS_FILE_H
#define HEED_WEIGHTS_FILE_H

#include "heed.h"

/* For reading; the descriptor is the caller's to close. What is not a plain file is HEED_IO. */
HEED_CHECKED enum heed_status heed_file_open(const char *path, int *file, size_t *size, struct heed_error *error);

struct heed_file_name {
    char text[124];
};
struct heed_file_name heed_file_name(const char *path);

#endif
