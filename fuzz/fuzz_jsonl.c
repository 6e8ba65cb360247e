/* fuzz_jsonl.c: any bytes as a table of the format jsonl. */
#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return check_table("jsonl", bytes, size);
}
