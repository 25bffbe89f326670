"""What the kernel keeps for a node outside its files and processes: sockets, IPC, locks, keys."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.witness.agent import listeners, processfacts, walk

_LIBC = ctypes.CDLL(None, use_errno=True)

LISTENING, TIME_WAIT = "0A", "06"
"""States in /proc/net/tcp."""

TO_ITSELF = "tcp talking to itself"
"""A connection whose both ends are the node's: a health check's, or a store of bytes unread."""

MAPPED = "0000000000000000FFFF0000"
"""How an address of IPv4 begins in the table of IPv6."""


def sockets(pid: int, links: Sequence[int] = ()) -> dict[str, str]:
    """Every socket in the node's network namespace: inode → what it is, no chance numbers.

    `links`: ports of peers to which there are connections with mail or without.
    """
    found: dict[str, str] = {}
    net = Path(f"/proc/{pid}/net")
    own = {_host(fields[1]) for table in ("tcp", "tcp6") for fields in _rows(net / table)}
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "icmp"):
        for fields in _rows(net / table):
            port, state, inode = int(fields[1].rpartition(":")[2], 16), fields[3], fields[9]
            if not table.startswith("tcp"):
                found[inode] = table
            elif state == LISTENING:
                found[inode] = f"{table} listening at {port}"
            elif _host(fields[2]) in own and state != TIME_WAIT:
                found[inode] = f"{TO_ITSELF} ({table}, state {state})"
            elif {port, int(fields[2].rpartition(":")[2], 16)} & {*links}:
                found[inode] = "tcp of a link"
            elif state != TIME_WAIT:
                found[inode] = f"tcp talking ({table}, state {state})"
    for fields in _rows(net / "unix"):
        found[fields[6]] = " ".join(("unix", fields[4], *fields[7:]))
    for table, column in (("netlink", 9), ("packet", 8)):
        for fields in _rows(net / table):
            # The kernel's own in each namespace, and those of nobody, are none of the node's.
            if len(fields) > column and fields[2 if table == "netlink" else column] != "0":
                found[fields[column]] = table
    return found


def _host(address: str) -> str:
    return address.partition(":")[0].removeprefix(MAPPED)


def of_node(pid: int, pids: Sequence[int], seen: Mapping[str, str]) -> dict[str, Any]:
    """Everything else, with the sockets that were seen; `ipc` and `listeners` are told, or `no ipc`
    says why not."""
    kinds = Counter(seen.values())
    uid = processfacts.uid(pid)
    return {
        "sockets": dict(sorted(kinds.items())),
        "locks": sorted(_locks(pid, set(pids))),
        "keys": [row for row in _text(Path("/proc/key-users")) if row[0] == f"{uid}:"],
    } | _in_namespaces(pid)


def _locks(pid: int, pids: set[int]) -> list[str]:
    """File locks that the node's processes hold, by the file's name where it is in the spool."""
    return [
        " ".join((*row[1:4], *row[5:]))
        for row in _text(Path("/proc/locks"))
        if len(row) > 7 and row[4].lstrip("-").isdigit() and int(row[4]) in pids
    ]


def _in_namespaces(pid: int) -> dict[str, Any]:
    """What is told only inside the node's namespaces: System V IPC, and its ports' queues."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        # Never returns: what this process would clean up is its parent's.
        told: dict[str, Any] = {}
        try:
            os.close(reader)
            _enter(pid, "ipc")
            told["ipc"] = {
                name: Path(f"/proc/sysvipc/{name}").read_text().splitlines()[1:]
                for name in ("shm", "sem", "msg")
            }
            _enter(pid, "net")
            told["listeners"] = listeners.read()
        except OSError as error:
            told = {"no ipc": error.strerror}
        finally:
            os.write(writer, json.dumps(told).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    try:
        return dict(json.loads(said))
    except ValueError:
        raise walk.Unseen("its System V IPC could not be read") from None


def _enter(pid: int, space: str) -> None:
    """Go into a namespace of the node's. Raises OSError."""
    with Path(f"/proc/{pid}/ns/{space}").open("rb") as file:
        if _LIBC.setns(file.fileno(), 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _rows(path: Path) -> list[list[str]]:
    """The rows of a table of /proc/net, without its head."""
    return _text(path)[1:]


def _text(path: Path) -> list[list[str]]:
    with contextlib.suppress(FileNotFoundError):
        return [line.split() for line in path.read_text(errors="backslashreplace").splitlines()]
    return []
