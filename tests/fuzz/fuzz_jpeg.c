/* A body that begins like a JPEG: the marker walk, EXIF, the codec. */
#include "decode_any.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_any(data, size);
    return 0;
}
