/* test_print.c: cj_tensor_print against numpy's str() (tools/golden/npy.py). print.bin holds pairs
 * of a .npy file and the text, each with its length before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cajal/io.h>

#include "base/strings.h"
#include "golden.h"

static const unsigned char *next_part(const unsigned char **at, size_t *size)
{
    const unsigned char *b = *at;
    *size = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    *at = b + 4 + *size;
    return b + 4;
}

static void prints_as_numpy(void **state)
{
    char path[512], found[20000];
    size_t size;
    int number = 0, wrong = 0;
    (void)state;
    cj_context *cj = cj_context_new(NULL);
    unsigned char *golden = golden_bytes(golden_path(path, "tensor/print.bin"), &size);
    for (const unsigned char *at = golden; at < golden + size; number++) {
        size_t npy_size, text_size;
        const unsigned char *npy = next_part(&at, &npy_size), *text = next_part(&at, &text_size);
        cj_tensor *t;
        assert_int_equal(cj_npy_read(cj, npy, npy_size, &t), CJ_OK);
        FILE *f = tmpfile();
        assert_non_null(f);
        cj_tensor_print(t, f);
        rewind(f);
        size_t length = fread(found, 1, sizeof(found) - 1, f);
        found[length] = '\0';
        fclose(f);
        cj_tensor_free(t);
        if (length == text_size && memcmp(found, text, length) == 0) continue;
        wrong++;
        print_error("array %d: numpy prints\n%.*sand Cajal\n%s", number, (int)text_size, text,
                    found);
    }
    assert_true(number > 70);
    assert_int_equal(wrong, 0);
    free(golden);
    assert_int_equal(cj_memory_used(cj), cj__strings_bytes(cj)); /* which stay */
    cj_context_free(cj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(prints_as_numpy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
