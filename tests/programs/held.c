/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Marks when its variable 0, a BOOL that is FALSE by itself, is held at TRUE ("held"), and when it is no more ("free");
 * see marks.h.
 */
#include "marks.h"

VARIABLE(HELD, uint8_t);
static const struct row rows[] = { ROW(HELD) };

static void cycle(uint32_t tick)
{
    static uint8_t before;
    (void)tick;
    SET(HELD, 0);
    if (HELD.value != before)
        mark(HELD.value ? "held" : "free");
    before = HELD.value;
}

static const struct program program = { ROWS(rows), .cycle = cycle };
