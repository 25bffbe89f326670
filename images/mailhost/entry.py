#!/usr/bin/python3 -IB
"""Process 1 of a mail host: sets it up from its environment, runs Postfix and Dovecot, says when
both answer, and ends when either ends or a SIGTERM comes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

START_WITHIN = 30.0
STOP_WITHIN = 1.5


def set_up(domain: str, name: str, resolver: str) -> None:
    """Write what differs from host to host."""
    # In place: Docker mounts this file. Its own resolver would hide our questions from the wire.
    Path("/etc/resolv.conf").write_text(f"nameserver {resolver}\noptions timeout:2 attempts:2\n")
    main = Path("/etc/postfix/main.cf")
    settings = f"\nmyhostname = {name}\nmydomain = {domain}\n"
    if not (text := main.read_text()).endswith(settings):  # a restarted container has it
        main.write_text(text + settings)
    users = Path("/etc/dovecot/users")
    if not users.exists():
        sys.exit("mailhost: no /etc/dovecot/users: put the users' file in before the start")
    lines = users.read_text().splitlines()
    names = [line.partition(":")[0] for line in lines if line and not line.startswith("#")]
    ours = rf"([a-z0-9-]+\.)?{re.escape(domain)}$/"
    domains, table = Path("/etc/postfix/domains"), Path("/etc/postfix/users")
    domains.write_text(f"/^{ours} {domain}\n")
    table.write_text("".join(rf"/^{re.escape(user)}(\+.*)?@{ours} {user}" "\n" for user in names))
    for path in (main, domains, table):
        os.utime(path, (0, 0))  # Postfix waits 1.5 s for a fresh file to be finished


def greets(port: int, greeting: bytes) -> bool:
    """Whether a server on this port greets as it should."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(100).startswith(greeting)
    except OSError:
        return False


def wait_for(port: int, greeting: bytes, server: subprocess.Popen[bytes]) -> None:
    """Return when the port greets; exit when its server ends before, or time runs out."""
    deadline = time.monotonic() + START_WITHIN
    while not greets(port, greeting):
        if server.poll() is not None:
            sys.exit("mailhost: Postfix or Dovecot has ended: see its log in /var/log")
        if time.monotonic() > deadline:
            sys.exit(f"mailhost: port {port} does not answer within {START_WITHIN:.0f} s")
        time.sleep(0.02)


def run(servers: list[subprocess.Popen[bytes]]) -> None:
    """Start both servers, and stay until one of them ends. `servers` is told what was started."""
    # Dovecot first: submission without it fails, and Postfix then waits a minute to try again.
    servers.append(dovecot := subprocess.Popen(["dovecot", "-F"]))
    wait_for(143, b"* OK", dovecot)
    # Its master itself: `postfix start-fg` first checks for seconds what the build has checked.
    postfix = subprocess.Popen(["/usr/lib/postfix/sbin/master", "-s"], start_new_session=True)
    servers.append(postfix)
    for port in (25, 587):
        wait_for(port, b"220 ", postfix)
    print("mailhost: ready", flush=True)
    # Orphans of both come to us, as process 1; any child's end wakes us.
    while os.wait()[0] not in {server.pid for server in servers}:
        pass


def stop(servers: list[subprocess.Popen[bytes]]) -> None:
    """End both servers, the hard way if they take long."""
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
    """Run the host until it is told to stop, or one of its servers ends by itself."""
    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, on_term)
    environ = os.environ
    try:
        set_up(environ["MAILHOST_DOMAIN"], environ["MAILHOST_NAME"], environ["RESOLVER"])
    except KeyError as missing:
        sys.exit(f"mailhost: {missing.args[0]} is not set")
    servers: list[subprocess.Popen[bytes]] = []
    try:
        run(servers)
        sys.exit("mailhost: Postfix or Dovecot has ended: see its log in /var/log")
    finally:
        stop(servers)


main()
