/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Recurses without an end on its cycle thread, 200 ticks after it said so: on a full stack nothing can be saved, so
 * what was logged within the last reading of the log is lost.
 */
#include "fault.h"

static int dig(volatile char *above, int depth)
{
    volatile char here[4096];
    here[0] = (char)(above[0] + 1);
    return depth < 0 ? 0 : dig(here, depth + 1) + here[0];
}

static void cycle(uint32_t tick)
{
    volatile char ground[1] = { 0 };
    if (it_is_long_said(tick))
        dig(ground, 0);
}

static const struct program program = { .cycle = cycle };
