"""Remailers without a network, for unit tests: real keys, and mail carried from one to the next."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import cache

from remailer import openpgp, peel
from remailer.client.submission import Submission
from remailer.directory import Directory, Peer
from remailer.openpgp import Keyring

NAMES = ("alpha", "bravo", "charlie", "delta", "echo")
NOW = datetime(2026, 8, 25, 12, 34, tzinfo=UTC)


def address(name: str) -> str:
    return f"remailer@{name}.remailer.test"


@cache
def key(name: str) -> bytes:
    return openpgp.generate(f"{name} <{address(name)}>")


def peer(name: str, certificate: str) -> Peer:
    return Peer(
        name=name,
        address=address(name),
        hosts=("192.0.2.1",),
        link_port=2525,
        speaks="tls",
        certificates=("not used here",),
        openpgp=certificate,
    )


@cache
def directory() -> Directory:
    return Directory(remailers=tuple(peer(name, openpgp.certificate(key(name))) for name in NAMES))


def carry(submission: Submission) -> tuple[list[str], list[tuple[str, bytes]]]:
    """Take a message through the remailers: names it passed, (recipient, mail) at the end."""
    rng = random.Random(1)
    todo = [(submission.recipient, submission.mail("alice@sender.test", NOW, "id@sender.test"))]
    path: list[str] = []
    delivered: list[tuple[str, bytes]] = []
    while todo:
        to, raw = todo.pop()
        node = directory().at(to)
        if node is None:
            delivered.append((to, raw))
            continue
        path.append(node.name)
        outs = peel.peel(raw, Keyring.load(key(node.name)), to, now=NOW, rng=rng)
        todo += [(out.recipient, out.mail) for out in outs]
    return path, delivered
