/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes where nothing is mapped, inside startPLC.
 */
#include "fault.h"

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    segfault();
    return 0;
}

static const struct program program = { .on_start = on_start };
