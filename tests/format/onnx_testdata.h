/* onnx_testdata.h: the cases of ONNX's backend tests, and how one of them is run.
 *
 * A case is a folder with model.onnx and test_data_set_0/{input,output}_I.pb. It is run as `cajal
 * run` runs a model: all inputs are given while the file is read, so shapes may come from anywhere,
 * and the best backend computes. What can be read without its inputs is read so, too, and run by
 * the reference backend: both must give the case's outputs.
 *
 * Cases with sequences, optional values or maps, and cases that draw random numbers, are counted
 * apart; of the latter type and shape are compared. */
#ifndef CAJAL_TESTS_ONNX_TESTDATA_H
#define CAJAL_TESTS_ONNX_TESTDATA_H

#include <stdlib.h>

#include "onnx_support.h"

#include "base/file.h"
#include "base/strings.h"
#include "format/onnx/tensor.h"

#define DEBIAN_FOLDER "/usr/share/libonnx-testdata/data"

typedef enum verdict { PASSED, UNSUPPORTED, REFUSED, WRONG, VERDICTS } verdict;
typedef enum kind { PLAIN, SEQUENCES, RANDOM, KINDS } kind;

typedef struct onnx_case {
    char name[160], operator_[64]; /* "": of more nodes than one */
    char reason[512];              /* why it has not passed */
    kind kind;
    verdict verdict;
    bool without_values; /* it passed that way as well */
    bool faulty;         /* it cannot be passed */
} onnx_case;

typedef struct onnx_cases {
    onnx_case *items;
    size_t count, capacity;
} onnx_cases;

/* ---- Kinds ----------------------------------------------------------------------------------- */

static bool begins(cj__slice text, const char *start)
{
    size_t n = strlen(start);
    return text.size >= n && !memcmp(text.at, start, n);
}

static kind kind_of_node(const cj__onnx_node *node)
{
    static const char *const sequences[] = {"Sequence", "Optional", "SplitToSequence",
                                            "ConcatFromSequence"};
    static const char *const random[] = {"Random", "Bernoulli", "Multinomial"};
    for (size_t i = 0; i < CJ__COUNT(sequences); i++)
        if (begins(node->op_type, sequences[i])) return SEQUENCES;
    for (size_t i = 0; i < CJ__COUNT(random); i++)
        if (begins(node->op_type, random[i])) return RANDOM;
    /* Its third operand is training_mode, which is true wherever it is given. */
    return cj__slice_is(node->op_type, "Dropout") && node->input.count > 2 ? RANDOM : PLAIN;
}

static bool no_tensor(const cj__onnx_value *value)
{
    return value->type && value->type->which && value->type->which != CJ__ONNX_TYPE_TENSOR;
}

static kind kind_of_graph(const cj__onnx_graph *g)
{
    kind k = PLAIN;
    for (size_t i = 0; i < g->input.count; i++)
        if (no_tensor(&g->input.items[i])) return SEQUENCES;
    for (size_t i = 0; i < g->output.count; i++)
        if (no_tensor(&g->output.items[i])) return SEQUENCES;
    for (size_t i = 0; i < g->node.count && !k; i++) {
        const cj__onnx_node *node = &g->node.items[i];
        k = kind_of_node(node);
        for (size_t j = 0; j < node->attribute.count && !k; j++)
            if (node->attribute.items[j].type == CJ__ONNX_ATTR_GRAPH)
                k = kind_of_graph(node->attribute.items[j].as.g);
    }
    return k;
}

/* Sets kind and operator. */
static void classify(cj_context *cj, const char *path, onnx_case *c)
{
    cj__file_bytes file;
    cj__arena arena;
    cj__onnx_model *model;
    if (cj__file_load(cj, path, 0, &file)) return;
    cj__arena_init(&arena, cj);
    if (!cj__onnx_parse(&arena, file.data, file.size, &model)) {
        const cj__onnx_node *node = model->graph->node.items;
        char domain[CJ__SLICE_SHOWN], op[CJ__SLICE_SHOWN];
        c->kind = kind_of_graph(model->graph);
        if (strstr(c->name, "dropout_zero_ratio")) c->kind = PLAIN; /* it drops nothing */
        if (model->graph->node.count == 1)
            cj__format(c->operator_, sizeof c->operator_, "%s%s%s",
                       node->domain.size ? cj__slice_show(node->domain, domain) : "",
                       node->domain.size ? "." : "", cj__slice_show(node->op_type, op));
    }
    cj__arena_release(&arena);
    cj__file_unload(&file);
}

/* ---- Data ------------------------------------------------------------------------------------ */

enum { INPUTS_MAX = 64 };

