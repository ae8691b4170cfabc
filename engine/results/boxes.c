/* Overlap, suppression and selection of candidates.
 *
 * Nothing here allocates: sorting is quicksort that ends as a heapsort where its cuts are bad, so that no order of
 * boxes makes it slow; selection is a heap of the k best seen so far. Both order by one 64-bit key (value first, then
 * the lower index), so equal values have one order only and no sort needs to be stable.
 */
#include "results/boxes.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* ---- Order --------------------------------------------------------------------------------------- */

/* Floats as unsigned numbers of the same order: a NaN is the least, -0 and 0 are equal. */
static uint32_t sortable(float value)
{
    if (value != value)
        return 0;
    value += 0.0f; /* -0 becomes 0 */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The larger key is the better one. */
static uint64_t key_of(float value, uint32_t index)
{
    return (uint64_t)sortable(value) << 32 | (uint32_t)~index;
}

static uint64_t candidate_key(const struct heed_candidate *candidate)
{
    return key_of(candidate->score, candidate->index);
}

typedef bool before_fn(const struct heed_candidate *a, const struct heed_candidate *b);

static bool before_by_score(const struct heed_candidate *a, const struct heed_candidate *b)
{
    return candidate_key(a) > candidate_key(b);
}

static bool before_by_group(const struct heed_candidate *a, const struct heed_candidate *b)
{
    return a->group != b->group ? a->group < b->group : candidate_key(a) > candidate_key(b);
}

/* Puts `item` into the heap c[0..count) whose hole is at `hole`; the item that comes last is on top. */
static inline void sift_candidate(struct heed_candidate *c, size_t count, size_t hole, struct heed_candidate item,
                                  before_fn *before)
{
    for (size_t child; (child = 2 * hole + 1) < count; hole = child) {
        if (child + 1 < count && before(&c[child], &c[child + 1]))
            child++;
        if (!before(&item, &c[child]))
            break;
        c[hole] = c[child];
    }
    c[hole] = item;
}

static inline void heapsort_candidates(struct heed_candidate *c, size_t count, before_fn *before)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_candidate(c, count, i, c[i], before);
    for (size_t end = count; end-- > 1;) {
        const struct heed_candidate last = c[end];
        c[end] = c[0];
        sift_candidate(c, end, 0, last, before);
    }
}

static inline void swap(struct heed_candidate *a, struct heed_candidate *b)
{
    const struct heed_candidate held = *a;
    *a = *b;
    *b = held;
}

static inline void insertion_sort_candidates(struct heed_candidate *c, size_t count, before_fn *before)
{
    for (size_t i = 1; i < count; i++) {
        const struct heed_candidate item = c[i];
        size_t hole = i;
        for (; hole > 0 && before(&item, &c[hole - 1]); hole--)
            c[hole] = c[hole - 1];
        c[hole] = item;
    }
}

/* Cuts at the middle one of the first, the middle and the last: what comes before it, then the rest. Returns where it
 * stands then. */
static inline size_t cut_candidates(struct heed_candidate *c, size_t count, before_fn *before)
{
    struct heed_candidate *const first = c, *const middle = c + count / 2, *const last = c + count - 1;
    if (before(middle, first))
        swap(middle, first);
    if (before(last, middle))
        swap(last, middle);
    if (before(middle, first))
        swap(middle, first);
    swap(middle, last - 1);
    const struct heed_candidate pivot = last[-1];
    size_t at = 0;
    for (size_t i = 0; i + 2 < count; i++)
        if (before(&c[i], &pivot))
            swap(&c[i], &c[at++]);
    swap(&c[at], last - 1);
    return at;
}

static inline void sort_candidates(struct heed_candidate *c, size_t count, before_fn *before)
{
    enum { SMALL = 12, CUTS = 32 };
    struct part {
        struct heed_candidate *c;
        size_t count, cuts; /* cuts: that it may still be cut */
    } part = { c, count, CUTS }, later[CUTS];
    for (size_t waiting = 0;; part = later[--waiting]) {
        while (part.count > SMALL && part.cuts > 0) {
            const size_t at = cut_candidates(part.c, part.count, before);
            later[waiting++] = (struct part){ part.c + at + 1, part.count - at - 1, part.cuts - 1 };
            part = (struct part){ part.c, at, part.cuts - 1 };
        }
        if (part.count > SMALL)
            heapsort_candidates(part.c, part.count, before);
        else
            insertion_sort_candidates(part.c, part.count, before);
        if (waiting == 0)
            return;
    }
}

void heed_candidates_sort(struct heed_candidate *candidates, size_t count)
{
    sort_candidates(candidates, count, before_by_score);
}

/* ---- Overlap ------------------------------------------------------------------------------------- */

static inline float min_of(float a, float b)
{
    return a < b ? a : b;
}

static inline float max_of(float a, float b)
{
    return a > b ? a : b;
}

static inline float area_of(const float box[4])
{
    return (box[2] - box[0]) * (box[3] - box[1]);
}

float heed_box_iou(const float a[4], const float b[4])
{
    const float w = max_of(0.0f, min_of(a[2], b[2]) - max_of(a[0], b[0]));
    const float h = max_of(0.0f, min_of(a[3], b[3]) - max_of(a[1], b[1]));
    const float both = w * h;
    if (!(both > 0.0f))
        return 0.0f;
    return both / (area_of(a) + area_of(b) - both);
}

