/* A fuzz target is one function over bytes, which must return whatever they are. libFuzzer drives it (build with
 * HEED_FUZZ), or replay.c, which runs the seeds and the old finds as an ordinary test. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
