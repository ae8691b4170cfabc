/* Runs a target over every file of the folders it is given, without libFuzzer: under any compiler and sanitizer. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run_file(const char *path)
{
    FILE *const file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    const size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *const data = malloc(size ? size : 1); /* of exactly this size, so that a read past the end is seen */
    if (!data || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        const int found =
            scandir(argv[i], &entries, is_file, alphasort); /* a target without finds has no folder for them */
        for (int j = 0; j < found; j++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entries[j]->d_name);
            run_file(path);
            printf("ok %d - %s\n", ++count, path);
            free(entries[j]);
        }
        if (found >= 0)
            free(entries);
    }
    printf("1..%d\n", count);
    return count ? 0 : 1;
}
