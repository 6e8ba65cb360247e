/* summary.c: Keras 3's table of a model, character for character as it stands in an 80-column
 * terminal without colour, and one line more: the multiply-adds of one sample.
 *
 * A chain of layers has three columns, anything else a fourth that says where a layer's inputs come
 * from, and a row for each input. What does not fit a cell goes on in the next line, broken at
 * blanks where there are. */
#include "nn/model.h"

#include <string.h>

enum { COLUMNS_MAX = 4 };

typedef struct table {
    cj__text out;
    int columns;
    const int *width; /* inside, without the blank on each side */
    const bool *right;
} table;

static const int chain_width[] = {31, 22, 13}, graph_width[] = {19, 17, 10, 17};
static const bool right[] = {false, false, true, false};
static const char *const header[] = {"Layer (type)", "Output Shape", "Param #", "Connected to"};

/* ---- Cells ----------------------------------------------------------------------------------- */

/* "┏━━━┳━━━┓" from its parts. */
static void rule(table *t, const char *left, const char *line, const char *middle, const char *end)
{
    for (int i = 0; i < t->columns; i++) {
        cj__text_add(&t->out, i ? middle : left);
        for (int k = 0; k < t->width[i] + 2; k++) cj__text_add(&t->out, line);
    }
    cj__text_add(&t->out, end);
    cj__text_char(&t->out, '\n');
}

/* How much of `text` goes on this line; *next: where the following line begins. */
static int line_length(const char *text, int width, const char **next)
{
    int length = (int)strlen(text), cut = width;
    *next = text + length;
    if (length <= width) return length;
    while (cut > 0 && text[cut] != ' ') cut--;
    if (cut == 0) cut = width; /* a word longer than the cell is cut */
    *next = text + cut + (text[cut] == ' ');
    return cut;
}

static void row(table *t, const char *const *cell, const char *bar)
{
    const char *rest[COLUMNS_MAX], *next[COLUMNS_MAX];
    for (int i = 0; i < t->columns; i++) rest[i] = cell[i];
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < t->columns; i++) {
            int n = line_length(rest[i], t->width[i], &next[i]), blanks = t->width[i] - n;
            cj__text_format(&t->out, "%s %*s%.*s%*s ", bar, t->right[i] ? blanks : 0, "", n,
                            rest[i], t->right[i] ? 0 : blanks, "");
            rest[i] = next[i];
            more |= *rest[i] != 0;
        }
        cj__text_add(&t->out, bar);
        cj__text_char(&t->out, '\n');
    }
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* "101,770" */
static const char *grouped(char out[32], int64_t value)
{
    char digits[24];
    int n = cj__format(digits, sizeof digits, "%lld", (long long)value), to = 0;
    for (int i = 0; i < n; i++) {
        out[to++] = digits[i];
        if ((n - i - 1) % 3 == 0 && i + 1 < n) out[to++] = ',';
    }
    out[to] = 0;
    return out;
}

/* "397.54 KB" */
static void add_size(cj__text *out, double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    size_t i = 0;
    while (bytes >= 1024 && i + 1 < CJ__COUNT(units)) bytes /= 1024, i++;
    cj__text_format(out, "%.2f %s", bytes, units[i]);
}

static void add_total(cj__text *out, const char *what, int64_t count, int bits)
{
    char number[32];
    cj__text_format(out, " %s params: %s (", what, grouped(number, count));
    add_size(out, (double)count * bits / 8);
    cj__text_add(out, ")\n");
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Words that Keras writes in capitals. */
static bool is_initials(const char *word, size_t length)
{
    static const char *const all[] = {"lstm", "gru", "rnn", "rms"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i]) == length && !memcmp(all[i], word, length)) return true;
    return false;
}

/* "max_pool2d" -> "MaxPool2D", "simple_rnn" -> "SimpleRNN" */
static void add_type(cj__text *out, const char *name)
{
    while (*name) {
        size_t length = strcspn(name, "_");
        bool initials = is_initials(name, length), upper = true;
        for (; length; length--, name++) {
            bool lower = *name >= 'a' && *name <= 'z';
            cj__text_char(out, upper && lower ? (char)(*name - 'a' + 'A') : *name);
            upper = initials || (*name >= '0' && *name <= '9');
        }
        name += *name == '_';
    }
}

/* "(None, 28, 28, 1)" */
static void add_shape(cj__text *out, const cj_type *type)
{
    cj__text_char(out, '(');
    for (int i = 0; i < type->rank; i++) {
        if (i) cj__text_add(out, ", ");
        if (type->dim[i] < 0) cj__text_add(out, "None");
        else cj__text_format(out, "%lld", (long long)type->dim[i]);
    }
    cj__text_add(out, type->rank == 1 ? ",)" : ")");
}

/* Which layer or input made `node`, or else what its operand came from: a program may put operators
 * of its own between layers. */
