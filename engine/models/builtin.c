#include "models/builtin.h"

/* The assembler includes the file: a compiler would take long over an array of millions of numbers. */
#define EMBED(symbol, path)                                                                                            \
    __asm__(".pushsection .rodata\n"                                                                                   \
            ".balign 64\n"                                                                                             \
            "heed_" #symbol ":\n"                                                                                      \
            ".incbin \"" path "\"\n"                                                                                   \
            "heed_" #symbol "_end:\n"                                                                                  \
            ".byte 0\n"                                                                                                \
            ".popsection\n");                                                                                          \
    extern const uint8_t symbol[] __asm__("heed_" #symbol) __attribute__((visibility("hidden")));                      \
    extern const uint8_t symbol##_end[] __asm__("heed_" #symbol "_end") __attribute__((visibility("hidden")))

EMBED(builtin_spec, HEED_CONFIG_DIR "/models/heed-s.json");
EMBED(builtin_labels, HEED_CONFIG_DIR "/labels/coco80.json");
EMBED(builtin_weights, HEED_CONFIG_DIR "/models/heed-s.safetensors");

struct heed_builtin heed_builtin(void)
{
    return (struct heed_builtin){
        .spec = builtin_spec,
        .labels = builtin_labels,
        .weights = builtin_weights,
        .spec_size = (size_t)(builtin_spec_end - builtin_spec),
        .labels_size = (size_t)(builtin_labels_end - builtin_labels),
        .weights_size = (size_t)(builtin_weights_end - builtin_weights),
    };
}
