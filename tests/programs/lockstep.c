/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The cycle waits for a free trace slot, so no tick may be missing in a trace. All 8
 * variables are the tick (UDINT).
 */
#define LOCKSTEP
#include "../../supervisor/local/sample/scaffold.h"

VARIABLE(T0, uint32_t);
VARIABLE(T1, uint32_t);
VARIABLE(T2, uint32_t);
VARIABLE(T3, uint32_t);
VARIABLE(T4, uint32_t);
VARIABLE(T5, uint32_t);
VARIABLE(T6, uint32_t);
VARIABLE(T7, uint32_t);
static const struct row rows[] = { ROW(T0), ROW(T1), ROW(T2), ROW(T3), ROW(T4), ROW(T5), ROW(T6), ROW(T7) };

static void cycle(uint32_t tick)
{
    SET(T0, tick);
    SET(T1, tick);
    SET(T2, tick);
    SET(T3, tick);
    SET(T4, tick);
    SET(T5, tick);
    SET(T6, tick);
    SET(T7, tick);
}

static const struct program program = { ROWS(rows), .cycle = cycle };
