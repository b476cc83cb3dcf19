/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Uses functions of the mathematics library without being linked to it, as programs of the IDE do; logs "root: 3".
 */
#include "../../supervisor/local/sample/scaffold.h"
#include <math.h>

static int on_start(int argc, char **argv)
{
    char text[32];
    (void)argv;
    /* Of a value that the compiler does not know. */
    volatile double nine = 8 + argc;
    snprintf(text, sizeof text, "root: %g", fmod(sqrt(nine), 7));
    say(LOG_INFO, text);
    return 0;
}

static const struct program program = { .on_start = on_start };
