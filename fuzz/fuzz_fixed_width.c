/* fuzz_fixed_width.c: any bytes as a table of the format fixed_width. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return check_table("fixed_width", bytes, size);
}
