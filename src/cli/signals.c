/* signals.c: a flag, set by the handler and read between kernels; the handler does nothing else. */
#define _POSIX_C_SOURCE 200809L
#include "cli/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

static atomic_int came; /* lock-free, so a handler may set it; read from any thread */

static void note(int signal)
{
    (void)signal;
    if (atomic_exchange(&came, 1)) _exit(EXIT_INTERRUPTED);
}

void cli_signals_install(void)
{
    struct sigaction on = {.sa_handler = note, .sa_flags = SA_RESTART},
                     off = {.sa_handler = SIG_IGN};
    sigemptyset(&on.sa_mask);
    sigemptyset(&off.sa_mask);
    sigaction(SIGINT, &on, NULL);
    sigaction(SIGTERM, &on, NULL);
    sigaction(SIGPIPE, &off, NULL);
#ifdef SIGXFSZ
    sigaction(SIGXFSZ, &off, NULL);
#endif
}

bool cli_interrupted(void *user)
{
    (void)user;
    return atomic_load_explicit(&came, memory_order_relaxed) != 0;
}
