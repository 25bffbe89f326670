"""Peeling: one mail in, what is to be sent on out; and a worker process that does nothing else.

OpenPGP messages come from strangers, and the library that opens them has no limit on what comes
out. So mails are peeled in processes that can be lost (peelers.py), with limits on memory, time and
output. Nothing of them is ever printed, also when Rust aborts: they call silence.hush first, and
inherit /dev/null from a node that has. They import little, as each has to start.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from remailer import message, openpgp, silence
from remailer.limits import Use
from remailer.message import Outgoing
from remailer.openpgp import Keyring
from remailer.rules import PLAIN, Rules

HEADROOM = 384 * 1024 * 1024
"""Bytes of address space that a worker may take beyond what it has when it is ready.

Measured with Python 3.11 and 3.13: a worker has 40 MiB when it is ready; a mail of 4 MiB takes 32
MiB more, 48 with 8-bit text; the worst of that size, 2 million empty lines, 325.
"""

NICE = 10
"""How much peeling yields to the pacer of the cells, and to the listener."""

WORD = 4
"""Bytes of the short words from a worker to the node: taken, a count."""

SIZE = struct.Struct("!Q")
"""When it is ready, and after each mail: bytes of its address space. It says so itself, as under
ProtectProc=invisible nobody else could (it isn't dumpable)."""

FACTS = struct.Struct("!d??I32s")
"""Before each mail: how long it is to wait, whether it answers a request, and whether and how often
its PGP message may be used."""


def peel(
    raw: bytes,
    keyring: Keyring,
    me: str,
    *,
    now: datetime,
    rng: random.Random,
    rules: Rules = PLAIN,
) -> tuple[Outgoing, ...]:
    """Peel one mail that came to the remailer `me`: () for cover traffic; raises Dropped."""
    decrypt, encrypt = keyring.decrypt, openpgp.lock
    return message.read(raw, me=me, decrypt=decrypt, encrypt=encrypt, now=now, rng=rng, rules=rules)


def work(pipe: Connection, secret_key: bytes, address: str, rules: Rules) -> None:
    """Be a worker: silent, limited, not to be dumped, with the key; until the pipe is closed."""
    silence.hush()
    # Ctrl-C and a container's stop reach the whole group: the node ends its workers, nobody else,
    # and an interrupted mail would look like one that asks for nothing.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    keyring = Keyring.load(secret_key)
    most = _size() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(EOFError, OSError):
        pipe.send_bytes(SIZE.pack(_size()))
        for raw in _mails(pipe):
            pipe.send_bytes(b"took")
            _hand_over(pipe, _made_of(raw, keyring, address, rules))
            del raw
            pipe.send_bytes(SIZE.pack(_size()))


def _hand_over(pipe: Connection, made: tuple[Outgoing, ...]) -> None:
    pipe.send_bytes(len(made).to_bytes(WORD))
    for one in made:
        use = one.use or Use(bytes(32), 0)
        pipe.send_bytes(FACTS.pack(one.latent, one.answer, bool(one.use), use.most, use.digest))
        pipe.send_bytes(one.recipient.encode("ascii"))
        pipe.send_bytes(one.mail)


def _mails(pipe: Connection) -> Iterator[bytes]:
    while True:
        yield pipe.recv_bytes()


def _made_of(raw: bytes, keyring: Keyring, me: str, rules: Rules) -> tuple[Outgoing, ...]:
    now, rng = datetime.now(UTC), random.SystemRandom()
    try:
        return peel(raw, keyring, me, now=now, rng=rng, rules=rules)
    except BaseException:
        # Mostly Dropped; whatever else it was, this mail is the one that caused it.
        return ()


def _size() -> int:
    """Bytes of this process's address space (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
