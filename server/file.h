/* Whole files: configuration, keys, photos of the commands. */
#ifndef SERVER_FILE_H
#define SERVER_FILE_H

#include <stddef.h>

#define SRV_TEXT_FILE_BYTES ((size_t)1 << 20) /* a text file has less */

/* What is in the file, to free(), with a NUL behind it that does not count; path NULL: standard input. NULL with a
 * reason in error where it cannot be read, has `limit` bytes or more or there is no memory. Any thread. */
char *srv_file_read(const char *path, size_t limit, size_t *size, char *error, size_t error_size);

#endif
