/* run.h: programs, sessions and running.
 *
 *     cj_program *p = cj_compile(g, .outputs = {loss}, .updates = updates);
 *     cj_session *s = cj_session_new(p, cj_graph_store(g));
 *     cj_tensor *value = NULL;
 *     cj_status failed = cj_run(s, (cj_feed[]){{x, xs}, {y, ys}}, 2, &value, 1);
 *
 * While a session runs, subnormal numbers count as zero: vector units take tens of times longer
 * over them, and training makes them for ever. The thread's mode is put back afterwards.
 *
 * A program is immutable and shared by threads; a session belongs to one thread at a time and holds
 * workspace, plans, store and message. A plan is made for each binding of the symbols and kept. */
#ifndef CAJAL_RUN_H
#define CAJAL_RUN_H

#include <cajal/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cj_program cj_program;
typedef struct cj_session cj_session;

/* New values of variables, committed together at the end of a run. */
typedef struct cj_update {
    cj_node *variable, *value; /* of one type */
} cj_update;

enum { CJ_OUTPUTS_MAX = 16 };

typedef struct cj_compile_opts {
    size_t struct_size;
    cj_node *outputs[CJ_OUTPUTS_MAX]; /* up to the first NULL; */
    cj_node *const *output_list;      /* or these. Neither: the graph's own outputs */
    int n_outputs;
    const cj_update *updates;         /* ended by {NULL, NULL}; cj_updates makes them */
    cj_node *commit_if;               /* bool scalar: false leaves the store as it was */
    bool training;                    /* what cj_training(g) is */
    bool no_passes;                   /* run the calls as they were built */
    cj_recompute recompute;           /* the same results with less memory */
    cj_precision precision;           /* mixed: products in 16 bits */
    const cj_update *always;          /* as updates, but commit_if is not asked */
} cj_compile_opts;

/* Takes what the outputs and updates need from the graph, simplifies and fuses it. The graph may be
 * freed afterwards: cj_program_input gives the inputs. NULL with a message when the graph has
 * failed, an output belongs to another graph, two updates meet. */
CJ_API cj_program *cj_compile(cj_graph *g, const cj_compile_opts *opts);
CJ_API void cj_program_free(cj_program *program); /* after its sessions */
CJ_API int cj_program_input_count(const cj_program *program);
CJ_API const char *cj_program_input_name(const cj_program *program, int i);
CJ_API const cj_type *cj_program_input_type(const cj_program *program, int i);
/* The input of that name, to be fed; NULL when there is none. */
CJ_API const cj_node *cj_program_input(const cj_program *program, const char *name);
CJ_API int cj_program_output_count(const cj_program *program);
/* The graph that runs, after the passes: to print or draw it. */
CJ_API cj_graph *cj_program_graph(const cj_program *program);

/* store: NULL for a program without variables; else it must have them all. backend: NULL for the
 * best there is, "reference", "cpu" ...; threads 0: the context's. */
typedef struct cj_session_opts {
    size_t struct_size;
    const char *backend;
    int threads;
    int plans; /* how many plans are kept; 0: 8 */
    bool profile; /* a clock around every kernel, read by cj_session_step_at: 0.1 us each */
    /* The most that a run may take, in nanoseconds as its operations and bytes let expect (no clock
     * is asked, so the same run is always refused): then CJ_ERR_LIMIT. For what nobody has looked
     * at, such as the loops of somebody's file. 0: any. */
    int64_t work_max;
} cj_session_opts;
CJ_API cj_session *cj_session_new_opts(cj_program *program, cj_store *store,
                                       const cj_session_opts *opts);
CJ_API cj_session *cj_session_new(cj_program *program, cj_store *store);
CJ_API void cj_session_free(cj_session *s);
/* Name of backend i, best first, the last is "reference"; NULL past the last. And what it is, in a
 * sentence. */
CJ_API const char *cj_backend_name_at(int i);
CJ_API const char *cj_backend_doc_at(int i);
/* Which form of its kernels backend i runs on this processor: "avx512", "avx2", "neon", "generic";
 * NULL when there is one form only, or no such backend. */
