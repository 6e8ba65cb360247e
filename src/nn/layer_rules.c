/* layer_rules.c: what layers' options say of single parameters and training has to know: a
 * regularizer, whose term is added to the loss, and a constraint, which any optimizer keeps the
 * parameter to. They are kept as text beside the parameter, so that they are in saved files too:
 *
 *     layer option -> rule {parameter, kind, "max_norm(2)"} -> file -> rule of the loaded model */
#include "nn/optimizer.h"

#include "base/registry.h"

#include <string.h>

static cj__rule *find(const cj__layers *layers, const cj_node *parameter, int kind)
{
    for (cj__rule *rule = layers ? layers->rules : NULL; rule; rule = rule->next)
        if (rule->parameter == parameter && rule->kind == kind) return rule;
    return NULL;
}

cj__rule *cj__rule_add(cj_graph *g, cj_node *parameter, int kind, const char *text)
{
    cj__layers *layers = parameter && text && *text ? cj__layers_of(g) : NULL;
    if (!layers || g->failed) return NULL;
    cj__rule *rule = find(layers, parameter, kind);
    const char *copy = cj__arena_strdup(&g->arena, text);
    if (!rule && copy && (rule = cj__arena_alloc(&g->arena, sizeof *rule))) {
        cj__rule **last = &layers->rules;
        while (*last) last = &(*last)->next;
        *last = rule;
        *rule = (cj__rule){.parameter = parameter, .kind = kind};
    }
    if (!rule || !copy)
        return cj__graph_fail(g, cj_node_name(parameter), CJ_ERR_MEMORY, "out of memory"), NULL;
    rule->text = copy;
    return rule;
}

const char *cj__rule_of(const cj_graph *g, const cj_node *parameter, int kind)
{
    const cj__rule *rule = find(g->layers, parameter, kind);
    return rule ? rule->text : NULL;
}

cj_status cj__rule_read(cj_graph *g, cj_node *parameter, int kind, const char *text)
{
    cj__named named;
    CJ__TRY(cj__named_parse(&g->arena, g->cj, kind, text, &named));
    cj__rule *rule = cj__rule_add(g, parameter, kind, text);
    if (rule && kind == CJ__ROW_REGULARIZER) rule->no_loss = true;
    return g->failed;
}

void cj__rule_copy(cj_layer_build *to, const cj__rule *rule, cj_node *parameter)
{
    cj__rule_add(to->graph, parameter, rule->kind, rule->text);
    if (rule->no_loss) cj_layer_loss(to, cj__regularizer(parameter, rule->text));
}

cj_node *cj_layer_constraint(cj_layer_build *b, cj_node *parameter, const char *constraint)
{
    cj_graph *g = b->graph;
    if (g->failed || !parameter || cj__is_zero(parameter)) return NULL;
    if (!constraint || !*constraint) return parameter;
    if (cj__nodes_find(&g->parameters, cj_node_name(parameter)) != parameter)
        return cj__graph_fail(g, b->name, CJ_ERR_ARGUMENT,
                              "what has a constraint is a parameter (cj_layer_parameter)"),
               NULL;
    cj_status failed = cj__constraint_check(&g->arena, constraint);
    if (failed)
        return cj__graph_fail(g, cj_node_name(parameter), failed, "%s", cj_message(g->cj)), NULL;
    return cj__rule_add(g, parameter, CJ__ROW_CONSTRAINT, constraint) ? parameter : NULL;
}
