/* conv.c: convolutions and their input gradients on tile registers.
 *
 * A band (some lines of some images' results) needs some lines of the source. They are split into
 * planes once, with zeros for the padding; a place of the window is then an address:
 *
 *     planes   [part][32 channels][image group][line][x mod stride][x / stride][image]  64 bytes
 *     result   16 positions (x, image) of a line  <-  tiles at  line, x + place, the same image
 *
 * Lines shorter than a tile put some images side by side: two of width 7 are a tile of 14. Tiles
 * have as many rows as cut a line into equal parts, for a tile of 14 rows takes 14/16 of the time.
 * The sums of 32 channels of results, in parts of the source's channels whose weights stay in the
 * second-level cache, run over all tiles of the band.
 *
 * The input gradient is the same walk over dy with the weights turned; with a stride, the elements
 * of each residue are a `grid` of their own (see conv_axis.h). 16 channels, with two pixels to a
 * tile's row, gained a seventh at most.
 *
 * On one core, GFLOP/s ours / the next backend, in a quiet minute (in a busy one 0.9 to 1.4 times):
 * 3x3 of 64 channels, 56x56, 8 images 200 / 115; 128, 28x28 205 / 120; 256, 14x14 200 / 120; 512,
 * 7x7 195 / 95; 32, 16x16, 128 images 157 / 119; 64, 8x8 185 / 125; 64 to 128 with stride 2
 * 160 / 110. Input gradients are as fast. */
#ifdef CJ_HAVE_AMX
#include <string.h>

#include "backend/amx/amx.h"
#include "backend/amx/planes.h"
#include "backend/conv_axis.h"

enum {
    BLOCK = 32,               /* columns of cj__amx_multiply, and its rows at most */
    LANES_MAX = 8,
    GRIDS_MAX = 4,
    PLACES_MAX = 64,
    PIXELS_MIN = 64,          /* fewer do not pay for splitting the weights, */
    POINT_MIN = 256,          /* nor fewer channels and one place for splitting the pixels */
    PLANES_BYTES = 768 << 10, /* of a band, about */
    RIGHT_BYTES = 480 << 10,  /* of 32 columns of weights */
    HEAVY_BYTES = 1536 << 10, /* of all weights, from where on they are not kept in panels */
    LIGHT_BYTES = 6 << 20,    /* of all planes, up to which */
    LINE = 64,                /* bytes */
    BEHIND = CJ__AMX_ROWS * LINE /* zeros, where the last tile may reach */
};

/* Results that all meet the same places: axes 1 and 2. */
typedef struct grid {
    axis y, x;
    int64_t tiles, rows; /* of a line, of a tile */
    ptrdiff_t *at;       /* by channel block, then place */
    size_t panels;       /* where its weights begin, in bytes */
} grid;

typedef struct conv_plan {
    cj__conv_shape c;
    bool transposed;
    int64_t from, to;            /* channels: of the source, of the results */
    int64_t chunks, part_chunks; /* of 32 channels: of the source, of which make a part */
    int n_grids;
    grid grids[GRIDS_MAX];
    int64_t low_y, low_x, advance_y, advance_x, reach; /* lines of the source behind a result's */
    int64_t beside, width;       /* images, positions of one residue of a line */
    int64_t lines;               /* of the results of a grid, the most */
    int64_t groups, band_groups, band_lines, bands_y, bands, lanes;
    size_t line_bytes, group_bytes, part_bytes; /* of planes */
    bool by_columns;
    size_t planes_bytes, right_bytes, part_right_bytes, sums_bytes, lane_bytes;
    char *kept;                  /* weights that rarely change, see cj_kernel.fixed */
    uint64_t version;
    bool is_packed;
} conv_plan;

/* ---- Plans ----------------------------------------------------------------------------------- */

