/* op.h: what an operator is: one const row beside its code.
 *
 *     static void exp_grad(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx)
 *     {
 *         (void)g;
 *         dx[0] = cj_mul(dy[0], &call->out[0]);             // d e^x = e^x dx: reuses the result
 *     }
 *     const cj_op cj_op_exp = {.name = "exp", .doc = "y = e^x", .inputs = 1, .flags =
 * CJ_OP_ELEMENTWISE, .infer = cj_infer_same, .grad = exp_grad, .ref = exp_ref, .sample =
 * sample_real, .onnx = "Exp"};
 *
 * From the row come checking, printing, parsing, the reference backend, the generic tests and the
 * docs. A program adds its own with cj_op_register. */
#ifndef CAJAL_OP_H
#define CAJAL_OP_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_call cj_call;

/* A value: one output of a call. Read-only for everyone but the graph. */
struct cj_node {
    cj_call *call;
    int output;
    cj_type type;
    const char *name; /* or NULL */
};

/* An operator applied. Operands have smaller ids. */
struct cj_call {
    const cj_op *op;
    cj_graph *graph;
    int id, n_in, n_out;
    cj_node **in;
    cj_node *out;      /* n_out of them */
    void *attributes;  /* the row's structure */
    const char *where; /* "mlp.c:14", or NULL */
    int stage;         /* 0; 1 for what a gradient added, 2 for a gradient's gradient */
    const char *layer; /* what it is part of: "conv2d_1", "conv2d_1 backward", "adam"; or NULL */
};

/* ---- What rows are made of ------------------------------------------------------------------- */

/* Properties; passes and plans read these, never names. */
enum {
    CJ_OP_ELEMENTWISE =
        1 << 0, /* element i of each output is a function of element i of the operands,
                   which all have the output's shape; the kernel never fails */
    CJ_OP_COMMUTATIVE = 1 << 1,
    CJ_OP_VIEW = 1 << 2, /* output 0 is operand 0's elements in the same order: a plan may alias */
    CJ_OP_STOCHASTIC = 1 << 3, /* depends on a random key: two equal calls are still equal values */
    CJ_OP_SOURCE = 1 << 4,     /* placeholder, variable, constant: no kernel */
    CJ_OP_CONTROL = 1 << 5,    /* has subgraphs; run by the runtime */
    CJ_OP_OPAQUE = 1 << 6,     /* has an effect besides its outputs: never merged or dropped */
    CJ_OP_DYNAMIC = 1 << 7,    /* may find out sizes of its outputs while running */
    CJ_OP_KERNEL = 1 << 8,     /* a composite that the CPU backend runs whole in f32: passes keep it
                                  there and lower it in other dtypes */
    CJ_OP_NARROW = 1 << 9,     /* sums of products of operands 0 and 1, which mixed precision takes
                                  in 16 bits */
    CJ_OP_ANY_DTYPE = 1 << 11, /* moves elements or casts them: takes low dtypes, too, which every
                                  other operator refuses before its shape rule is asked */
    CJ_OP_NOFAIL = 1 << 10     /* the kernel never fails, whatever the data, so it may run when some
                                  updates are written already; implied by ELEMENTWISE and VIEW. A
                                  backend's kernel that fails nevertheless is replaced by `ref` */
};

/* What a shape rule sees and fills. Operands' types are in call->in[i]->type, attributes in
 * call->attributes; it may complete the attributes (normalise a negative axis). out[i] begins with
 * dtype NONE. */
typedef struct cj_infer {
    cj_graph *graph;
    cj_call *call;
    cj_type *out; /* call->n_out of them, which the rule may change if the row says outputs = -1 */
} cj_infer;

/* Fails the graph with "where: op: message (operands f32[2, 3], f32[4])"; returns the status. */
CJ_API cj_status cj_infer_fail(cj_infer *infer, cj_status status, const char *format, ...)
    CJ_PRINTF(3, 4);
/* Do two dimensions agree? Equal: true. Different numbers: false. Not provable (symbols): true, and
 * the agreement is checked when a program binds the symbols. */
CJ_API bool cj_infer_equal(cj_infer *infer, cj_dim a, cj_dim b);
/* out[0] = type of operand 0. */
CJ_API cj_status cj_infer_same(cj_infer *infer);
/* Checks that all operands have one type; out[0] = it. */
CJ_API cj_status cj_infer_all_same(cj_infer *infer);
/* axis in -rank .. rank-1 made 0 .. rank-1, or a failure that names it. */
CJ_API cj_status cj_infer_axis(cj_infer *infer, int64_t *axis, int rank);

/* An array as a kernel sees it: row-major, concrete dimensions. */
typedef struct cj_array {
    cj_dtype dtype;
    int rank;
    int64_t dim[CJ_RANK_MAX];
    int64_t count;
    void *data;
} cj_array;

struct cj__team;

/* A call ready to run. */
typedef struct cj_kernel {
    const cj_call *call;       /* attributes; symbols in types are bound in the arrays below */
    cj_context *cj;            /* whose message a failing kernel sets */
    struct cj__team *team;     /* for the library's own kernels; may be NULL */
    const cj_array *const *in; /* call->n_in */
    cj_array *const *out;      /* call->n_out */
    void *workspace;           /* as many bytes as the kernel asked for, 64-byte aligned */
    const void *prepared;      /* what a backend's kernel prepared when planning */
    const int64_t *symbols; /* bound values of the graph's expressions: cj_kernel_dim reads them */
    /* By operand: is it state that the program does not update, or computed from such state alone?
     * Then its value changes only when *version does, and a kernel may keep what it made of it.
     * NULL: none is. */
    const bool *fixed;
    const uint64_t *version;
} cj_kernel;