static const char *maker(const cj__layers *layers, const cj_node *node)
{
    for (;;) {
        for (int i = layers->count - 1; i >= 0; i--)
            if (layers->items[i].y == node) return layers->items[i].name;
        if (node->call->op == &cj_op_input) return node->name;
        if (!node->call->n_in) return "-";
        node = node->call->in[0];
    }
}

static int64_t parameters_of(const cj_graph *g, const cj__layer_record *r)
{
    int64_t sum = r->state_elements;
    for (int i = 0; i < r->n_parameters; i++) {
        const cj_type *type = &g->parameters.items[r->first_parameter + i].node->type;
        int64_t count = 1;
        for (int k = 0; k < type->rank; k++) count *= type->dim[k];
        sum += count;
    }
    return sum;
}

static void add_row(table *t, const char *name, const char *type, const cj_type *shape,
                    int64_t parameters, const char *from)
{
    cj__text cell[2];
    char number[32];
    for (int i = 0; i < 2; i++) cj__text_init(&cell[i], t->out.cj);
    cj__text_format(&cell[0], "%s (", name);
    add_type(&cell[0], type);
    cj__text_char(&cell[0], ')');
    add_shape(&cell[1], shape);
    row(t,
        (const char *const[]){cj__text_string(&cell[0]), cj__text_string(&cell[1]),
                              grouped(number, parameters), from},
        "│");
    for (int i = 0; i < 2; i++) {
        if (cell[i].failed) t->out.failed = cell[i].failed;
        cj__text_release(&cell[i]);
    }
}

/* By call: do the outputs need it? What moves running statistics on is not shown. NULL without
 * memory: all is. */
static unsigned char *needed_calls(const cj_graph *g)
{
    unsigned char *needed = cj__alloc(g->cj, (size_t)g->n_calls + 1);
    for (int i = 0; needed && i < g->outputs.count; i++)
        cj__graph_mark(g, &g->outputs.items[i].node, 1, needed);
    return needed;
}

static void free_needed(const cj_graph *g, unsigned char *needed)
{
    cj__free(g->cj, needed, (size_t)g->n_calls + 1);
}

/* A graph without layers, as other programs save them, is shown by its operators; what one node of
 * a file became is a row, named as freeze= calls it. */
typedef struct file_node {
    const char *name;
    const cj_call *main, *last; /* what says what it does; what its result is of */
    int first, past;            /* its calls, and maybe some that compute nothing */
    int64_t parameters;         /* variables among the operands of its calls */
} file_node;

static bool computes(const cj_graph *g, const unsigned char *needed, int k)
{
    return g->calls[k]->n_in > 0 && (!needed || needed[k]);
}

static int64_t variables_of(const cj_call *call)
{
    int64_t sum = 0;
    for (int n = 0; n < call->n_in; n++) {
        const cj_node *x = call->in[n];
        if (x->call->op != &cj_op_variable) continue;
        int64_t count = 1;
        for (int axis = 0; axis < x->type.rank; axis++) count *= x->type.dim[axis];
        sum += count;
    }
    return sum;
}

static bool moves(const cj_call *call)
{
    return call->op->flags & CJ_OP_VIEW || call->op == &cj_op_broadcast ||
           call->op == &cj_op_transpose;
}

/* The first call with weights says what a node does, or else the last: but for what moves numbers
 * only. */
static void add_to_node(file_node *node, const cj_call *call)
{
    const cj_call *main = node->main;
    if (!main || moves(main) || (!moves(call) && !variables_of(main))) node->main = call;
    node->last = call;
    node->parameters += variables_of(call);
}

/* Number i of the nodes that compute. */
static bool file_node_at(const cj_graph *g, const unsigned char *needed, int i, file_node *node)
{
    for (int k = 0; k < g->n_calls; k = node->past) {
        *node = (file_node){.first = k, .past = k + 1};
        if (!computes(g, needed, k)) continue;
        const char *layer = g->calls[k]->layer;
        add_to_node(node, g->calls[k]);
        node->name = layer && *layer               ? layer
                     : g->calls[k]->out[0].name ? g->calls[k]->out[0].name
                                                : g->calls[k]->op->name;
        for (int next = k + 1; layer && *layer && next < g->n_calls; next++) {
            if (!computes(g, needed, next)) continue;
            if (!g->calls[next]->layer || strcmp(g->calls[next]->layer, layer) != 0) break;
            add_to_node(node, g->calls[next]);
            node->past = next + 1;
        }
        if (i-- == 0) return true;
    }
    return false;
}

static void separator(table *t) { rule(t, "├", "─", "┼", "┤"); }

