/* A PNG as it is, and with its checksums made right: behind wrong ones nothing would ever be reached. */
#include "decode_any.h"
#include "fuzz.h"

static uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

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
        const uint32_t crc = checksum(png + at + 4, length + 4);
        uint8_t *const to = png + at + 8 + length;
        to[0] = (uint8_t)(crc >> 24);
        to[1] = (uint8_t)(crc >> 16);
        to[2] = (uint8_t)(crc >> 8);
        to[3] = (uint8_t)crc;
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