static bool fill_grids(conv_plan *p)
{
    const cj__window *wy = &p->c.axis[1], *wx = &p->c.axis[2];
    const int64_t sy = p->transposed ? wy->stride : 1, sx = p->transposed ? wx->stride : 1;
    if (sy > 2 || sx > 2) return false;
    for (int64_t i = 0; i < sy * sx; i++) {
        grid *g = &p->grids[p->n_grids];
        *g = (grid){.y = p->transposed ? cj__conv_axis_backward(wy, i / sx)
                                       : cj__conv_axis_forward(wy),
                    .x = p->transposed ? cj__conv_axis_backward(wx, i % sx)
                                       : cj__conv_axis_forward(wx)};
        p->n_grids += g->y.count > 0 && g->x.count > 0;
    }
    return p->n_grids > 0;
}

/* Tiles of equal size for n positions. */
static int64_t tile_rows(int64_t n)
{
    return parts_of(n, parts_of(n, CJ__AMX_ROWS));
}

/* How many images side by side: where the time of a line's tiles, about that of 13 rows at least,
 * is least. */
static int64_t images_beside(int64_t batch, int64_t columns)
{
    int64_t best = 1;
    double least = 1e30;
    for (int64_t n = 1; n <= min64(batch, 8); n++) {
        const int64_t line = n * columns, rows = tile_rows(line);
        const double time = (double)(parts_of(line, rows) * max64(rows, 13)) *
                            (double)parts_of(batch, n);
        if (time < 0.97 * least) best = n, least = time;
    }
    return best;
}

static void fit_source(conv_plan *p)
{
    int64_t end_y = 0;
    p->low_y = p->low_x = INT64_MAX;
    for (int i = 0; i < p->n_grids; i++) {
        const grid *g = &p->grids[i];
        if (!g->y.places || !g->x.places) continue;
        p->low_y = min64(p->low_y, g->y.from);
        p->low_x = min64(p->low_x, g->x.from);
    }
    for (int i = 0; i < p->n_grids; i++) {
        const grid *g = &p->grids[i];
        if (!g->y.places || !g->x.places) continue;
        const int64_t x = g->x.from - p->low_x + (g->x.places - 1) * g->x.apart;
        end_y = max64(end_y, g->y.from - p->low_y + (g->y.places - 1) * g->y.apart + 1);
        p->width = max64(p->width, g->x.count + x / p->advance_x);
    }
    p->reach = end_y - p->advance_y;
    p->beside = images_beside(p->c.batch, p->grids[0].x.count);
    for (int i = 0; i < p->n_grids; i++) {
        grid *g = &p->grids[i];
        g->rows = tile_rows(g->x.count * p->beside);
        g->tiles = parts_of(g->x.count * p->beside, g->rows);
    }
    p->line_bytes = (size_t)(p->advance_x * p->width * p->beside) * LINE;
}

static int64_t source_lines(const conv_plan *p, int64_t lines)
{
    return lines * p->advance_y + p->reach;
}

static void cut_bands(conv_plan *p)
{
    int64_t all = 0;
    for (int i = 0; i < p->n_grids; i++) all = max64(all, p->grids[i].y.count);
    p->lines = all;
    const int64_t bytes = 3 * p->chunks * (int64_t)p->line_bytes;
    p->groups = parts_of(p->c.batch, p->beside);
    p->by_columns = p->right_bytes > HEAVY_BYTES &&
                    p->groups * source_lines(p, all) * bytes <= LIGHT_BYTES;
    const int64_t planes = p->by_columns ? LIGHT_BYTES : PLANES_BYTES;
    int64_t fit = max64((planes / bytes - p->reach) / p->advance_y, 1);
    p->bands_y = parts_of(all, fit);
    p->band_lines = parts_of(all, p->bands_y);
    p->bands_y = parts_of(all, p->band_lines);
    p->band_groups = 1;
    if (p->bands_y == 1)
        p->band_groups = max64(1, min64(planes / (bytes * source_lines(p, all)), p->groups));
    p->band_groups = parts_of(p->groups, parts_of(p->groups, p->band_groups));
    p->bands = parts_of(p->groups, p->band_groups) * p->bands_y;
    p->lanes = min64(p->by_columns ? parts_of(p->to, BLOCK) : p->bands, LANES_MAX);
    p->group_bytes = (size_t)source_lines(p, p->band_lines) * p->line_bytes + BEHIND;
    p->part_bytes = (size_t)p->chunks * (size_t)p->band_groups * p->group_bytes;
    p->planes_bytes = 3 * p->part_bytes;
}

