/* POST /v1/detect with a JSON body. */
#include "detect_request.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_request("application/json", data, size);
    return 0;
}
