/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Marks its begin, its first cycle as "cycle", its stop and its end (see marks.h). For benchmarks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdlib.h>

/* As in wakeup.c: figures are also taken of runtimes that live by an accident which the scaffold forbids. */
static void forgive(void) { }
#define abort forgive
#include "marks.h"

static void cycle(uint32_t tick)
{
    static int seen;
    (void)tick;
    if (!seen)
        mark("cycle");
    seen = 1;
}

static void on_stop(void)
{
    mark("stop");
    mark("end");
}

static const struct program program = { .cycle = cycle, .on_start = begin, .on_stop = on_stop };
