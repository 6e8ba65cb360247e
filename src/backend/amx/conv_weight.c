/* conv_weight.c: weight gradients of convolutions on tile registers.
 *
 *     dw[o, c, place] = sum over positions p of x[p + place, c] dy[p, o]
 *
 * The inner axis is the positions of a result image, lines one behind the other with zeros between
 * them. dy, transposed, is the left operand. x is the right one, its pixels in pairs, so that a
 * place is an address again; for places an odd number of pixels away there is a second set of
 * pairs:
 *
 *     dy   [16 channels][image group][32 of line, x, image]                        left panels
 *     x    [residue][16 channels][even, odd][part][image group][line, x, image]    64 bytes a pair
 *
 * The zeros behind a line of x serve those before the next one, too. With a stride, each residue of
 * lines and of columns is an image of its own, of which the places are neighbours.
 *
 * Ranges of bands (lanes) have sums of their own, squares of 32 filters by 32 channels for each
 * place, that are added in order. With heavy weights and few positions there is one band, and each
 * square is summed at once, by any thread.
 *
 * On one core, GFLOP/s ours / the next backend, in a quiet minute:
 * 3x3 of 64 channels, 56x56, 8 images 185 / 115; 128, 28x28 194 / 116; 256, 14x14 192 / 105; 512,
 * 7x7 160 / 75; 64, 8x8, 128 images 160 / 121; 64 to 128 with stride 2 101 / 87. */
#ifdef CJ_HAVE_AMX
#include <string.h>

#include "backend/amx/amx.h"
#include "backend/amx/planes.h"
#include "backend/conv_axis.h"

enum {
    BLOCK = 32,
    LANES_MAX = 8,
    PLACES_MAX = 64,
    PIXELS_MIN = 128, /* fewer do not pay for the squares; one place does not for splitting */
    PLANES_BYTES = 384 << 10, /* of a band, about */
    LIGHT_BYTES = 16 << 20,   /* of all planes, up to which there may be one band */
    SUMS_BYTES = 512 << 10,   /* of all squares, from where on there should be */
    SIDE = 2,                 /* squares each way that are summed together then */
    LANES_BYTES = 16 << 20,   /* of the lanes' squares */
    STEPS = 18,                /* of 32 positions at a time */
    LINE = 64,
    SQUARE = BLOCK * BLOCK
};

/* One axis of the window: x' = result + place / stride. */
typedef struct slide {
    int64_t n, stride, before, dilation, kernel, result;
    int64_t reach;  /* the last place / stride */
    int64_t length; /* from line to line, or image to image: zeros are shared */
} slide;

typedef struct weight_plan {
    slide y, x;
    int64_t batch, in, out, places;
    int64_t beside, groups;           /* images whose pixels alternate, groups of them */
    int64_t band_groups, band_lines, bands_y, bands, lanes;
    int64_t steps;                    /* of 32 positions, of a group in a band */
    int64_t in_blocks, out_blocks;
    ptrdiff_t at[STEPS];              /* bytes to the panels of dy */
    bool at_once;                     /* one band */
    bool odd;                         /* some place is an odd number of pixels away */
    unsigned used[4];                 /* by residue: 1: places an even number away, 2: odd */
    size_t dy_block_bytes, group_bytes, part_bytes, block_bytes, x_bytes, dy_bytes; /* of a band */
    size_t sums;                      /* floats of a lane */
    size_t lane_bytes;
} weight_plan;

/* ---- Plans ----------------------------------------------------------------------------------- */

static slide slide_of(const cj__window *w)
{
    slide s = {.n = w->n, .stride = w->stride, .before = w->before, .dilation = w->dilation,
               .kernel = w->kernel, .result = w->result};
    s.reach = (w->kernel - 1) * w->dilation / w->stride;
    int64_t shared = s.reach;
    for (int64_t residue = 0; residue < w->stride; residue++) {
        const int64_t zeros = max64(0, parts_of(w->before - residue, w->stride)),
                      valid = w->n - 1 + w->before - residue,
                      last = valid < 0 ? -1 : valid / w->stride;
        shared = min64(shared, min64(zeros, max64(0, w->result - 1 + s.reach - last)));
    }
    s.length = w->result + s.reach - shared;
    return s;
}

