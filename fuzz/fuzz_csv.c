/* fuzz_csv.c: any bytes as a table of the format csv. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return check_table("csv", bytes, size);
}
