/* Pictures back to bytes. */
#include "base/error.h"
#include "image/codec.h"

enum heed_status heed_image_encode_jpeg(const struct heed_image *image, int quality, uint8_t **bytes, size_t *size,
                                        struct heed_error *error)
{
    if (quality < 1 || quality > 100)
        return heed_fail(error, HEED_BAD_ARGUMENT, "JPEG quality is %d, allowed is 1..100", quality);
    return heed_jpeg_encode(image->rgb, image->width, image->height, quality, bytes, size, error);
}

enum heed_status heed_image_encode_png(const struct heed_image *image, const struct heed_stop *stop, uint8_t **bytes,
                                       size_t *size, struct heed_error *error)
{
    return heed_png_encode(image->rgb, image->width, image->height, HEED_PNG_RGB, stop, bytes, size, error);
}
