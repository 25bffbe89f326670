"""Where mail ends: a bare SMTP server that counts, in clear on port 25 and as a TLS peer on 2525.

It is no remailer and keeps nothing: what it costs is not what is measured. Mail counts only when
it has the mark that is found nowhere but inside what had to be opened. Port 2600 tells: `reset`,
or `count` with the moment of the last arrival (CLOCK_MONOTONIC, one for all containers).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

KEYS = Path("/var/lib/remailer/keys")
DIRECTORY = Path("/etc/remailer/directory.json")
MARK = b"unlogged bench"
_END = b"\r\n.\r\n"
_MULTILINE = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 20000000\r\n"


@dataclass
class Counted:
    """What has come so far."""

    arrived: int = 0
    unmarked: int = 0
    last: float = 0.0

    def take(self, mail: bytes) -> None:
        """One more mail."""
        if MARK in mail:
            self.arrived += 1
            self.last = time.monotonic()
        else:
            self.unmarked += 1


class Smtp(asyncio.Protocol):
    """One connection; commands may come several at a time."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._buffer = b""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Take commands and mails as they are complete."""
        self._buffer += data
        while self._mail() if self._in_data else self._command():
            pass

    def _command(self) -> bool:
        line, ended, rest = self._buffer.partition(b"\r\n")
        if not ended:
            return False
        self._buffer = rest
        verb = line[:4].upper()
        replies = {b"EHLO": _MULTILINE, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
        self._transport.write(replies.get(verb, b"250 ok\r\n"))
        self._in_data = verb == b"DATA"
        if verb == b"QUIT":
            self._transport.close()
        return True

    def _mail(self) -> bool:
        mail, ended, rest = self._buffer.partition(_END)
        if not ended:
            return False
        self._buffer, self._in_data = rest, False
        self._counted.take(mail)
        self._transport.write(b"250 ok\r\n")
        return True


class Control(asyncio.Protocol):
    """Whoever feeds asks here what has arrived."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One question a line, one answer a line."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """`reset` or `count`."""
        if data.startswith(b"reset"):
            self._counted.arrived = self._counted.unmarked = 0
        self._transport.write(json.dumps(vars(self._counted)).encode() + b"\n")


def peer_context() -> ssl.SSLContext:
    """TLS 1.3 with this node's own key, trusting what the directory has: as peers demand it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(KEYS / "link.crt", KEYS / "link.key")
    peers = json.loads(DIRECTORY.read_text())["remailers"]
    context.load_verify_locations(
        cadata="\n".join(pem for peer in peers for pem in peer["certificates"])
    )
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


async def main() -> None:
    """Serve for ever."""
    counted = Counted()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Smtp(counted), None, 25)
    await loop.create_server(lambda: Smtp(counted), None, 2525, ssl=peer_context())
    await loop.create_server(lambda: Control(counted), None, 2600)
    print("sink: ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
