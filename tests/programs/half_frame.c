/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes the beginning of a long frame to every socket of the process, then writes where nothing is mapped: a worker
 * that dies in the middle of a message.
 */
#include "fault.h"

#include <sys/socket.h>

static void cycle(uint32_t tick)
{
    static const char half[] = "\xff\x00\x00\x00\x81\xa6";
    if (!it_is_long_said(tick))
        return;
    for (int fd = 3; fd < 1024; fd++)
        send(fd, half, sizeof half - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    *nowhere = 1;
}

static const struct program program = { .cycle = cycle };
