/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The first library of a program of two, as Beremiz 1.6 builds it: inputs, outputs, log, life. Its cycle runs that of
 * the logic library (two_logic.c) once loadPLCLogic has bound it, and does nothing before. Marks its start; see marks.h.
 */
#include "marks.h"
#include <dlfcn.h>

char *PLC_SERVICE_NAME = NULL;
int OUTPUT;
static void (*logic_cycle)(uint32_t tick);

int loadPLCLogic(void *logic)
{
    logic_cycle = (void (*)(uint32_t))dlsym(logic, "plc_logic_cycle");
    return logic_cycle ? 0 : -1;
}

static void cycle(uint32_t tick)
{
    if (logic_cycle)
        logic_cycle(tick);
}

static const struct program program = { .cycle = cycle, .on_start = begin };
