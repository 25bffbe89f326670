"""How long a queue each listening socket of this network namespace may have: sock_diag(7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_SOCK_DIAG, _BY_FAMILY, _DUMP, _LISTEN = 4, 20, 0x301, 1 << 10
_HEAD, _REQUEST, _ID = struct.Struct("=IHHII"), struct.Struct("=BBBxI"), 48
_QUEUE = struct.Struct("=I")


def read() -> list[str]:
    """A line a listener. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        return sorted(
            line
            for family in (socket.AF_INET, socket.AF_INET6)
            for line in _of_family(kernel, family)
        )


def _of_family(kernel: socket.socket, family: int) -> Iterator[str]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTEN) + bytes(_ID)
    kernel.send(_HEAD.pack(_HEAD.size + len(request), _BY_FAMILY, _DUMP, 0, 0) + request)
    while True:
        data = kernel.recv(1 << 16)
        while data:
            size, kind, *_ = _HEAD.unpack_from(data)
            if kind != _BY_FAMILY:  # the end, or an error
                return
            body = data[_HEAD.size : size]
            port = int.from_bytes(body[4:6])
            # After the socket's id: expires, receive queue, send queue (of a listener: its most).
            (most,) = _QUEUE.unpack_from(body, 4 + _ID + 8)
            yield f"port {port} of family {family}: {most} may wait"
            data = data[(size + 3) & ~3 :]
