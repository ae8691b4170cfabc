/* What a PNG's chunks are made of, for tests that write or repair them. */
#ifndef TESTS_PNG_CHUNKS_H
#define TESTS_PNG_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

/* Of a chunk's type and data. */
static inline uint32_t png_checksum(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static inline void png_put_big_endian(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

#endif