typedef struct attempt { /* to run a case */
    cj_context *cj;
    const char *folder;
    onnx_case *c;
    int n_in, n_out;
    cj_tensor *in[INPUTS_MAX], *out[OUTPUTS_MAX];
    cj_feed feeds[INPUTS_MAX];
} attempt;

/* A tensor of a .pb file; NULL with a message. */
static cj_tensor *read_pb(attempt *a, const char *what, int i)
{
    char path[768];
    cj__file_bytes file;
    cj__arena arena;
    cj__onnx_tensor *from;
    cj_tensor *t = NULL;
    cj__format(path, sizeof path, "%s/%s/test_data_set_0/%s_%d.pb", a->folder, a->c->name, what, i);
    if (cj__file_load(a->cj, path, 0, &file)) return NULL;
    cj__arena_init(&arena, a->cj);
    cj_status failed = cj__onnx_parse_tensor(&arena, file.data, file.size, &from);
    if (!failed) failed = cj__onnx_tensor_decode(a->cj, from, NULL, &t);
    if (failed) cj__prefix(a->cj, failed, "%s_%d.pb: ", what, i);
    cj__arena_release(&arena);
    cj__file_unload(&file);
    return t;
}

/* bf16 lies in files as u16, as it does in those that `cajal run` reads. */
static cj_tensor *read_pb_as(attempt *a, const char *what, int i, cj_dtype dtype)
{
    cj_tensor *t = read_pb(a, what, i);
    if (!t || dtype != CJ_BF16 || cj_tensor_dtype(t) != CJ_U16) return t;
    cj_tensor *bits = cj_tensor_from(a->cj, dtype, t->rank, t->shape, cj_tensor_map_read(t));
    cj_tensor_unmap(t);
    cj_tensor_free(t);
    return bits;
}