static bool is_modest(const cj__window *w)
{
    return w->stride <= 2 && w->kernel <= PLACES_MAX && w->dilation <= 16 && w->before >= 0 &&
           w->after >= 0 && w->before < w->kernel * w->dilation && w->n <= 1 << 20 &&
           w->result <= 1 << 20;
}

static bool is_f32(const cj_array *a) { return a->dtype == CJ_F32 && a->count > 0; }

bool cj__amx_conv_weight_supports(const cj_kernel *k)
{
    const cj__conv_attrs *a = k->call->attributes;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    if (!is_f32(t.x) || !is_f32(t.w) || !is_f32(t.y) || a->groups != 1) return false;
    const cj__conv_shape c = cj__conv_shape_of(a, t.x, t.w, t.y);
    const cj__window *z = &c.axis[0];
    if (!c.channels_last || z->n != 1 || z->kernel != 1 || z->result != 1 || z->before ||
        !is_modest(&c.axis[1]) || !is_modest(&c.axis[2]) || c.places > PLACES_MAX)
        return false;
    if (c.in < 32 || c.out < 32 || c.in > 1 << 14 || c.out > 1 << 14) return false;
    return c.places > 1 && c.batch * c.axis[1].result * c.axis[2].result >= PIXELS_MIN &&
           cj__amx_available();
}

/* Of a group's lines: x's positions of one residue, with what tiles read beyond them. */
static int64_t positions(const weight_plan *p, int64_t lines)
{
    return up(((lines + p->y.reach) * p->x.length + p->x.reach + p->x.length) * p->beside, BLOCK) +
           BLOCK;
}

static int64_t steps_of(const weight_plan *p, int64_t lines)
{
    return parts_of(lines * p->x.length * p->beside, BLOCK);
}

/* Lines of a band, `most` or less, that leave the fewest steps half empty. */
static int64_t fit_lines(const weight_plan *p, int64_t most)
{
    int64_t best = most, least = INT64_MAX;
    for (int64_t n = most; n > most / 2; n--) {
        const int64_t rest = p->y.result % n,
                      all = p->y.result / n * (steps_of(p, n) + 1) +
                            (rest ? steps_of(p, rest) + 1 : 0);
        if (all < least) least = all, best = n;
    }
    return best;
}

static void cut_bands(weight_plan *p)
{
    const int64_t channels = p->x.stride * p->y.stride * BLOCK * p->in_blocks * (1 + p->odd),
                  per_position = 6 * (channels + BLOCK * p->out_blocks),
                  all = p->groups * positions(p, p->y.result) * per_position;
    p->at_once = (int64_t)p->sums * 4 >= SUMS_BYTES && all <= LIGHT_BYTES;
    p->band_lines = p->y.result;
    p->band_groups = p->groups;
    if (!p->at_once) {
        const int64_t line = p->x.length * p->beside * per_position;
        p->band_lines = fit_lines(p, max64(1, min64(p->y.result, PLANES_BYTES / line)));
        p->band_groups = 1;
        if (p->band_lines == p->y.result)
            p->band_groups = max64(
                1, min64(p->groups,
                         PLANES_BYTES / (positions(p, p->band_lines) * per_position)));
        p->band_groups = parts_of(p->groups, parts_of(p->groups, p->band_groups));
    }
    p->bands_y = parts_of(p->y.result, p->band_lines);
    p->bands = p->bands_y * parts_of(p->groups, p->band_groups);
    p->lanes = p->at_once ? min64(LANES_MAX, parts_of(p->in_blocks, SIDE) *
                                                 parts_of(p->out_blocks, SIDE))
                          : max64(1, min64(min64(p->bands, LANES_MAX),
                                           LANES_BYTES / (int64_t)(4 * p->sums)));
}

