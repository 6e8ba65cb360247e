/* profile.c: kernels grouped, sorted and held against the roof.
 *
 * Kernels of one name, operator and layer are one row; in a short table so are layers of one
 * result, forward or backward: "layer1.* backward". A row's time in a step is its shortest run
 * times how often it runs in a step: on a shared machine only the shortest time is the program's
 * own. Its share of the roof is the larger of two: of the multiply-adds, and of the speed of
 * memory. A value that stays in a cache moves faster than memory, so the second may pass 100 %. */
#include "cli/profile.h"

#include <stdlib.h>
#include <string.h>

typedef struct row {
    cj_step_info first;
    int kernels; /* of one step */
    int layers;
    size_t prefix; /* how many bytes the names of several layers begin with */
    double seconds, multiply_adds, bytes, reordered;
} row;

typedef struct rows {
    row *items;
    int count;
    double seconds; /* of all */
} rows;

/* ---- Grouping -------------------------------------------------------------------------------- */

cli_totals cli_profile_totals(const cj_session *s)
{
    cli_totals t = {0};
    cj_step_info info;
    for (; cj_session_step_at(s, t.kernels, &info); t.kernels++) {
        t.multiply_adds += info.multiply_adds;
        t.bytes += info.bytes;
        t.bytes_reordered += info.bytes_reordered;
    }
    return t;
}

double cli_profile_seconds(const cj_session *s)
{
    cj_step_info info;
    int64_t sum = 0;
    for (int i = 0; cj_session_step_at(s, i, &info); i++) sum += info.total_ns;
    return (double)sum * 1e-9;
}

static bool equal(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static row *row_of(rows *all, const cj_step_info *info)
{
    for (int i = 0; i < all->count; i++) {
        const cj_step_info *other = &all->items[i].first;
        if (equal(other->kernel, info->kernel) && equal(other->op, info->op) &&
            equal(other->layer, info->layer) && (info->layer || equal(other->where, info->where)))
            return &all->items[i];
    }
    all->items[all->count] = (row){.first = *info, .layers = 1};
    return &all->items[all->count++];
}

static int slower(const void *a, const void *b)
{
    double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return (x < y) - (x > y);
}

static const char backward[] = " backward";

static bool is_backward(const char *layer)
{
    const size_t n = strlen(layer), ending = sizeof backward - 1;
    return n > ending && !strcmp(layer + n - ending, backward);
}

static bool is_alike(const cj_step_info *a, const cj_step_info *b)
{
    return a->layer && b->layer && is_backward(a->layer) == is_backward(b->layer) &&
           equal(a->kernel, b->kernel) && equal(a->op, b->op) && a->dtype == b->dtype &&
           a->rank == b->rank &&
           (!a->rank || !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims));
}

/* Rows of several layers as one. */
static void unite(rows *all)
{
    int n = 0;
    for (int i = 0; i < all->count; i++) {
        const row r = all->items[i];
        row *to = all->items;
        while (to < all->items + n && !is_alike(&to->first, &r.first)) to++;
        if (to == all->items + n) {
            *to = r;
            to->prefix = r.first.layer ? strlen(r.first.layer) : 0;
            n++;
            continue;
        }
        size_t common = 0;
        while (common < to->prefix && to->first.layer[common] == r.first.layer[common]) common++;
        to->prefix = common;
        to->layers++;
        to->kernels += r.kernels;
        to->seconds += r.seconds;
        to->multiply_adds += r.multiply_adds;
        to->bytes += r.bytes;
        to->reordered += r.reordered;
    }
    all->count = n;
    qsort(all->items, (size_t)n, sizeof(row), slower);
}

/* Kernels that did not run in every run (they depend on weights alone) count by their part. */
static bool group(const cj_session *s, rows *all)
{
    int n = cli_profile_totals(s).kernels;
    int64_t runs = 0;
    cj_step_info info;
    *all = (rows){calloc((size_t)n + 1, sizeof(row)), 0, 0};
    if (!all->items) return false;
    for (int i = 0; cj_session_step_at(s, i, &info); i++)
        if (info.calls > runs) runs = info.calls;
    for (int i = 0; cj_session_step_at(s, i, &info); i++) {
        row *r = row_of(all, &info);
        double part = runs ? (double)info.calls / (double)runs : 0;
        r->kernels++;
        r->seconds += (double)info.best_ns * 1e-9 * part;
        r->multiply_adds += info.multiply_adds * part;
        r->bytes += info.bytes * part;
        r->reordered += info.bytes_reordered * part;
        all->seconds += (double)info.best_ns * 1e-9 * part;
    }
    qsort(all->items, (size_t)all->count, sizeof(row), slower);
    return true;
}

