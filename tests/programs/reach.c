/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Tries, at its start, to reach what the extra file reach.txt names, and logs "TRY: reached" or "TRY: ERROR" for each
 * line, then "all tried". Tries: "read PATH", "write PATH", "unix PATH" (connect), "tcp ADDRESS:PORT" (connect, and is
 * not hung up on), "socket FAMILY" (a number), "signal PID".
 */
#include "../../supervisor/local/sample/scaffold.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

/* 0, or the error: that of the connection, or ECONNRESET when the other side ends it within 2 s. */
static int try_connect(int family, const struct sockaddr *address, socklen_t size)
{
    char byte;
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, address, size) == 0 ? 0 : errno;
    struct pollfd end = { .fd = fd, .events = POLLIN };
    if (!error && family == AF_INET && poll(&end, 1, 2000) == 1 && read(fd, &byte, 1) <= 0)
        error = ECONNRESET;
    close(fd);
    return error;
}

static int try_tcp(char *what)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    char *port = strchr(what, ':');
    if (!port)
        return EINVAL;
    *port = 0;
    address.sin_port = htons((uint16_t)atoi(port + 1));
    inet_pton(AF_INET, what, &address.sin_addr);
    *port = ':';
    return try_connect(AF_INET, (struct sockaddr *)&address, sizeof address);
}

static int try_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return try_connect(AF_UNIX, (struct sockaddr *)&address, sizeof address);
}

static int try_open(int fd)
{
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int attempt(const char *how, char *what)
{
    if (!strcmp(how, "read"))
        return try_open(open(what, O_RDONLY));
    if (!strcmp(how, "write"))
        return try_open(open(what, O_WRONLY | O_CREAT, 0600));
    if (!strcmp(how, "unix"))
        return try_unix(what);
    if (!strcmp(how, "tcp"))
        return try_tcp(what);
    if (!strcmp(how, "socket"))
        return try_open(socket(atoi(what), SOCK_RAW, 0));
    if (!strcmp(how, "signal"))
        return kill(atoi(what), SIGKILL) == 0 ? 0 : errno;
    return EINVAL;
}

static int on_start(int argc, char **argv)
{
    char how[16], what[100], text[160];
    (void)argc;
    (void)argv;
    FILE *tries = fopen("reach.txt", "r");
    if (!tries)
        return ENOENT;
    while (fscanf(tries, "%15s %99s", how, what) == 2) {
        int error = attempt(how, what);
        snprintf(text, sizeof text, "%s %s: %s", how, what, error ? strerrorname_np(error) : "reached");
        say(LOG_INFO, text);
    }
    fclose(tries);
    say(LOG_INFO, "all tried");
    return 0;
}

static const struct program program = { .on_start = on_start };
