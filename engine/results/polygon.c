/* The rings of a mask: its boundary along the edges of its pixels.
 *
 * Between two columns of pixels the boundary's upright edges are where one column is set and the other is not, and
 * which of them is tells the direction: the mask lies to the right hand of whoever walks the ring, so outer rings run
 * clockwise on screen and holes the other way. The longest such edges end exactly at the rings' corners.
 *
 *      column x-1   column x         line x
 *          .            #              ^  up: the mask is on the right
 *          .            #              |
 *          #            #                 (no boundary)
 *          #            .              |
 *          #            .              v  down
 *
 * Going along a line of constant y, corners are joined by level edges in pairs: first and second, third and fourth.
 * Where two pixels of the mask touch only by a corner, two edges end in one point; there the edge that goes down is
 * taken first, which keeps each ring on its own pixel, so rings touch but never cross (the mask is 4-connected, what is
 * not the mask 8-connected). Corners are the only points, so no three in a row lie on a line.
 */
#include "base/error.h"
#include "heed.h"

#include <assert.h>
#include <stdlib.h>

/* An upright edge at x from `top` to `bottom`. */
struct edge {
    uint32_t x, top, bottom;
    bool up, walked;
};

struct edges {
    struct edge *items;
    size_t count, capacity;
    bool no_memory;
};

static void edges_add(struct edges *edges, struct edge edge)
{
    if (edges->count == edges->capacity) {
        const size_t capacity = edges->capacity ? 2 * edges->capacity : 64;
        struct edge *const items = edges->no_memory ? NULL : realloc(edges->items, capacity * sizeof *items);
        if (!items) {
            edges->no_memory = true;
            return;
        }
        edges->items = items;
        edges->capacity = capacity;
    }
    edges->items[edges->count++] = edge;
}

/* ---- Columns ------------------------------------------------------------------------------------- */

/* Reads runs column by column, as the rows at which a column changes: between an even change and the next the mask is
 * set. */
struct column_reader {
    const struct heed_rle *rle;
    size_t run;    /* the one being read */
    uint32_t left; /* what is left of it */
};

struct column {
    uint32_t *changes; /* room for height + 2 */
    size_t count;
};

static void column_read(struct column_reader *reader, struct column *column)
{
    const uint32_t height = reader->rle->height;
    bool set = false;
    uint32_t y = 0;
    column->count = 0;
    while (y < height) {
        while (reader->left == 0 && reader->run + 1 < reader->rle->run_count)
            reader->left = reader->rle->runs[++reader->run];
        assert(reader->left > 0);
        const bool run_set = reader->run % 2 == 1;
        if (run_set != set)
            column->changes[column->count++] = y;
        set = run_set;
        const uint32_t step = reader->left < height - y ? reader->left : height - y;
        y += step;
        reader->left -= step;
    }
    if (set)
        column->changes[column->count++] = height;
}

/* Goes down line x between two columns; an edge begins and ends wherever the pair of pixels beside it changes kind. */
static void add_edges_between(struct edges *edges, uint32_t x, const struct column *before, const struct column *after)
{
    size_t b = 0, a = 0;
    struct edge edge = { .x = x };
    bool open = false;
    while (b < before->count || a < after->count) {
        const uint32_t at_b = b < before->count ? before->changes[b] : UINT32_MAX;
        const uint32_t at_a = a < after->count ? after->changes[a] : UINT32_MAX;
        const uint32_t y = at_b < at_a ? at_b : at_a;
        b += at_b == y;
        a += at_a == y;
        const bool set_before = b % 2 == 1, set_after = a % 2 == 1;
        const bool boundary = set_before != set_after;
        if (open && boundary && edge.up == set_after)
            continue;
        if (open) {
            edge.bottom = y;
            edges_add(edges, edge);
        }
        open = boundary;
        edge.top = y;
        edge.up = set_after;
    }
}

static void collect_edges(struct edges *edges, const struct heed_rle *rle, uint32_t *changes)
{
    struct column_reader reader = { .rle = rle, .left = rle->run_count ? rle->runs[0] : 0 };
    struct column before = { .changes = changes }, after = { .changes = changes + rle->height + 2 };
    for (uint32_t x = 0; x <= rle->width; x++) {
        if (x < rle->width)
            column_read(&reader, &after);
        else
            after.count = 0;
        add_edges_between(edges, x, &before, &after);
        const struct column swap = before;
        before = after;
        after = swap;
    }
}

