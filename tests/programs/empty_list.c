/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The fault of libraries of 2025: a cycle with debugging on and an empty list of variables takes the slot for ever, and
 * no sample comes any more until FreeDebugData. resumeDebug waits for such a cycle. Variable 0 is the tick (UDINT).
 */
#define EMPTY_LIST_BLOCKS_SLOT
#include "../../supervisor/local/sample/scaffold.h"

VARIABLE(TICK, uint32_t);
static const struct row rows[] = { ROW(TICK) };
static void cycle(uint32_t tick) { SET(TICK, tick); }
static const struct program program = { ROWS(rows), .cycle = cycle };
