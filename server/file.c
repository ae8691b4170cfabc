#include "file.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)64 * 1024)

/* Grows as the file is read: a pipe does not tell its size. */
static char *read_all(FILE *file, size_t limit, size_t *size, char *error, size_t error_size)
{
    size_t capacity = FIRST_BYTES;
    char *bytes = malloc(capacity);
    *size = 0;
    while (bytes) {
        *size += fread(bytes + *size, 1, capacity - 1 - *size, file);
        if (*size < capacity - 1 || *size >= limit || capacity > SIZE_MAX / 2)
            break;
        char *const larger = realloc(bytes, capacity *= 2);
        if (!larger)
            free(bytes);
        bytes = larger;
    }
    if (bytes && !ferror(file) && *size < limit) {
        bytes[*size] = '\0';
        return bytes;
    }
    if (bytes && !ferror(file))
        snprintf(error, error_size, "it has %zu MiB or more", limit >> 20);
    else
        snprintf(error, error_size, "%s", strerror(bytes ? errno : ENOMEM));
    free(bytes);
    return NULL;
}

char *srv_file_read(const char *path, size_t limit, size_t *size, char *error, size_t error_size)
{
    FILE *const file = path ? fopen(path, "rbe") : stdin;
    if (!file) {
        snprintf(error, error_size, "%s", strerror(errno));
        return NULL;
    }
    char *const bytes = read_all(file, limit, size, error, error_size);
    if (path)
        fclose(file);
    return bytes;
}
