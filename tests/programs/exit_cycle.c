/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Calls exit(0) on its cycle thread.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    if (it_is_time(tick))
        exit(0);
}

static const struct program program = { .cycle = cycle };
