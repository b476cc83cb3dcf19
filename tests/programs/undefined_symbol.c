/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Calls a function that no library has, so it cannot be loaded.
 */
#include "../../supervisor/local/sample/scaffold.h"

extern void function_of_a_missing_library(void);
static void cycle(uint32_t tick) { (void)tick; function_of_a_missing_library(); }
static const struct program program = { .cycle = cycle };
