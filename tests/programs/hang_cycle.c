/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One cycle never ends: the tick stands still while a processor is kept busy. stopPLC still works.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    if (it_is_time(tick))
        for (volatile int go_on = 1; go_on;)
            ;
}

static const struct program program = { .cycle = cycle };
