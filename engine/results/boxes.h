/* Boxes as x1, y1, x2, y2, their overlap and greedy non-maximum suppression; top-k. Plain C, any thread. */
#ifndef HEED_RESULTS_BOXES_H
#define HEED_RESULTS_BOXES_H

#include <stddef.h>
#include <stdint.h>

/* Intersection over union; areas without +1 (torchvision). */
float heed_box_iou(const float a[4], const float b[4]);

struct heed_candidate {
    float box[4];
    float score;
    uint32_t group; /* suppression happens inside a group: a class, or a pyramid level */
    uint32_t index; /* where it came from: breaks ties of score, lower first; the caller's otherwise */
};

/* Sorts by falling score, ties by rising index. */
void heed_candidates_sort(struct heed_candidate *candidates, size_t count);

/* Sorts, then keeps at most `keep` candidates, in order, none of which overlaps a better kept one of its group by more
 * than `iou` (a double, which the float overlap is compared with: torchvision's rule, which decides when they are
 * nearly equal). Where decay_sigma is above 0, each survivor's score is first multiplied by exp(-sum of iou^2 / sigma)
 * over the better ones of its group that it overlaps (the Gaussian of Soft-NMS, Bodla et al., ICCV 2017, but greedy
 * suppression comes first, so that no object is found twice). Returns how many are kept, at the front. `suppressed` is
 * scratch of `count` bytes. */
size_t heed_nms(struct heed_candidate *candidates, size_t count, double iou, double decay_sigma, size_t keep,
                uint8_t *suppressed);

/* Indices of the k largest values, by falling value, ties by rising index; k <= n. `order` is scratch and result, n
 * entries; values that are NaN come last. */
void heed_top_k(uint32_t *order, const float *values, size_t n, size_t k);

#endif
