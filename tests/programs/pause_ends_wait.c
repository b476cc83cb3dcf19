/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * As libraries since 2026: each time debugging is switched off, GetDebugData returns ENODATA to whoever waits in it.
 * Variable 0 is the tick (UDINT).
 */
#define PAUSE_ENDS_WAIT
#include "../../supervisor/local/sample/scaffold.h"

VARIABLE(TICK, uint32_t);
static const struct row rows[] = { ROW(TICK) };
static void cycle(uint32_t tick) { SET(TICK, tick); }
static const struct program program = { ROWS(rows), .cycle = cycle };
