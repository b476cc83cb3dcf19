/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * As libraries since 2025: startPLC empties the log, whose ids begin at 0 again. Logs three messages while it is
 * loaded, and five, as many and more, while it starts.
 */
#define LOG_RESTARTS
#include "../../supervisor/local/sample/scaffold.h"

static void say_numbered(const char *what, int count)
{
    char text[64];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%s %d", what, i);
        say(LOG_INFO, text);
    }
}

static __attribute__((constructor)) void on_load(void) { say_numbered("loading", 3); }

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say_numbered("starting", 5);
    return 0;
}

static const struct program program = { .on_start = on_start };
