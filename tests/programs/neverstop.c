/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stopPLC never returns; marks its begin and stop (see marks.h), never an end.
 */
#include "marks.h"

static void on_stop(void)
{
    mark("stop");
    for (;;)
        pause();
}

static const struct program program = { .on_start = begin, .on_stop = on_stop };
