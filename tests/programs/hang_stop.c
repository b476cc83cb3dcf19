/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stopPLC never returns.
 */
#include "fault.h"

static void on_stop(void)
{
    say(LOG_WARNING, "before the fault");
    for (;;)
        pause();
}

static const struct program program = { .on_stop = on_stop };
