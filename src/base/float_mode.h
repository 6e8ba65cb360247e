/* float_mode.h: are subnormal numbers computed with, or taken as zero?
 *
 * Vector units take tens of times longer over subnormals, and training makes them for ever: the
 * mean gradient of a dead unit decays by 0.9 a step until it is one, and 0.9 times the smallest
 * rounds to itself. So sessions run with subnormals flushed to zero. The mode belongs to a thread:
 * it is set on entry and put back on leaving, and parallel_for hands the caller's mode to its
 * workers. */
#ifndef CAJAL_BASE_FLOAT_MODE_H
#define CAJAL_BASE_FLOAT_MODE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* The control register's word. */
static inline uint64_t cj__float_mode(void)
{
#if defined(__SSE2__)
    return _mm_getcsr();
#elif defined(__aarch64__)
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
#else
    return 0;
#endif
}

static inline void cj__float_mode_set(uint64_t word)
{
#if defined(__SSE2__)
    _mm_setcsr((unsigned)word);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(word));
#else
    (void)word;
#endif
}

/* Subnormal operands and results are zero from here on. */
static inline void cj__float_mode_flush(void)
{
#if defined(__SSE2__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    cj__float_mode_set(cj__float_mode() | (1u << 24)); /* FZ */
#endif
}

#endif
