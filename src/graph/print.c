/* print.c: a graph as text, one line a call, and as a picture for Graphviz.
 *
 *     %0 = input x : f32[batch, 784]
 *     %5 = matmul(%0, %3) transpose_b=true : f32[batch, 10]      # mlp.c:14
 *     output class = %5
 *
 * Bodies follow their call, indented. */
#include "graph/graph.h"

#include <string.h>

static void value_text(cj__text *out, const cj_node *node)
{
    cj__text_format(out, "%%%d", node->call->id);
    if (node->output) cj__text_format(out, ".%d", node->output);
}

static void attributes_text(cj__text *out, cj_graph *g, const cj_call *call)
{
    const cj_op *op = call->op;
    if (op == &cj_op_input || op == &cj_op_variable) {
        cj__text_format(out, " %s", ((const cj__source_attrs *)call->attributes)->name);
        return;
    }
    for (const cj_option *o = cj_option_row(op->attributes); o && o->type;
         o = cj_option_row(o + 1)) {
        const void *field = (const char *)call->attributes + o->offset;
        if (o->type == CJ_OPTION_TYPE_DIMS) {
            const cj_ints *dims = field;
            cj__text_format(out, " %s=[", o->name);
            for (int i = 0; i < dims->n; i++)
                cj__text_format(out, "%s%s", i ? ", " : "",
                                dims->v[i] == CJ_INFER ? "?" : cj_dim_text(g, dims->v[i]));
            cj__text_char(out, ']');
        } else if (o->type == CJ_OPTION_TYPE_TENSOR) {
            const cj_tensor *t = *(cj_tensor *const *)field;
            if (t && cj_tensor_count(t) == 1) {
                cj__text_char(out, ' ');
                cj__text_number(out, cj_load_f64(cj_tensor_dtype(t), cj_tensor_map_read(t), 0));
                cj_tensor_unmap(t);
            }
        } else if (o->type != CJ_OPTION_TYPE_GRAPH) {
            cj_option one[2] = {*o, CJ_OPTION_END};
            cj__text printed;
            cj__text_init(&printed, g->cj);
            cj__options_print(&printed, one, call->attributes, false);
            if (printed.length) cj__text_format(out, " %s", cj__text_string(&printed));
            cj__text_release(&printed);
        }
    }
}

static void call_text(cj__text *out, cj_graph *g, const cj_call *call, int indent)
{
    cj__text_format(out, "%*s%%%d = %s", indent, "", call->id, call->op->name);
    for (int i = 0; i < call->n_in; i++) {
        cj__text_add(out, i ? ", " : "(");
        value_text(out, call->in[i]);
    }
    if (call->n_in) cj__text_char(out, ')');
    attributes_text(out, g, call);
    cj__text_add(out, " : ");
    for (int i = 0; i < call->n_out; i++) {
        if (i) cj__text_add(out, ", ");
        cj__type_text(out, g, &call->out[i].type);
    }
    cj__text_char(out, '\n');
}

/* Depth is bounded by verify: bodies are trees of finite depth because a body exists before its
 * call. */
static void graph_text(cj__text *out, cj_graph *g, int indent)
{
    for (int i = 0; i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        call_text(out, g, call, indent);
        for (const cj_option *o = call->op->attributes; o && o->name && indent < 64; o++) {
            if (o->type != CJ_OPTION_TYPE_GRAPH) continue;
            cj_graph *body = *(cj_graph *const *)((const char *)call->attributes + o->offset);
            if (!body) continue;
            cj__text_format(out, "%*s%s:\n", indent + 2, "", o->name);
            graph_text(out, body, indent + 4);
        }
    }
    for (int i = 0; i < g->outputs.count; i++) {
        const char *name = g->outputs.items[i].name;
        cj__text_format(out, "%*soutput%s%s = ", indent, "", name ? " " : "", name ? name : "");
        value_text(out, g->outputs.items[i].node);
        cj__text_char(out, '\n');
    }
}

static cj_status put(cj_graph *g, cj__text *text, FILE *to)
{
    cj_status failed = text->failed;
    if (!failed && text->length && fwrite(text->bytes, 1, text->length, to) != text->length)
        failed = cj_fail(g->cj, CJ_ERR_IO, "cannot write the graph");
    cj__text_release(text);
    return failed;
}

void cj__graph_log(cj_graph *g)
{
    cj__text text;
    cj__text_init(&text, g->cj);
    graph_text(&text, g, 0);
    if (!text.failed) cj__log_lines(g->cj, cj__text_string(&text));
    cj__text_release(&text);
}

cj_status cj_graph_print(cj_graph *g, FILE *to)
{
    cj__text text;
    cj__text_init(&text, g->cj);
    graph_text(&text, g, 0);
    return put(g, &text, to);
}

/* Names may hold anything; Graphviz wants quotes and backslashes escaped. */
static void dot_string(cj__text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') cj__text_char(out, '\\');
        cj__text_char(out, *s == '\n' ? ' ' : *s);
    }
}

cj_status cj_graph_dot(cj_graph *g, FILE *to)
{
    cj__text text, label;
    cj__text_init(&text, g->cj);
    cj__text_init(&label, g->cj);
    cj__text_add(&text, "digraph cajal {\n  rankdir=TB;\n  node [shape=box, "
                        "fontname=\"sans-serif\", fontsize=10];\n"
                        "  edge [fontname=\"sans-serif\", fontsize=8];\n");
    for (int i = 0; i < g->n_calls; i++) {
        const cj_call *call = g->calls[i];
        cj__text_clear(&label);
        cj__text_add(&label, call->op->name);
        attributes_text(&label, g, call);
        cj__text_format(&text, "  n%d [label=\"", i);
        dot_string(&text, cj__text_string(&label));
        cj__text_format(&text, "\"%s];\n",
                        call->op == &cj_op_variable      ? ", style=filled, fillcolor=\"#d0e4f5\""
                        : call->op == &cj_op_input       ? ", style=filled, fillcolor=\"#d9ead3\""
                        : call->op->flags & CJ_OP_SOURCE ? ", style=filled, fillcolor=\"#eeeeee\""
                                                         : "");
        for (int k = 0; k < call->n_in; k++) {
            cj__text_clear(&label);
            cj__type_text(&label, g, &call->in[k]->type);
            cj__text_format(&text, "  n%d -> n%d [label=\"", call->in[k]->call->id, i);
            dot_string(&text, cj__text_string(&label));
            cj__text_add(&text, "\"];\n");
        }
    }
    for (int i = 0; i < g->outputs.count; i++) {
        cj__text_format(&text, "  o%d [shape=plaintext, label=\"", i);
        dot_string(&text, g->outputs.items[i].name ? g->outputs.items[i].name : "output");
        cj__text_format(&text, "\"];\n  n%d -> o%d;\n", g->outputs.items[i].node->call->id, i);
    }
    cj__text_add(&text, "}\n");
    cj__text_release(&label);
    return put(g, &text, to);
}