static void add_layer(table *t, const cj_graph *g, const cj__layers *layers,
                      const cj__layer_record *r)
{
    cj__text from;
    cj__text_init(&from, t->out.cj);
    for (int i = 0; t->columns == 4 && i < r->n; i++)
        cj__text_format(&from, "%s%s[0][0]", i ? ", " : "", maker(layers, r->x[i]));
    add_row(t, r->name, r->row->name, &r->y->type, parameters_of(g, r), cj__text_string(&from));
    if (from.failed) t->out.failed = from.failed;
    cj__text_release(&from);
}

static void add_nodes(table *t, const cj_graph *g)
{
    file_node node;
    unsigned char *needed = needed_calls(g);
    for (int i = 0; file_node_at(g, needed, i, &node); i++) {
        if (i) separator(t);
        add_row(t, node.name, node.main->op->name, &node.last->out[0].type, node.parameters, "");
    }
    free_needed(g, needed);
}

static bool follows(const cj_graph *g, const cj__layers *layers)
{
    if (g->inputs.count != 1) return false;
    const cj_node *x = NULL;
    for (int i = 0; i < layers->count; i++) {
        const cj__layer_record *r = &layers->items[i];
        if (r->inner) continue;
        if (r->n != 1 || (x && r->x[0] != x)) return false;
        x = r->y;
    }
    return true;
}

static void add_table(table *t, cj_model *m)
{
    const cj_graph *g = m->graph;
    const cj__layers *layers = g->layers;
    bool chain = t->columns == 3;
    cj__text_format(&t->out, "Model: \"%s\"\n",
                    chain && layers->count ? "sequential" : "functional");
    rule(t, "┏", "━", "┳", "┓");
    row(t, header, "┃");
    rule(t, "┡", "━", "╇", "┩");
    int inputs = chain ? 0 : g->inputs.count;
    for (int i = 0; i < inputs; i++) {
        if (i) separator(t);
        add_row(t, g->inputs.items[i].name, "input_layer", &g->inputs.items[i].node->type, 0, "-");
    }
    bool first = !inputs;
    for (int i = 0; i < layers->count; i++) {
        if (layers->items[i].inner) continue;
        if (!first) separator(t);
        first = false;
        add_layer(t, g, layers, &layers->items[i]);
    }
    if (!layers->count) add_nodes(t, g);
    rule(t, "└", "─", "┴", "┘");
}

/* Layer i of those that are not of another; NULL past the last. */
static const cj__layer_record *outer_layer(const cj__layers *layers, int i)
{
    int k = 0;
    while (k < layers->count && (layers->items[k].inner || i-- > 0)) k++;
    return k < layers->count ? &layers->items[k] : NULL;
}

bool cj_model_layer_at(cj_model *m, int i, cj_layer_info *info)
{
    const cj__layers *layers = m->graph->layers;
    file_node node;
    const bool by_nodes = layers && !layers->count && i >= 0;
    unsigned char *needed = by_nodes ? needed_calls(m->graph) : NULL;
    if (by_nodes && file_node_at(m->graph, needed, i, &node)) {
        int64_t sum = 0;
        for (int k = node.first; k < node.past; k++)
            if (computes(m->graph, needed, k))
                sum += cj__model_multiply_adds(m, NULL, m->graph->calls[k]);
        free_needed(m->graph, needed);
        *info = (cj_layer_info){node.name, node.main->op->name, &node.last->out[0].type,
                                node.parameters, sum};
        return true;
    }
    free_needed(m->graph, needed);
    const cj__layer_record *r = layers && i >= 0 ? outer_layer(layers, i) : NULL;
    if (!r) return false;
    *info = (cj_layer_info){r->name, r->row->name, &r->y->type, parameters_of(m->graph, r),
                            cj__model_multiply_adds(m, r->name, NULL)};
    return true;
}

cj_status cj_model_summary(cj_model *m, FILE *to)
{
    cj_model_counts counts;
    CJ__TRY(cj_model_count(m, &counts));
    const cj__layers *layers = m->graph->layers;
    bool chain = follows(m->graph, layers);
    table t = {.columns = chain ? 3 : 4,
               .width = chain ? chain_width : graph_width,
               .right = right};
    cj__text_init(&t.out, m->cj);
    add_table(&t, m);
    int bits = cj_dtype_info(layers->dtype)->bits;
    add_total(&t.out, "Total", counts.parameters, bits);
    add_total(&t.out, "Trainable", counts.trainable, bits);
    add_total(&t.out, "Non-trainable", counts.parameters - counts.trainable, bits);
    char number[32];
    cj__text_format(&t.out, " Multiply-adds: %s a sample\n", grouped(number, counts.multiply_adds));
    cj_status failed = t.out.failed;
    if (!failed && fwrite(t.out.bytes, 1, t.out.length, to) != t.out.length)
        failed = cj_fail(m->cj, CJ_ERR_IO, "cannot write the summary");
    cj__text_release(&t.out);
    return failed;
}
