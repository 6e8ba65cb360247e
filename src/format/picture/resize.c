/* resize.c: pictures of another size, with the bits of Pillow (libImaging/Resample.c, Geometry.c).
 *
 * An output pixel is a weighted mean of input pixels around the same place. When a picture shrinks
 * by a factor s > 1, the filter is s times as wide, so every input pixel counts (antialias). The
 * weights of a place are computed in double, made to sum to one, and rounded to 22 bits behind the
 * point. First rows shrink or grow, then columns; between the passes values are bytes again.
 *
 *     [height, width] -> [height, new width] -> [new height, new width] */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "format/picture/picture.h"

enum { PRECISION = 22 };

typedef struct kernel {
    double support;
    double (*weight)(double x);
} kernel;

static double area(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys 1981 with a = -1/2. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const kernel kernels[] = {
    [CJ_PICTURE_BILINEAR] = {1, bilinear}, [CJ_PICTURE_BICUBIC] = {2, bicubic},
    [CJ_PICTURE_AREA] = {0.5, area}};

/* The weights of every place of one axis: `taps` numbers a place, of which `count` from input
 * `first` on are used. One block of memory. */
typedef struct weights {
    cj_context *cj;
    void *block;
    size_t bytes;
    int64_t taps;
    int64_t *first, *count; /* [size] */
    int32_t *weight;        /* [size, taps] */
    double *exact;          /* [taps], of the place in work */
} weights;

static cj_status allocate(weights *w, int64_t size, int64_t taps)
{
    size_t count, all, bounds;
    w->taps = taps;
    if (!cj__size_mul((size_t)size, (size_t)taps, &count) ||
        !cj__size_mul(count, sizeof *w->weight, &all) ||
        !cj__size_mul((size_t)size, 2 * sizeof *w->first, &bounds) ||
        !cj__size_add(all, bounds, &all) ||
        !cj__size_add(all, (size_t)taps * sizeof *w->exact, &w->bytes))
        return cj_fail(w->cj, CJ_ERR_LIMIT, "resize: %lld places of %lld weights are too many",
                       (long long)size, (long long)taps);
    if (!(w->block = cj__alloc(w->cj, w->bytes))) return cj_last_status(w->cj);
    w->exact = w->block; /* the widest numbers first, so that all are aligned */
    w->first = (int64_t *)(w->exact + taps);
    w->count = w->first + size;
    w->weight = (int32_t *)(w->count + size);
    return CJ_OK;
}

static void compute_place(weights *w, const kernel *f, int64_t place, double scale, int64_t from)
{
    const double stretch = scale < 1 ? 1 : scale, support = f->support * stretch;
    const double centre = ((double)place + 0.5) * scale, factor = 1 / stretch;
    double sum = 0;
    /* Both are cut towards zero, as C does; so is Pillow's. */
    int64_t first = (int64_t)(centre - support + 0.5), end = (int64_t)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (end > from) end = from;
    for (int64_t i = 0; i < end - first; i++) {
        w->exact[i] = f->weight(((double)(i + first) - centre + 0.5) * factor);
        sum += w->exact[i];
    }
    for (int64_t i = 0; i < end - first; i++) {
        const double exact = (sum != 0 ? w->exact[i] / sum : w->exact[i]) * (1 << PRECISION);
        w->weight[place * w->taps + i] = (int32_t)(exact < 0 ? exact - 0.5 : exact + 0.5);
    }
    w->first[place] = first;
    w->count[place] = end - first;
}

/* From `from` pixels to `to`. */
static cj_status compute(weights *w, cj_context *cj, const kernel *f, int64_t from, int64_t to)
{
    const double scale = (double)from / (double)to, stretch = scale < 1 ? 1 : scale;
    *w = (weights){.cj = cj};
    CJ__TRY(allocate(w, to, 2 * (int64_t)ceil(f->support * stretch) + 1));
    for (int64_t i = 0; i < to; i++) compute_place(w, f, i, scale, from);
    return CJ_OK;
}

static void release(weights *w)
{
    if (w->block) cj__free(w->cj, w->block, w->bytes);
}

static unsigned char byte_of(int32_t sum)
{
    const int32_t value = sum >> PRECISION;
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Pixels of a row to a row of another width. */
static void pass_row(const weights *w, const unsigned char *from, int64_t channels,
                     unsigned char *to, int64_t width)
{
    for (int64_t x = 0; x < width; x++) {
        const int32_t *weight = w->weight + x * w->taps;
        const unsigned char *pixel = from + w->first[x] * channels;
        for (int64_t c = 0; c < channels; c++) {
            int32_t sum = 1 << (PRECISION - 1);
            for (int64_t i = 0; i < w->count[x]; i++) sum += pixel[i * channels + c] * weight[i];
            *to++ = byte_of(sum);
        }
    }
}

/* Rows of a picture to a row, number y of the result; `sums` has `bytes` numbers. */
static void pass_column(const weights *w, const unsigned char *from, size_t bytes, int32_t *sums,
                        unsigned char *to, int64_t y)
{
    const int32_t *weight = w->weight + y * w->taps;
    for (size_t i = 0; i < bytes; i++) sums[i] = 1 << (PRECISION - 1);
    for (int64_t k = 0; k < w->count[y]; k++) {
        const unsigned char *row = from + (size_t)(w->first[y] + k) * bytes;
        for (size_t i = 0; i < bytes; i++) sums[i] += row[i] * weight[k];
    }
    for (size_t i = 0; i < bytes; i++) to[i] = byte_of(sums[i]);
}

static cj_status resize_width(const cj__picture *p, const kernel *f, cj__picture *to)
{
    weights w;
    cj_status failed = compute(&w, p->cj, f, p->width, to->width);
    if (!failed) failed = cj__picture_begin(to, "resize", p->height, to->width, (int)p->channels);
    for (int64_t y = 0; !failed && y < p->height; y++)
        pass_row(&w, p->pixels + y * p->width * p->channels, p->channels,
                 to->pixels + y * to->width * p->channels, to->width);
    release(&w);
    return failed;
}

static cj_status resize_height(const cj__picture *p, const kernel *f, cj__picture *to)
{
    const size_t bytes = (size_t)(p->width * p->channels);
    weights w;
    int32_t *sums = NULL;
    cj_status failed = compute(&w, p->cj, f, p->height, to->height);
    if (!failed) failed = cj__picture_begin(to, "resize", to->height, p->width, (int)p->channels);
    if (!failed && !(sums = cj__alloc(p->cj, bytes * sizeof *sums))) failed = cj_last_status(p->cj);
    for (int64_t y = 0; !failed && y < to->height; y++)
        pass_column(&w, p->pixels, bytes, sums, to->pixels + (size_t)y * bytes, y);
    if (sums) cj__free(p->cj, sums, bytes * sizeof *sums);
    release(&w);
    return failed;
}

/* Pillow adds the step up, and so the same places are found. */
static void nearest(const cj__picture *p, cj__picture *to)
{
    const double step_y = (double)p->height / (double)to->height;
    const double step_x = (double)p->width / (double)to->width;
    const size_t n = (size_t)p->channels;
    unsigned char *out = to->pixels;
    double v = step_y * 0.5;
    for (int64_t y = 0; y < to->height; y++, v += step_y) {
        const int64_t row = v < (double)p->height ? (int64_t)v : p->height - 1;
        double u = step_x * 0.5;
        for (int64_t x = 0; x < to->width; x++, u += step_x, out += n) {
            const int64_t column = u < (double)p->width ? (int64_t)u : p->width - 1;
            memcpy(out, p->pixels + (size_t)(row * p->width + column) * n, n);
        }
    }
}

static cj_status check_size(cj_context *cj, const char *what, int64_t height, int64_t width)
{
    if (height >= 1 && width >= 1 && height <= CJ_PICTURE_PIXELS_MAX / width) return CJ_OK;
    return cj_fail(cj, CJ_ERR_ARGUMENT,
                   "%s: to %lld x %lld pixels (height x width), expected 1 x 1 to %lld pixels",
                   what, (long long)height, (long long)width, (long long)CJ_PICTURE_PIXELS_MAX);
}

static cj_status copy_part(const cj__picture *p, int64_t top, int64_t left, cj__picture *to)
{
    const size_t n = (size_t)p->channels, row = (size_t)to->width * n;
    CJ__TRY(cj__picture_begin(to, "crop", to->height, to->width, (int)p->channels));
    for (int64_t y = 0; y < to->height; y++)
        memcpy(to->pixels + (size_t)y * row,
               p->pixels + (size_t)((top + y) * p->width + left) * n, row);
    return CJ_OK;
}

cj_status cj_picture_resize(const cj_tensor *picture, int64_t height, int64_t width,
                            cj_picture_filter filter, cj_tensor **out)
{
    cj__picture p, across, down;
    *out = NULL;
    CJ__TRY(cj__picture_of(picture, "resize", &p));
    CJ__TRY(check_size(p.cj, "resize", height, width));
    if (filter < CJ_PICTURE_BILINEAR || filter > CJ_PICTURE_NEAREST)
        return cj_fail(p.cj, CJ_ERR_ARGUMENT, "resize: %d is no filter", (int)filter);
    across = (cj__picture){.cj = p.cj, .height = p.height, .width = width};
    down = (cj__picture){.cj = p.cj, .height = height, .width = width};
    cj_status failed = CJ_OK;
    if (filter == CJ_PICTURE_NEAREST) {
        failed = cj__picture_begin(&down, "resize", height, width, (int)p.channels);
        if (!failed) nearest(&p, &down);
    } else {
        const kernel *f = &kernels[filter];
        const bool wider = width != p.width, higher = height != p.height;
        if (wider) failed = resize_width(&p, f, &across);
        if (!failed && higher) failed = resize_height(wider ? &across : &p, f, &down);
        if (!failed && !wider && !higher) failed = copy_part(&p, 0, 0, &across);
        if (!failed && !higher) {
            down = across;
            across.tensor = NULL;
        }
        cj_tensor_free(across.tensor);
    }
    if (failed) cj_tensor_free(down.tensor);
    else *out = down.tensor;
    return failed;
}

cj_status cj_picture_crop(const cj_tensor *picture, int64_t top, int64_t left, int64_t height,
                          int64_t width, cj_tensor **out)
{
    cj__picture p, to;
    *out = NULL;
    CJ__TRY(cj__picture_of(picture, "crop", &p));
    if (top < 0 || left < 0 || height < 1 || width < 1 || top > p.height || left > p.width ||
        height > p.height - top || width > p.width - left)
        return cj_fail(p.cj, CJ_ERR_ARGUMENT,
                       "crop: %lld x %lld (height x width) at (%lld, %lld) is not within a picture "
                       "of %lld x %lld",
                       (long long)height, (long long)width, (long long)top, (long long)left,
                       (long long)p.height, (long long)p.width);
    to = (cj__picture){.cj = p.cj, .height = height, .width = width};
    CJ__TRY(copy_part(&p, top, left, &to));
    *out = to.tensor;
    return CJ_OK;
}

cj_status cj_picture_centre_crop(const cj_tensor *picture, int64_t height, int64_t width,
                                 cj_tensor **out)
{
    cj__picture p;
    *out = NULL;
    CJ__TRY(cj__picture_of(picture, "crop", &p));
    const int64_t top = height < p.height ? (p.height - height) / 2 : 0;
    const int64_t left = width < p.width ? (p.width - width) / 2 : 0;
    return cj_picture_crop(picture, top, left, height, width, out);
}

/* In the middle of a black picture. */
static cj_status pad(const cj__picture *p, int64_t top, int64_t left, int64_t height,
                     int64_t width, cj_tensor **out)
{
    cj__picture to = {.cj = p->cj};
    const size_t n = (size_t)p->channels;
    CJ__TRY(cj__picture_begin(&to, "pad", height, width, (int)p->channels));
    for (int64_t y = 0; y < p->height; y++)
        memcpy(to.pixels + (size_t)((top + y) * width + left) * n,
               p->pixels + (size_t)(y * p->width) * n, (size_t)p->width * n);
    *out = to.tensor;
    return CJ_OK;
}

/* One side becomes what it must be; the other is rounded, covers or fits, and has a pixel. What is
 * too much or missing is left at both sides, an odd pixel of it at the bottom and at the right. */
cj_picture_frame cj_picture_fit_frame(int64_t height, int64_t width, int64_t to_height,
                                      int64_t to_width, cj_picture_fit fit)
{
    cj_picture_frame f = {.height = to_height, .width = to_width};
    if (fit == CJ_FIT_STRETCH) return f;
    const bool wide = width * to_height > height * to_width;
    const bool by_height = wide == (fit == CJ_FIT_CROP);
    if (by_height) f.width = (2 * width * to_height + height) / (2 * height);
    else f.height = (2 * height * to_width + width) / (2 * width);
    if (f.height < 1) f.height = 1;
    if (f.width < 1) f.width = 1;
    f.top = (to_height - f.height) / 2; /* towards zero, so a crop loses as many at the top */
    f.left = (to_width - f.width) / 2;
    return f;
}

cj_status cj_picture_make_fit(const cj_tensor *picture, int64_t height, int64_t width,
                              cj_picture_fit fit, cj_picture_filter filter, cj_tensor **out)
{
    cj__picture p;
    cj_tensor *scaled;
    *out = NULL;
    CJ__TRY(cj__picture_of(picture, "resize", &p));
    CJ__TRY(check_size(p.cj, "resize", height, width));
    if (fit < CJ_FIT_STRETCH || fit > CJ_FIT_PAD)
        return cj_fail(p.cj, CJ_ERR_ARGUMENT, "resize: %d is no way to fit", (int)fit);
    if (fit == CJ_FIT_STRETCH) return cj_picture_resize(picture, height, width, filter, out);
    const cj_picture_frame f = cj_picture_fit_frame(p.height, p.width, height, width, fit);
    CJ__TRY(cj_picture_resize(picture, f.height, f.width, filter, &scaled));
    cj_status failed = cj__picture_of(scaled, "resize", &p);
    if (!failed)
        failed = fit == CJ_FIT_CROP
                     ? cj_picture_crop(scaled, -f.top, -f.left, height, width, out)
                     : pad(&p, f.top, f.left, height, width, out);
    cj_tensor_free(scaled);
    return failed;
}
