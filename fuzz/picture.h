/* picture.h: any bytes as a picture. One target a format, so that each has its own corpus; which
 * format the bytes are is told by the bytes. Whatever is accepted has pixels that can all be read,
 * in other sizes too, and everything is given back. */
#include <stdlib.h>

#include <cajal/picture.h>

#define CHECK(x) ((x) ? (void)0 : abort())

static void touch(const cj_tensor *t, int64_t channels)
{
    const unsigned char *pixels = cj_tensor_map_read(t);
    volatile unsigned char last = 0;
    CHECK(cj_tensor_rank(t) == 3 && cj_tensor_shape(t)[2] == channels && cj_tensor_count(t) > 0);
    for (int64_t i = 0; i < cj_tensor_count(t); i++) last ^= pixels[i];
    cj_tensor_unmap(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cj_context *cj = cj_context_new(&(cj_config){.threads = 1, .memory_limit_bytes = 16 << 20});
    if (!cj) return 0;
    const int64_t before = cj_memory_used(cj);
    cj_tensor *t, *small;
    const cj_picture_colour colour = (cj_picture_colour)(size % 3);
    const int channels = colour == CJ_PICTURE_RGB ? 3 : 1;
    cj_status failed = cj_picture_read(cj, bytes, size, colour, &t);
    CHECK(!failed == (t != NULL));
    CHECK(!failed || cj_message(cj)[0]);
    if (t) {
        touch(t, channels);
        failed = cj_picture_make_fit(t, 5, 4, size % 3 ? CJ_FIT_STRETCH : CJ_FIT_PAD,
                                     (cj_picture_filter)(size % 4), &small);
        CHECK(!failed || cj_message(cj)[0]);
        if (small) touch(small, channels);
        cj_tensor_free(small);
    }
    cj_tensor_free(t);
    CHECK(cj_memory_used(cj) == before);
    cj_context_free(cj);
    return 0;
}