static int64_t places_of(const grid *g) { return g->y.places * g->x.places; }

static bool list_places(const conv_plan *p, grid *g, cj__arena *arena)
{
    g->at = cj__arena_array(arena, (size_t)(places_of(g) * p->chunks + 1), sizeof *g->at);
    if (!g->at) return false;
    ptrdiff_t *at = g->at;
    for (int64_t chunk = 0; chunk < p->chunks; chunk++)
        for (int64_t y = 0; y < g->y.places; y++)
            for (int64_t x = 0; x < g->x.places; x++) {
                const int64_t line = g->y.from - p->low_y + y * g->y.apart,
                              q = g->x.from - p->low_x + x * g->x.apart,
                              position = q % p->advance_x * p->width + q / p->advance_x;
                *at++ = (ptrdiff_t)(chunk * p->band_groups) * (ptrdiff_t)p->group_bytes +
                        line * (ptrdiff_t)p->line_bytes + position * p->beside * LINE;
            }
    return true;
}

static void describe(const cj_kernel *k, conv_plan *p)
{
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    *p = (conv_plan){.c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y),
                     .transposed = k->call->op == &cj_op_conv_transpose};
    p->from = p->transposed ? p->c.out : p->c.in;
    p->to = p->transposed ? p->c.in : p->c.out;
    p->chunks = parts_of(p->from, CJ__AMX_K);
    p->advance_y = p->transposed ? 1 : p->c.axis[1].stride;
    p->advance_x = p->transposed ? 1 : p->c.axis[2].stride;
}

/* An axis without surprises: nothing in it can overflow. */
static bool is_modest(const cj__window *w)
{
    return w->stride <= 4 && w->kernel <= PLACES_MAX && w->dilation <= 16 && w->before >= 0 &&
           w->after >= 0 && w->before <= 1024 && w->after <= 1024 && w->n <= 1 << 20 &&
           w->result <= 1 << 20;
}

static bool is_f32(const cj_array *a) { return !a || (a->dtype == CJ_F32 && a->count > 0); }

bool cj__amx_conv_supports(const cj_kernel *k)
{
    const cj__conv_attrs *a = k->call->attributes;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    if (!is_f32(t.x) || !is_f32(t.w) || !is_f32(t.y) || !is_f32(t.bias) || !is_f32(t.addend))
        return false;
    if (a->groups != 1 || (a->activation != CJ__EPILOGUE_NONE &&
                           a->activation != CJ__EPILOGUE_RELU))
        return false;
    conv_plan p;
    describe(k, &p);
    const cj__window *z = &p.c.axis[0];
    if (!p.c.channels_last || z->n != 1 || z->kernel != 1 || z->result != 1 || z->before ||
        !is_modest(&p.c.axis[1]) || !is_modest(&p.c.axis[2]) || p.c.places > PLACES_MAX)
        return false;
    const bool strided = p.c.axis[1].stride > 1 || p.c.axis[2].stride > 1;
    if (p.c.places == 1 && (strided || min64(p.from, p.to) < POINT_MIN)) return false;
    if (p.from < 32 || p.to < 32 || p.from > 1 << 14 || p.to > 1 << 14 || !fill_grids(&p))
        return false;
    return p.c.batch * p.c.axis[1].result * p.c.axis[2].result >= PIXELS_MIN &&
           cj__amx_available();
}