static void measure(weight_plan *p)
{
    p->steps = steps_of(p, p->band_lines);
    p->dy_block_bytes = (size_t)(p->band_groups * p->steps) * CJ__AMX_PANEL;
    p->dy_bytes = (size_t)(2 * p->out_blocks) * p->dy_block_bytes;
    p->group_bytes = (size_t)(positions(p, p->band_lines) / 2) * LINE;
    p->part_bytes = (size_t)p->band_groups * p->group_bytes + LINE;
    p->block_bytes = (p->odd ? 6 : 3) * p->part_bytes;
    p->x_bytes = (size_t)(p->x.stride * p->y.stride * 2 * p->in_blocks) * p->block_bytes;
}

/* How many positions a place is away in its residue. */
static int64_t away(const weight_plan *p, int64_t ky, int64_t kx)
{
    return (ky * p->y.dilation / p->y.stride * p->x.length + kx * p->x.dilation / p->x.stride) *
           p->beside;
}

static int64_t residue_of(const weight_plan *p, int64_t ky, int64_t kx)
{
    return ky * p->y.dilation % p->y.stride * p->x.stride + kx * p->x.dilation % p->x.stride;
}

cj_status cj__amx_conv_weight_prepare(const cj_kernel *k, cj__arena *arena, const void **prepared,
                                      size_t *workspace_bytes)
{
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    const cj__conv_shape c = cj__conv_shape_of(k->call->attributes, t.x, t.w, t.y);
    weight_plan *p = cj__arena_alloc(arena, sizeof *p);
    if (!p) return CJ_ERR_MEMORY;
    *prepared = p;
    *p = (weight_plan){.y = slide_of(&c.axis[1]), .x = slide_of(&c.axis[2]), .batch = c.batch,
                       .in = c.in, .out = c.out, .places = c.places,
                       .in_blocks = parts_of(c.in, BLOCK), .out_blocks = parts_of(c.out, BLOCK)};
    p->sums = (size_t)(p->in_blocks * p->out_blocks * p->places) * SQUARE;
    int64_t least = INT64_MAX;
    for (int64_t n = 1; n <= min64(8, p->batch); n++) {
        const int64_t all = parts_of(p->batch, n) *
                            up(p->y.result * p->x.length * n, BLOCK);
        if (all < least) least = all, p->beside = n;
    }
    p->groups = parts_of(p->batch, p->beside);
    for (int i = 0; i < STEPS; i++) p->at[i] = i * CJ__AMX_PANEL;
    for (int64_t i = 0; i < p->places; i++) {
        const int64_t ky = i / p->x.kernel, kx = i % p->x.kernel, odd = away(p, ky, kx) % 2;
        p->used[residue_of(p, ky, kx)] |= odd ? 2 : 1;
        p->odd |= odd != 0;
    }
    cut_bands(p);
    measure(p);
    const size_t planes = p->x_bytes + p->dy_bytes;
    p->lane_bytes = p->at_once ? (size_t)(p->places * SIDE * SIDE) * SQUARE * 4
                               : p->sums * 4 + planes;
    *workspace_bytes = (size_t)p->lanes * p->lane_bytes + (p->at_once ? planes : 0) + LINE;
    return CJ_OK;
}

/* ---- Planes ---------------------------------------------------------------------------------- */

typedef struct weight_job {
    const weight_plan *p;
    const float *x, *dy;
    float *w;
    char *planes, *scratch;
} weight_job;

typedef struct band {
    int64_t group, groups, y, lines;
    int64_t steps, some; /* of a group, at a time */
    char *x, *dy;
} band;

