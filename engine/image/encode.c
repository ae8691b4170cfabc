/* Pictures back to bytes. */
#include "base/error.h"
#include "image/codec.h"

static enum heed_status check_size(const struct heed_image *image, struct heed_error *error)
{
    if (image->width == 0 || image->height == 0)
        return heed_fail(error, HEED_BAD_ARGUMENT, "a picture of %u x %u has no pixels", image->width, image->height);
    return HEED_OK;
}

enum heed_status heed_image_encode_jpeg(const struct heed_image *image, int quality, const struct heed_stop *stop,
                                        uint8_t **bytes, size_t *size, struct heed_error *error)
{
    if (quality < 1 || quality > 100)
        return heed_fail(error, HEED_BAD_ARGUMENT, "JPEG quality is %d, allowed is 1..100", quality);
    const enum heed_status status = check_size(image, error);
    if (status != HEED_OK)
        return status;
    return heed_jpeg_encode(image->rgb, image->width, image->height, quality, stop, bytes, size, error);
}

enum heed_status heed_image_encode_png(const struct heed_image *image, const struct heed_stop *stop, uint8_t **bytes,
                                       size_t *size, struct heed_error *error)
{
    const enum heed_status status = check_size(image, error);
    if (status != HEED_OK)
        return status;
    return heed_png_encode(image->rgb, image->width, image->height, HEED_PNG_RGB, stop, bytes, size, error);
}
