/* test_zoo_large.c: every network of the zoo against torchvision's, as test_zoo.c has the small
 * ones; one at a time, because the largest has 144 million parameters.
 *
 *     test_zoo_large          all but the larger ones of vgg, which are vgg11 with more of the same
 *     test_zoo_large vgg16    one
 *
 * resnet152 takes no step: with weights that were never trained its loss is no smooth function at
 * any length that float can tell. A detector's loss is of boxes: tests/train/test_detect.c.
 *
 * ctest: slow serial */
#include "zoo_support.h"

static const char *only;

static bool is_large_vgg(const char *name)
{
    return !strncmp(name, "vgg1", 4) && strncmp(name, "vgg11", 5) != 0;
}

static void all(void **state)
{
    (void)state;
    cj_context *cj = test_context();
    cj_tensors *golden = golden_load(cj, "nn/zoo.npz"),
               *others = golden_load(cj, "nn/zoo_pictures.npz"); /* test_zoo_pictures.c */
    const cj_network *row;
    for (int i = 0; (row = cj_network_at(cj, i)) != NULL; i++) {
        if (only ? strcmp(only, row->name) != 0 : is_large_vgg(row->name)) continue;
        if (golden_find(others, row->name, "y")) {
            golden_get(others, row->name, "count");
            zoo_count(others, row->name);
            continue;
        }
        char b[100];
        printf("    %s\n", row->name);
        fflush(stdout);
        zoo_check(golden, row->name, false);
        if (strcmp(row->name, "resnet152") && strcmp(row->name, "detector")) zoo_learns(row->name);
        for (int k = 0; k < 2; k++) {
            snprintf(b, sizeof b, "%s(%s)", row->name, k ? "aux=true" : "shortcut=B");
            if (golden_find(golden, b, "y")) zoo_check(golden, b, false);
        }
    }
    cj_tensors_free(golden);
    cj_tensors_free(others);
    cj_context_free(cj);
}

/* By function and by text, with heads, and pictures that are too small. */
static void inception(void **state)
{
    (void)state;
    if (only) return;
    cj_context *cj = test_context();
    static const char *const texts[] = {"input 48 48 3, googlenet classes=3 aux=true, dense 2",
                                        "input 75 75 3, inception_v3 classes=3 dropout=0.25"};
    for (int i = 0; i < 2; i++) {
        cj_model *m = cj_model_new(cj), *again = cj_model_from_text(cj, texts[i], NULL, 0);
        cj_node *x = i ? cj_input(m, "x", 75, 75, 3) : cj_input(m, "x", 48, 48, 3);
        cj_output(m, "y",
                  i ? cj_zoo_inception_v3(x, .classes = 3, .dropout = 0.25)
                    : cj_dense(cj_zoo_googlenet(x, .classes = 3, .aux = true), .units = 2));
        assert_ok(cj, cj_model_failed(m));
        assert_string_equal(cj_model_text(m), texts[i]);
        assert_non_null(again);
        assert_string_equal(cj_model_text(again), texts[i]);
        cj_model_free(m);
        cj_model_free(again);
    }
    static const char *const cases[][2] = {
        {"input 74 74 3, inception_v3",
         "inception_v3: conv: spatial axis 0 has 2 elements (2 with padding), and a window reaches "
         "over 3 (operands f32[batch, 2, 2, 192], f32[320, 192, 3, 3])"},
        {"input 298 298 3, inception_v3 aux",
         "inception_v3: conv: spatial axis 0 has 4 elements (4 with padding), and a window reaches "
         "over 5 (operands f32[batch, 4, 4, 128], f32[768, 128, 5, 5])"}};
    for (int i = 0; i < 2; i++) {
        assert_null(cj_model_from_text(cj, cases[i][0], NULL, 0));
        assert_string_equal(cj_message(cj), cases[i][1]);
    }
    cj_context_free(cj);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(inception), cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
