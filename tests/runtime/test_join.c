/* concat and split, whose kernels copy rows of bytes in blocks, against the reference kernels: rows
 * longer and shorter than a block, parts of no elements, one part, other dtypes, some threads. */
#include "run_support.h"

typedef struct join_case {
    cj_dtype dtype;
    int axis, parts;
    int64_t dim[3], size[4]; /* dim[axis] is not used */
} join_case;

static const join_case cases[] = {
    {CJ_F32, 2, 3, {8, 128, 0}, {256, 256, 256}}, {CJ_F32, 1, 2, {5, 0, 17}, {3, 40}},
    {CJ_F32, 0, 4, {0, 33, 70}, {1, 50, 0, 7}},   {CJ_U8, 2, 3, {700, 3, 0}, {100, 1, 31}},
    {CJ_F64, 1, 3, {2, 0, 9000}, {0, 5, 1}},      {CJ_I64, 2, 2, {3, 4, 0}, {0, 2000}},
    {CJ_F32, 1, 1, {4, 0, 50}, {6}},              {CJ_F16, 2, 4, {0, 5, 0}, {64, 64, 1, 2}},
    {CJ_F32, 0, 2, {0, 1, 1}, {70001, 130000}}};

/* Runs concat of the parts and split of the whole; a case fills out[0 .. parts]. */
static void run(cj_context *cj, const join_case *c, bool fast, cj_tensor **out)
{
    cj_graph *g = cj_graph_new(cj);
    cj_node *parts[4], *pieces[5];
    cj_feed feeds[5];
    cj_tensor *in[4], *all;
    int64_t dim[3] = {c->dim[0], c->dim[1], c->dim[2]};
    random_state = 5;
    dim[c->axis] = 0;
    for (int i = 0; i < c->parts; i++) dim[c->axis] += c->size[i];
    cj_node *whole = cj_placeholder(g, "whole", c->dtype, 3, dim);
    feeds[c->parts] = (cj_feed){whole, all = random_tensor(cj, c->dtype, 3, dim)};
    for (int i = 0; i < c->parts; i++) {
        dim[c->axis] = c->size[i];
        parts[i] = cj_placeholder(g, (const char *[]){"a", "b", "c", "d"}[i], c->dtype, 3, dim);
        feeds[i] = (cj_feed){parts[i], in[i] = random_tensor(cj, c->dtype, 3, dim)};
    }
    pieces[0] = cj_concat(parts, c->parts, c->axis);
    cj_node *split = cj_split(whole, c->axis, c->parts, c->size);
    for (int i = 0; i < c->parts; i++) pieces[i + 1] = cj_node_output(split, i);
    assert_int_equal(cj_graph_failed(g), CJ_OK);
    cj_program *p = cj_compile(g, .output_list = pieces, .n_outputs = c->parts + 1);
    assert_non_null(p);
    cj_session_opts opts = {.struct_size = sizeof opts,
                            .backend = fast ? "cpu" : "reference",
                            .threads = fast ? 3 : 1};
    cj_session *s = cj_session_new_opts(p, cj_graph_store(g), &opts);
    assert_non_null(s);
    assert_int_equal(cj_run(s, feeds, c->parts + 1, out, c->parts + 1), CJ_OK);
    cj_session_free(s);
    cj_program_free(p);
    for (int i = 0; i < c->parts; i++) cj_tensor_free(in[i]);
    cj_tensor_free(all);
    cj_graph_free(g);
}

static void same_as_reference(void **state)
{
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cj_tensor *out[2][5] = {{NULL}};
        for (int way = 0; way < 2; way++) run(cj, &cases[i], way, out[way]);
        for (int k = 0; k <= cases[i].parts; k++) {
            bool same = cj_tensor_equal(out[0][k], out[1][k]);
            if (!same) print_error("case %d, output %d\n", (int)i, k);
            assert_true(same);
            for (int way = 0; way < 2; way++) cj_tensor_free(out[way][k]);
        }
    }
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
