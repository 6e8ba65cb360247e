/* parallel.c: sums whose order is fixed. At each level neighbours at distance 1, 2, 4 ... are
 * added, so the result depends on the number of parts alone, and its error grows with log n.
 *
 *     a b c d e   ->   a+b . c+d . e   ->   (a+b)+(c+d) . . . e   ->   ((a+b)+(c+d))+e */
#include "base/parallel.h"

double cj__tree_sum_f64(double *partial, int64_t n)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t i = 0; i < n - step; i += 2 * step) partial[i] += partial[i + step];
    return n > 0 ? partial[0] : 0;
}

void cj__tree_sum_rows_f32(float *rows, int64_t n, int64_t width)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t i = 0; i < n - step; i += 2 * step) {
            float *to = rows + i * width;
            const float *from = rows + (i + step) * width;
            for (int64_t k = 0; k < width; k++) to[k] += from[k];
        }
}