cj_status cj__amx_conv_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                               size_t *workspace_bytes)
{
    conv_plan *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    *prepared = p;
    describe(k, p);
    (void)fill_grids(p);
    int64_t places = 1, most = 0;
    for (int i = 0; i < p->n_grids; i++) {
        grid *g = &p->grids[i];
        g->panels = p->right_bytes;
        places = max64(places, places_of(g));
        p->right_bytes += (size_t)(places_of(g) * p->chunks * up(p->to, BLOCK) / 16) *
                          CJ__AMX_PANEL;
    }
    fit_source(p);
    cut_bands(p);
    for (int i = 0; i < p->n_grids; i++) {
        grid *g = &p->grids[i];
        if (!list_places(p, g, arena)) return CJ_ERR_MEMORY;
        most = max64(most, parts_of(p->band_groups * p->band_lines * g->tiles, 2));
    }
    p->part_chunks = max64(1, min64(p->chunks, RIGHT_BYTES / (places * 2 * CJ__AMX_PANEL)));
    p->part_chunks = parts_of(p->chunks, parts_of(p->chunks, p->part_chunks));
    p->part_right_bytes = (size_t)(p->part_chunks * places * 2) * CJ__AMX_PANEL;
    if (p->part_chunks < p->chunks) p->sums_bytes = (size_t)most * BLOCK * BLOCK * sizeof(float);
    p->lane_bytes = p->sums_bytes + (p->by_columns ? p->part_right_bytes : p->planes_bytes);
    size_t bytes = (size_t)p->lanes * p->lane_bytes + LINE;
    if (k->fixed && k->fixed[1]) {
        char *block = cj__arena_alloc(arena, p->right_bytes + LINE);
        if (!block) return CJ_ERR_MEMORY;
        p->kept = block + (LINE - (uintptr_t)block % LINE) % LINE;
    } else {
        bytes += p->by_columns ? 0 : p->right_bytes;
    }
    bytes += p->by_columns ? p->planes_bytes : 0;
    *workspace_bytes = bytes;
    return CJ_OK;
}

/* ---- Weights --------------------------------------------------------------------------------- */

typedef struct conv_job {
    const conv_plan *p;
    const float *source, *w, *bias, *addend;
    float *result;
    char *right, *planes, *scratch;
    bool relu;
} conv_job;

/* Panels of grid g: [part][16 columns][channel block of the part][place]. */
static char *panel_of(const conv_job *job, const grid *g, int64_t strip, int64_t chunk)
{
    const conv_plan *p = job->p;
    const int64_t strips = up(p->to, BLOCK) / 16, first = chunk / p->part_chunks * p->part_chunks,
                  chunks = min64(p->part_chunks, p->chunks - first);
    return job->right + g->panels +
           (first * strips + strip * chunks + chunk - first) * places_of(g) * CJ__AMX_PANEL;
}

/* The panels of all places. */
static void pack(const conv_job *job, const grid *g, int64_t strip, int64_t chunk, char *panel)
{
    const conv_plan *p = job->p;
    const int64_t filter = p->c.in * p->c.places, kernel_x = p->c.axis[2].kernel,
                  across = g->x.places;
    const size_t k_step = (size_t)(p->transposed ? filter : p->c.places),
                 j_step = (size_t)(p->transposed ? p->c.places : filter),
                 depth = (size_t)min64(CJ__AMX_K, p->from - CJ__AMX_K * chunk),
                 columns = (size_t)max64(0, min64(16, p->to - 16 * strip));
    const float *w = job->w;
    if (columns)
        w += (int64_t)k_step * CJ__AMX_K * chunk + (int64_t)j_step * 16 * strip;
    if (!p->transposed && p->c.places <= CJ__AMX_PLACES_MAX) {
        cj__amx_right_places(w, (size_t)p->c.places, j_step, depth, columns, panel);
        return;
    }
    for (int64_t j = 0; j < g->y.places * across; j++, panel += CJ__AMX_PANEL) {
        const float *line = w + (g->y.k_first + j / across * g->y.k_step) * kernel_x;
        cj__amx_right_apart(line + g->x.k_first + j % across * g->x.k_step, k_step, j_step, depth,
                            columns, panel);
    }
}

/* Strips times channel blocks. */
static void pack_all(void *arg, int64_t begin, int64_t end)
{
    const conv_job *job = arg;
    const conv_plan *p = job->p;
    for (int64_t i = begin; i < end; i++)
        for (int v = 0; v < p->n_grids; v++) {
            const grid *g = &p->grids[v];
            pack(job, g, i / p->chunks, i % p->chunks,
                 panel_of(job, g, i / p->chunks, i % p->chunks));
        }
}

