/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Marks its begin and its end (see marks.h) and stops at once, with a message.
 */
#include "marks.h"

static void on_stop(void)
{
    mark("stop");
    say(LOG_INFO, "stopping");
    mark("end");
}

static const struct program program = { .on_start = begin, .on_stop = on_stop };
