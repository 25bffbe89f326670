"""The users' side of the mail hosts: submission over SMTP, reading back over IMAP."""

from __future__ import annotations

import asyncio
import imaplib
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import aiosmtplib

from testbed.errors import WebError
from testbed.traffic import Letter, submission
from testbed.web import Web

CONNECTIONS = 4
"""Submission connections a mail host, kept for the whole load."""

POLL = 0.2
"""Seconds between two looks into a mailbox."""


async def send(web: Web, letters: Sequence[Letter], sent: Callable[[Letter], None]) -> None:
    """Submit letters through their senders' mail hosts; raises WebError if one is refused."""
    directory = web.directory

    async def post(client: aiosmtplib.SMTP, letter: Letter) -> None:
        to, mail = submission(letter, directory)
        await client.sendmail(letter.sender, [to], mail)
        letter.sent_at = time.monotonic()
        sent(letter)

    await submit(web, letters, post)


class Submitted(Protocol):
    """Something that is submitted."""

    @property
    def sender(self) -> str:
        """Its envelope's sender, by whose domain the mail host is known."""


T = TypeVar("T", bound=Submitted)


async def submit(
    web: Web, letters: Iterable[T], post: Callable[[aiosmtplib.SMTP, T], Awaitable[None]]
) -> None:
    """Have each posted over a kept connection to its sender's mail host, in their order.

    Raises WebError.
    """
    queues: dict[str, asyncio.Queue[T]] = {}
    for letter in letters:
        queues.setdefault(letter.sender.rpartition("@")[2], asyncio.Queue()).put_nowait(letter)
    try:
        async with asyncio.TaskGroup() as group:
            for domain, queue in queues.items():
                for _ in range(CONNECTIONS):
                    group.create_task(_submit(web, domain, queue, post))
    except ExceptionGroup as several:
        raise several.exceptions[0] from None


async def _submit(
    web: Web,
    domain: str,
    queue: asyncio.Queue[T],
    post: Callable[[aiosmtplib.SMTP, T], Awaitable[None]],
) -> None:
    host = next(host for host in web.topology.mailhosts if host.domain == domain)
    at, port = web.published(host.name, 587)
    user = f"{host.users[0]}@{domain}"
    try:
        async with aiosmtplib.SMTP(hostname=at, port=port, start_tls=False, timeout=30) as client:
            await client.login(user, web.passwords[user])
            while not queue.empty():
                await post(client, queue.get_nowait())
    except (aiosmtplib.SMTPException, OSError) as error:
        raise WebError(f"{host.name}: submission of a letter failed: {error}") from None


class Mailboxes:
    """All users' mailboxes, read over IMAP; each connection is kept while it is open."""

    def __init__(self, web: Web) -> None:
        """Connect and log in as every user; what is there already is of no interest."""
        self.unexpected: list[bytes] = []
        """Raw mails that `collect` has found and that belong to no letter."""
        self._boxes: list[_Mailbox] = []
        for host in web.topology.mailhosts:
            at, port = web.published(host.name, 143)
            for user in host.users:
                address = f"{user}@{host.domain}"
                self._boxes.append(_Mailbox(at, port, address, web.passwords[address]))

    def __enter__(self) -> Mailboxes:
        """Usable in a with statement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Log out everywhere."""
        for box in self._boxes:
            box.close()

    def new(self) -> list[bytes]:
        """Raw mails that are new since the last look, of all users."""
        with ThreadPoolExecutor(len(self._boxes)) as pool:
            return [mail for mails in pool.map(_Mailbox.fetch, self._boxes) for mail in mails]

    def collect(
        self,
        letters: Iterable[Letter],
        within: float,
        note: Callable[[int], object] = lambda arrived: None,
        *,
        others: Iterable[Letter] = (),
    ) -> list[Letter]:
        """Read until every letter has arrived or `within` seconds are over; those that have not.

        `others`: letters that are not waited for, but known when they come.
        """
        awaited = list(letters)
        by_recipient = {letter.recipient: letter for letter in (*others, *awaited)}
        deadline = time.monotonic() + within
        while True:
            for mail in self.new():
                if not _file(mail, by_recipient):
                    self.unexpected.append(mail)
            missing = [letter for letter in awaited if not letter.delivered]
            note(len(awaited) - len(missing))
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(POLL)


def all_of(web: Web, user: str) -> list[bytes]:
    """All raw mails of one user. Raises WebError if there is no such user."""
    for host in web.topology.mailhosts:
        address = f"{user.partition('@')[0]}@{host.domain}"
        if address in web.passwords and user in (address, address.partition("@")[0]):
            box = _Mailbox(*web.published(host.name, 143), address, web.passwords[address], first=1)
            mails = box.fetch()
            box.close()
            return mails
    users = ", ".join(web.passwords)
    raise WebError(f"no user {user!r} in web {web.topology.web}: there are {users}")


def _file(mail: bytes, by_recipient: dict[str, Letter]) -> bool:
    """Put a mail to the letter it belongs to, if any: its recipient's address is its own."""
    head = mail.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    for address in re.findall(
        r"(?im)^(?:delivered-to|to|x-original-to):.*?([\w.+-]+@[\w.-]+)", head
    ):
        letter = by_recipient.get(address)
        if letter is not None:
            letter.delivered.append(mail)
            letter.seen_at = letter.seen_at or time.monotonic()
            return True
    return False


class _Mailbox:
    """One user's INBOX; `fetch` gives what is new since the last call."""

    def __init__(self, at: str, port: int, user: str, password: str, first: int = 0) -> None:
        """`first`: the UID to begin at; 0 for what comes from now on."""
        self._imap = imaplib.IMAP4(at, port, timeout=30)
        self._imap.login(user, password)
        self._imap.select("INBOX", readonly=True)
        _, (there,) = self._imap.status("INBOX", "(UIDNEXT)")
        self._next = first or int(re.findall(rb"UIDNEXT (\d+)", there)[0])

    def fetch(self) -> list[bytes]:
        self._imap.noop()
        _, found = self._imap.uid("SEARCH", f"UID {self._next}:*")
        # `n:*` names the last message even when its UID is lower than n (RFC 3501, 6.4.8).
        uids = [int(uid) for uid in (found[0] or b"").split() if int(uid) >= self._next]
        mails = []
        for uid in uids:
            _, parts = self._imap.uid("FETCH", str(uid), "(BODY.PEEK[])")
            mails += [bytes(part[1]) for part in parts if isinstance(part, tuple)]
            self._next = uid + 1
        return mails

    def close(self) -> None:
        self._imap.logout()
