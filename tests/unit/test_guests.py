"""Guests: who may be one, and that a node takes their mail as a user's and never as a peer's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from node_web import directory, pair, peer

from remailer import guests
from remailer.check import _guests
from remailer.client import guest as own
from remailer.errors import SetupError
from remailer.gate import Rate
from remailer.guests import MOST_GUESTS, Guest, Guests
from remailer.link.calls import calls
from remailer.link.cells import Cell, End, Part, Word, encode, transfer_of
from remailer.link.geometry import DATA
from remailer.link.pacer import MOST_AT_ONCE, _Way
from remailer.node import Node
from remailer.party import Party

ALPHA, ALICE = pair("alpha"), pair("alice")
KNOWN = directory(peer("alpha", 2525, ALPHA[1], speaks="cells"))
GUEST = Guest(name="alice", certificates=(ALICE[1],))


def file(folder: Path, *entries: Guest) -> Path:
    path = folder / "guests.json"
    path.write_text(Guests.model_construct(guests=entries).model_dump_json())
    return path


def test_a_guest_has_a_name_and_a_key_of_its_own(tmp_path: Path) -> None:
    assert guests.load(file(tmp_path, GUEST), KNOWN) == (GUEST,)
    other = Guest(name="carol", certificates=(ALICE[1],))
    for entries, word in (
        ((GUEST, GUEST), "two are named alice"),
        ((GUEST, other), "alice and carol have one key"),
        ((Guest(name="alpha", certificates=(ALICE[1],)),), "two are named alpha"),
        ((Guest(name="carol", certificates=(ALPHA[1],)),), "alpha and carol have one key"),
        ((Guest(name="carol", certificates=("-",)),), "carol: a certificate is none"),
        ((GUEST,) * (MOST_GUESTS + 1), f"at most {MOST_GUESTS}"),
    ):
        with pytest.raises(SetupError, match=word) as error:
            guests.load(file(tmp_path, *entries), KNOWN)
        assert "\n" not in str(error.value)
    with pytest.raises(SetupError, match="No such file"):
        guests.load(tmp_path / "none", KNOWN)


def test_keys_are_made_once_and_only_for_their_user(tmp_path: Path) -> None:
    entry = own.make(tmp_path / "keys", "alice")
    assert own.load(tmp_path / "keys").entry == entry
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}
    with pytest.raises(SetupError, match="there already"):
        own.make(tmp_path / "keys", "alice")
    with pytest.raises(SetupError, match="remailer guest"):
        own.load(tmp_path)
    for name in ("Alice", "", "é", "a" * 65):
        with pytest.raises(SetupError, match=f"'{name}': a name has"):
            own.make(tmp_path / "other", name)
    assert not (tmp_path / "other").exists()


def test_a_guest_always_calls() -> None:
    (alpha,) = KNOWN.remailers
    assert calls(GUEST.party, alpha.party)
    assert not calls(GUEST.party, alpha.model_copy(update={"speaks": "tls"}).party)


def test_a_guest_that_floods_is_cut_and_one_that_was_held_up_is_not() -> None:
    way = _Way()
    assert all(way.allows() for _ in range(MOST_AT_ONCE))
    assert not way.allows()
    for _ in range(1000):
        way.gave()
        assert way.allows()


def test_half_a_message_is_let_go_after_a_while() -> None:
    now = [0.0]
    end, message = End(lambda: now[0]), b"x" * (DATA + 1)
    part = Part(transfer_of(message), len(message), 0, message[:DATA])
    end.take(encode(Cell(part)))
    assert end._receiver._coming
    now[0] = 601.0
    end.next_cell()
    assert not end._receiver._coming


class FakeNode:
    """As much of a node as taking a message asks for."""

    def __init__(self, rate: int = 100) -> None:
        self._guests = Rate(rate)
        self.taken: list[tuple[bytes, bytes | None]] = []

    async def _take_in(self, mail: bytes, transfer: bytes | None) -> None:
        self.taken.append((mail, transfer))

    async def take(self, party: Party, mail: bytes) -> Word:
        node = cast(Node, self)
        return await Node._accept_message(node, party, mail, transfer_of(mail))


def test_check_says_whether_the_file_is_well(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert str(_guests(file(tmp_path, GUEST), KNOWN, now)) == "ok      guests: 1 may call"
    late = str(_guests(file(tmp_path, GUEST), KNOWN, now + timedelta(days=340)))
    assert late.startswith("trouble guests: alice: certificate ends soon")
    assert str(_guests(tmp_path / "none", KNOWN, now)).startswith("trouble guests: guests ")


async def test_a_guest_cannot_use_up_the_name_of_a_peers_transfer() -> None:
    node, mail = FakeNode(), b"Message-ID: <x@y>\r\n\r\nhi\r\n"
    for one in (KNOWN.remailers[0], GUEST, Guest(name="carol", certificates=("-",)), GUEST):
        assert await node.take(one.party, mail) is Word.STORED
    names = [name for _, name in node.taken]
    assert names[0] == b"<x@y>"
    assert names[1] == b"alice " + transfer_of(mail) == names[3]  # a repetition is known
    assert len(set(names)) == 3


async def test_a_guest_has_the_rate_of_an_address_on_port_25() -> None:
    node = FakeNode(rate=3)
    words = [await node.take(GUEST.party, b"\r\n%d\r\n" % number) for number in range(4)]
    assert words == [Word.STORED] * 3 + [Word.LATER]
    assert await node.take(KNOWN.remailers[0].party, b"\r\npeer\r\n") is Word.STORED


async def test_what_port_25_refuses_of_a_user_is_refused_of_a_guest() -> None:
    node = FakeNode()
    assert await node.take(GUEST.party, b"\r\nlone\nLF\r\n") is Word.REFUSED
    assert await node.take(GUEST.party, b"Subject: remailer-help\r\n\r\n") is Word.STORED
    assert node.taken == []