/* ---- Against the roof ------------------------------------------------------------------------ */

static double gflops(const row *r)
{
    return r->seconds > 0 ? 2e-9 * r->multiply_adds / r->seconds : 0;
}
static double gb_per_s(const row *r) { return r->seconds > 0 ? 1e-9 * r->bytes / r->seconds : 0; }
static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

static double of_roof(const row *r, const cj_roof *roof)
{
    double products = ratio(gflops(r), roof->gflops), memory = ratio(gb_per_s(r), roof->gb_per_s);
    return products > memory ? products : memory;
}

/* ---- The sentence ---------------------------------------------------------------------------- */

static bool is_reference(const row *r) { return !strcmp(r->first.kernel, "reference"); }

/* Adds up rows of one kind; `op` NULL: sweeps over memory. */
static row sum_of(const rows *all, const char *op, bool reference)
{
    row sum = {0};
    for (int i = 0; i < all->count; i++) {
        const row *r = &all->items[i];
        bool product = r->multiply_adds > 0;
        if (is_reference(r) != reference) continue;
        if (!reference && (op ? !product || strcmp(op, r->first.op) != 0 : product)) continue;
        sum.seconds += r->seconds;
        sum.multiply_adds += r->multiply_adds;
        sum.bytes += r->bytes;
    }
    return sum;
}

/* "61 % of the step is conv", after a semicolon from the second on; nothing below a hundredth. */
static bool print_part(FILE *to, bool *begun, double seconds, double step, const char *what)
{
    if (seconds < 0.01 * step) return false;
    fprintf(to, "%s%.0f %% of the step is %s", *begun ? "; " : "", 100 * seconds / step, what);
    return *begun = true;
}

static void print_share(FILE *to, double part, double whole, const char *of)
{
    if (whole > 0) fprintf(to, ", at %.0f %% of %s", 100 * part / whole, of);
}

static void print_sentence(FILE *to, const rows *all, double step, const cj_roof *roof)
{
    const char *told[256];
    int n_told = 0;
    bool begun = false;
    for (int i = 0; i < all->count; i++) {
        const row *r = &all->items[i];
        bool again = r->multiply_adds <= 0 || is_reference(r);
        for (int k = 0; k < n_told && !again; k++) again = !strcmp(told[k], r->first.op);
        if (again || n_told == 256) continue;
        told[n_told++] = r->first.op;
        row sum = sum_of(all, r->first.op, false);
        if (print_part(to, &begun, sum.seconds, step, r->first.op))
            print_share(to, gflops(&sum), roof->gflops, "the roof");
    }
    row sweeps = sum_of(all, NULL, false), reference = sum_of(all, NULL, true);
    bool cached = roof->gb_per_s > 0 && gb_per_s(&sweeps) > roof->gb_per_s;
    if (print_part(to, &begun, sweeps.seconds, step,
                   cached ? "sweeps over values in cache" : "sweeps over memory"))
        print_share(to, gb_per_s(&sweeps), roof->gb_per_s, "the speed of memory");
    print_part(to, &begun, reference.seconds, step, "reference kernels, which are exact and slow");
    print_part(to, &begun, step - all->seconds, step, "between kernels");
    fputs(".\n", to);
}

/* ---- The table ------------------------------------------------------------------------------- */

static void print_shape(FILE *to, const cj_step_info *info)
{
    char text[128];
    int n = 0;
    text[0] = 0;
    for (int i = 0; i < info->rank && n < 100; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%lld", i ? "," : "",
                      (long long)info->dims[i]);
    fprintf(to, "%s[%s]", cj_dtype_info(info->dtype)->name, text);
}

/* The place in the source without its folder. */
static const char *short_where(const cj_step_info *info)
{
    const char *slash = info->where ? strrchr(info->where, '/') : NULL;
    return slash ? slash + 1 : info->where;
}

