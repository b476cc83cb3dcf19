/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * startPLC never returns.
 */
#include "fault.h"

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say(LOG_WARNING, "before the fault");
    for (;;)
        pause();
    return 0;
}

static const struct program program = { .on_start = on_start };