static cj_status give_values(void *user, cj_graph *g, int n, const cj_onnx_input *inputs,
                             const cj_tensor **values)
{
    attempt *a = user;
    (void)g;
    assert_true(n <= INPUTS_MAX);
    a->n_in = n;
    for (int i = 0; i < n; i++) {
        values[i] = a->in[i] = read_pb_as(a, "input", i, inputs[i].type.dtype);
        if (!values[i]) return cj_last_status(a->cj);
    }
    return CJ_OK;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void reason(onnx_case *c, verdict v, const char *text)
{
    c->verdict = v;
    cj__format(c->reason, sizeof c->reason, "%s", text);
}

/* "output 0 is f32 (2, 3), expected f32 (3); element 2 is 1.5, expected 1.25" */
static void tell_difference(onnx_case *c, int k, const cj_tensor *y, const cj_tensor *expected,
                            int64_t first)
{
    cj__shape_text s, t;
    int n = cj__format(c->reason, sizeof c->reason, "output %d is %s %s, expected %s %s", k,
                       cj_dtype_info(y->dtype)->name, cj__shape_string(&s, y->rank, y->shape),
                       cj_dtype_info(expected->dtype)->name,
                       cj__shape_string(&t, expected->rank, expected->shape));
    if (first >= 0 && n > 0 && (size_t)n < sizeof c->reason)
        cj__format(c->reason + n, sizeof c->reason - (size_t)n, "; element %lld is %g, expected %g",
                   (long long)first, cj_load_f64(y->dtype, cj__tensor_data(y), (size_t)first),
                   cj_load_f64(expected->dtype, cj__tensor_data(expected), (size_t)first));
    c->verdict = WRONG;
}

/* The tolerance is that of ONNX's own runner, 1e-3, beside 1e-5 where sums of numbers around 1 end
 * near 0; a bf16 may differ by its last bit, since some cases cut it off instead of rounding. */
static bool agree(const onnx_case *c, const cj_tensor *y, const cj_tensor *expected, int64_t *first)
{
    *first = -1;
    if (y->dtype != expected->dtype) return false;
    if (c->kind == RANDOM)
        return y->rank == expected->rank &&
               !memcmp(y->shape, expected->shape, (size_t)y->rank * sizeof *y->shape);
    return cj_tensor_close(y, expected, y->dtype == CJ_BF16 ? 0x1p-7 : 1e-3, 1e-5, first);
}

/* Runs g and sets the verdict. */
static void run_and_compare(attempt *a, const char *backend, cj_graph *g)
{
    onnx_case *c = a->c;
    a->n_out = cj_graph_output_count(g);
    assert_true(a->n_out <= OUTPUTS_MAX);
    for (int i = 0; i < a->n_in; i++)
        a->feeds[i] = (cj_feed){.node = cj_graph_input_at(g, i), .value = a->in[i]};
    c->verdict = PASSED;
    cj_status failed = run_graph_on(a->cj, backend, g, a->feeds, a->n_in, a->out);
    if (failed) reason(c, failed == CJ_ERR_UNSUPPORTED ? UNSUPPORTED : WRONG, cj_message(a->cj));
    for (int k = 0; k < a->n_out && c->verdict == PASSED; k++) {
        int64_t first;
        cj_tensor *expected = read_pb_as(a, "output", k, cj_tensor_dtype(a->out[k]));
        if (!expected) reason(c, UNSUPPORTED, cj_message(a->cj));
        else if (!agree(c, a->out[k], expected, &first))
            tell_difference(c, k, a->out[k], expected, first);
        cj_tensor_free(expected);
    }
    free_all(a->out, OUTPUTS_MAX);
    memset(a->out, 0, sizeof a->out);
}

/* The message without the file in front, which the case names. */
static const char *short_message(const char *message, const char *path)
{
    return message + (begins(cj__slice_of(message), path) ? strlen(path) + 2 : 0);
}

/* Cases of ONNX 1.12 that contradict themselves, which later ones do not. */
static const char *fault_of(const char *name)
{
    static const char *const faults[][2] = {
        {"test_adam_multiple",
         "its numbers are those of epsilon=0.01, which its node does not say"},
        {"test_castlike_BFLOAT16_to_FLOAT",
         "its second input has another rank than the model says"},
        {"test_castlike_FLOAT_to_BFLOAT16",
         "its second input has another rank than the model says"},
    };
    for (size_t i = 0; i < CJ__COUNT(faults); i++) {
        size_t n = strlen(faults[i][0]);
        if (!strncmp(name, faults[i][0], n) && (!name[n] || !strcmp(name + n, "_expanded")))
            return faults[i][1];
    }
    return NULL;
}

/* Nothing where the folder has no model. */
static bool run_case(cj_context *cj, const char *folder, onnx_case *c)
{
    char path[512];
    cj_file_info info;
    attempt a = {.cj = cj, .folder = folder, .c = c};
    cj__format(path, sizeof path, "%s/%s/model.onnx", folder, c->name);
    if (cj__file_info(cj, path, &info)) return false;
    classify(cj, path, c);
    cj_onnx_opts ask = {.struct_size = sizeof ask, .values = give_values, .user = &a};
    cj_graph *g = cj_onnx_load_graph_opts(cj, path, &ask);
    if (g) run_and_compare(&a, NULL, g);
    else
        reason(c, cj_last_status(cj) == CJ_ERR_UNSUPPORTED ? UNSUPPORTED : REFUSED,
               short_message(cj_message(cj), path));
    cj_graph_free(g);
    if (c->verdict == PASSED) {
        g = cj_onnx_load_graph(cj, path);
        if (g) run_and_compare(&a, "reference", g);
        else if (cj_last_status(cj) != CJ_ERR_UNSUPPORTED)
            reason(c, REFUSED, short_message(cj_message(cj), path));
        c->without_values = g && c->verdict == PASSED;
        if (c->verdict == UNSUPPORTED) c->verdict = PASSED; /* it needs them, then */
        cj_graph_free(g);
    }
    free_all(a.in, INPUTS_MAX);
    const char *fault = begins(cj__slice_of(folder), DEBIAN_FOLDER) ? fault_of(c->name) : NULL;
    c->faulty = fault && (c->verdict == WRONG || c->verdict == REFUSED);
    if (c->faulty) reason(c, c->verdict, fault);
    return true;
}

/* ---- Folders --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const onnx_case *)a)->name, ((const onnx_case *)b)->name);
}

static int collect(void *arg, const char *name)
{
    onnx_cases *all = arg;
    if (name[0] == '.') return 0;
    if (all->count == all->capacity) {
        all->capacity = all->capacity * 2 + 256;
        all->items = realloc(all->items, all->capacity * sizeof *all->items);
        assert_non_null(all->items);
    }
    onnx_case *c = &all->items[all->count++];
    memset(c, 0, sizeof *c);
    cj__format(c->name, sizeof c->name, "%s", name);
    return 0;
}

/* Runs the cases of a folder, or only one of them; the caller frees items. None when there is no
 * such folder. */
static onnx_cases run_folder(const char *folder, const char *only)
{
    onnx_cases all = {.items = NULL};
    cj_context *cj = cj_context_new(NULL);
    size_t n = 0;
    assert_non_null(cj);
    cj__file_list(cj, folder, collect, &all);
    if (all.count) qsort(all.items, all.count, sizeof *all.items, by_name);
    for (size_t i = 0; i < all.count; i++)
        if ((!only || !strcmp(only, all.items[i].name)) && run_case(cj, folder, &all.items[i]))
            all.items[n++] = all.items[i];
    all.count = n;
    const int64_t texts = cj__strings_bytes(cj); /* stay as long as the context */
    assert_int_equal(cj_memory_used(cj), texts);
    cj_context_free(cj);
    return all;
}

#endif