CJ_API const char *cj_backend_variant_at(int i);
/* The message of the session's last failure: its own, so that threads do not share one. */
CJ_API const char *cj_session_message(const cj_session *s);

/* What one input is in a run. node: a placeholder of the graph that was compiled, or what
 * cj_program_input gives. */
typedef struct cj_feed {
    const cj_node *node;
    const cj_tensor *value;
} cj_feed;

/* Runs once. Every placeholder is fed; dtypes and shapes must fit. outputs[i]: NULL makes a tensor
 * (the caller frees); a tensor of the right dtype and shape is written to. Updates are committed
 * when commit_if holds or there is none. A failed run leaves the store as it was; so the context's
 * `cancel` is not asked any more when only what updates need is left, often all gradients. */
CJ_API cj_status cj_run(cj_session *s, const cj_feed *feeds, int n_feeds, cj_tensor **outputs,
                        int n_outputs);

/* Makes the plan that running with such feeds would use, and its workspace, but runs nothing: of
 * the feeds, dtypes and shapes count. What depends on sizes found while running is left out. */
CJ_API cj_status cj_session_plan(cj_session *s, const cj_feed *feeds, int n_feeds);

/* What a session holds and did. Bytes of the largest plan's arena, plans made, did the last run
 * commit? */
typedef struct cj_session_info {
    size_t arena_bytes;
    size_t kept_bytes; /* of all plans: what was made of weights once, such as packed copies, and
                        * the plans themselves. oneDNN's own memory is not counted. */
    int plans, steps; /* steps: kernels in the last plan */
    bool committed;
    int64_t work;     /* of all runs, as work_max counts; 0 without one */
} cj_session_info;
CJ_API void cj_session_get_info(const cj_session *s, cj_session_info *info);

/* Kernel by kernel, what the last run was made of and, with `profile`, what it took. */
typedef struct cj_step_info {
    const char *kernel; /* "cpu/gemm"; "reference" when no backend has one */
    const char *op;     /* "matmul" */
    const char *layer;  /* "dense_1", "dense_1 backward", "adam", a node's name in an ONNX file; */
    const char *where;  /* "mlp.c:14"; either may be NULL */
    cj_dtype dtype;     /* of its first result */
    int rank;
    const int64_t *dims;
    int threads;        /* it may use */
    /* Of one run. A multiply-add is two floating-point operations; bytes are those of the operands
     * and results, each once; reordered are bytes only moved from one layout to another. */
    double multiply_adds, bytes, bytes_reordered;
    /* Since the plan was made or cj_session_profile_reset. In nanoseconds on the context's
     * monotonic clock: all runs, the shortest, the last, and when the last began. All 0 without
     * `profile`. */
    int64_t calls, total_ns, best_ns, last_ns, begin_ns;
} cj_step_info;
/* Kernel i of the last run in its order; false past the last. Texts and dims live until the next
 * run. A kernel that depends on weights alone is listed, though it runs only when they change. */
CJ_API bool cj_session_step_at(const cj_session *s, int i, cj_step_info *info);
CJ_API void cj_session_profile_reset(cj_session *s);

/* The roof over all kernels, as it is now: f32 multiply-adds that wait for nothing (two operations
 * each), and sums of two arrays too large for any cache (12 bytes an element). The best of some
 * short loops on `threads` threads (0: the context's); 0.1 s and 96 MB for a moment. */
typedef struct cj_roof {
    double gflops, gb_per_s;
} cj_roof;
CJ_API cj_status cj_measure_roof(cj_context *cj, int threads, cj_roof *roof);

/* One line a kernel of the last plan: name, backend, shapes, where its outputs live. */
CJ_API cj_status cj_session_print(cj_session *s, FILE *to);

#if !defined(__cplusplus) && !defined(CJ_NO_KEYWORDS)
#define cj_compile(g, ...) \
    (cj_compile)(g, &(cj_compile_opts){.struct_size = sizeof(cj_compile_opts), __VA_ARGS__})
#endif

#ifdef __cplusplus
}
#endif
#endif
