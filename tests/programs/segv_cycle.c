/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes where nothing is mapped, on its cycle thread.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    if (it_is_time(tick))
        *nowhere = 1;
}

static const struct program program = { .cycle = cycle };
