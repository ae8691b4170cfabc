#include "models/names.h"

const char *heed_either_name(struct heed_loader *loader, const char *older, const char *newer)
{
    struct heed_weight weight;
    const char *const newer_weight = heed_loader_name(loader, "%s.weight", newer);
    return heed_weights_find(loader->weights, newer_weight, &weight) ? newer : older;
}
