/* frechet.c: how far two sets of samples are from each other, by features of them (Heusel et al.
 * 2017): the Frechet distance of the normal distributions with their means and covariances,
 *
 *     |m - n|^2 + trace(S) + trace(T) - 2 trace((S T)^(1/2)).
 *
 * With S = A A^T and T = B B^T the last trace is the sum of the singular values of A^T B, so no
 * square root of a matrix that is not symmetric is needed. All of it is one algorithm, Hestenes's:
 * columns of a matrix are turned in pairs until every two are at right angles. Of A^T B their
 * lengths are then the singular values; of a covariance they are its eigenvalues l, the directions
 * v its eigenvectors, and A = (sqrt(l) v). Columns are rows here, so that they are contiguous. */
#include "tensor/tensor.h"

#include <cajal/train.h>

#include <math.h>
#include <string.h>

enum { WIDTH_MAX = 4096, SWEEPS_MAX = 60 };

static double product(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Turns a and b in their plane until they are at right angles; false: they were, but for what
 * rounding makes of a product of n numbers, or one is nothing but rounding: its square is below
 * `least`. */
static bool turn(double *a, double *b, int64_t n, double least)
{
    const double aa = product(a, a, n), bb = product(b, b, n), ab = product(a, b, n);
    if (aa <= least || bb <= least) return false;
    if (fabs(ab) <= 1e-15 * (double)n * sqrt(aa) * sqrt(bb)) return false;
    const double zeta = (bb - aa) / (2 * ab);
    const double t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
    const double c = 1 / hypot(1, t), s = c * t;
    for (int64_t i = 0; i < n; i++) {
        const double x = a[i], y = b[i];
        a[i] = c * x - s * y;
        b[i] = s * x + c * y;
    }
    return true;
}

/* The d rows of m are at right angles then; false: not after so many sweeps. */
static bool orthogonalize(double *m, int64_t d)
{
    const double least = 1e-32 * product(m, m, d * d);
    for (int sweep = 0; sweep < SWEEPS_MAX; sweep++) {
        bool turned = false;
        for (int64_t i = 0; i < d; i++)
            for (int64_t k = i + 1; k < d; k++) turned |= turn(m + i * d, m + k * d, d, least);
        if (!turned) return true;
    }
    return false;
}

/* Mean and covariance of the rows of t; row: room for d numbers. */
static cj_status moments(cj_context *cj, const cj_tensor *t, double *mean, double *covariance,
                         double *row)
{
    const int64_t n = t->shape[0], d = t->shape[1];
    const void *v = cj__tensor_data(t);
    for (int64_t i = 0; i < n * d; i++) {
        const double x = cj_load_f64(t->dtype, v, (size_t)i);
        if (!isfinite(x))
            return cj_fail(cj, CJ_ERR_NUMERIC, "frechet: feature %lld of sample %lld is %g",
                           (long long)(i % d), (long long)(i / d), x);
        mean[i % d] += x / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < d; k++)
            row[k] = cj_load_f64(t->dtype, v, (size_t)(i * d + k)) - mean[k];
        for (int64_t k = 0; k < d; k++)
            for (int64_t j = k; j < d; j++) covariance[k * d + j] += row[k] * row[j];
    }
    for (int64_t k = 0; k < d; k++)
        for (int64_t j = k; j < d; j++)
            covariance[j * d + k] = covariance[k * d + j] /= (double)(n - 1);
    return CJ_OK;
}

/* Row i of a covariance becomes sqrt(l) v of eigenvalue i; the eigenvalues' sum is *trace. What is
 * no eigenvalue but rounding of the largest becomes zeros. */
static bool square_root(double *s, int64_t d, double *trace)
{
    double largest = 0;
    *trace = 0;
    for (int64_t i = 0; i < d; i++) *trace += s[i * d + i];
    if (!orthogonalize(s, d)) return false;
    for (int64_t i = 0; i < d; i++)
        largest = fmax(largest, sqrt(product(s + i * d, s + i * d, d)));
    for (int64_t i = 0; i < d; i++) {
        const double l = sqrt(product(s + i * d, s + i * d, d));
        const double factor = l > (double)d * 1e-16 * largest ? 1 / sqrt(l) : 0;
        for (int64_t k = 0; k < d; k++) s[i * d + k] *= factor;
    }
    return true;
}

