/* Whole files: configuration, keys, photos of the commands. */
#ifndef SERVER_FILE_H
#define SERVER_FILE_H

#include <stddef.h>

/* What is in the file, to free(), with a NUL behind it that does not count; path NULL: standard input. NULL with a reason
 * in error where it cannot be read, is larger than max bytes or there is no memory. Any thread. */
char *srv_file_read(const char *path, size_t max, size_t *size, char *error, size_t error_size);

#endif
