/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The common part of the hostile programs: they say "before the fault" in their log, then misbehave.
 */
#ifndef PLC_FAULT_H
#define PLC_FAULT_H

#include "../../supervisor/local/sample/scaffold.h"

#define FAULT_TICK 50

static int *volatile nowhere = (int *)16;

static __attribute__((unused)) void segfault(void)
{
    say(LOG_WARNING, "before the fault");
    *nowhere = 1;
}

/* True once, about 50 cycles after the start. */
static __attribute__((unused)) int it_is_time(uint32_t tick)
{
    static int done;
    if (done || tick < FAULT_TICK)
        return 0;
    done = 1;
    say(LOG_WARNING, "before the fault");
    return 1;
}

/* Says it as above, and is true once, 200 cycles later: by then the message has been read. */
static __attribute__((unused)) int it_is_long_said(uint32_t tick)
{
    static int done;
    it_is_time(tick);
    /* A late cycle skips ticks, so none can be waited for by its number. */
    if (done || tick < FAULT_TICK + 200)
        return 0;
    done = 1;
    return 1;
}

#endif
