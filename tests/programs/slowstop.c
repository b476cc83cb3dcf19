/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Takes 4 s to stop, within the usual deadline of 5 s; marks (see marks.h).
 */
#include "marks.h"

static void on_stop(void)
{
    mark("stop");
    sleep(4);
    mark("end");
}

static const struct program program = { .on_start = begin, .on_stop = on_stop };
