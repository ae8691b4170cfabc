#include "attention/attention.h"

#include <assert.h>

static const struct heed_attention_kind *const kinds[] = {
    [HEED_ATTENTION_EFFICIENT] = &heed_attention_efficient,
    [HEED_ATTENTION_DOT_PRODUCT] = &heed_attention_dot_product,
};

const struct heed_attention *heed_attention_load(struct heed_loader *loader, const struct heed_attention_spec *spec,
                                                 size_t channels)
{
    assert(spec->heads > 0 && spec->key_channels % spec->heads == 0 && spec->value_channels % spec->heads == 0);
    struct heed_attention *const attention = heed_loader_bytes(loader, sizeof *attention);
    if (!attention)
        return NULL;
    attention->kind = kinds[spec->type];
    attention->channels = channels;
    attention->module =
        attention->kind->load(loader, spec, heed_loader_name(loader, "attention.%s", spec->after), channels);
    return loader->status == HEED_OK ? attention : NULL;
}

void heed_attention_run(struct heed_forward *forward, const struct heed_attention *attention,
                        const struct heed_tensor *x)
{
    if (!attention)
        return;
    assert(x->c == attention->channels);
    attention->kind->run(forward, attention->module, x);
}
