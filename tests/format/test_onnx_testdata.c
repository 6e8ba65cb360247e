/* ONNX's own backend tests (Debian: libonnx-testdata), and the table of operators in docs/onnx.md,
 * which tells the reason of each case that does not pass.
 *
 *     test_onnx_testdata                          all; skips when they are not installed
 *     test_onnx_testdata test_abs                 one, with its message
 *     CJ_TEST_VERBOSE=1 test_onnx_testdata        with the reasons
 *     CAJAL_UPDATE=1 test_onnx_testdata           writes the table
 *     CAJAL_ONNX_CASES=DIR test_onnx_testdata     the cases DIR/test_... alone, of newer opsets say
 *
 * ctest: timeout 300 */
#include "onnx_table.h"

static const char *const parts[] = {"node", "simple", "pytorch-converted", "pytorch-operator"};
enum {
    PARTS = CJ__COUNT(parts),
    DEBIAN_CASES = 1072, /* of ONNX 1.12: what the table is about */
    PASSED_MIN = 1025,   /* of the plain cases, */
    WITHOUT_MIN = 865    /* and of these when the file is read without its inputs */
};

static const char *only;

typedef struct counts {
    int all[KINDS], by[KINDS][VERDICTS], without, faulty;
} counts;

static void count(const char *part, const onnx_cases *cases, counts *sum)
{
    static const char *const words[VERDICTS] = {"", "", "refused: ", "WRONG: "};
    counts n = {.without = 0};
    bool told = only || getenv("CJ_TEST_VERBOSE");
    for (size_t i = 0; i < cases->count; i++) {
        const onnx_case *c = &cases->items[i];
        n.all[c->kind]++;
        n.by[c->kind][c->verdict]++;
        n.without += c->kind == PLAIN && c->without_values;
        sum->faulty += c->faulty;
        if (c->faulty && !told) continue;
        if (c->verdict != PASSED && (told || c->verdict != UNSUPPORTED))
            print_error("%s: %s%s\n", c->name, words[c->verdict], c->reason);
    }
    print_message("%s: %d of %d passed (%d without values), %d not supported, %d refused, %d wrong"
                  "; apart: sequences %d of %d, random %d of %d\n",
                  part, n.by[PLAIN][PASSED], n.all[PLAIN], n.without, n.by[PLAIN][UNSUPPORTED],
                  n.by[PLAIN][REFUSED], n.by[PLAIN][WRONG], n.by[SEQUENCES][PASSED],
                  n.all[SEQUENCES], n.by[RANDOM][PASSED], n.all[RANDOM]);
    sum->without += n.without;
    for (int k = 0; k < KINDS; k++) {
        sum->all[k] += n.all[k];
        for (int v = 0; v < VERDICTS; v++) sum->by[k][v] += n.by[k][v];
    }
}

/* A case of an expanded function is the operator's whose function it is. */
static void name_expanded(onnx_cases *cases)
{
    for (size_t i = 0; i < cases->count; i++) {
        onnx_case key = cases->items[i], *base;
        char *end = strstr(key.name, "_expanded");
        if (!end) continue;
        *end = 0;
        base = bsearch(&key, cases->items, cases->count, sizeof key, by_name);
        if (base) memcpy(cases->items[i].operator_, base->operator_, sizeof base->operator_);
    }
}

static void check_page(onnx_cases *cases)
{
    static onnx_operators all;
    cj_context *cj = cj_context_new(NULL);
    cj__text text;
    assert_non_null(cj);
    cj__text_init(&text, cj);
    list_operators(&all);
    name_expanded(&cases[0]);
    add_table(&text, &all, cases, parts, PARTS);
    bool same = same_in_page("onnx.md", "<!-- operators", "<!-- end of operators", text.bytes);
    cj__text_release(&text);
    cj_context_free(cj);
    assert_true(same);
}

static void the_tests_of_onnx(void **state)
{
    const char *folder = getenv("CAJAL_ONNX_CASES");
    onnx_cases cases[PARTS] = {{.items = NULL}};
    counts sum = {.without = 0};
    int n = 0;
    (void)state;
    for (size_t i = 0; i < (folder ? 1 : PARTS); i++) {
        char path[256];
        cj__format(path, sizeof path, "%s/%s", DEBIAN_FOLDER, parts[i]);
        cases[i] = run_folder(folder ? folder : path, only);
        count(folder ? folder : parts[i], &cases[i], &sum);
        n += (int)cases[i].count;
    }
    if (!n) print_message("no %s\n", folder ? folder : DEBIAN_FOLDER);
    if (n == DEBIAN_CASES && !folder) check_page(cases);
    for (size_t i = 0; i < PARTS; i++) free(cases[i].items);
    if (!n) skip();
    int bad = 0;
    for (int k = 0; k < KINDS; k++) bad += sum.by[k][WRONG] + sum.by[k][REFUSED];
    assert_int_equal(bad, sum.faulty);
    if (n != DEBIAN_CASES || folder) return;
    print_message("%.1f %% of what needs no sequences and no random numbers\n",
                  100.0 * sum.by[PLAIN][PASSED] / sum.all[PLAIN]);
    assert_true(sum.by[PLAIN][PASSED] >= PASSED_MIN && sum.without >= WITHOUT_MIN);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_tests_of_onnx)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
