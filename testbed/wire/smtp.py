"""A TCP stream read as SMTP: who said what, in answer to what. Pure.

Neither side may go on before the other has answered (nobody in the web offers PIPELINING to a
remailer, nor a remailer to anybody), so the two ways of a stream tell the order by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.wire.packets import Bytes, Stream

END = b"\r\n.\r\n"


@dataclass(frozen=True)
class Exchange:
    """A command and its reply; the greeting has no command, and a mail's end is one too."""

    command: bytes
    """With its CRLF; of a mail the dot that ends it, `.` CRLF."""
    reply: bytes
    """All lines of it; empty if none came."""
    at: int
    """Offset of the command's last byte in what the client sent."""
    reply_at: int
    """Offset of the reply's first byte in what the server sent."""
    mail: bytes = b""
    """The mail before a dot, as it was meant (RFC 5321, 4.5.2)."""

    @property
    def verb(self) -> str:
        """The command's first word in capitals; nothing for the greeting."""
        return (
            self.command.split(None, 1)[0].upper().decode("ascii", "replace")
            if self.command
            else ""
        )


@dataclass(frozen=True)
class Talk:
    """A whole conversation, as far as it is in clear, and what of it is no exchange."""

    exchanges: tuple[Exchange, ...]
    rest: tuple[tuple[Bytes, int], ...]
    """Where each way's bytes begin that are neither a command nor a reply."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom RCPT named, without brackets."""
        return tuple(
            e.command[8:].strip(b"<> \r\n").decode("ascii", "replace")
            for e in self.exchanges
            if e.verb == "RCPT"
        )


def talk(stream: Stream) -> Talk:
    """Read a stream from its greeting on. In TLS nothing can be read: that ends it."""
    sent, received = stream.sent.data, stream.received.data
    exchanges: list[Exchange] = []
    at, reply_at, in_mail = 0, _reply(received, 0), False
    exchanges.append(Exchange(b"", received[:reply_at], -1, 0))
    while at < len(sent):
        mark = END if in_mail else b"\r\n"
        # The line end before a mail belongs to DATA: a mail without a line is a dot alone.
        found = sent.find(mark, at - 2 if in_mail else at)
        if found < 0:
            break
        end = found + len(mark)
        answer = received[reply_at : _reply(received, reply_at)]
        command = b".\r\n" if in_mail else sent[at:end]
        mail = sent[at : end - 3].replace(b"\r\n.", b"\r\n").removeprefix(b".") if in_mail else b""
        exchanges.append(Exchange(command, answer, end - 1, reply_at, mail))
        at, reply_at = end, reply_at + len(answer)
        if exchanges[-1].verb == "STARTTLS" and answer.startswith(b"220"):
            return Talk(tuple(exchanges), ())
        in_mail = exchanges[-1].verb == "DATA" and answer.startswith(b"354")
    rest = [(way, begins) for way, begins in ((stream.sent, at), (stream.received, reply_at))
            if begins < len(way.data)]  # fmt: skip
    return Talk(tuple(exchanges), tuple(rest))


def _reply(data: bytes, at: int) -> int:
    """Where the reply that begins there ends; `at` itself if it isn't whole."""
    begin = at
    while (end := data.find(b"\r\n", at)) >= 0:
        more, at = data[at + 3 : at + 4] == b"-", end + 2
        if not more:
            return at
    return begin