/* The size a dimension in a call's attributes has in this run. */
static inline int64_t cj_kernel_dim(const cj_kernel *kernel, cj_dim d)
{
    return d >= 0 ? d : kernel->symbols[-1 - d];
}

/* Computes the outputs. Fails only for what depends on values (an index out of range). */
typedef cj_status (*cj_kernel_fn)(const cj_kernel *kernel);

typedef struct cj_sampler cj_sampler; /* below */

struct cj_op {
    const char *name; /* "matmul" */
    const char *doc;  /* a sentence with the formula */
    int inputs;       /* number of operands; -1: any number, `inputs_min` at least */
    int inputs_min;
    int outputs; /* 0 counts as 1; -1: the shape rule says (it sets call->n_out up to outputs_max)
                  */
    unsigned flags;
    size_t attributes_size;
    const cj_option *attributes; /* NULL: none */

    cj_status (*infer)(cj_infer *infer);
    /* dx[i] += nothing: sets dx[i] to the node of d loss / d in[i] given dy[k] = d loss / d out[k]
     * (some may be cj_zero, not all); dx begins as cj_zero. Built from ordinary builders. */
    void (*grad)(cj_graph *g, cj_call *call, cj_node *const *dy, cj_node **dx);
    const char *no_gradient; /* why there is none: "piecewise constant", "integer result" */
    /* A composite: the same values from simpler operators; out[k] for each output. Returns false
     * when the graph failed. The lowering is the definition; a kernel of its own is only faster. */
    bool (*lower)(cj_graph *g, cj_call *call, cj_node **out);
    /* What the operator means, plainly, for every dtype it takes. Floats are computed in double and
     * rounded once. NULL for composites (the lowering is run) and sources. */
    cj_kernel_fn ref;
    /* The operand that an output may overwrite when it has no later reader: both have one size, and
     * every kernel has read an element when it writes what lies there. -1: none. NULL: none may, or
     * the flag ELEMENTWISE says that all operands of its size may. */
    int (*inplace)(const cj_call *call, int output);
    /* How many products one run adds up: what people call the multiply-adds of a convolution or a
     * matrix product. Read from the sizes in kernel->in and ->out; the data are not there, and a
     * size nobody knows yet is 0. NULL: none to speak of; the call is a sweep over memory.
     * Profiles, summaries and plans ask this alone. */
    double (*multiply_adds)(const cj_kernel *kernel);

    /* Sample number i for the generic tests: makes operands with cj_sample_*, applies the operator,
     * and returns its first output; NULL past the last. At least 20 for a differentiable operator,
     * with size 1, zero sizes and, where it broadcasts, broadcasting. NULL in the library's rows of
     * a core build, which is not tested by itself. */
    cj_node *(*sample)(cj_sampler *s, int i);
    const char *onnx; /* ONNX's operator when it maps one to one */
};

/* Adds a row to this context; it must live as long. CJ_ERR_EXISTS for a name registered before. */
CJ_API cj_status cj_op_register(cj_context *cj, const cj_op *op);
/* By name: the context's own first. NULL with a message that names the nearest. */
CJ_API const cj_op *cj_op_find(cj_context *cj, const char *name);
/* Row i of all (the context's own first), NULL past the last. */
CJ_API const cj_op *cj_op_at(cj_context *cj, int i);

/* Applies an operator strictly (no promotion, no broadcast): the builder behind all builders.
 * attributes: the row's structure, copied; NULL: all at their initial values. Returns output 0. */
CJ_API cj_node *cj_apply(cj_graph *g, const cj_op *op, cj_node *const *in, int n_in,
                         const void *attributes);

/* ---- Samples --------------------------------------------------------------------------------- */

/* Samples are drawn from a seeded generator, so that a failure can be repeated. */
CJ_API cj_graph *cj_sampler_graph(cj_sampler *s);
/* Uniform reals in [low, high), as variables gradients are checked for. */
CJ_API cj_node *cj_sample_real(cj_sampler *s, double low, double high, int rank,
                               const int64_t *dims);
/* The same, at least `gap` away from each multiple of `unit` (kinks at 0: unit 1e9; of round: 0.5).
 */
CJ_API cj_node *cj_sample_away(cj_sampler *s, double low, double high, double unit, double gap,
                               int rank, const int64_t *dims);
/* Distinct reals (a shuffled ladder), at least 0.05 apart: for max, sort, top-k. */
CJ_API cj_node *cj_sample_distinct(cj_sampler *s, int rank, const int64_t *dims);
/* Integers in [low, high]; not differentiated. */
CJ_API cj_node *cj_sample_int(cj_sampler *s, cj_dtype dtype, int64_t low, int64_t high, int rank,
                              const int64_t *dims);
CJ_API cj_node *cj_sample_bool(cj_sampler *s, int rank, const int64_t *dims);
/* Shape i of a list of 24 that every family can share: scalars, size 1, zero sizes, rank up to 5,
 * odd and vector-length sizes. Returns false past the last. */
CJ_API bool cj_sample_shape(int i, int *rank, int64_t dims[CJ_RANK_MAX]);

/* Checks one row as the library's own are checked: sample by sample, shape rule against the kernel,
 * every backend and float dtype against the reference in double, lowering against reference, first
 * and second derivative by central differences (rtol 1e-6), attributes printed and parsed back.
 * Returns CJ_OK, or the status and a message that names sample, element, both numbers. */
typedef struct cj_op_report {
    int samples, gradients, second_gradients, backends;
} cj_op_report;
CJ_API cj_status cj_op_check(cj_context *cj, const cj_op *op, cj_op_report *report);

#ifdef __cplusplus
}
#endif
#endif
