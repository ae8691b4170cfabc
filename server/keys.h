/* API keys: a file with one key a line, and behind it, where the key is limited, the models it may use. A # at the
 * beginning of a line or behind white space begins a comment:
 *
 *     # the cameras
 *     k-3f9a...                                 # the door
 *     k-77b1...  heed-s maskrcnn-resnet50-fpn
 *
 * A key is 8 to 256 visible ASCII characters and stands in one line only.
 *
 * Read once while starting; then any thread. */
#ifndef SRV_KEYS_H
#define SRV_KEYS_H

#include "models.h"

struct srv_key {
    char *text;   /* the key, NUL, then the models with a space before and after each; owned */
    size_t size;  /* of the key */
    bool limited; /* only the models listed */
    unsigned line;
};

struct srv_keys {
    struct srv_key *items;
    size_t count;
};

/* False with a sentence in error (of `size` bytes). Deinit either way. */
bool srv_keys_load(struct srv_keys *keys, const char *path, char *error, size_t size);
bool srv_keys_parse(struct srv_keys *keys, const char *text, char *error, size_t size);
void srv_keys_deinit(struct srv_keys *keys);

/* That every model a key is limited to is there. */
bool srv_keys_check(const struct srv_keys *keys, const struct srv_models *models, char *error, size_t size);

/* NULL if it is none of them. Takes the same time whichever key is right, and wherever it differs. */
const struct srv_key *srv_keys_find(const struct srv_keys *keys, const char *text);
bool srv_key_allows(const struct srv_key *key, const char *model);

/* The key in "Bearer KEY", or in X-API-Key; NULL if neither was sent. */
const char *srv_keys_sent(const char *authorization, const char *api_key);

#endif
