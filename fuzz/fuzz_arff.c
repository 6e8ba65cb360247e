/* fuzz_arff.c: any bytes as a table of the format arff. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return check_table("arff", bytes, size);
}
