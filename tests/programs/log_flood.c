/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes 200 log messages in every cycle, each with its number.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    static unsigned number;
    char text[48];
    (void)tick;
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "flood message %u", number++);
        say(LOG_DEBUG, text);
    }
}

static const struct program program = { .cycle = cycle };
