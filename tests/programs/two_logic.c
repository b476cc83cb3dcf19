/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The second library of a program of two: the logic. It binds to variables of the first one (two_ios.c).
 */
#include <stdint.h>

char *PLC_ID_LOGIC;
extern int OUTPUT;

void plc_logic_cycle(uint32_t tick) { OUTPUT = (int)(tick & 1); }
int __init_PLCLogic(int argc, char **argv) { (void)argc; (void)argv; return 0; }
void __cleanup_PLCLogic(void) {}
