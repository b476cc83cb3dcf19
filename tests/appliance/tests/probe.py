# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tries to reach what its arguments name, as tests/programs/reach.c does, and prints the same words.

A test puts it in a connector's place: what it cannot reach, the connector's sandbox keeps from a connector too.
"""

import errno
import os
import socket
import sys


def connect(family, address):
    with socket.socket(family) as peer:
        peer.settimeout(5)
        peer.connect(address)


def attempt(how, what):
    if how == "read":
        os.close(os.open(what, os.O_RDONLY))
    elif how == "write":
        os.close(os.open(what, os.O_WRONLY | os.O_CREAT, 0o600))
    elif how == "unix":
        connect(socket.AF_UNIX, what)
    elif how == "tcp":
        host, port = what.rsplit(":", 1)
        connect(socket.AF_INET, (host, int(port)))
    elif how == "listen":
        with socket.socket(socket.AF_INET) as port:
            port.bind(("0.0.0.0", int(what)))
            port.listen()
    elif how == "resolve":
        socket.getaddrinfo(what, 80)
    elif how == "socket":
        socket.socket(int(what), socket.SOCK_RAW).close()
    elif how == "signal":
        os.kill(int(what), 9)
    else:
        raise ValueError(how)


tries = iter(sys.argv[1:])
for how, what in zip(tries, tries):
    try:
        attempt(how, what)
        result = "reached"
    except OSError as error:
        result = errno.errorcode.get(error.errno, str(error))
    print(f"{how} {what}: {result}", flush=True)
print("all tried", flush=True)