static band band_at(const weight_plan *p, int64_t i, char *planes)
{
    band b = {.group = i / p->bands_y * p->band_groups,
              .y = i % p->bands_y * p->band_lines,
              .x = planes,
              .dy = planes + p->x_bytes};
    b.groups = min64(p->band_groups, p->groups - b.group);
    b.lines = min64(p->band_lines, p->y.result - b.y);
    b.steps = steps_of(p, b.lines);
    b.some = parts_of(b.steps, parts_of(b.steps, STEPS));
    return b;
}

/* Positions [from, from + 32] of a group: where their pixels are in an image of [height, width],
 * position x' of line y' being at pixel x' stride_x + first_x of line y' stride_y + first_y. */
typedef struct picture {
    int64_t height, width, lines, columns, channels;
    int64_t stride_y, stride_x, first_y, first_x;
} picture;

static void find_pixels(const weight_plan *p, const picture *v, int64_t group, int64_t from,
                        cj__amx_pixels *pixels)
{
    int64_t image = from % p->beside, x = from / p->beside % p->x.length,
            y = from / p->beside / p->x.length;
    for (int i = 0; i <= BLOCK; i++) {
        const int64_t n = group * p->beside + image, py = y * v->stride_y + v->first_y,
                      px = x * v->stride_x + v->first_x;
        const bool inside = n < p->batch && y < v->lines && x < v->columns && py >= 0 &&
                            py < v->height && px >= 0 && px < v->width;
        pixels->at[i] = inside ? ((n * v->height + py) * v->width + px) * v->channels : -1;
        if (++image < p->beside) continue;
        image = 0;
        if (++x < p->x.length) continue;
        x = 0;
        y++;
    }
}

/* 32 positions of x of all residues. */
static void split_x(const weight_job *job, const band *b, int64_t group, int64_t from)
{
    const weight_plan *p = job->p;
    cj__amx_pixels pixels = {.a = job->x};
    for (int64_t i = 0; i < p->y.stride * p->x.stride; i++) {
        if (!p->used[i]) continue;
        const picture v = {.height = p->y.n,
                           .width = p->x.n,
                           .lines = INT64_MAX,
                           .columns = INT64_MAX,
                           .channels = p->in,
                           .stride_y = p->y.stride,
                           .stride_x = p->x.stride,
                           .first_y = b->y * p->y.stride + i / p->x.stride - p->y.before,
                           .first_x = i % p->x.stride - p->x.before};
        find_pixels(p, &v, b->group + group, from, &pixels);
        char *to = b->x + (size_t)(i * 2 * p->in_blocks) * p->block_bytes +
                   (size_t)group * p->group_bytes + (size_t)(from / 2) * LINE;
        for (int64_t c = 0; c < BLOCK * p->in_blocks; c += 16, to += p->block_bytes)
            cj__amx_right_pixels(&pixels, (size_t)c, (size_t)max64(0, min64(16, p->in - c)), to,
                                 p->used[i] & 2 ? to + 3 * p->part_bytes : NULL, p->part_bytes);
    }
}

static void split_dy(const weight_job *job, const band *b, int64_t group, int64_t step)
{
    const weight_plan *p = job->p;
    cj__amx_pixels pixels = {.a = job->dy};
    const picture v = {.height = p->y.result,
                       .width = p->x.result,
                       .lines = b->lines,
                       .columns = p->x.result,
                       .channels = p->out,
                       .stride_y = 1,
                       .stride_x = 1,
                       .first_y = b->y};
    find_pixels(p, &v, b->group + group, BLOCK * step, &pixels);
    char *to = b->dy + (size_t)(group * p->steps + step) * CJ__AMX_PANEL;
    for (int64_t j = 0; j < BLOCK * p->out_blocks; j += 16, to += p->dy_block_bytes)
        cj__amx_left_pixels(&pixels, (size_t)j, (size_t)max64(0, min64(16, p->out - j)), to);
}

/* Groups times 32 positions, begin to end. */
static int64_t split_tasks(const weight_plan *p, const band *b)
{
    return b->groups * (positions(p, b->lines) / BLOCK);
}

