/* What tile instructions reach, alone, in the mix of src/backend/amx/tiles.c, and with something
 * between them: GFLOP/s of bfloat16 products, GB/s of tile loads.
 *
 * They take turns, so that a neighbour on the machine meets all. Where another program has the
 * core's other thread, products run at half their rate, loads do not overlap with them, and twelve
 * instructions that do nothing between two of tiles make the mix 1.7 times as fast; where the core
 * is ours alone they cost nothing. Each line is half a second:
 *
 *     tiles [lines] */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/amx/tiles.h"

#ifdef CJ_HAVE_AMX
#include <immintrin.h>

static _Alignas(64) char panels[16 << 10];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define NOTHING
#define SPACE __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop");
#define MULTIPLY(c, x, y, between)                                                                 \
    _tile_dpbf16ps(c, x, y);                                                                       \
    between
#define LOAD(t, between)                                                                           \
    _tile_loadd(t, panels + 1024 * (t), 64);                                                       \
    between
/* Seven loads for twelve products. */
#define MIX(between)                                                                               \
    MULTIPLY(0, 4, 6, between) MULTIPLY(2, 5, 6, between) LOAD(6, between)                         \
    MULTIPLY(1, 4, 7, between) MULTIPLY(3, 5, 7, between) LOAD(7, between)                         \
    MULTIPLY(0, 4, 6, between) MULTIPLY(1, 4, 7, between) LOAD(4, between)                         \
    MULTIPLY(2, 5, 6, between) MULTIPLY(3, 5, 7, between) LOAD(5, between)                         \
    MULTIPLY(0, 4, 6, between) MULTIPLY(2, 5, 6, between) LOAD(6, between)                         \
    MULTIPLY(1, 4, 7, between) LOAD(4, between) MULTIPLY(3, 5, 7, between) LOAD(7, between)
#define FOUR_PRODUCTS(between)                                                                     \
    MULTIPLY(0, 4, 6, between) MULTIPLY(1, 4, 6, between) MULTIPLY(2, 4, 6, between)               \
    MULTIPLY(3, 4, 6, between)
#define FOUR_LOADS(between)                                                                        \
    LOAD(4, between) LOAD(5, between) LOAD(6, between) LOAD(7, between)
#define LOOP(name, body)                                                                           \
    __attribute__((target("amx-tile,amx-bf16"))) static void name(int n)                           \
    {                                                                                              \
        for (int i = 0; i < n; i++) { body }                                                       \
    }
LOOP(products, FOUR_PRODUCTS(NOTHING))
LOOP(spaced_products, FOUR_PRODUCTS(SPACE))
LOOP(loads, FOUR_LOADS(NOTHING))
LOOP(spaced_loads, FOUR_LOADS(SPACE))
LOOP(mix, MIX(NOTHING))
LOOP(spaced_mix, MIX(SPACE))

int main(int argc, char **argv)
{
    enum { TILE = 1024, PRODUCT = 2 * 16 * 16 * 32, LOOPS = 6 };
    static const struct {
        const char *name;
        void (*run)(int n);
        double work;
    } loops[LOOPS] = {{"products", products, 4 * PRODUCT},
                      {"spaced", spaced_products, 4 * PRODUCT},
                      {"mix", mix, 12 * PRODUCT},
                      {"spaced", spaced_mix, 12 * PRODUCT},
                      {"loads", loads, 4 * TILE},
                      {"spaced", spaced_loads, 4 * TILE}};
    const int lines = argc > 1 ? atoi(argv[1]) : 4, rounds = 1000;
    if (!cj__amx_available()) return puts("this processor has no tiles"), 0;
    for (int i = 0; i < LOOPS; i++) printf("%10s", loops[i].name);
    puts("");
    cj__amx_begin();
    for (int line = 0; line < lines; line++) {
        double seconds[LOOPS] = {0}, work[LOOPS] = {0};
        for (const double begin = now(); now() < begin + 0.5;) {
            for (int i = 0; i < LOOPS; i++) {
                const double start = now();
                loops[i].run(rounds);
                seconds[i] += now() - start;
                work[i] += rounds * loops[i].work;
            }
        }
        for (int i = 0; i < LOOPS; i++) printf("%10.0f", work[i] / seconds[i] * 1e-9);
        puts("");
    }
    cj__amx_end();
    return 0;
}
#else
int main(void)
{
    puts("no tile instructions are compiled in");
    return 0;
}
#endif
