/* conv_axis.c: the two directions of a window's axis. Forwards, window i begins at i stride -
 * before and goes up. Backwards, element p meets place k of window i when p = i stride - before + k
 * dilation: those of one residue of p + before modulo the stride meet every stride / gcd(stride,
 * dilation)-th place, of windows that go up while places go down. */
#include "backend/conv_axis.h"

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

cj__conv_axis cj__conv_axis_forward(const cj__window *w)
{
    return (cj__conv_axis){.step = 1,
                  .count = w->result,
                  .source = w->n,
                  .from = -w->before,
                  .advance = w->stride,
                  .apart = w->dilation,
                  .places = w->kernel,
                  .k_step = 1};
}

cj__conv_axis cj__conv_axis_backward(const cj__window *w, int64_t residue)
{
    int64_t s = w->stride, first = ((residue - w->before) % s + s) % s,
            step = s / gcd(s, w->dilation);
    cj__conv_axis a = {.first = first,
              .step = s,
              .count = first < w->n ? (w->n - first + s - 1) / s : 0,
              .source = w->result,
              .advance = 1,
              .apart = step * w->dilation / s,
              .k_step = -step};
    int64_t k = 0;
    while (k < w->kernel && k < step && k * w->dilation % s != residue) k++;
    if (k >= w->kernel || k * w->dilation % s != residue) return a; /* no place meets them */
    a.places = (w->kernel - 1 - k) / step + 1;
    a.k_first = k + (a.places - 1) * step;
    a.from = (first + w->before - a.k_first * w->dilation) / s;
    return a;
}