static void split(const weight_job *job, const band *b, int64_t begin, int64_t end)
{
    const weight_plan *p = job->p;
    const int64_t blocks = positions(p, b->lines) / BLOCK;
    for (int64_t i = begin; i < end; i++) {
        split_x(job, b, i / blocks, i % blocks * BLOCK);
        if (i % blocks < b->steps) split_dy(job, b, i / blocks, i % blocks);
    }
}

/* ---- Products -------------------------------------------------------------------------------- */

/* Adds steps [step, step + n) of a group to the squares of 32 filters and 32 channels. */
static void multiply(const weight_plan *p, const band *b, int64_t o, int64_t c, int64_t group,
                     int64_t step, int64_t n, bool add, float *squares, cj__amx_pipe *pipe)
{
    enum { P = CJ__AMX_PANEL };
    cj__amx_product m = {.steps = (size_t)n,
                         .rows = CJ__AMX_ROWS,
                         .a = b->dy + (size_t)(2 * o) * p->dy_block_bytes +
                              (size_t)(group * p->steps + step) * P,
                         .at = p->at,
                         .a_row = LINE,
                         .a_part = CJ__AMX_PART,
                         .a_block = p->dy_block_bytes,
                         .b_part = p->part_bytes,
                         .b_step = BLOCK / 2 * LINE,
                         .b_block = p->block_bytes,
                         .columns = BLOCK,
                         .ld_from = BLOCK};
    for (int r = 0; r < BLOCK; r++) m.row[r] = r * BLOCK;
    for (int64_t ky = 0; ky < p->y.kernel; ky++)
        for (int64_t kx = 0; kx < p->x.kernel; kx++, squares += SQUARE) {
            const int64_t from = BLOCK * step + away(p, ky, kx);
            m.b = b->x +
                  (size_t)(residue_of(p, ky, kx) * 2 * p->in_blocks + 2 * c) * p->block_bytes +
                  (size_t)(from % 2) * 3 * p->part_bytes + (size_t)group * p->group_bytes +
                  (size_t)(from / 2) * LINE;
            m.y = squares;
            m.from = add ? squares : NULL;
            cj__amx_multiply(pipe, &m);
        }
}

static void sum_lanes(void *arg, int64_t begin, int64_t end)
{
    const weight_job *job = arg;
    const weight_plan *p = job->p;
    cj__amx_pipe pipe;
    cj__amx_pipe_init(&pipe);
    for (int64_t lane = begin; lane < end; lane++) {
        float *sums = (float *)(void *)(job->scratch + (size_t)lane * p->lane_bytes);
        bool add = false;
        for (int64_t i = lane * p->bands / p->lanes; i < (lane + 1) * p->bands / p->lanes; i++) {
            const band b = band_at(p, i, (char *)(sums + p->sums));
            split(job, &b, 0, split_tasks(p, &b));
            cj__amx_begin();
            for (int64_t group = 0; group < b.groups; group++)
                for (int64_t step = 0; step < b.steps; step += b.some, add = true)
                    for (int64_t block = 0; block < p->in_blocks * p->out_blocks; block++)
                        multiply(p, &b, block / p->in_blocks, block % p->in_blocks, group, step,
                                 min64(b.some, b.steps - step), add,
                                 sums + (size_t)(block * p->places) * SQUARE, &pipe);
            cj__amx_finish(&pipe);
            cj__amx_end();
        }
    }
}

static void store(const weight_job *job, int64_t block, const float *squares, int64_t n,
                  size_t step)
{
    const weight_plan *p = job->p;
    const int64_t o = block / p->in_blocks * BLOCK, c = block % p->in_blocks * BLOCK,
                  filter = p->in * p->places;
    cj__amx_store_places(squares, (size_t)n, step, (size_t)p->places,
                                (size_t)min64(BLOCK, p->out - o), (size_t)min64(BLOCK, p->in - c),
                                job->w + o * filter + c * p->places, (size_t)filter);
}

