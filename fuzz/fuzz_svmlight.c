/* fuzz_svmlight.c: any bytes as a table of the format svmlight. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return check_table("svmlight", bytes, size);
}
