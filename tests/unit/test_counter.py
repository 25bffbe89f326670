"""The proxy's way from a mail to its message, and what its user is told of what waits."""

from __future__ import annotations

import random

import pytest
import remailers
from remailers import carry

from remailer.client.counter import PATIENCE_SECONDS, Backlog, Turn
from remailer.client.proxy import Way
from remailer.client.submission import Submission
from remailer.directory import Directory
from remailer.errors import ChainError
from remailer.link.smtp import Outcome

BOB = "bob@recipient.test"


def way(*chain: str, speaks: str = "cells") -> Way:
    peers = (p.model_copy(update={"speaks": speaks}) for p in remailers.directory().remailers)
    return Way(Directory(remailers=tuple(peers)), chain, rng=random.Random(1))


def mail(size: int) -> bytes:
    return b"From: alice@sender.test\r\n\r\n" + b"0123456789abcdef01\r\n" * (size // 20)


def test_mails_of_100_and_of_3000_bytes_become_messages_of_one_size() -> None:
    small, large, larger = (
        {len(way("alpha", "*", "*").message(mail(size), to)) for to in ([BOB], ["b@c.test", BOB])}
        for size in (100, 3000, 5000)
    )
    assert small == large
    assert len(small) == len(larger) == 1
    assert larger != small


def test_each_mail_has_a_chain_and_a_sealing_of_its_own() -> None:
    one = way("alpha", "*", "*")
    messages = [one.message(mail(100), [BOB]) for _ in range(8)]
    paths = []
    for message in messages:
        header, _, body = message.partition(b"\r\n\r\n")
        assert header == b"To: remailer@alpha.remailer.test"
        path, ((to, got),) = carry(Submission("remailer@alpha.remailer.test", body))
        assert (to, got.partition(b"\r\n\r\n")[2]) == (BOB, mail(100).partition(b"\r\n\r\n")[2])
        paths.append(tuple(path))
    assert len(set(messages)) == 8
    assert len(set(paths)) > 1
    assert {path[0] for path in paths} == {"alpha"}


def test_the_first_remailer_is_named_and_speaks_cells() -> None:
    assert way("alpha", "*").first().name == "alpha"
    with pytest.raises(ChainError, match="name the first remailer"):
        way("*", "*").first()
    with pytest.raises(ChainError, match="alpha speaks tls"):
        way("alpha", "*", speaks="tls").first()
    with pytest.raises(ChainError, match="no remailer 'none'"):
        way("none", "*").first()


class Hop:
    """A first remailer that says what it is told to."""

    def __init__(self, says: Outcome) -> None:
        self.says = says

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        return self.says

    async def end(self) -> None:
        pass

    def close(self) -> None:
        pass


async def test_mail_that_waits_too_long_is_told_to_who_brings_more() -> None:
    now = [0.0]
    backlog = Backlog("alpha", lambda: now[0])
    now[0] += 2 * PATIENCE_SECONDS
    assert backlog.trouble == ""  # nothing waits
    backlog.more(2)
    now[0] += PATIENCE_SECONDS
    assert backlog.trouble == ""
    now[0] += 1
    assert backlog.trouble.startswith("451 4.4.1 alpha")
    turn = Turn(Hop(Outcome.DELIVERED), backlog)
    assert await turn.send("remailer@alpha", b"") is Outcome.DELIVERED
    assert backlog.trouble == ""  # it goes on
    assert backlog.waiting == 1


async def test_mail_that_the_first_remailer_refuses_is_kept_and_told() -> None:
    hop, backlog = Hop(Outcome.REFUSED), Backlog("alpha")
    backlog.more()
    turn = Turn(hop, backlog)
    assert await turn.send("remailer@alpha", b"") is Outcome.DEFERRED
    assert backlog.trouble.startswith("554 5.3.5 alpha refuses")
    hop.says = Outcome.DELIVERED
    await turn.send("remailer@alpha", b"")
    assert backlog.trouble == ""
