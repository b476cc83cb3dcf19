/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Built for a target without debugging: the debug symbols are missing. Logs "started".
 */
#define WITHOUT_DEBUG
#include "../../supervisor/local/sample/scaffold.h"

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say(LOG_INFO, "started");
    return 0;
}

static const struct program program = { .on_start = on_start };
