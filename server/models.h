/* The models being served: the built-in one and those of the option `models`. Filled once while starting, then only
 * read, by any thread. */
#ifndef SRV_MODELS_H
#define SRV_MODELS_H

#include "heed.h"
#include "options.h"
#include "text.h"

struct srv_model {
    struct heed_model *model;
    const struct heed_model_info *info;
    size_t context_bytes; /* scratch for the largest photo that is admitted */
};

struct srv_models {
    struct srv_model *items;
    size_t count;
    const struct srv_model *standard; /* of requests that name none */
    size_t context_bytes;             /* the largest of all */
    size_t weights_bytes;             /* the sum */
};

/* Loads them all; lanes as in heed_model_memory. Deinit either way. */
HEED_CHECKED enum heed_status srv_models_load(struct srv_models *models, const struct srv_options *options,
                                              unsigned lanes, struct heed_error *error);
void srv_models_deinit(struct srv_models *models);

/* NULL if there is none of that name. */
const struct srv_model *srv_models_find(const struct srv_models *models, const char *name, size_t size);

/* Replies of GET /v1/models and of one model. */
void srv_models_list_json(const struct srv_models *models, struct srv_text *text);
void srv_model_json(const struct srv_models *models, const struct srv_model *model, const struct srv_options *options,
                    unsigned lanes, struct srv_text *text);

#endif