/* "conv1", of several "layer1.* backward" or "6 layers backward". */
static const char *name_layers(const row *r, char *name, size_t room)
{
    enum { TELLING = 3 }; /* bytes of a common beginning */
    const char *layer = r->first.layer ? r->first.layer : short_where(&r->first);
    if (r->layers == 1) return layer ? layer : "-";
    const char *end = is_backward(layer) ? backward : "";
    if (r->prefix < TELLING) snprintf(name, room, "%d layers%s", r->layers, end);
    else snprintf(name, room, "%.*s*%s", (int)r->prefix, layer, end);
    return name;
}

static void print_row(FILE *to, const row *r, double step, const cj_roof *roof)
{
    char several[200];
    fprintf(to, "%9.4f %5.1f %5d %8.1f %7.1f %5.0f  %-24s %-18s %-32s ", r->seconds * 1e3,
            100 * ratio(r->seconds, step), r->kernels, gflops(r), gb_per_s(r),
            100 * of_roof(r, roof), r->first.kernel, r->first.op,
            name_layers(r, several, sizeof several));
    print_shape(to, &r->first);
    fputc('\n', to);
}

bool cli_profile_print(FILE *to, const cj_session *s, double between, const cj_roof *roof, int most)
{
    rows all;
    if (!group(s, &all)) return false;
    if (most) unite(&all);
    double step = all.seconds + between, rest = 0;
    cli_totals totals = cli_profile_totals(s);
    fprintf(to, "       ms     %% calls  GFLOP/s    GB/s roof%%  %-24s %-18s %-32s result\n",
            "kernel", "operator", "layer");
    for (int i = 0; i < all.count; i++) {
        if (!most || i < most) print_row(to, &all.items[i], step, roof);
        else rest += all.items[i].seconds;
    }
    if (most && all.count > most)
        fprintf(to, "%9.4f %5.1f       %d rows more: --verbose shows them\n", rest * 1e3,
                100 * ratio(rest, step), all.count - most);
    fprintf(to, "%d kernels, %.3f ms of %.3f ms; %.1f MB moved, %.1f MB of them reordered\n",
            totals.kernels, all.seconds * 1e3, step * 1e3, totals.bytes * 1e-6,
            totals.bytes_reordered * 1e-6);
    print_sentence(to, &all, step, roof);
    free(all.items);
    return true;
}

/* ---- Doubts ---------------------------------------------------------------------------------- */

/* Ten roofs, one after another with little else going on: multiply-adds within 3 % of each other,
 * sweeps over memory within 45 %. Nothing but tiles multiplies matrices faster than the roof;
 * convolutions and attention may leave out what is counted: products with padding, with what is
 * masked, Winograd's.
 */
static const double MOVED = 1.25, MEMORY_MOVED = 1.6;
enum { SHORTEST_NS = 10000 }; /* that a clock measures well */

static bool moved(double a, double b, double most)
{
    return ratio(a, b) > most || ratio(b, a) > most;
}

void cli_profile_doubts(FILE *to, const cj_session *s, const cj_roof *before,
                        const cj_roof *after)
{
    cj_step_info info;
    if (moved(before->gflops, after->gflops, MOVED) ||
        moved(before->gb_per_s, after->gb_per_s, MEMORY_MOVED)) {
        fprintf(to, "the machine was busy: its roof was %.1f GFLOP/s, %.1f GB/s before and %.1f, "
                "%.1f after; the shares of it are doubtful\n",
                before->gflops, before->gb_per_s, after->gflops, after->gb_per_s);
        return;
    }
    for (int i = 0; s && cj_session_step_at(s, i, &info); i++) {
        const double share =
            ratio(ratio(2 * info.multiply_adds, (double)info.best_ns), before->gflops);
        if (strcmp(info.op, "matmul") || !strncmp(info.kernel, "amx/", 4) ||
            info.dtype != CJ_F32 || info.best_ns < SHORTEST_NS || share <= MOVED)
            continue;
        fprintf(to, "the machine was busy when its roof was measured: %s is at %.0f %% of it; the "
                "shares are doubtful\n", info.kernel, 100 * share);
        return;
    }
}