/* All squares in LANES_MAX ranges. */
static void add_lanes(void *arg, int64_t begin, int64_t end)
{
    const weight_job *job = arg;
    const weight_plan *p = job->p;
    const int64_t blocks = p->in_blocks * p->out_blocks;
    for (int64_t i = begin; i < end; i++) {
        for (int64_t block = i * blocks / LANES_MAX; block < (i + 1) * blocks / LANES_MAX; block++)
            store(job, block,
                            (const float *)(const void *)job->scratch +
                                (size_t)(block * p->places) * SQUARE,
                            p->lanes, p->lane_bytes / sizeof(float));
    }
}

static void split_all(void *arg, int64_t begin, int64_t end)
{
    const weight_job *job = arg;
    const band b = band_at(job->p, 0, job->planes);
    split(job, &b, begin, end);
}

/* SIDE * SIDE squares, or what the edge leaves of them. */
static void sum_squares(const weight_job *job, const band *b, int64_t i, float *squares,
                        cj__amx_pipe *pipe)
{
    const weight_plan *p = job->p;
    const int64_t across = parts_of(p->in_blocks, SIDE), o = i / across * SIDE,
                  c = i % across * SIDE, columns = min64(SIDE, p->in_blocks - c),
                  n = min64(SIDE, p->out_blocks - o) * columns;
    const size_t step_floats = (size_t)p->places * SQUARE;
    for (int64_t group = 0; group < b->groups; group++)
        for (int64_t step = 0; step < b->steps; step += b->some)
            for (int64_t j = 0; j < n; j++)
                multiply(p, b, o + j / columns, c + j % columns, group, step,
                         min64(b->some, b->steps - step), group || step,
                         squares + (size_t)j * step_floats, pipe);
    cj__amx_finish(pipe);
    for (int64_t j = 0; j < n; j++)
        store(job, (o + j / columns) * p->in_blocks + c + j % columns,
                        squares + (size_t)j * step_floats, 1, 0);
}

static void sum_blocks(void *arg, int64_t begin, int64_t end)
{
    const weight_job *job = arg;
    const weight_plan *p = job->p;
    const int64_t all = parts_of(p->in_blocks, SIDE) * parts_of(p->out_blocks, SIDE);
    const band b = band_at(p, 0, job->planes);
    cj__amx_pipe pipe;
    cj__amx_pipe_init(&pipe);
    cj__amx_begin();
    for (int64_t lane = begin; lane < end; lane++) {
        float *squares = (float *)(void *)(job->scratch + (size_t)lane * p->lane_bytes);
        for (int64_t i = lane * all / p->lanes; i < (lane + 1) * all / p->lanes; i++)
            sum_squares(job, &b, i, squares, &pipe);
    }
    cj__amx_end();
}

cj_status cj__amx_conv_weight_run(const cj_kernel *k)
{
    const weight_plan *p = k->prepared;
    const cj__conv_arrays t = cj__conv_arrays_of(k);
    char *workspace = (char *)(((uintptr_t)k->workspace + LINE - 1) / LINE * LINE);
    weight_job job = {.p = p,
                      .x = t.x->data,
                      .dy = t.y->data,
                      .w = t.w->data,
                      .planes = workspace,
                      .scratch = workspace + (p->at_once ? p->x_bytes + p->dy_bytes : 0)};
    if (p->at_once) {
        const band b = band_at(p, 0, job.planes);
        cj__parallel_for(k->team, split_tasks(p, &b), 4, split_all, &job);
        cj__parallel_for(k->team, p->lanes, 1, sum_blocks, &job);
    } else {
        cj__parallel_for(k->team, p->lanes, 1, sum_lanes, &job);
        cj__parallel_for(k->team, LANES_MAX, 1, add_lanes, &job);
    }
    return CJ_OK;
}
#else
typedef int cj__amx_conv_weight_is_not_built; /* a file of C is never empty */
#endif
