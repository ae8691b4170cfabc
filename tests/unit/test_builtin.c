/* The files inside the binary are those of config/. */
#include "models/builtin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void same_as_file(const uint8_t *bytes, size_t size, const char *path)
{
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *const text = malloc(size + 1);
    assert_int_equal(fread(text, 1, size + 1, file), size);
    assert_memory_equal(text, bytes, size);
    free(text);
    fclose(file);
}

static void the_embedded_files_are_those_of_config(void **state)
{
    (void)state;
    const struct heed_builtin builtin = heed_builtin();
    same_as_file(builtin.spec, builtin.spec_size, HEED_SOURCE_DIR "/config/models/heed-s.json");
    same_as_file(builtin.labels, builtin.labels_size, HEED_SOURCE_DIR "/config/labels/coco80.json");
    same_as_file(builtin.weights, builtin.weights_size, HEED_SOURCE_DIR "/config/models/heed-s.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_embedded_files_are_those_of_config) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
