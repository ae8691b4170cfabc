/* A configuration file. */
#include "fuzz.h"
#include "options.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct srv_options options;
    struct srv_options_error error = { "" };
    const bool ready = srv_options_init(&options);
    assert(ready);
    if (!srv_options_parse_file(&options, (const char *)data, size, "/etc/heed", &error))
        assert(strlen(error.text) > 0);
    srv_options_deinit(&options);
    return 0;
}