/* ---- Planes ---------------------------------------------------------------------------------- */

/* Channels [32 chunk, ...) of one line of an image, `row` at its pixel 0, or NULL for zeros. */
static void split_line(const conv_plan *p, const float *row, int64_t chunk, char *to)
{
    const int64_t n = p->grids[0].x.source, step = p->advance_x;
    const size_t row_bytes = (size_t)p->beside * LINE;
    for (int64_t residue = 0; residue < p->advance_x; residue++) {
        const int64_t x0 = p->low_x + residue; /* position i is at pixel x0 + i step */
        const int64_t low = row ? min64(p->width, x0 < 0 ? parts_of(-x0, step) : 0) : p->width;
        const int64_t fit = n - 1 - x0,
                      high = row && fit >= 0 ? max64(low, min64(p->width, fit / step + 1)) : low;
        const size_t depth = (size_t)min64(CJ__AMX_K, p->from - CJ__AMX_K * chunk);
        for (int64_t i = 0; i < p->width; i++) {
            const int64_t x = x0 + i * step;
            if (i == low && high > low) {
                cj__amx_split(row + x * p->from + CJ__AMX_K * chunk, (size_t)(step * p->from),
                              (size_t)(high - low), depth, to + (size_t)i * row_bytes,
                              row_bytes, p->part_bytes);
                i = high - 1;
            } else {
                cj__amx_split_none(to + (size_t)i * row_bytes, p->part_bytes);
            }
        }
        to += (size_t)p->width * row_bytes;
    }
}

typedef struct band {
    int64_t group, groups; /* of images */
    int64_t y, lines;      /* of results of each grid, when it has them */
    char *planes;
    float *sums;
} band;

/* Image groups [begin, end) of the band. */
static void split_groups(const conv_job *job, const band *b, int64_t begin, int64_t end)
{
    const conv_plan *p = job->p;
    const int64_t height = p->grids[0].y.source, width = p->grids[0].x.source,
                  lines = source_lines(p, b->lines);
    const size_t chunk_bytes = (size_t)p->band_groups * p->group_bytes;
    for (int64_t m = begin; m < end; m++) {
        char *to = b->planes + (size_t)m * p->group_bytes;
        for (int64_t line = 0; line < lines; line++, to += p->line_bytes) {
            const int64_t y = p->low_y + b->y * p->advance_y + line;
            for (int64_t i = 0; i < p->beside; i++) {
                const int64_t image = (b->group + m) * p->beside + i;
                const bool outside = y < 0 || y >= height || image >= p->c.batch;
                const float *row = outside ? NULL
                                           : job->source + (image * height + y) * width *
                                                               p->from;
                for (int64_t chunk = 0; chunk < p->chunks; chunk++)
                    split_line(p, row, chunk,
                               to + (size_t)chunk * chunk_bytes + (size_t)i * LINE);
            }
        }
        for (int64_t chunk = 0; chunk < p->chunks; chunk++)
            for (int part = 0; part < 3; part++)
                memset(to + (size_t)chunk * chunk_bytes + (size_t)part * p->part_bytes, 0, BEHIND);
    }
}

/* ---- Products -------------------------------------------------------------------------------- */

/* Where the rows of tile number `tile` of the band go, from job->result and column 0. */
static void find_rows(const conv_plan *p, const band *b, const grid *g, int64_t tile,
                      ptrdiff_t row[CJ__AMX_ROWS])
{
    const int64_t lines = min64(b->lines, g->y.count - b->y), line = tile / g->tiles,
                  y = g->y.first + (b->y + line % lines) * g->y.step,
                  height = p->transposed ? p->c.axis[1].n : p->c.axis[1].result,
                  width = p->transposed ? p->c.axis[2].n : p->c.axis[2].result;
    const int64_t at = tile % g->tiles * g->rows, first = (b->group + line / lines) * p->beside,
                  images = min64(p->beside, p->c.batch - first), image = height * width * p->to,
                  column = g->x.step * p->to;
    int64_t x = at / p->beside, i = at % p->beside,
            place = ((first * height + y) * width + g->x.first) * p->to + x * column;
    for (int64_t r = 0; r < CJ__AMX_ROWS; r++) {
        row[r] = r < g->rows && x < g->x.count && i < images ? place + i * image : -1;
        if (++i < p->beside) continue;
        i = 0;
        x++;
        place += column;
    }
}

