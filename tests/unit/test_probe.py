"""The prober against nodes on loopback, by real TLS: a good one passes, each bad one is named."""

from __future__ import annotations

import os
import random
import socket
import ssl
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fake_node import MAIL_PORT, FakeNode

from remailer.directory import Directory, Peer
from testbed.topology import Link, Topology
from testbed.verdict import Finding, Status
from testbed.wire import probe_agent
from testbed.wire.identities import (
    FRIEND,
    IMPOSTORS,
    LAPSED,
    STRANGER,
    certificate,
    identities,
    key_pem,
    subject,
)
from testbed.wire.probe import lookalikes, task_of
from testbed.wire.probe_verdict import STRANGERS, findings

NET = f"127.{20 + os.getpid() % 200}.{os.getpid() // 200 % 250}"
"""Loopback addresses of this process: tests that run side by side do not meet."""
TLS = Topology(net=NET, nodes=2, link=Link.TLS)
SMTP = Topology(net=NET, nodes=2, link=Link.SMTP)


@pytest.fixture(scope="module")
def made() -> tuple[list[Peer], dict[str, bytes]]:
    return identities(TLS, "no key")


@pytest.fixture(scope="module")
def files(
    made: tuple[list[Peer], dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The prober's files, and for both nodes a key of their own, made in the same way."""
    folder = tmp_path_factory.mktemp("probe")
    for name, data in made[1].items():
        (folder / name).write_bytes(data)
    for node in TLS.remailers:
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        pem = certificate(key, subject(node.name)) + key_pem(key)
        (folder / f"{node.name}.pem").write_bytes(pem)
    return folder


def directory(topology: Topology, made: list[Peer], files: Path) -> Directory:
    nodes = [
        Peer(
            name=node.name,
            address=node.address,
            hosts=(node.host,),
            link_port=MAIL_PORT + 1,
            speaks=topology.link.value,
            certificates=(
                (files / f"{node.name}.pem").read_text().partition("-----BEGIN PRIV")[0],
            ),
            openpgp="no key",
        )
        for node in topology.remailers
    ]
    return Directory(remailers=(*nodes, *made))


@pytest.fixture
def probe(
    made: tuple[list[Peer], dict[str, bytes]], files: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Run the prober against two nodes, the first with faults: the rows of both."""
    monkeypatch.setattr(probe_agent, "KNOCK_SECONDS", 2.0)
    monkeypatch.setattr(probe_agent, "HELLO_SECONDS", 0.3)

    def run(topology: Topology = TLS, within: float = 10.0, **faults: bool) -> dict[Any, Finding]:
        public = directory(topology, made[0], files)
        for name, data in lookalikes(topology, public, made[1][f"{STRANGER}.pem"]).items():
            (files / name).write_bytes(data)
        task, marks = task_of(topology, public, random.Random(3))
        task |= {"mail_port": MAIL_PORT, "within": within, "linger": 0.5 if faults else 0.0}
        clear = topology.link is Link.SMTP
        with ExitStack() as stack:
            for node in topology.remailers:
                own = faults if node.name == "alpha" else {}
                pem = files / f"{node.name}.pem"
                stack.enter_context(FakeNode(node, pem, public, clear=clear, **own))
            answers = probe_agent.run(task, files)
        return {(f.claim, f.subject): f for f in findings(topology, answers, marks)}

    return run


def test_good_nodes_pass(probe: Any) -> None:
    found = probe()
    assert {key: f.status for key, f in found.items() if f.status is not Status.PASS} == {}
    assert len(found) == 6
    assert found["link-refuses", "alpha"].controls[2].where == ""
    assert "10 attempts ended without a word" in found["link-pinned", "alpha"].looked_at


@pytest.mark.parametrize(
    ("fault", "claim", "told"),
    [
        ("lets_anybody_in", "link-refuses", {"no certificate", "a stranger's certificate"}),
        ("trusts_anybody", "link-pinned", {"probe-wrong", "probe-swapped", "probe-expired"}),
        ("trusts_any_peer", "link-pinned", {"probe-swapped"}),
        ("falls_back", "link-pinned", {"probe-wrong", "probe-old"}),
    ],
)
def test_bad_nodes_are_named(probe: Any, fault: str, claim: str, told: set[str]) -> None:
    found = probe(**{fault: True})
    assert {key for key, f in found.items() if f.status is Status.FAIL} == {(claim, "alpha")}
    evidence = found[claim, "alpha"].evidence
    for what in told:
        assert any(what in e.where + e.what for e in evidence), evidence
    if claim == "link-pinned":
        assert any("took 1 mail" in e.what for e in evidence)
    else:
        assert any("220 alpha" in e.what for e in evidence)
    assert all(f.status is Status.PASS for key, f in found.items() if key[1] == "bravo")


def test_tls12_is_found_on_both_sides(probe: Any) -> None:
    found = probe(old_is_fine=True)
    assert [e.where for e in found["link-refuses", "alpha"].evidence] == [
        "link port, a pinned key, TLS 1.2"
    ]
    assert {e.where.split(",")[0] for e in found["link-pinned", "alpha"].evidence} == {"probe-old"}


def test_a_certificate_that_changes_is_told_by_both_serial_numbers(probe: Any, files: Path) -> None:
    found = probe(changes_certificate=True)
    assert {key for key, f in found.items() if f.status is Status.FAIL} == {
        ("port25-cert", "alpha")
    }
    (told,) = found["port25-cert", "alpha"].evidence
    first, then = (
        x509.load_pem_x509_certificate((files / f"{name}.pem").read_bytes()).serial_number
        for name in ("alpha", FRIEND)
    )
    assert told.what == f"serial {first:x} before the probe's mails, serial {then:x} after them"


@pytest.mark.parametrize("fault", ["loses_mail", "sends_twice"])
def test_mail_lost_or_doubled_is_no_pass(probe: Any, fault: str) -> None:
    found = probe(within=2.0, **{fault: True})
    assert found["link-pinned", "alpha"].status is Status.INCONCLUSIVE
    assert found["link-pinned", "bravo"].status is Status.PASS
    assert found["link-refuses", "alpha"].status is Status.PASS


def test_in_clear_both_fail_with_what_was_said(probe: Any) -> None:
    found = probe(SMTP)
    links = {key: f.status for key, f in found.items() if key[0] != "port25-cert"}
    assert set(links.values()) == {Status.FAIL}
    (let_in,) = found["link-refuses", "bravo"].evidence
    assert "220 bravo" in let_in.what
    handed = found["link-pinned", "bravo"].evidence
    assert len(handed) == len(IMPOSTORS)
    assert all("took 1 mail" in e.what and "EHLO me" in e.what for e in handed)
    assert found["link-refuses", "bravo"].controls[0].found


def test_a_node_that_is_not_there_is_open(
    made: tuple[list[Peer], dict[str, bytes]], files: Path
) -> None:
    public = directory(TLS, made[0], files)
    task, marks = task_of(TLS, public, random.Random(3))
    answers = probe_agent.run(task | {"mail_port": MAIL_PORT, "within": 0.1, "linger": 0}, files)
    assert {f.status for f in findings(TLS, answers, marks)} == {Status.INCONCLUSIVE}
    assert {f.status for f in findings(TLS, {}, {})} == {Status.INCONCLUSIVE}


@pytest.mark.parametrize("trouble", ["no such file", "no cipher in common"])
def test_a_face_that_can_not_be_put_on_is_no_refusal(
    probe: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """The prober's own TLS fails, but for its friendly face: nobody was refused by the node."""
    real = probe_agent.client_context

    def broken(files: Path, face: dict[str, Any]) -> ssl.SSLContext:
        context = real(files, face)
        if face != {"pem": f"{FRIEND}.pem"}:
            if trouble == "no such file":
                raise FileNotFoundError(2, "No such file", str(face))
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("PSK-AES128-GCM-SHA256")  # needs what nobody has
        return context

    monkeypatch.setattr(probe_agent, "client_context", broken)
    found = probe()["link-refuses", "alpha"]
    assert found.status is Status.INCONCLUSIVE
    assert found.controls[0].found
    assert not found.controls[2].found


def test_whose_end_it_was() -> None:
    ends = {
        error.strerror: probe_agent._ended(error)
        for error in (
            ConnectionResetError(104, "reset"), OSError(101, "unreachable"), TimeoutError(110, "t"),
        )
    }  # fmt: skip
    assert ends == {"reset": "closed: reset", "unreachable": "error: unreachable", "t": "silent"}


def test_an_answer_that_never_came_is_no_refusal(
    probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.create_connection

    def unreachable(address: tuple[str, int], *given: Any, **more: Any) -> socket.socket:
        if sys._getframe(1).f_code.co_name == "knock" and address[0].startswith(NET):
            raise OSError(113, "No route to host")
        return real(address, *given, **more)

    monkeypatch.setattr(socket, "create_connection", unreachable)
    found = probe()["link-refuses", "alpha"]
    assert found.status is Status.INCONCLUSIVE
    assert found.controls[2].found
    assert not found.controls[1].found


def test_identities(made: tuple[list[Peer], dict[str, bytes]]) -> None:
    entries, written = made
    assert [e.name for e in entries] == [FRIEND, LAPSED, *IMPOSTORS]
    assert len({e.link_port for e in entries}) == len(entries)
    assert {e.hosts for e in entries} == {(TLS.prober,)}
    pins = [pin for e in entries for pin in e.pins]
    assert len(pins) == len(set(pins)) == 8
    for name, data in written.items():
        certificate = x509.load_pem_x509_certificate(data)
        assert certificate.public_key() == load_pem_private_key(data, None).public_key(), name
    expired = {n for n, d in written.items() if _expired(d)}
    assert expired == {f"{LAPSED}.pem", "probe-expired-old.pem"}
    swapped = x509.load_pem_x509_certificate(written["probe-expired-old.pem"])
    assert swapped.subject == subject("probe-expired")


def _expired(pem: bytes) -> bool:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc < datetime.now(UTC)


def test_labels_come_from_the_random_source(
    made: tuple[list[Peer], dict[str, bytes]], files: Path
) -> None:
    public = directory(TLS, made[0], files)
    assert task_of(TLS, public, random.Random(3)) == task_of(TLS, public, random.Random(3))
    _, marks = task_of(TLS, public, random.Random(4))
    assert len(set(marks.values())) == len(IMPOSTORS) * TLS.nodes
    assert set(task_of(TLS, public, random.Random(3))[0]["faces"]["alpha"]) == {
        "friend",
        *STRANGERS,
    }


def test_what_goes_in_pieces_goes_in_halves_and_all_of_it_before_the_end() -> None:
    """A record for itself, though more lie behind it."""
    records = [b"\x17\x03\x03" + size.to_bytes(2) + b"a" * size for size in (995, 10_001, 1, 0)]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        caller = socket.create_connection(listening.getsockname())
        line = listening.accept()[0]
    with caller, line:
        caller.settimeout(5)
        with probe_agent.in_pieces(line) as near:
            near.sendall(b"".join(records))
            for record in records[:2]:
                assert caller.recv(65_536) == record[: len(record) // 2]
                assert caller.recv(65_536) == record[len(record) // 2 :]
            caller.sendall(b"b")
            assert near.recv(10) == b"b"
        with caller.makefile("rb") as rest:
            assert rest.read() == b"".join(records[2:])


def test_who_stays_on_the_line_does_not_keep_the_prober() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        caller = socket.create_connection(listening.getsockname())
        line = listening.accept()[0]
    with caller, line:
        with pytest.raises(ConnectionResetError), probe_agent.in_pieces(line):
            raise ConnectionResetError
        caller.settimeout(5)
        assert caller.recv(1) == b""
