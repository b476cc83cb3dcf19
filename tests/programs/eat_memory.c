/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Takes and touches 16 MiB in every cycle until there is no more, and does not check for that. Gives up at 2 GiB,
 * so that a machine without a limit survives.
 */
#include "fault.h"

#define BITE ((size_t)16 << 20)
#define ENOUGH ((size_t)2 << 30)

static void cycle(uint32_t tick)
{
    static size_t eaten;
    static int eating;
    if (it_is_time(tick))
        eating = 1;
    if (!eating || eaten >= ENOUGH)
        return;
    volatile char *bite = malloc(BITE);
    if (!bite)
        bite = (char *)nowhere;
    for (size_t i = 0; i < BITE; i += 4096)
        bite[i] = 1;
    eaten += BITE;
    if (eaten >= ENOUGH)
        say(LOG_WARNING, "no limit found");
}

static const struct program program = { .cycle = cycle };
