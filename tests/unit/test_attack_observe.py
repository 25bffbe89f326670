"""What an attacker sees in a capture and in logs, what is true of it, and that he isn't told."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime
from pathlib import Path

import pytest
from wire_rows import CLIENT_HELLO, SERVER_HELLO, Tape, hello, record

from testbed import attack
from testbed.attack import logs
from testbed.attack.catalogue import ATTACKS
from testbed.attack.load import Posted
from testbed.attack.observation import Observation
from testbed.attack.observe import observe
from testbed.attack.truth import truth
from testbed.topology import LINK_PORT, Link, Topology

WEB = Topology(nodes=3)
ALPHA, BRAVO, CHARLIE = WEB.remailers
MAIL = b"Message-ID: <0123abcd.00007@sender.test>\r\n\r\n" + b"sixteen and more bytes\r\n" * 60
SEALED = b"other lines altogether\r\n" * 40


def posted(mark: str, kind: str = "forward") -> Posted:
    return Posted(kind, ("alpha", "bravo"), "a@sender.test", "b@recipient.test", 0.0, "", b"", mark)


def smtp(
    tape: Tape, client: str, server: str, port: int, sender: bytes, to: bytes, mail: bytes
) -> None:
    sent = [
        b"EHLO x\r\n", b"MAIL FROM:<%b>\r\n" % sender, b"RCPT TO:<%b>\r\n" % to, b"DATA\r\n",
        mail + b".\r\n", b"QUIT\r\n",
    ]  # fmt: skip
    tape.tcp(client, server, port, sent, [b"250 so\r\n"] * 6)


def web(link: Link) -> Observation:
    tape = Tape()
    home, away = WEB.sender.host, WEB.recipient.host
    smtp(tape, home, ALPHA.host, 25, b"alice@sender.test", b"remailer@alpha", MAIL)
    if link is Link.SMTP:
        smtp(tape, ALPHA.host, BRAVO.host, LINK_PORT, b"", b"remailer@bravo", SEALED)
    else:
        tape.tcp(
            ALPHA.host, BRAVO.host, LINK_PORT,
            [record(22, 500), record(23, 1800), record(23, 60), record(23, 900) + record(23, 700)],
            [record(22, 900) + record(23, 1900), record(23, 40), record(23, 41), record(23, 42)],
            (hello(CLIENT_HELLO, "aa"), hello(SERVER_HELLO, "bb")),
        )  # fmt: skip
    text = b"\r\n0123abcd.00007\r\n" + b"the text that was meant\r\n" * 30
    smtp(tape, BRAVO.host, away, 25, b"", b"bob@recipient.test", text)
    return observe(tape.wire(), WEB)


@pytest.mark.parametrize("link", [Link.SMTP, Link.TLS])
def test_mails_are_found_at_the_edges_and_on_the_link(link: Link) -> None:
    seen = web(link)
    (entry,) = seen.entries
    assert (entry.hop, entry.sender) == ("alpha", "alice@sender.test")
    assert entry.mail.data.startswith(MAIL)
    (exit_,) = seen.exits
    assert (exit_.hop, exit_.recipient) == ("bravo", "bob@recipient.test")
    (transfer,) = seen.links["alpha", "bravo"]
    assert entry.mail.end < transfer.start <= transfer.end < exit_.mail.start
    assert all(not own for way, own in seen.links.items() if way != ("alpha", "bravo"))
    assert set(seen.links) == {(a.name, b.name) for a, b in WEB.links}
    assert len(seen.packets["alpha", "bravo"]) >= 4


def test_what_is_in_clear_is_seen_and_what_is_sealed_is_only_sized() -> None:
    (plain,), (sealed,) = (web(link).links["alpha", "bravo"] for link in (Link.SMTP, Link.TLS))
    assert plain.data.startswith(SEALED)
    assert plain.size == len(SEALED) + 3
    assert sealed.size == 1600  # without the handshake's records, and without commands
    assert b"other" not in sealed.data


def test_what_the_server_says_at_length_goes_the_other_way() -> None:
    """As in a protocol in which both sides send: a link is a direction, not a connection."""
    tape = Tape()
    tape.tcp(
        ALPHA.host, BRAVO.host, LINK_PORT,
        [record(22, 500), record(23, 1800), record(23, 600), record(23, 601)],
        [record(22, 900) + record(23, 1900), record(23, 700), record(23, 701), record(23, 40)],
        (hello(CLIENT_HELLO, "aa"), hello(SERVER_HELLO, "bb")),
    )  # fmt: skip
    seen = observe(tape.wire(), WEB)
    assert [t.size for t in seen.links["alpha", "bravo"]] == [600, 601]
    assert [t.size for t in seen.links["bravo", "alpha"]] == [700, 701]


def test_a_connection_on_which_nobody_said_anything_has_nothing() -> None:
    tape = Tape()
    tape.tcp(ALPHA.host, BRAVO.host, LINK_PORT, [])
    assert not any(observe(tape.wire(), WEB).links.values())


def test_what_is_outside_the_span_is_not_seen() -> None:
    tape = Tape()
    smtp(tape, WEB.sender.host, ALPHA.host, 25, b"alice@sender.test", b"remailer@alpha", MAIL)
    assert observe(tape.wire(), WEB).during(5.0, 9.0).entries == ()


def test_the_truth_knows_entry_and_exit_by_the_mark() -> None:
    told = truth(web(Link.TLS), [posted("0123abcd.00007"), posted("0123abcd.00008")])
    assert told.of_kind("forward") == [0]
    assert told.next(0) == "bravo"
    assert told.exits == {0: 0}
    assert truth(web(Link.TLS), [posted("ffffffff.00007")]).entries == {}


LOG = """\
Nov 25 21:56:15 bravo postfix/smtpd[9]: D3A3EF0751: client=mail.sender.test[10.193.0.241]
Nov 25 21:56:15 bravo postfix/cleanup[8]: D3A3EF0751: message-id=<0123abcd.00007@sender.test>
Nov 25 21:56:15 bravo postfix/qmgr[8]: D3A3EF0751: from=<alice@sender.test>, size=16100, nrcpt=1
Nov 25 21:56:16 bravo postfix/local[4]: D3A3EF0751: to=<remailer@bravo.remailer.test>, \
status=sent (delivered to command: /usr/local/bin/remailer deliver)
Nov 25 21:56:17 bravo postfix/smtpd[9]: E3BEDF052C: client=localhost[127.0.0.1]
Nov 25 21:56:17 bravo postfix/qmgr[8]: E3BEDF052C: from=<>, size=9000, nrcpt=1 (queue active)
Nov 25 21:56:18 bravo postfix/smtpd[5]: 2A58AF0900: client=alpha.remailer.test[10.193.0.11]
Nov 25 21:56:18 bravo postfix/qmgr[8]: 2A58AF0900: from=<>, size=6728, nrcpt=1 (queue active)
and a line of something else
""".splitlines()


def test_of_a_user_with_a_proxy_every_cell_may_be_a_mail_and_none_is_read() -> None:
    topology = Topology(nodes=3, proxies=True)
    user = topology.guests[0]
    tape = Tape()
    cells = [record(22, 500), *[record(23, 16000)] * 3]
    tape.tcp(
        user.host, ALPHA.host, LINK_PORT, cells, [record(22, 900), *[record(23, 16000)] * 3],
        (hello(CLIENT_HELLO, "aa"), hello(SERVER_HELLO, "bb")),
    )  # fmt: skip
    smtp(tape, BRAVO.host, topology.recipient.host, 25, b"", b"bob@recipient.test", MAIL)
    seen = observe(tape.wire(), topology)
    assert user.path == ("alpha", "bravo")
    assert {(one.hop, one.sender) for one in seen.entries} == {("alpha", user.name)}
    assert {one.mail.size for one in seen.entries} == {16000}
    assert seen.packets[user.name, "alpha"]
    assert seen.packets["alpha", user.name]
    assert not any(seen.links.values())
    letter = posted("0123abcd.00007", "padded")
    told = truth(seen, [letter])
    assert (told.entries, told.exits, told.left) == ({}, {}, {0: letter})


def test_logs_tell_the_same_a_second_coarse() -> None:
    since = datetime(2026, 11, 25, 21, 56, tzinfo=UTC).timestamp()
    seen = logs.read({"bravo": LOG}, WEB, since, since + 60)
    (entry,) = seen.entries
    assert (entry.hop, entry.sender, entry.mail.size) == ("bravo", "alice@sender.test", 16100)
    assert (entry.mail.start - since, entry.mail.end - since) == (15, 16)
    (transfer,) = seen.links["alpha", "bravo"]
    assert (transfer.start - since, transfer.size, transfer.data) == (18, 6728, b"")
    assert seen.resolution == 1.0
    assert truth(seen, [posted("0123abcd.00007")]).of_kind("forward") == [0]


def test_without_logs_there_is_nothing_to_see() -> None:
    seen = logs.read({}, WEB, 0.0, 60.0)
    assert not seen.entries
    assert not any(seen.links.values())


def test_no_attack_can_reach_the_truth() -> None:
    """Neither its argument holds it, nor does it import a module that makes or knows it."""
    blind = {"observation", "observe", "logs", "match", "busy", "ticks"}
    blind |= {inspect.getmodule(one.guess).__name__.rpartition(".")[2]  # type: ignore[union-attr]
              for one in ATTACKS if one.guess is not None}  # fmt: skip
    telling = {"testbed.attack.truth", "testbed.attack.load", "testbed.attack.score",
               "testbed.attack.questions", "testbed.attack.windows",
               "testbed.attack.case", "testbed.attack.plant", "testbed.traffic"}  # fmt: skip
    folder = Path(attack.__file__).parent
    for name in blind:
        tree = ast.parse((folder / f"{name}.py").read_text())
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
        }  # fmt: skip
        assert not telling & (modules | names), name
