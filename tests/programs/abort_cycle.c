/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Calls abort() on its cycle thread.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    if (it_is_time(tick))
        abort();
}

static const struct program program = { .cycle = cycle };
