#include "models/family.h"

#include <string.h>

static const struct heed_family *const families[] = { &heed_family_mask_rcnn, &heed_family_heed_s };

const struct heed_family *heed_family_find(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i]->name, name) == 0)
            return families[i];
    return NULL;
}
