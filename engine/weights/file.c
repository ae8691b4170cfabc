#include "weights/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

struct heed_file_name heed_file_name(const char *path)
{
    struct heed_file_name name;
    const size_t length = strlen(path), most = sizeof name.text - sizeof "...";
    const bool whole = length < sizeof name.text;
    snprintf(name.text, sizeof name.text, "%s%s", whole ? "" : "...", whole ? path : path + length - most);
    return name;
}

enum heed_status heed_file_open(const char *path, int *file, size_t *size, struct heed_error *error)
{
    struct stat about;
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0 || fstat(*file, &about) != 0)
        about.st_mode = 0;
    if (S_ISREG(about.st_mode)) {
        *size = (size_t)about.st_size;
        return HEED_OK;
    }
    const char *const why = *file < 0 ? strerror(errno) : "not a file";
    if (*file >= 0)
        close(*file);
    return heed_fail(error, HEED_IO, "%s: %s", heed_file_name(path).text, why);
}
