/* A PNG as it is, and with its checksums made right: behind wrong ones nothing would ever be reached. */
#include "../png_chunks.h"
#include "decode_any.h"
#include "fuzz.h"

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void repair(uint8_t *png, size_t size)
{
    for (size_t at = 8; at <= size && size - at >= 12;) {
        const size_t length = big_endian(png + at);
        if (length > size - at - 12)
            return;
        png_put_big_endian(png + at + 8 + length, png_checksum(png + at + 4, length + 4));
        at += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_any(data, size);
    uint8_t *const repaired = malloc(size ? size : 1);
    if (size)
        memcpy(repaired, data, size);
    repair(repaired, size);
    decode_any(repaired, size);
    free(repaired);
    return 0;
}
