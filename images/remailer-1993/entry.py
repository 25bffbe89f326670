#!/usr/bin/python3 -IB
"""Process 1 of a mail host with a user's remailer: Postfix as root, and the given command as the
user `remailer`, who has the uid REMAILER_UID. When the user ends his command himself, the host goes
on without it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

START_WITHIN = 30.0
STOP_WITHIN = 1.5
HOME = "/var/lib/remailer"


def set_up(resolver: str, uid: int) -> None:
    """Write what differs from host to host."""
    # In place: Docker mounts this file. Its own resolver would hide our questions from the wire.
    Path("/etc/resolv.conf").write_text(f"nameserver {resolver}\noptions timeout:2 attempts:2\n")
    users, groups = Path("/etc/passwd"), Path("/etc/group")
    if "\nremailer:" not in users.read_text():  # a restarted container has it
        for file, line in (
            (users, f"remailer:x:{uid}:{uid}::{HOME}:/bin/sh\n"),
            (groups, f"remailer:x:{uid}:\n"),
        ):
            with file.open("a") as stream:
                stream.write(line)
    os.utime("/etc/postfix/main.cf", (0, 0))  # Postfix waits 1.5 s for a fresh file to be finished


def greets() -> bool:
    """Whether the mail host answers."""
    try:
        with socket.create_connection(("127.0.0.1", 25), timeout=5) as connection:
            return connection.recv(100).startswith(b"220 ")
    except OSError:
        return False


def run(uid: int, servers: list[subprocess.Popen[bytes]]) -> None:
    """Start both, and stay until Postfix ends, or the command does in trouble."""
    # Its master itself: `postfix start-fg` first checks for seconds what the build has checked.
    postfix = subprocess.Popen(["/usr/lib/postfix/sbin/master", "-s"], start_new_session=True)
    servers.append(postfix)
    deadline = time.monotonic() + START_WITHIN
    while not greets():
        if postfix.poll() is not None or time.monotonic() > deadline:
            sys.exit("remailer-1993: Postfix does not answer: see its log in /var/log")
        time.sleep(0.02)
    environ = {**os.environ, "HOME": HOME, "USER": "remailer", "LOGNAME": "remailer"}
    node = subprocess.Popen(
        sys.argv[1:], user=uid, group=uid, extra_groups=[], cwd=HOME, env=environ
    )
    servers.append(node)
    while True:  # orphans of both come to us, as process 1
        pid, status = os.wait()
        if pid == postfix.pid:
            sys.exit("remailer-1993: Postfix has ended: see its log in /var/log")
        if pid == node.pid and status:
            sys.exit(os.waitstatus_to_exitcode(status))


def stop(servers: list[subprocess.Popen[bytes]]) -> None:
    """End both, the hard way if they take long."""
    for server in servers:
        server.terminate()
    deadline = time.monotonic() + STOP_WITHIN
    for server in servers:
        try:
            server.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            server.kill()


def on_term(signum: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGINT are the wanted end."""
    raise SystemExit(0)


def main() -> None:
    """Run the host until it is told to stop."""
    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, on_term)
    try:
        resolver, uid = os.environ["RESOLVER"], int(os.environ["REMAILER_UID"])
    except (KeyError, ValueError):
        sys.exit("remailer-1993: RESOLVER and REMAILER_UID are not set")
    set_up(resolver, uid)
    servers: list[subprocess.Popen[bytes]] = []
    try:
        run(uid, servers)
    finally:
        stop(servers)


main()
