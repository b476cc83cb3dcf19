/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Marks: who began and stopped when, one line each at the end of marks.txt in the working directory, written
 * by one write() each: "WHAT ID PID MONOTONIC_NS", where WHAT is begin, stop, end, or a program's own word. Two
 * programs that ever ran at once can be seen there. begin() also keeps a count of starts in the retain file.
 */
#ifndef PLC_MARKS_H
#define PLC_MARKS_H

#include "../../supervisor/local/sample/scaffold.h"
#include <fcntl.h>

static __attribute__((unused)) void mark(const char *what)
{
    char line[160];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int len = snprintf(line, sizeof line, "%s %s %d %lld\n", what, PLC_ID ? PLC_ID : "-", (int)getpid(),
                       (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
    int fd = open("marks.txt", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, (size_t)len) != len)
        say(LOG_CRITICAL, "marks.txt cannot be written");
    if (fd >= 0)
        close(fd);
}

static __attribute__((unused)) void count_the_start(void)
{
    unsigned starts = 0;
    FILE *file = fopen("retain_buffer_file", "r");
    if (file) {
        if (fscanf(file, "%u", &starts) != 1)
            starts = 0;
        fclose(file);
    }
    file = fopen("retain_buffer_file", "w");
    if (file) {
        fprintf(file, "%u\n", starts + 1);
        fclose(file);
    }
}

static __attribute__((unused)) int begin(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    mark("begin");
    count_the_start();
    return 0;
}

#endif