static const char *tile_at(const conv_plan *p, const band *b, const grid *g, int64_t tile)
{
    const int64_t lines = min64(b->lines, g->y.count - b->y), line = tile / g->tiles;
    return b->planes + (size_t)(line / lines) * p->group_bytes +
           (size_t)(line % lines * p->advance_y) * p->line_bytes +
           (size_t)(tile % g->tiles * g->rows) * LINE;
}

/* Adds channel blocks [chunk, chunk + chunks) to columns [j, j + 32) of the band's results of one
 * grid, and stores them after the last. */
static void multiply(const conv_job *job, const band *b, const grid *g, int64_t j, int64_t chunk,
                     int64_t chunks, const char *right, cj__amx_pipe *pipe)
{
    const conv_plan *p = job->p;
    const int64_t places = places_of(g),
                  tiles = b->groups * min64(b->lines, g->y.count - b->y) * g->tiles;
    const bool last = chunk + chunks == p->chunks;
    cj__amx_product m = {.steps = (size_t)(chunks * places),
                         .at = g->at + chunk * places,
                         .rows = (size_t)g->rows,
                         .a_row = LINE,
                         .a_part = p->part_bytes,
                         .b = right,
                         .b_part = CJ__AMX_PART,
                         .b_step = CJ__AMX_PANEL,
                         .b_block = (size_t)(chunks * places) * CJ__AMX_PANEL,
                         .y = job->result + j,
                         .columns = (size_t)min64(BLOCK, p->to - j),
                         .ld_from = BLOCK,
                         .bias = last && job->bias ? job->bias + j : NULL,
                         .addend = last && job->addend ? job->addend + j : NULL,
                         .relu = last && job->relu};
    for (int r = 0; r < BLOCK && !last; r++) m.row[r] = r * BLOCK;
    for (int64_t tile = 0; tile < tiles; tile += 2) {
        const int64_t other = min64(tile + 1, tiles - 1);
        float *sums = b->sums + tile / 2 * BLOCK * BLOCK;
        m.a = tile_at(p, b, g, tile);
        m.a_block = (size_t)(tile_at(p, b, g, other) - m.a);
        m.from = chunk ? sums : NULL;
        if (last) {
            find_rows(p, b, g, tile, m.row);
            find_rows(p, b, g, other, m.row + CJ__AMX_ROWS);
        } else {
            m.y = sums;
        }
        cj__amx_multiply(pipe, &m);
    }
}

static void convolve_bands(void *arg, int64_t begin, int64_t end)
{
    const conv_job *job = arg;
    const conv_plan *p = job->p;
    cj__amx_pipe pipe;
    cj__amx_pipe_init(&pipe);
    for (int64_t lane = begin; lane < end; lane++) {
        char *scratch = job->scratch + (size_t)lane * p->lane_bytes;
        for (int64_t i = lane * p->bands / p->lanes; i < (lane + 1) * p->bands / p->lanes; i++) {
            band b = {.group = i / p->bands_y * p->band_groups,
                      .y = i % p->bands_y * p->band_lines,
                      .planes = scratch + p->sums_bytes,
                      .sums = (float *)(void *)scratch};
            b.groups = min64(p->band_groups, p->groups - b.group);
            b.lines = min64(p->band_lines, p->lines - b.y);
            split_groups(job, &b, 0, b.groups);
            for (int v = 0; v < p->n_grids; v++) {
                const grid *g = &p->grids[v];
                if (b.y >= g->y.count) continue;
                cj__amx_begin_rows((size_t)g->rows);
                for (int64_t j = 0; j < p->to; j += BLOCK)
                    for (int64_t chunk = 0; chunk < p->chunks; chunk += p->part_chunks)
                        multiply(job, &b, g, j, chunk, min64(p->part_chunks, p->chunks - chunk),
                                 panel_of(job, g, j / 16, chunk), &pipe);
                cj__amx_finish(&pipe);
                cj__amx_end();
            }
        }
    }
}

