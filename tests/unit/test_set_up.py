"""What keeps a node from starting, and what doesn't."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from node_web import free_port, pair
from test_node import made

from remailer.directory import Directory, Peer
from remailer.directory import load as load_directory
from remailer.errors import SetupError, SpoolFull
from remailer.keys import load
from remailer.node import Node, Place
from remailer.pool import parse
from remailer.spool import Spool

__all__ = ["made"]


def test_directory_must_say_what_the_node_is(made: Path) -> None:
    keys = load(made / "alpha" / "keys")
    directory = Directory.model_validate_json((made / "directory.json").read_bytes())
    alpha, bravo, _ = directory.remailers
    assert keys.entry_in(directory) == alpha
    wrong: list[Peer] = [
        alpha.model_copy(update={"speaks": "smtp"}),
        alpha.model_copy(update={"certificates": bravo.certificates}),
        bravo,
    ]
    for entry in wrong:
        with pytest.raises(SetupError, match="alpha"):
            keys.entry_in(Directory(remailers=(entry,)))


def test_directory_has_each_name_and_domain_once(made: Path) -> None:
    alpha, bravo, _ = load_directory(made / "directory.json").remailers
    for twin in ({"name": "alpha"}, {"address": "other@ALPHA.remailer.test"}):
        entries = (alpha, bravo.model_copy(update=twin))
        text = json.dumps({"remailers": [json.loads(entry.model_dump_json()) for entry in entries]})
        (made / "twins.json").write_text(text)
        with pytest.raises(SetupError, match="two remailers of one"):
            load_directory(made / "twins.json")


def test_expired_certificate_is_told_at_start(made: Path, tmp_path: Path) -> None:
    keys = load(made / "alpha" / "keys")
    old = pair("alpha", 10, 5)[1]
    (tmp_path / "old.crt").write_text(old)
    directory = load_directory(made / "directory.json")
    entry = directory.remailers[0].model_copy(update={"certificates": (old,)})
    expired = replace(keys, certificate=tmp_path / "old.crt")
    with pytest.raises(SetupError, match="not valid today"):
        expired.entry_in(Directory(remailers=(entry,)))


async def test_a_full_disk_keeps_no_node_from_starting(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise SpoolFull("full")

    monkeypatch.setattr(Spool, "expire", full)
    place = Place(tmp_path, "127.0.0.1", "127.0.0.1", free_port())
    node = Node(
        load(made / "alpha" / "keys"), load_directory(made / "directory.json"), place, parse("off")
    )
    await node.start()
    await node.stop()
    monkeypatch.setattr(Spool, "contents", full)
    with pytest.raises(SetupError, match="spool"):
        await node.start()
    await node.stop()
