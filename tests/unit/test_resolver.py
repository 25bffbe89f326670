"""The resolver: a question that was lost is asked again, and its number is the kernel's."""

from __future__ import annotations

import dns.message
import dns.name
import pytest
from node_web import Dns

from remailer import resolver
from remailer.link.smtp import Unreachable
from remailer.resolver import NoSuchName, Resolver

NAME = dns.name.from_text("recipient.test")


class Deaf(Dns):
    """Doesn't hear the first so many questions."""

    deaf = 0

    def __init__(self) -> None:
        super().__init__({("recipient.test", "A"): ("127.0.0.1",)})
        self.numbers: list[int] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.numbers.append(dns.message.from_wire(data).id)
        if len(self.numbers) > self.deaf:
            super().datagram_received(data, addr)


async def asked(server: Deaf, name: dns.name.Name = NAME, kind: str = "A") -> list[str]:
    """What it says; the server is there for this question only."""
    await server.start()
    try:
        return [str(one) for one in await Resolver("127.0.0.1", server.port).ask(name, kind)]
    finally:
        server.stop()


async def test_a_question_that_was_lost_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "TRY_SECONDS", 0.1)
    server = Deaf()
    server.deaf = 2
    assert await asked(server) == ["127.0.0.1"]
    assert len(server.numbers) == 3


async def test_who_never_answers_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "TRY_SECONDS", 0.1)
    monkeypatch.setattr(resolver, "LOOKUP_SECONDS", 0.3)
    server = Deaf()
    server.deaf = 100
    with pytest.raises(Unreachable, match="no answer"):
        await asked(server)


async def test_a_question_has_the_kernels_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver.os, "urandom", lambda size: bytes(range(0x12, 0x12 + size)))
    server = Deaf()
    await asked(server)
    assert server.numbers == [0x1213]


async def test_no_record_is_no_trouble_and_no_name_is() -> None:
    assert await asked(Deaf(), kind="MX") == []
    with pytest.raises(NoSuchName):
        await asked(Deaf(), dns.name.from_text("nobody.test"))