bool cli_profile_json(cli_json *j, const char *key, const cj_session *s, const cj_roof *roof)
{
    rows all;
    if (!group(s, &all)) return false;
    cli_json_list(j, key);
    for (int i = 0; i < all.count; i++) {
        const row *r = &all.items[i];
        cli_json_object(j, NULL);
        cli_json_string(j, "kernel", r->first.kernel);
        cli_json_string(j, "op", r->first.op);
        cli_json_string(j, "layer", r->first.layer);
        cli_json_string(j, "where", short_where(&r->first));
        cli_json_int(j, "calls", r->kernels);
        cli_json_number(j, "ms", r->seconds * 1e3);
        cli_json_number(j, "gflops", gflops(r));
        cli_json_number(j, "gb_per_s", gb_per_s(r));
        cli_json_number(j, "of_roof", of_roof(r, roof));
        cli_json_number(j, "reordered_bytes", r->reordered);
        cli_json_end(j);
    }
    cli_json_end(j);
    free(all.items);
    return true;
}

/* ---- Traces ---------------------------------------------------------------------------------- */

static void trace_name(cli_trace *t, const char *name)
{
    cli_json *j = &t->json;
    cli_json_object(j, NULL);
    cli_json_string(j, "name", "process_name");
    cli_json_string(j, "ph", "M");
    cli_json_int(j, "pid", t->processes);
    cli_json_object(j, "args");
    cli_json_string(j, "name", name);
    cli_json_end(j);
    cli_json_end(j);
}

/* Times are in microseconds, and every measurement begins at 0. */
static void trace_event(cli_trace *t, const cj_step_info *info, int64_t origin)
{
    cli_json *j = &t->json;
    cli_json_object(j, NULL);
    cli_json_string(j, "name", info->op);
    cli_json_string(j, "cat", info->kernel);
    cli_json_string(j, "ph", "X");
    cli_json_number(j, "ts", (double)(info->begin_ns - origin) * 1e-3);
    cli_json_number(j, "dur", (double)info->last_ns * 1e-3);
    cli_json_int(j, "pid", t->processes);
    cli_json_int(j, "tid", 1);
    cli_json_object(j, "args");
    cli_json_string(j, "kernel", info->kernel);
    cli_json_string(j, "layer", info->layer);
    cli_json_string(j, "where", short_where(info));
    cli_json_string(j, "dtype", cj_dtype_info(info->dtype)->name);
    cli_json_list(j, "shape");
    for (int i = 0; i < info->rank; i++) cli_json_int(j, NULL, info->dims[i]);
    cli_json_end(j);
    cli_json_int(j, "threads", info->threads);
    cli_json_number(j, "multiply_adds", info->multiply_adds);
    cli_json_number(j, "bytes", info->bytes);
    cli_json_number(j, "gflops",
                    ratio(2 * info->multiply_adds, (double)info->last_ns));
    cli_json_number(j, "gb_per_s", ratio(info->bytes, (double)info->last_ns));
    cli_json_end(j);
    cli_json_end(j);
}

void cli_trace_begin(cli_trace *t, FILE *to)
{
    *t = (cli_trace){.json = {.to = to}};
    cli_json_object(&t->json, NULL);
    cli_json_string(&t->json, "displayTimeUnit", "ns");
    cli_json_list(&t->json, "traceEvents");
}

/* What ran in the last run began after everything that did not. */
void cli_trace_add(cli_trace *t, const char *name, const cj_session *s)
{
    cj_step_info info;
    int64_t most = 0, origin = 0;
    t->processes++;
    trace_name(t, name);
    for (int i = 0; cj_session_step_at(s, i, &info); i++)
        if (info.calls > most) most = info.calls;
    for (int i = 0; cj_session_step_at(s, i, &info); i++)
        if (info.calls == most && (!origin || info.begin_ns < origin)) origin = info.begin_ns;
    for (int i = 0; cj_session_step_at(s, i, &info); i++)
        if (info.calls && info.begin_ns >= origin) trace_event(t, &info, origin);
}

void cli_trace_end(cli_trace *t)
{
    cli_json_end(&t->json);
    cli_json_end(&t->json);
    cli_json_line(&t->json);
}