/* Some candidates of a group side by side, so that one box is compared with several of them at a time. */
enum { BLOCK = 128 };
struct block {
    float x1[BLOCK], y1[BLOCK], x2[BLOCK], y2[BLOCK], area[BLOCK];
};

static void block_fill(struct block *block, const struct heed_candidate *c, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        block->x1[j] = c[j].box[0];
        block->y1[j] = c[j].box[1];
        block->x2[j] = c[j].box[2];
        block->y2[j] = c[j].box[3];
        block->area[j] = area_of(c[j].box);
    }
}

/* Marks the block's candidates [first, count) that overlap the box too much: heed_box_iou without a branch, for the
 * compiler to vectorise (0 / 0 is not above any limit). */
static void block_suppress(const struct block *restrict block, size_t first, size_t count, const float box[4],
                           float limit, uint8_t *restrict suppressed)
{
    const float area = area_of(box), x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
    for (size_t j = first; j < count; j++) {
        const float w = max_of(0.0f, min_of(x2, block->x2[j]) - max_of(x1, block->x1[j]));
        const float h = max_of(0.0f, min_of(y2, block->y2[j]) - max_of(y1, block->y1[j]));
        const float both = w * h;
        suppressed[j] |= both / (area + block->area[j] - both) > limit;
    }
}

/* Greedy suppression of one group in falling order of score; survivors move to `out` (at or before c). Block after
 * block: first against all that is kept already, then among itself. */
static size_t nms_group(const struct heed_candidate *c, size_t count, float limit, size_t keep, uint8_t *suppressed,
                        struct heed_candidate *out)
{
    size_t kept = 0;
    memset(suppressed, 0, count);
    for (size_t begin = 0; begin < count && kept < keep; begin += BLOCK) {
        const size_t n = count - begin < BLOCK ? count - begin : BLOCK;
        struct block block;
        block_fill(&block, c + begin, n);
        for (size_t i = 0; i < kept; i++)
            block_suppress(&block, 0, n, out[i].box, limit, suppressed + begin);
        for (size_t i = 0; i < n && kept < keep; i++) {
            if (suppressed[begin + i])
                continue;
            out[kept] = c[begin + i];
            block_suppress(&block, i + 1, n, out[kept].box, limit, suppressed + begin);
            kept++;
        }
    }
    return kept;
}

/* The largest float that is not above the limit: a float is above the one where it is above the other. */
static float float_limit(double limit)
{
    const float nearest = (float)limit;
    return (double)nearest > limit ? nextafterf(nearest, -INFINITY) : nearest;
}

/* Survivors of one group, in falling order of score. */
static void decay_group(struct heed_candidate *kept, size_t count, float sigma)
{
    for (size_t i = 1; i < count; i++) {
        float overlap = 0;
        for (size_t j = i; j-- > 0;) {
            const float iou = heed_box_iou(kept[j].box, kept[i].box);
            overlap += iou * iou;
        }
        kept[i].score *= expf(-overlap / sigma);
    }
}

size_t heed_nms(struct heed_candidate *candidates, size_t count, double iou, double decay_sigma, size_t keep,
                uint8_t *suppressed)
{
    const float limit = float_limit(iou);
    const bool decays = decay_sigma > 0; /* then any survivor may come to be among the best */
    /* Group by group, so that the cost is the sum of the groups' squares and not the square of their sum. */
    sort_candidates(candidates, count, before_by_group);
    size_t kept = 0;
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && candidates[end].group == candidates[first].group;)
            end++;
        const size_t survivors =
            nms_group(candidates + first, end - first, limit, decays ? count : keep, suppressed, candidates + kept);
        if (decays)
            decay_group(candidates + kept, survivors, (float)decay_sigma);
        kept += survivors;
    }
    heed_candidates_sort(candidates, kept);
    return kept < keep ? kept : keep;
}

/* ---- The k largest ------------------------------------------------------------------------------- */

static uint64_t entry_key(const float *values, uint32_t index)
{
    return key_of(values[index], index);
}

/* The heap's top is the worst of its entries. */
static void sift_index(uint32_t *heap, size_t count, size_t hole, uint32_t item, const float *values)
{
    const uint64_t key = entry_key(values, item);
    for (size_t child; (child = 2 * hole + 1) < count; hole = child) {
        uint64_t child_key = entry_key(values, heap[child]);
        if (child + 1 < count) {
            const uint64_t other = entry_key(values, heap[child + 1]);
            if (other < child_key) {
                child_key = other;
                child++;
            }
        }
        if (key < child_key)
            break;
        heap[hole] = heap[child];
    }
    heap[hole] = item;
}

void heed_top_k(uint32_t *order, const float *values, size_t n, size_t k)
{
    assert(k <= n);
    assert(n <= UINT32_MAX);
    if (k == 0)
        return;
    for (size_t i = 0; i < k; i++)
        order[i] = (uint32_t)i;
    for (size_t i = k / 2; i-- > 0;)
        sift_index(order, k, i, order[i], values);

    /* Few of the rest are better than the worst of the k: about k ln(n / k) where the order is random. */
    uint64_t worst = entry_key(values, order[0]);
    for (size_t i = k; i < n; i++) {
        if (entry_key(values, (uint32_t)i) <= worst)
            continue;
        sift_index(order, k, 0, (uint32_t)i, values);
        worst = entry_key(values, order[0]);
    }
    for (size_t end = k; end-- > 1;) {
        const uint32_t last = order[end];
        order[end] = order[0];
        sift_index(order, end, 0, last, values);
    }
}
