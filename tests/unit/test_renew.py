"""Link keys change, one node after the other, while mail flows: none refused, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from test_node import NAMES, Web, made

from remailer import keys as folder_of
from remailer.directory import Directory, Peer
from remailer.errors import SetupError
from remailer.keys import load
from remailer.link.kinds import links
from remailer.renew import prepare, switch

__all__ = ["made"]


class Changing(Web):
    """A web whose directory is replaced, and whose nodes are started again one by one."""

    sent = 0

    async def publish(self, *entries: Peer) -> None:
        """A new directory for all: each node reads it when it is started again."""
        new = {entry.name: entry for entry in entries}
        kept = tuple(new.get(entry.name, entry) for entry in self.directory.remailers)
        self.directory = Directory(remailers=kept)
        self.directory_file.write_text(self.directory.model_dump_json())
        for name in NAMES:
            await self.again(name)

    async def again(self, name: str) -> None:
        """Restart a node with mail on its way; then each talks to each."""
        for path in ("alpha,bravo,charlie", "charlie,alpha,bravo", "bravo,charlie,alpha"):
            self.sent += 1
            await self.forward(path, b"mail %d\n" % self.sent)
        await self.end(name)
        await self.run(name)
        for one in NAMES:
            own = links(load(self.folder / one / "keys"), self.directory)
            for peer in self.directory.remailers:
                if peer.name != one:
                    await (await own["tls"].connect(peer)).end()


@pytest.fixture
async def web(made: Path) -> AsyncIterator[Changing]:
    web = Changing(made)
    await web.start()
    await asyncio.gather(*(web.run(name) for name in NAMES))
    yield web
    await web.stop()


async def test_all_nodes_change_their_keys_while_mail_flows(web: Changing) -> None:
    old = web.directory
    folders = {name: web.folder / name / "keys" for name in NAMES}
    await web.publish(*(prepare(folders[name]) for name in NAMES))
    assert all(len(entry.certificates) == 2 for entry in web.directory.remailers)
    after = []
    for name in NAMES:
        after.append(switch(folders[name]))
        await web.again(name)
    await web.publish(*after)
    for before, entry in zip(old.remailers, web.directory.remailers, strict=True):
        assert set(before.pins).isdisjoint(entry.pins)
        assert load(folders[entry.name]).entry_in(web.directory) == entry
    mails = await web.receive(web.sent)
    assert {mail.split()[-1] for mail in mails} == {b"%d" % n for n in range(1, web.sent + 1)}
    assert web.got.empty()


def test_what_is_interrupted_is_finished_by_saying_it_again(made: Path) -> None:
    folder = made / "alpha" / "keys"
    old = (folder / "link.crt").read_text()
    with pytest.raises(SetupError, match="`remailer renew` first"):
        switch(folder)
    (folder / folder_of.NEXT_KEY).write_text("half of it")
    entry = prepare(folder)
    assert entry.certificates == (old, (folder / folder_of.NEXT_CERTIFICATE).read_text())
    assert prepare(folder) == entry
    assert (folder / folder_of.NEXT_KEY).stat().st_mode & 0o777 == 0o600
    (folder / folder_of.NEXT_KEY).replace(folder / folder_of.LINK_KEY)
    with pytest.raises(SetupError, match="interrupted"):
        prepare(folder)
    with pytest.raises(SetupError, match="`remailer renew --switch` was interrupted, say it again"):
        links(load(folder), Directory(remailers=(entry,)))
    assert switch(folder).certificates == entry.certificates[1:]
    assert {file.name for file in folder.iterdir()} == set(folder_of.FILES)
    links(load(folder), Directory(remailers=(switch_entry(folder),)))


@pytest.mark.parametrize("written", ["", "-----BEGIN CERTIFICATE-----\n"])
def test_a_certificate_half_written_is_shown_to_nobody(made: Path, written: str) -> None:
    """The disk was full, or the machine went down, while it was written."""
    folder = made / "alpha" / "keys"
    prepare(folder)
    (folder / folder_of.NEXT_CERTIFICATE).write_text(written)
    old = (folder / folder_of.LINK_CERTIFICATE).read_text()
    with pytest.raises(SetupError, match="`remailer renew` first"):
        switch(folder)
    assert (folder / folder_of.LINK_CERTIFICATE).read_text() == old
    entry = prepare(folder)
    assert len(set(entry.pins)) == 2
    assert switch(folder).certificates == entry.certificates[1:]


def switch_entry(folder: Path) -> Peer:
    """The entry of what is in use."""
    return prepare(folder).model_copy(update={"certificates": ((folder / "link.crt").read_text(),)})
