/* budget.c: what reading a file may cost.
 *
 * A few bytes can ask for much: functions that call functions twice, loops whose steps are read one
 * by one, values that must be computed. So reading has three budgets, all proportional to the bytes
 * that were given (the file, the values of its inputs, its external data), with a base so small
 * that a file that is refused has cost a megabyte and some milliseconds, and a proportion so large
 * that no file that somebody means comes near it:
 *
 *     nodes read    1,024, and one for each 4 bytes: a node in a file takes 20 and more
 *     memory        256 KiB, and 64 bytes for each byte: parsing takes 32 at most
 *     computing     4 ms, and 200 ns for each byte; 512 KiB of results at once, and 1 KiB for each
 *                   byte. The time is what operations and bytes let expect: no clock is asked, so a
 *                   file that is read once is read always
 *
 * What the model's own graph calls and repeats, a number of times that is known before, is granted,
 * up to 16,384 nodes in a file: so a small file may have a long loop, but none that does not end,
 * and none in others. */
#include "format/onnx/import.h"

enum {
    NODES_BASE = 1024,
    BYTES_A_NODE = 4,
    STEPS_NODES_MAX = 16384,
    MEMORY_BASE = 256 << 10,
    MEMORY_A_BYTE = 64,
    MEMORY_A_NODE = 1024, /* of those granted */
    WORK_BASE_NS = 4000000,
    WORK_NS_A_BYTE = 200,
    RESULTS_BASE = 512 << 10,
    RESULTS_A_BYTE = 1024,
    RUN_NS = 40000,       /* a program and a session are made, */
    CALL_NS = 4000,       /* of so many calls */
    LOOKED_AT = 64,       /* so much that is looked at in vain counts as a node */
};

static const int64_t bytes_max = (int64_t)1 << 44; /* products stay far below 2^63 */

void cj__onnx_grant(cj__onnx_reader *r, size_t bytes)
{
    cj__onnx_budget *b = &r->budget;
    int64_t more = bytes < (size_t)bytes_max ? (int64_t)bytes : bytes_max;
    if (!b->bytes) b->nodes = NODES_BASE, b->work_ns = WORK_BASE_NS;
    if (more > bytes_max - b->bytes) more = bytes_max - b->bytes;
    b->bytes += more;
    b->nodes += more / BYTES_A_NODE;
    b->work_ns += more * WORK_NS_A_BYTE;
}

/* Nodes that reading these comes to, with those of bodies and of the functions that they call, but
 * at most `max`: so counting ends where functions call each other without an end. */
static int64_t count(const cj__onnx_reader *r, size_t n, const cj__onnx_node *nodes, int64_t max,
                     int depth)
{
    int64_t sum = 0;
    if (depth == CJ__DEPTH_MAX) return max; /* it will be refused */
    for (size_t i = 0; i < n && sum < max; i++) {
        const cj__onnx_node *node = &nodes[i];
        const cj__onnx_function *f = cj__onnx_find_function(r, node);
        sum += 1 + (int64_t)r->model->functions.count / LOOKED_AT;
        if (f && sum < max) sum += count(r, f->node.count, f->node.items, max - sum, depth + 1);
        for (size_t k = 0; k < node->attribute.count && sum < max; k++) {
            const cj__onnx_attribute *a = &node->attribute.items[k];
            if (a->type == CJ__ONNX_ATTR_GRAPH && a->as.g)
                sum += count(r, a->as.g->node.count, a->as.g->node.items, max - sum,
                             depth + 1);
        }
    }
    return sum;
}

void cj__onnx_grant_steps(cj__onnx_reader *r, double steps, size_t n, const cj__onnx_node *nodes)
{
    cj__onnx_budget *b = &r->budget;
    int64_t room = STEPS_NODES_MAX - b->granted;
    if (b->any || room <= 0 || r->level->outer) return;
    /* Twice, for the calls that they make. */
    double wanted = 2 * steps * (1 + (double)count(r, n, nodes, room, 0));
    if (!(wanted > 0 && wanted <= (double)room)) return;
    b->granted += (int64_t)wanted;
    b->nodes += (int64_t)wanted;
}

bool cj__onnx_spend(cj__onnx_reader *r, int64_t nodes)
{
    cj__onnx_budget *b = &r->budget;
    if (b->any || r->failed) return !r->failed;
    double memory = (double)cj__arena_bytes(r->arena) + (double)cj__arena_bytes(&r->g->arena),
           memory_max = MEMORY_BASE + (double)b->bytes * MEMORY_A_BYTE +
                        (double)b->granted * MEMORY_A_NODE;
    if (nodes > b->nodes)
        cj__onnx_fail(r, CJ_ERR_LIMIT,
                      "reading it takes more than %lld nodes, with bodies and functions, the limit "
                      "for the %lld bytes that it was given in",
                      (long long)(NODES_BASE + b->bytes / BYTES_A_NODE + b->granted),
                      (long long)b->bytes);
    else if (memory > memory_max)
        cj__onnx_fail(r, CJ_ERR_LIMIT,
                      "reading it takes %.0f bytes of memory, more than %.0f, the limit for the "
                      "%lld bytes that it was given in",
                      memory, memory_max, (long long)b->bytes);
    b->nodes -= nodes;
    return !r->failed;
}

bool cj__onnx_spend_looks(cj__onnx_reader *r, size_t n, size_t among)
{
    double nodes = (double)n * (double)among / LOOKED_AT;
    return cj__onnx_spend(r, nodes < (double)bytes_max ? (int64_t)nodes : bytes_max);
}

bool cj__onnx_may_run(cj__onnx_reader *r, int64_t calls, double bytes)
{
    const cj__onnx_budget *b = &r->budget;
    double bytes_max_here = RESULTS_BASE + (double)b->bytes * RESULTS_A_BYTE;
    if (b->any) return true;
    if (bytes > bytes_max_here)
        cj__onnx_fail(
            r, CJ_ERR_LIMIT,
            "a value that it needs takes %.0f bytes to compute, more than %.0f, the limit "
            "for the %lld bytes that were given",
            bytes, bytes_max_here, (long long)b->bytes);
    else if (RUN_NS + (double)calls * CALL_NS >= (double)b->work_ns)
        cj__onnx_fail(
            r, CJ_ERR_LIMIT,
            "the values that shapes depend on take more than %lld microseconds to compute, "
            "the limit for the %lld bytes that were given",
            (long long)((WORK_BASE_NS + b->bytes * WORK_NS_A_BYTE) / 1000), (long long)b->bytes);
    return !r->failed;
}

bool cj__onnx_may_keep(cj__onnx_reader *r, const cj_type *type)
{
    cj__onnx_budget *b = &r->budget;
    double bytes = cj_dtype_info(type->dtype)->bits / 8.0;
    for (int i = 0; i < type->rank; i++) bytes *= (double)type->dim[i];
    if (!b->any && b->kept + bytes > RESULTS_BASE + (double)b->bytes * RESULTS_A_BYTE) return false;
    b->kept += bytes;
    return true;
}

void cj__onnx_spend_run(cj__onnx_reader *r, int64_t calls, int64_t work_ns)
{
    int64_t spent = RUN_NS + calls * CALL_NS + work_ns;
    r->budget.work_ns -= spent < r->budget.work_ns ? spent : r->budget.work_ns;
}
