"""TCP streams of a link read as TLS records: what is outside them, and how much mail is inside.

Pure. Nothing is deciphered; a record's header (RFC 8446 section 5.1) and the order of packets are
enough to tell a client's handshake from what it sends afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.wire.packets import Bytes, Stream

APPLICATION_DATA = 23
_CONTENT_TYPES = range(20, 24)
_MAX_RECORD = 2**14 + 256
SEALING = 17
"""Bytes of a record that are no text: the true content type, and the tag of any TLS 1.3 cipher."""


@dataclass(frozen=True)
class Records:
    """A direction of a stream read as TLS records (RFC 8446 section 5.1)."""

    data: tuple[tuple[int, int], ...]
    """(offset of the first byte, bytes) of the contents of each application data record."""
    clear: int | None
    """Offset of the first byte that belongs to no record, None if every byte does."""

    @property
    def application(self) -> int:
        """Bytes in application data records."""
        return sum(size for _, size in self.data)


def records(data: bytes) -> Records:
    """Walk the record headers. A last record that is not whole is one (the connection broke)."""
    at = 0
    found: list[tuple[int, int]] = []
    while at < len(data):
        header = data[at : at + 5]
        kind, major = header[0], header[1:2] or b"\x03"
        length = int.from_bytes(header[3:5], "big") if len(header) == 5 else 0
        if kind not in _CONTENT_TYPES or major != b"\x03" or length > _MAX_RECORD:
            return Records(tuple(found), at)
        if kind == APPLICATION_DATA:
            found.append((at + 5, min(length, max(0, len(data) - at - 5))))
        at += 5 + length
    return Records(tuple(found), None)


def after_handshake(stream: Stream) -> list[tuple[int, int]]:
    """(offset, bytes) of the client's application data records behind its handshake.

    A client's certificate, signature and Finished are application data records, too. What comes
    after them comes after the server has answered them: in SMTP the server speaks first. So only
    records that begin behind the server's first packet after the client's first such record count.
    """
    sent = records(stream.sent.data).data
    answers = [stream.received.frame(at) for at, _ in records(stream.received.data).data]
    if not sent:
        return []
    first = stream.sent.frame(sent[0][0])
    answered = min((frame for frame in answers if frame > first), default=None)
    if answered is None:
        return []
    return [(at, size) for at, size in sent if stream.sent.frame(at) > answered]


def answers_after_handshake(stream: Stream) -> list[tuple[int, int]]:
    """The same of the server: behind the client's first such record, which ends the handshake."""
    sent = records(stream.sent.data).data
    if not sent:
        return []
    first = stream.sent.frame(sent[0][0])
    found = records(stream.received.data).data
    return [(at, size) for at, size in found if stream.received.frame(at) > first]


def inside(stream: Stream) -> int:
    """Bytes that the client sent in TLS after its handshake, without what sealing adds."""
    return sum(max(0, size - SEALING) for _, size in after_handshake(stream))


def carried(stream: Stream) -> int:
    """Bytes that may be mail: those inside TLS, or, where the client began none, all it sent."""
    return inside(stream) if stream.sent.data[:1] == b"\x16" else len(stream.sent.data)


def clear(stream: Stream) -> Iterator[tuple[Bytes, int]]:
    """Where each way's bytes outside TLS begin: at the envelope if it can be read."""
    for way in (stream.sent, stream.received):
        begins = records(way.data).clear
        # Behind a hole nobody can tell where records begin; the hole leaves the row open.
        if begins is not None and not any(start <= begins for start, _ in way.holes):
            yield way, max(way.data.find(b"MAIL FROM", begins), begins)
