/* scan.c: bodies that the importer makes itself, and the Scan of opset 8, which has a batch.
 *
 * That Scan runs its body for every sample and, in it, for every step: a scan over the samples,
 * whose body is a scan over the steps. Where samples end at sequence_lens, a step behind keeps the
 * state; a sequence read backwards begins at its own end. */
#include <string.h>

#include "base/text.h"
#include "format/onnx/map.h"

enum { OPERANDS_MAX = 64 };

cj_node *cj__onnx_body_input(cj__onnx_reader *r, cj_graph *body, const cj_node *x, bool element)
{
    cj_dim dims[CJ_RANK_MAX];
    char name[32];
    if (!x) return NULL;
    const int rank = x->type.rank - element;
    for (int i = 0; i < rank; i++)
        dims[i] = cj__dim_translate(cj_node_graph(x), body, NULL, x->type.dim[i + element]);
    cj__format(name, sizeof(name), "x%d", cj_graph_input_count(body));
    if (rank >= 0) return cj_placeholder(body, name, x->type.dtype, rank, dims);
    cj__onnx_fail(r, CJ_ERR_SHAPE, "an operand that is walked along is a scalar");
    return NULL;
}

cj_node *cj__onnx_took(cj_node *y, cj_graph *body)
{
    if (!y && body && !body->is_body) cj_graph_free(body);
    return y;
}

typedef struct batch_scan {
    cj__onnx_reader *r;
    cj_graph *body; /* of one step, the file's */
    int n_states, n_sequences, n_captures;
    const int64_t *backward;
} batch_scan;

/* A graph that stands for a body; its inputs are x (elements of the first n), then captures. */
static cj_graph *begin(const batch_scan *s, cj_node *const *x, int n, int elements, int first,
                       cj_node **inside)
{
    cj_graph *g = cj_graph_new(s->r->cj);
    for (int i = 0; g && i < n; i++)
        inside[i] = cj__onnx_body_input(s->r, g, x[i], i >= first && i < first + elements);
    if (!g) cj__onnx_fail(s->r, CJ_ERR_MEMORY, "out of memory");
    return g;
}

/* The file's body, but behind the length the state stays. Operands: states, elements, the step's
 * number, the length, captures. */
static cj_graph *until_length(const batch_scan *s, cj_node *const *x)
{
    cj_node *in[2 * OPERANDS_MAX + 2], *to[2 * OPERANDS_MAX], *out[OPERANDS_MAX];
    const int n_own = s->n_states + s->n_sequences, n_out = cj_graph_output_count(s->body);
    cj_graph *g = begin(s, x, n_own + 2 + s->n_captures, s->n_sequences + 1, s->n_states, in);
    if (!g) return NULL;
    for (int i = 0; i < n_own + s->n_captures; i++) to[i] = in[i < n_own ? i : i + 2];
    cj_node *runs = cj_less(in[n_own], in[n_own + 1]);
    if (!cj__graph_inline(g, s->body, to, n_own + s->n_captures, out)) return g;
    for (int k = 0; k < n_out; k++)
        cj_graph_output(g, NULL, k < s->n_states ? cj_where(runs, out[k], in[k]) : out[k]);
    return g;
}

