/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Puts symbolic links into its working directory: for each line "NAME PATH" of the extra file targets.txt,
 * NAME becomes a link to PATH, whatever was there before. Logs "links are set".
 */
#include "../../supervisor/local/sample/scaffold.h"

static int on_start(int argc, char **argv)
{
    char name[256], path[1024];
    (void)argc;
    (void)argv;
    FILE *targets = fopen("targets.txt", "r");
    if (!targets)
        return ENOENT;
    while (fscanf(targets, "%255s %1023s", name, path) == 2) {
        unlink(name);
        if (symlink(path, name) != 0)
            say(LOG_CRITICAL, "a link cannot be made");
    }
    fclose(targets);
    say(LOG_INFO, "links are set");
    return 0;
}

static const struct program program = { .on_start = on_start };