/* ---- Corners ------------------------------------------------------------------------------------- */

/* One end of an edge: 2 * edge for its top, 2 * edge + 1 for its bottom. */
struct corner {
    uint64_t key; /* y, then x, then down before up */
    size_t end;
};

static int corner_order(const void *left, const void *right)
{
    const uint64_t a = ((const struct corner *)left)->key, b = ((const struct corner *)right)->key;
    return a < b ? -1 : a > b;
}

/* partner[end] is the end that a level edge joins it with. */
static void join_corners(const struct edges *edges, struct corner *corners, size_t *partner)
{
    for (size_t i = 0; i < 2 * edges->count; i++) {
        const struct edge *const edge = &edges->items[i / 2];
        const uint64_t y = i % 2 ? edge->bottom : edge->top;
        corners[i] = (struct corner){ .key = y << 33 | (uint64_t)edge->x << 1 | edge->up, .end = i };
    }
    qsort(corners, 2 * edges->count, sizeof *corners, corner_order);
    for (size_t i = 0; i < 2 * edges->count; i += 2) {
        partner[corners[i].end] = corners[i + 1].end;
        partner[corners[i + 1].end] = corners[i].end;
    }
}

/* Walks the ring that begins with an edge; returns the point after its last. */
static uint32_t *walk_ring(struct edges *edges, size_t first, const size_t *partner, uint32_t *point)
{
    for (size_t i = first; !edges->items[i].walked;) {
        struct edge *const edge = &edges->items[i];
        edge->walked = true;
        *point++ = edge->x;
        *point++ = edge->up ? edge->bottom : edge->top;
        *point++ = edge->x;
        *point++ = edge->up ? edge->top : edge->bottom;
        i = partner[2 * i + (edge->up ? 0 : 1)] / 2;
    }
    return point;
}

/* ---- Rings --------------------------------------------------------------------------------------- */

static enum heed_status no_memory(const struct heed_rle *rle, struct heed_error *error)
{
    return heed_fail(error, HEED_NO_MEMORY, "outline of a mask of %zu runs", rle->run_count);
}

static enum heed_status trace(struct edges *edges, const struct heed_rle *rle, struct heed_polygon *polygon,
                              struct heed_error *error)
{
    const size_t n = edges->count;
    struct corner *const corners = calloc(2 * n, sizeof *corners);
    size_t *const partner = calloc(2 * n, sizeof *partner);
    polygon->points = calloc(4 * n, sizeof *polygon->points);
    polygon->ring_ends = calloc(n / 2, sizeof *polygon->ring_ends); /* a ring has at least two upright edges */
    const bool enough = corners && partner && polygon->points && polygon->ring_ends;
    if (enough) {
        join_corners(edges, corners, partner);
        uint32_t *point = polygon->points;
        for (size_t i = 0; i < n; i++) {
            if (edges->items[i].walked)
                continue;
            point = walk_ring(edges, i, partner, point);
            polygon->ring_ends[polygon->ring_count++] = (size_t)(point - polygon->points) / 2;
        }
    } else {
        heed_polygon_deinit(polygon);
    }
    free(corners);
    free(partner);
    return enough ? HEED_OK : no_memory(rle, error);
}

enum heed_status heed_rle_to_polygon(const struct heed_rle *rle, struct heed_polygon *polygon, struct heed_error *error)
{
    *polygon = (struct heed_polygon){ 0 };
    uint32_t *const changes = calloc(2 * ((size_t)rle->height + 2), sizeof *changes);
    if (!changes)
        return no_memory(rle, error);
    struct edges edges = { 0 };
    collect_edges(&edges, rle, changes);
    free(changes);

    enum heed_status status = HEED_OK;
    if (edges.no_memory)
        status = no_memory(rle, error);
    else if (edges.count)
        status = trace(&edges, rle, polygon, error);
    free(edges.items);
    return status;
}

void heed_polygon_deinit(struct heed_polygon *polygon)
{
    free(polygon->ring_ends);
    free(polygon->points);
    *polygon = (struct heed_polygon){ 0 };
}
