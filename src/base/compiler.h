/* compiler.h: everything that is not C11: attributes, checked arithmetic, atomics' spelling. */
#ifndef CAJAL_BASE_COMPILER_H
#define CAJAL_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CJ__LIKELY(x) __builtin_expect(!!(x), 1)
#define CJ__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CJ__UNUSED __attribute__((unused))
#define CJ__NOINLINE __attribute__((noinline))
#define CJ__COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* a + b and a * b into *result; true when it did not fit. */
#define CJ__ADD_OVERFLOWS(a, b, result) __builtin_add_overflow(a, b, result)
#define CJ__MUL_OVERFLOWS(a, b, result) __builtin_mul_overflow(a, b, result)

/* CJ_ASSERT finds our bugs, never the user's: in a release build it costs nothing. */
#if defined(CJ_ASSERTS)
#include <stdlib.h>
#define CJ_ASSERT(x) ((x) ? (void)0 : (void)(__builtin_trap()))
#else
#define CJ_ASSERT(x) ((void)sizeof(!!(x)))
#endif

#endif
