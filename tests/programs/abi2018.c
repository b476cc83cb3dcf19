/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The binary interface of 2018: no force_list, RegisterDebugVariable takes two arguments and returns nothing,
 * tick and size are unsigned long, the trace buffer has room for everything.
 * Variable 0 is the tick (UDINT), 1 an INT that follows it, 2 to 4 are blocks of 8000 bytes.
 */
#define ABI_2018
#include "../../supervisor/local/sample/scaffold.h"

struct block { uint8_t bytes[8000]; };
VARIABLE(TICK, uint32_t);
VARIABLE(NUMBER, int16_t);
VARIABLE(BLOCK, struct block);
static const struct row rows[] = { ROW(TICK), ROW(NUMBER), ROW(BLOCK), ROW(BLOCK), ROW(BLOCK) };

static void cycle(uint32_t tick)
{
    SET(TICK, tick);
    SET(NUMBER, (int16_t)tick);
}

static const struct program program = { ROWS(rows), .cycle = cycle };
