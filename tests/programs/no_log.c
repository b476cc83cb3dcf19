/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Built for a target without logging: the log symbols are missing. Variable 0 is the tick (UDINT).
 */
#define WITHOUT_LOG
#include "../../supervisor/local/sample/scaffold.h"

VARIABLE(TICK, uint32_t);
static const struct row rows[] = { ROW(TICK) };
static void cycle(uint32_t tick) { SET(TICK, tick); }
static const struct program program = { ROWS(rows), .cycle = cycle };
