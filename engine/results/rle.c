/* What is made of run lengths: an area, COCO's string, a one-bit PNG. */
#include "base/checked.h"
#include "base/error.h"
#include "base/stop.h"
#include "image/codec.h"

#include <stdlib.h>

uint64_t heed_rle_area(const struct heed_rle *rle)
{
    uint64_t area = 0;
    for (size_t i = 1; i < rle->run_count; i += 2)
        area += rle->runs[i];
    return area;
}

/* Runs as signed numbers of five bits a character, lowest first, with 32 where more follow, from '0' on; from the
 * fourth run on the difference to the run two before is written. */
enum { BITS = 5, MORE = 1 << BITS, SIGN = MORE / 2, FIRST_CHARACTER = '0', CHARACTERS_MAX = 7 /* 33 bits */ };

static char *write_number(char *text, int64_t number)
{
    bool more;
    do {
        const int low = (int)(number & (MORE - 1));
        number >>= BITS;
        more = low & SIGN ? number != -1 : number != 0;
        *text++ = (char)(FIRST_CHARACTER + (more ? low | MORE : low));
    } while (more);
    return text;
}

enum heed_status heed_rle_to_string(const struct heed_rle *rle, char **text, struct heed_error *error)
{
    size_t size;
    char *start = NULL;
    if (heed_mul_fits(rle->run_count, CHARACTERS_MAX, &size) && heed_add_fits(size, 1, &size))
        start = malloc(size);
    if (!start)
        return heed_fail(error, HEED_NO_MEMORY, "text of a mask of %zu runs", rle->run_count);
    char *end = start;
    for (size_t i = 0; i < rle->run_count; i++)
        end = write_number(end, (int64_t)rle->runs[i] - (i > 2 ? rle->runs[i - 2] : 0));
    *end++ = '\0';
    char *const fitted = realloc(start, (size_t)(end - start)); /* most numbers take one or two characters */
    *text = fitted ? fitted : start;
    return HEED_OK;
}

/* One bit a pixel, the leftmost in the top bit. */
static enum heed_status set_bits(const struct heed_rle *rle, size_t row_bytes, uint8_t *rows,
                                 const struct heed_stop *stop, struct heed_error *error)
{
    struct heed_stop_watch watch = { .stop = stop };
    enum heed_status status = HEED_OK;
    size_t x = 0, y = 0;
    for (size_t i = 0; i < rle->run_count && status == HEED_OK; i++) {
        const size_t run = rle->runs[i];
        if (i % 2 == 0) {
            x += (y + run) / rle->height;
            y = (y + run) % rle->height;
            continue;
        }
        for (size_t left = run; left > 0; left--) {
            rows[y * row_bytes + x / 8] |= (uint8_t)(0x80 >> x % 8);
            if (++y == rle->height) {
                y = 0;
                x++;
            }
        }
        status = heed_stop_watch(&watch, run, error);
    }
    return status;
}

enum heed_status heed_rle_to_png(const struct heed_rle *rle, const struct heed_stop *stop, uint8_t **bytes,
                                 size_t *size, struct heed_error *error)
{
    const size_t row_bytes = ((size_t)rle->width + 7) / 8;
    uint8_t *const rows = calloc(rle->height, row_bytes);
    if (!rows)
        return heed_fail(error, HEED_NO_MEMORY, "picture of a mask of %u x %u", rle->width, rle->height);
    enum heed_status status = set_bits(rle, row_bytes, rows, stop, error);
    if (status == HEED_OK)
        status = heed_png_encode(rows, rle->width, rle->height, HEED_PNG_BITS, stop, bytes, size, error);
    free(rows);
    return status;
}