/* One sample: operands are states, sequences, the length when there is one, captures. */
static void one_sample(const batch_scan *s, cj_graph *g, cj_node *const *in, bool lengths)
{
    cj_node *to[2 * OPERANDS_MAX + 2];
    const int n_own = s->n_states + s->n_sequences, n = n_own + lengths;
    cj_graph *step = lengths ? NULL : s->body;
    if (g->failed) return;
    const cj_dim steps = in[s->n_states] ? in[s->n_states]->type.dim[0] : 1;
    cj_node *number = cj_iota(g, CJ_I64, 0, 1, &steps),
            *length = lengths ? cj_cast(in[n_own], CJ_I64) : cj_dim_value(g, steps);
    for (int i = 0; i < n_own; i++) {
        to[i] = in[i];
        if (i < s->n_states || !s->backward[i - s->n_states]) continue;
        cj_node *at = cj_sub(cj_shift(length, -1), number);
        to[i] = cj_gather(in[i], cj_maximum(at, cj_scalar(g, CJ_I64, 0)), 0);
    }
    int k = n_own;
    if (lengths) to[k++] = number, to[k++] = length;
    for (int i = 0; i < s->n_captures; i++) to[k++] = in[n + i];
    if (lengths) step = until_length(s, to);
    if (!step) return;
    const int n_elements = s->n_sequences + lengths;
    cj_node *y = cj_scan(to, s->n_states, to + s->n_states, n_elements, false, step,
                         to + s->n_states + n_elements, k - s->n_states - n_elements);
    if (lengths) cj__onnx_took(y, step);
    const int n_out = y ? y->call->n_out : 0;
    for (int i = 0; i < n_out; i++) cj_graph_output(g, NULL, cj_node_output(y, i));
}

void cj__onnx_read_batch_scan(cj__onnx_reader *r)
{
    cj__onnx_graph *graph = cj__onnx_get_graph(r, "body");
    const int sequences = (int)cj__onnx_get_int(r, "num_scan_inputs", 0),
              n = (int)r->node->input.count - 1;
    int64_t backward[OPERANDS_MAX] = {0};
    cj__onnx_free names = {0};
    cj_node *x[2 * OPERANDS_MAX + 1], *captured[OPERANDS_MAX + 1];
    cj_type types[OPERANDS_MAX];
    if (r->failed || !cj__onnx_free_names(r, graph, &names)) return;
    if (n < 1 || n > OPERANDS_MAX || sequences < 1 || sequences > n ||
        names.count > OPERANDS_MAX || graph->output.count > OPERANDS_MAX) {
        cj__onnx_fail(r, CJ_ERR_DATA,
                      "%d operands, of which %d are sequences, %zu names from outside and %zu "
                      "results; at most %d of each are read",
                      n, sequences, names.count, graph->output.count, OPERANDS_MAX);
        return;
    }
    cj__onnx_get_ints(r, "directions", OPERANDS_MAX, backward);
    batch_scan s = {r, NULL, n - sequences, sequences, 0, backward};
    const bool lengths = cj__onnx_has(r, 0);
    for (int i = 0; i < n; i++) {
        const int without = i < s.n_states ? 1 : 2; /* axes: the batch, the steps */
        if (!(x[i] = cj__onnx_node_in(r, (size_t)i + 1))) return;
        types[i] = x[i]->type;
        if ((types[i].rank -= without) < 0) {
            cj__onnx_fail(r, CJ_ERR_SHAPE, "operand %d is of rank %d", i + 1, x[i]->type.rank);
            return;
        }
        memmove(types[i].dim, types[i].dim + without, (size_t)types[i].rank * sizeof(cj_dim));
    }
    int k = n;
    if (lengths) x[k++] = cj__onnx_node_in(r, 0);
    s.body = cj__onnx_read_body(r, graph, types, n, &names, captured, &s.n_captures);
    if (!s.body) return;
    for (int i = 0; i < s.n_captures; i++) x[k + i] = captured[i];
    cj_node *inside[2 * OPERANDS_MAX + 2], *y = NULL;
    cj_graph *each = begin(&s, x, k + s.n_captures, k, 0, inside);
    if (each) one_sample(&s, each, inside, lengths);
    /* With lengths it was copied, or else something failed before it was taken. */
    if (!s.body->is_body) cj_graph_free(s.body);
    if (each) y = cj__onnx_took(cj_scan(NULL, 0, x, k, false, each, x + k, s.n_captures), each);
    for (size_t i = 0; y && i < r->node->output.count; i++)
        cj__onnx_set(r, i, cj_node_output(y, (int)i));
}
