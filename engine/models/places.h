/* Where attention may stand in a network: a family names its places as it loads them (spec.c knows them too, and
 * refuses others). */
#ifndef HEED_MODELS_PLACES_H
#define HEED_MODELS_PLACES_H

#include <string.h>

#include "models/spec.h"

/* The module that the spec wants after this place; NULL if none stands there, or after an error. */
static inline const struct heed_attention *heed_place_load(struct heed_loader *loader, const struct heed_spec *spec,
                                                           const char *place, size_t channels)
{
    for (size_t i = 0; i < spec->attention_count; i++)
        if (strcmp(spec->attention[i].after, place) == 0)
            return heed_attention_load(loader, &spec->attention[i], channels);
    return NULL;
}

#endif