/* The same with heavy weights and few pixels, which are one band: a lane has 32 columns and packs
 * their weights, which meet all pixels while they are in the cache. */
static band whole(const conv_job *job)
{
    return (band){.groups = job->p->groups, .lines = job->p->lines, .planes = job->planes};
}

static void split_whole(void *arg, int64_t begin, int64_t end)
{
    const conv_job *job = arg;
    const band b = whole(job);
    split_groups(job, &b, begin, end);
}

static void convolve_columns(void *arg, int64_t begin, int64_t end)
{
    const conv_job *job = arg;
    const conv_plan *p = job->p;
    const int64_t blocks = parts_of(p->to, BLOCK);
    band b = whole(job);
    cj__amx_pipe pipe;
    cj__amx_pipe_init(&pipe);
    for (int64_t lane = begin; lane < end; lane++) {
        char *scratch = job->scratch + (size_t)lane * p->lane_bytes,
             *right = scratch + p->sums_bytes;
        b.sums = (float *)(void *)scratch;
        for (int64_t j = lane * blocks / p->lanes; j < (lane + 1) * blocks / p->lanes; j++)
            for (int v = 0; v < p->n_grids; v++) {
                const grid *g = &p->grids[v];
                cj__amx_begin_rows((size_t)g->rows);
                for (int64_t chunk = 0; chunk < p->chunks; chunk += p->part_chunks) {
                    const int64_t chunks = min64(p->part_chunks, p->chunks - chunk);
                    for (int64_t i = 0; i < 2 * chunks && !p->kept; i++)
                        pack(job, g, 2 * j + i / chunks, chunk + i % chunks,
                             right + (size_t)(i * places_of(g)) * CJ__AMX_PANEL);
                    multiply(job, &b, g, BLOCK * j, chunk, chunks,
                             p->kept ? panel_of(job, g, 2 * j, chunk) : right, &pipe);
                    cj__amx_finish(&pipe); /* the weights are packed anew */
                }
                cj__amx_end();
            }
    }
}

cj_status cj__amx_conv_run(const cj_kernel *k)
{
    conv_plan *p = (conv_plan *)(uintptr_t)k->prepared;
    const cj__conv_attrs *a = k->call->attributes;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    char *workspace = (char *)(((uintptr_t)k->workspace + LINE - 1) / LINE * LINE);
    conv_job job = {.p = p,
                    .source = p->transposed ? t.y->data : t.x->data,
                    .w = t.w->data,
                    .bias = t.bias ? t.bias->data : NULL,
                    .addend = t.addend ? t.addend->data : NULL,
                    .result = p->transposed ? t.x->data : t.y->data,
                    .right = p->kept ? p->kept : workspace,
                    .planes = workspace,
                    .scratch = workspace + (p->by_columns ? p->planes_bytes
                                            : p->kept     ? 0
                                                          : p->right_bytes),
                    .relu = !p->transposed && a->activation == CJ__EPILOGUE_RELU};
    if (p->kept ? !p->is_packed || !k->version || p->version != *k->version : !p->by_columns)
        cj__parallel_for(k->team, up(p->to, BLOCK) / 16 * p->chunks, 2, pack_all, &job);
    p->is_packed = true;
    if (k->version) p->version = *k->version;
    if (p->by_columns) cj__parallel_for(k->team, p->groups, 1, split_whole, &job);
    cj__parallel_for(k->team, p->lanes, 1, p->by_columns ? convolve_columns : convolve_bands, &job);
    return CJ_OK;
}
#else
typedef int cj__amx_conv_is_not_built; /* a file of C is never empty */
#endif