typedef struct workspace {
    double *mean[2], *covariance[2], *both, *row;
} workspace;

static cj_status distance_of(cj_context *cj, const cj_tensor *const t[2], workspace *w, double *out)
{
    const int64_t d = t[0]->shape[1];
    double between = 0, trace[2], common = 0;
    for (int i = 0; i < 2; i++) {
        cj_status failed = moments(cj, t[i], w->mean[i], w->covariance[i], w->row);
        if (failed) return failed;
    }
    for (int64_t k = 0; k < d; k++)
        between += (w->mean[0][k] - w->mean[1][k]) * (w->mean[0][k] - w->mean[1][k]);
    bool done = square_root(w->covariance[0], d, &trace[0]) &&
                square_root(w->covariance[1], d, &trace[1]);
    for (int64_t i = 0; done && i < d; i++)
        for (int64_t k = 0; k < d; k++)
            w->both[i * d + k] = product(w->covariance[0] + i * d, w->covariance[1] + k * d, d);
    done = done && orthogonalize(w->both, d);
    for (int64_t i = 0; done && i < d; i++)
        common += sqrt(product(w->both + i * d, w->both + i * d, d));
    const double distance = between + trace[0] + trace[1] - 2 * common;
    if (!done || !isfinite(distance))
        return cj_fail(cj, CJ_ERR_NUMERIC, "frechet: the features are too large for doubles");
    *out = distance > 0 ? distance : 0; /* equal sets: 0, but for rounding */
    return CJ_OK;
}

static cj_status check(cj_context *cj, const cj_tensor *const t[2])
{
    for (int i = 0; i < 2; i++) {
        if (t[i]->rank != 2 || cj_dtype_info(t[i]->dtype)->kind != CJ_KIND_FLOAT)
            return cj_fail(cj, CJ_ERR_ARGUMENT,
                           "frechet: set %d is %s of rank %d; floats [samples, features] are "
                           "expected",
                           i + 1, cj_dtype_info(t[i]->dtype)->name, t[i]->rank);
        if (t[i]->shape[0] < 2)
            return cj_fail(cj, CJ_ERR_ARGUMENT,
                           "frechet: set %d has %lld samples; a covariance needs 2", i + 1,
                           (long long)t[i]->shape[0]);
        if (t[i]->shape[1] < 1 || t[i]->shape[1] > WIDTH_MAX)
            return cj_fail(cj, CJ_ERR_LIMIT, "frechet: %lld features; 1 to %d are possible",
                           (long long)t[i]->shape[1], WIDTH_MAX);
    }
    if (t[0]->shape[1] == t[1]->shape[1]) return CJ_OK;
    return cj_fail(cj, CJ_ERR_SHAPE, "frechet: %lld features and %lld features cannot be compared",
                   (long long)t[0]->shape[1], (long long)t[1]->shape[1]);
}

cj_status cj_frechet_distance(cj_context *cj, const cj_tensor *a, const cj_tensor *b,
                              double *distance)
{
    if (!cj || !a || !b || !distance) return CJ_ERR_ARGUMENT;
    const cj_tensor *const t[2] = {a, b};
    cj_status failed = check(cj, t);
    if (failed) return failed;
    const size_t d = (size_t)a->shape[1], bytes = (3 * d * d + 3 * d) * sizeof(double);
    double *room = cj__alloc(cj, bytes);
    if (!room) return cj_last_status(cj);
    workspace w = {.covariance = {room, room + d * d}, .both = room + 2 * d * d};
    w.row = room + 3 * d * d;
    w.mean[0] = w.row + d;
    w.mean[1] = w.row + 2 * d;
    failed = distance_of(cj, t, &w, distance);
    cj__free(cj, room, bytes);
    return failed;
}
