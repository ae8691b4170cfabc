#include "models/pan.h"

#include "layers/resize.h"

void heed_pan_load(struct heed_loader *loader, struct heed_pan *pan, const struct heed_spec *spec,
                   const size_t widths[HEED_PAN_LEVELS])
{
    static const char *const names[] = { "neck.lateral8", "neck.lateral16", "neck.lateral32" };
    static const char *const after[] = { "pan8", "pan16", "pan32" };
    for (size_t i = 0; i < HEED_PAN_LEVELS; i++) {
        heed_conv_load(loader, &pan->laterals[i], names[i],
                       (struct heed_conv_shape){ .in = widths[i], .out = spec->neck_channels, .kernel = 1, .step = 1 });
        pan->attention[i] = heed_place_load(loader, spec, after[i], spec->neck_channels);
    }
}

void heed_pan_run(struct heed_forward *forward, const struct heed_pan *pan,
                  const struct heed_tensor features[HEED_PAN_LEVELS], struct heed_tensor maps[HEED_PAN_LEVELS])
{
    for (size_t i = 0; i < HEED_PAN_LEVELS; i++)
        maps[i] = heed_conv(forward, &pan->laterals[i], &features[i]);
    heed_resize_add(forward, HEED_RESIZE_BILINEAR, &maps[2], &maps[1]); /* p16 = l16 + up(l32) */
    heed_resize_add(forward, HEED_RESIZE_BILINEAR, &maps[1], &maps[0]); /* p8  = l8 + up(p16) */
    heed_resize_add(forward, HEED_RESIZE_BILINEAR, &maps[0], &maps[1]); /* q16 = p16 + down(p8) */
    heed_resize_add(forward, HEED_RESIZE_BILINEAR, &maps[1], &maps[2]); /* q32 = l32 + down(q16) */
    for (size_t i = 0; i < HEED_PAN_LEVELS; i++)
        heed_attention_run(forward, pan->attention[i], &maps[i]);
}
