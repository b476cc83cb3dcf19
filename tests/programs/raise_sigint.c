/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Sends SIGINT to its own process, then runs on and says "still here".
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    if (it_is_time(tick)) {
        kill(getpid(), SIGINT);
        raise(SIGINT);
        say(LOG_INFO, "still here");
    }
}

static const struct program program = { .cycle = cycle };
