/* epilogue.c: what convolutions and matrix products do to each element before they write it.
 *
 *     y = activation(sum + bias + addend)
 *
 * An activation is a word, a function, and its derivative as a function of its result, so that the
 * value before it is needed by nobody. */
#include "graph/ops/window.h"

const char *const cj__epilogue_words[] = {"none", "relu", NULL};

bool cj__epilogue_takes(cj_dtype result, cj_dtype operand, bool is_bias)
{
    bool is_half = result == CJ_F16 || result == CJ_BF16;
    return operand == result || (is_bias && is_half && operand == CJ_F32);
}

double cj__epilogue_apply(int activation, double x)
{
    return activation == CJ__EPILOGUE_RELU && x <= 0 ? 0 : x; /* NaN stays */
}

cj_node *cj__epilogue_grad(int activation, cj_node *y, cj_node *dy)
{
    if (activation == CJ__EPILOGUE_NONE) return dy;
    return cj_where(cj_greater(y, cj_full_like(y, 0)), dy, cj_full_like(dy, 0));
}
