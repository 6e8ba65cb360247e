/* test_zoo_large.c: every network of the zoo against torchvision's, as test_zoo.c has the small
 * ones; one at a time, because the largest has 144 million parameters.
 *
 *     test_zoo_large          all but the larger ones of vgg, which are vgg11 with more of the same
 *     test_zoo_large vgg16    one
 *
 * resnet152 takes no step: with weights that were never trained its loss is no smooth function at
 * any length that float can tell.
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
        if (golden_find(others, row->name, "y")) continue;
        char b[100];
        printf("    %s\n", row->name);
        fflush(stdout);
        zoo_check(golden, row->name, false);
        if (strcmp(row->name, "resnet152") != 0) zoo_learns(row->name);
        for (int k = 0; k < 2; k++) {
            snprintf(b, sizeof b, "%s(%s)", row->name, k ? "aux=true" : "shortcut=B");
            if (golden_find(golden, b, "y")) zoo_check(golden, b, false);
        }
    }
    cj_tensors_free(golden);
    cj_tensors_free(others);
    cj_context_free(cj);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
