/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Closes every descriptor of the process, 200 ticks after it said so, then runs on. What is logged within the last
 * reading of the log before is lost: there is no way left to tell it.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    if (it_is_long_said(tick))
        for (int fd = 0; fd < 1024; fd++)
            close(fd);
}

static const struct program program = { .cycle = cycle };
