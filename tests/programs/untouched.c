/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 1 ms, ten variables that the program itself never writes: whatever but 0 is in one was forced upon it.
 */
#include "../../supervisor/local/sample/scaffold.h"

static struct { int32_t value; uint8_t forced; } variables[10];
#define NTH(n) { &variables[n].value, &variables[n].forced, sizeof variables[n].value, 0 }
static const struct row rows[] = {
    NTH(0), NTH(1), NTH(2), NTH(3), NTH(4), NTH(5), NTH(6), NTH(7), NTH(8), NTH(9),
};

static void cycle(uint32_t tick) { (void)tick; }

static const struct program program = { ROWS(rows), .cycle = cycle };
