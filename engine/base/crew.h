/* Loops whose tiles every idle thread of the crew may take. The public half (create, help, wake) is in heed.h.
 *
 *   job thread      run(fn, tiles) --publish--> [ loop: next tile | tiles | done ] --> runs tiles itself,
 *   idle threads    help() ---------------------- claim next, run, claim next ...      waits for the last one
 *
 * A loop's tiles are claimed with one atomic counter. Tiles split outputs, never sums, and how a loop is cut
 * into tiles depends on its shape alone: the result is the same to the last bit for any number of threads.
 * Several threads may run loops at the same time; loops do not nest.
 */
#ifndef HEED_BASE_CREW_H
#define HEED_BASE_CREW_H

#include "heed.h"

/* lane: below heed_crew_lanes, different for all threads that are inside the same loop: picks per-thread scratch. */
typedef void heed_tile_fn(void *arg, size_t tile, unsigned lane);

/* Runs fn for every tile in [0, tiles) and returns when all are done. The caller works as lane 0. */
void heed_crew_run(struct heed_crew *crew, heed_tile_fn *fn, void *arg, size_t tiles);

unsigned heed_crew_lanes(const struct heed_crew *crew);

#endif
