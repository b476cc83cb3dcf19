# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs systemd-nspawn and writes down what it tells about its machine.

`watch.py PLACE COMMAND...` runs COMMAND, again after each reboot, until the machine has ended. Files in PLACE:
`watch` is there meanwhile, `leader` holds the id of the machine's first process, `boots` counts how often the
system in it came up, and `ready` is there while it is up.
"""

import os
import re
import select
import signal
import socket
import subprocess
import sys

# What systemd-nspawn exits with when its machine wants to be booted again (EXIT_FORCE_RESTART).
REBOOT = 133

place, command = sys.argv[1], sys.argv[2:]
boots = 0


def write(name, text=""):
    with open(f"{place}/{name}.new", "w") as file:
        file.write(text)
    os.rename(f"{place}/{name}.new", f"{place}/{name}")


def remove(*names):
    for name in names:
        if os.path.exists(f"{place}/{name}"):
            os.unlink(f"{place}/{name}")


def hear(message):
    global boots
    leader = re.search(r"^X_NSPAWN_LEADER_PID=(\d+)", message, re.M)
    if leader:
        write("leader", leader[1])
    if re.search(r"^READY=1", message, re.M):
        boots += 1
        write("boots", str(boots))
        write("ready")


def main():
    remove("leader", "ready", "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(f"{place}/notify")
    write("watch", str(os.getpid()))
    # The end of the child interrupts what we wait for.
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    code = REBOOT
    while code == REBOOT:
        nspawn = subprocess.Popen(command, env=os.environ | {"NOTIFY_SOCKET": f"{place}/notify"})
        while nspawn.poll() is None:
            readable, _, _ = select.select([listener, woken], [], [])
            if woken in readable:
                woken.recv(64)
            if listener in readable:
                hear(listener.recv(8192).decode("utf-8", "replace"))
        code = nspawn.returncode
        remove("leader", "ready")
    remove("watch")


main()
