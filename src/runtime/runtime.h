/* runtime.h: the inside of programs, plans and sessions.
 *
 *     program   the graph after its passes, its outputs and updates: immutable, shared
 *     plan      for one binding of the symbols: order, kernels, places in one arena
 *     session   plans (a small LRU), workspace, the store, a message: one thread's
 *
 * The calls of a program are in segments. Segment 0 needs only what the inputs' shapes tell; each
 * later one also needs the sizes that a call at the end of an earlier segment finds out by running.
 */
#ifndef CAJAL_RUNTIME_RUNTIME_H
#define CAJAL_RUNTIME_RUNTIME_H

#include "backend/backend.h"

#include <cajal/run.h>

typedef struct cj__program_update {
    const char *name;     /* in the store */
    cj_node *variable; /* its reading node in the program's graph, or NULL when nobody reads it */
    cj_node *value;
    bool always;       /* commit_if is not asked */
} cj__program_update;

/* Late calls are needed by updates alone: they run when committing. */
typedef enum cj__late { CJ__EARLY, CJ__LATE, CJ__LAST /* as soon as it can */ } cj__late;

struct cj_program {
    cj_context *cj;
    cj__arena arena;
    cj_graph *graph;
    int n_outputs, n_updates, n_inputs; /* updates: those that are `always` come last */
    cj_node **outputs;
    cj_node *commit_if;              /* or NULL */
    cj__program_update *updates;
    const cj_node **original_inputs; /* by input: the placeholder of the graph that was compiled */
    unsigned char *live;             /* by call: some output or update needs it */
    unsigned char *late;             /* by call: cj__late */
    int *segment;                    /* by call */
    int n_segments;
    bool finds_sizes;                /* some call tells sizes by running */
    struct cj_program **bodies;      /* by call: of its body and its other body, or NULL */
    int n_bodies;
    cj__owned owned;
};

/* Where a value is. */
typedef enum cj__place {
    CJ__PLACE_NONE,
    CJ__PLACE_ARENA,
    CJ__PLACE_INPUT,
    CJ__PLACE_STORE,
    CJ__PLACE_CONSTANT,
    CJ__PLACE_EARLIER, /* in another segment's arena */
    CJ__PLACE_DYNAMIC, /* a tensor made while running */
    CJ__PLACE_HELD     /* in the plan's own memory: known from state alone */
} cj__place;

typedef struct cj__value {
    cj_array array;    /* concrete shape; data is set for each run */
    cj__place place;
    bool fixed;        /* state that the program does not update, or computed from such alone */
    size_t offset;     /* in the arena, or in the plan's held memory */
    int index;         /* input, store entry or value of the program */
    size_t bytes;
} cj__value;

typedef struct cj__step {
    const cj_call *call;
    const cj__kernel_row *row; /* NULL: the operator's reference kernel */
    const char *name;  /* of the kernel */
    cj_kernel_fn run;
    cj_kernel kernel;
    size_t workspace;  /* offset in the arena */
    /* Of a profiled session: `run` is cj__run_timed, and this is what it times. */
    cj_kernel_fn timed;
    int64_t calls, total_ns, best_ns, last_ns, begin_ns;
} cj__step;

typedef struct cj__plan {
    cj__arena arena;      /* of the plan's own structures */
    int segment;
    int64_t *symbols;     /* the binding this plan is for */
    cj__value *values;    /* by value number: see cj__value_of */
    cj__step *steps;
    /* Steps [0, n_fixed) depend on state alone that the program does not update: they run when its
     * version is not the one they ran for. Steps [n_early, n_steps) run when committing. */
    int n_fixed, n_early, n_steps;
    uint64_t version;     /* of the fixed values; 0: not computed yet */
    int *fixed_entries;   /* of the store, that are read and fixed */
    int n_fixed_entries;
    void *held;           /* where they are */
    size_t held_bytes;
    bool *in_place;       /* by update: its value is computed where the variable lives */
    size_t *stage; /* by update: where a value that is itself state is kept while others commit */
    size_t arena_bytes;
    uint64_t used;        /* for the LRU */
} cj__plan;

struct cj_session {
    cj_program *program;
    cj_context cj;           /* a child: the session's message */
    cj_store *store;
    const cj__backend *backend;
    cj__team *team;
    cj__plan **plans;
    int n_plans, plans_max;
    uint64_t clock;
    void **workspace;        /* by segment */
    size_t *workspace_bytes;
    int *value_base;         /* by call: number of its first output */
    int n_values;
    cj_tensor **dynamic;     /* by value: what a dynamic call made, until the next run */
    int64_t *symbols;        /* of the run */
    const cj_tensor **inputs; /* of the run, by input */
    bool *made_output;       /* by output: the run makes its tensor */
    cj__plan **active;       /* by segment: the plans of the run */
    cj__plan *last;          /* the last plan run, to print */
    cj__arena arena;
    int made;                /* plans made so far */
    bool profile;            /* steps are timed */
    bool inside;             /* a body's: team and store are the outer session's */
    struct cj__work {
        int64_t max, left, spent; /* ns; max 0: none is counted */
    } own_work, *work;       /* a body's is the outer session's */
    bool committed;
    int *store_index;        /* by call: entry of a variable */
    cj__owned owned;
};

/* plan.c: a plan for s->symbols (all of this segment's are known). NULL with the session's message.
 */
cj__plan *cj__plan_new(cj_session *s, int segment);
void cj__plan_free(cj_session *s, cj__plan *plan);
int cj__value_of(const cj_session *s, const cj_node *node);
/* The value of a node in the active plan of its segment. */
cj__value *cj__session_value(cj_session *s, const cj_node *node);

/* plan.c: about how long a kernel takes on one core, in nanoseconds. */
double cj__kernel_ns(const cj_kernel *k);
/* run.c: takes that much from what a run may spend; CJ_ERR_LIMIT when it is not there. A step of a
 * plan or of a loop takes CJ__STEP_NS beside what its kernels do. */
enum { CJ__STEP_NS = 500 };
cj_status cj__spend(cj_session *s, double ns);

/* run.c: a session for a body, in a plan of `outer`: with its store, backend and threads. The
 * caller frees. NULL with the message of `outer`. */
cj_session *cj__session_new_inside(cj_program *program, cj_session *outer);

/* print.c: tells the log what was planned and why. */
void cj__plan_log(cj_session *s, const cj__plan *plan);

/* profile.c: runs a step's `timed` with a clock around it. */
cj_status cj__run_timed(const cj_kernel *kernel);

/* control.c: kernels of if, loop, scan. */
extern const cj__kernel_row cj__control_kernels[];
/* For a kernel whose output size is found while running: gives output k its tensor; the session
 * takes it. */
cj_status cj__dynamic_output(const cj_kernel *kernel, int k, cj_tensor *tensor);

#endif
