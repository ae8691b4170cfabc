/* JPEG and PNG bytes to RGB rows, orientation applied. jpeg.c alone meets jpeglib.h, png.c alone meets spng.h.
 * Probing is in heed.h. Alpha is laid over white, as a viewer shows it; 16-bit channels keep their upper byte; CMYK and
 * YCCK become RGB. A file that is truncated or damaged anywhere is HEED_BAD_IMAGE, never half a picture; but a
 * progressive JPEG may end properly after any scan, and is then only less sharp. */
#ifndef HEED_IMAGE_DECODE_H
#define HEED_IMAGE_DECODE_H

#include "base/arena.h"
#include "heed.h"

/* Decodes what heed_image_probe described. The pixels live in the arena (scratch it needs meanwhile is released). With
 * a counting arena only the memory is laid out and bytes may be NULL: it depends on the size and on whether the
 * orientation is 1, not on the format. Beside the arena a codec allocates the probe's codec_bytes and little more.
 * Can be stopped between two rows, but for a JPEG's codec, which does all in one go. */
HEED_CHECKED enum heed_status heed_image_decode(const uint8_t *bytes, size_t size, const struct heed_image_info *info,
                                                const struct heed_stop *stop, struct heed_arena *arena,
                                                struct heed_image *image, struct heed_error *error);

/* The same photo as a JPEG's codec can give it for less work, at a half, a quarter or an eighth (sides rounded up): the
 * smallest whose sides, as a person sees it, are at least these. Decode it with this information; not the same pixels
 * as resizing would give. A PNG, and a photo less than twice as large, stay as they are. */
struct heed_image_info heed_image_shrunk(const struct heed_image_info *info, size_t width_min, size_t height_min);

#endif
