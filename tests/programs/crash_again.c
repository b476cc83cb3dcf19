/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Marks its first cycle as "cycle", and about 50 cycles later as "fault" that it writes where nothing is mapped
 * (see marks.h). For benchmarks.
 */
#include "marks.h"
#include "fault.h"

static void cycle(uint32_t tick)
{
    static int seen;
    if (!seen)
        mark("cycle");
    seen = 1;
    if (it_is_time(tick)) {
        mark("fault");
        *nowhere = 1;
    }
}

static const struct program program = { .cycle = cycle, .on_start = begin };
