/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Forks a child that keeps all it inherited and lives for up to 60 s; logs "child PID", then runs on.
 */
#include "fault.h"

static void cycle(uint32_t tick)
{
    char text[32];
    if (!it_is_time(tick))
        return;
    pid_t child = fork();
    if (child == 0) {
        sleep(60);
        _exit(0);
    }
    snprintf(text, sizeof text, "child %d", (int)child);
    say(LOG_INFO, text);
}

static const struct program program = { .cycle = cycle };
