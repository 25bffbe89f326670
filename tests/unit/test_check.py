"""`remailer check` on real nodes: it names each trouble, says so if there is none, and no more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from node_web import Dns, pair
from test_node import NAMES, Web, made

from remailer import check as checking
from remailer.check import Line
from remailer.directory import Directory
from remailer.keys import load

__all__ = ["made"]

CHECK = """
import sys
from pathlib import Path
from remailer.check import check
from remailer.node import Place
keys, directory, spool, port, dns = sys.argv[1:]
place = Place(Path(spool), "127.0.0.1", "127.0.0.1", int(port), resolver_port=int(dns))
sys.exit(check(Path(keys), Path(directory), place))
"""
ALPHA, REVERSE = "alpha.remailer.test", "1.0.0.127.in-addr.arpa"


@pytest.fixture
async def web(made: Path) -> AsyncIterator[Web]:
    web = Web(made)
    await web.start()
    web.dns.table |= {
        (ALPHA, "MX"): (f"10 {ALPHA}.",),
        (ALPHA, "A"): ("127.0.0.1",),
        (REVERSE, "PTR"): (f"{ALPHA}.",),
    }
    await asyncio.gather(*(web.run(name) for name in NAMES))
    yield web
    await web.stop()


async def check(web: Web, directory: Path | None = None) -> tuple[int | None, list[str]]:
    """Its exit status, and what it says of alpha."""
    alpha = web.folder / "alpha"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHECK, alpha / "keys", directory or web.folder / "directory.json"),
        *(alpha / "spool", str(web.ports["alpha"]), str(web.dns.port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, (out + err).decode().splitlines()


def troubles(lines: list[str]) -> list[str]:
    assert all(line.startswith(("ok      ", "trouble ")) for line in lines), lines
    return [line for line in lines if line.startswith("trouble ")]


async def test_all_is_well_and_nothing_is_told_of_mail(web: Web) -> None:
    status, empty = await check(web)
    assert (status, troubles(empty)) == (0, [])
    for what in ("keys", "directory", "link certificate", "disk", "port", "resolver", "MX", "PTR"):
        assert any(line.startswith(f"ok      {what}") for line in empty), what
    assert [line for line in empty if "peer" in line] == [
        "ok      peer bravo: answers with the directory's key",
        "ok      peer charlie: answers with the directory's key",
    ]
    await web.end("bravo")
    await web.forward("alpha,bravo", b"waits\n" * 50_000)
    await web.run("bravo")
    assert (await check(web))[1] == empty


async def test_each_trouble_is_named(web: Web) -> None:
    entries = web.directory.remailers
    charlies_new = entries[2].model_copy(update={"certificates": (pair("charlie", 1)[1],)})
    wrong = web.folder / "wrong.json"
    wrong.write_text(Directory(remailers=(*entries[:2], charlies_new)).model_dump_json())
    await web.end("bravo")
    web.dns.table[ALPHA, "A"] = ("127.0.0.9",)
    status, lines = await check(web, wrong)
    assert status == 1
    mx, ptr, bravo, charlie = troubles(lines)
    assert "MX of alpha.remailer.test: leads to 127.0.0.9, not to 127.0.0.1" in mx
    assert "PTR of 127.0.0.1: alpha.remailer.test has no such address" in ptr
    assert "peer bravo: no conversation" in bravo
    assert "peer charlie: shows another key than the directory's" in charlie

    web.dns.table[REVERSE, "PTR"] = ("customer-1.isp.test.",)
    assert "customer-1.isp.test, and we greet as alpha" in troubles((await check(web))[1])[1]
    web.dns.table[ALPHA, "MX"] = Dns.FAIL
    assert "resolver: no answer" in troubles((await check(web))[1])[0]
    await web.end("alpha")
    assert "nobody greets there" in troubles((await check(web))[1])[0]


async def test_a_peer_that_does_not_know_us(web: Web) -> None:
    old = web.folder / "old.json"
    alpha, *others = web.directory.remailers
    stranger = alpha.model_copy(update={"certificates": (pair("alpha", 1)[1],)})
    old.write_text(Directory(remailers=(stranger, *others)).model_dump_json())
    await web.end("bravo")
    directory, web.directory_file = web.directory_file, old
    await web.run("bravo")
    web.directory_file = directory
    (bravo,) = troubles((await check(web))[1])
    assert "does its directory not have our key?" in bravo


async def test_keys_that_others_can_read_or_that_are_not_the_directorys(web: Web) -> None:
    key = web.folder / "alpha" / "keys" / "link.key"
    key.chmod(0o640)
    try:
        assert "link.key is open to other users: chmod 600" in troubles((await check(web))[1])[0]
    finally:
        key.chmod(0o600)
    bravos = web.folder / "bravos.json"
    alpha, *others = web.directory.remailers
    wrong = alpha.model_copy(update={"openpgp": others[0].openpgp})
    bravos.write_text(Directory(remailers=(wrong, *others)).model_dump_json())
    assert "its OpenPGP key for this node is another" in troubles((await check(web, bravos))[1])[0]


async def test_what_can_not_be_checked_is_one_line(web: Web) -> None:
    status, lines = await check(web, web.folder / "none.json")
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith("remailer: can't check: directory")
    broken = web.folder / "broken.json"
    alpha, *others = web.directory.remailers
    for peer, what in (
        (others[0].model_copy(update={"certificates": ("none",)}), "bravo: a certificate is none"),
        (others[0].model_copy(update={"hosts": ("bravo.test",)}), "'bravo.test' is no IP address"),
    ):
        broken.write_text(Directory(remailers=(alpha, peer, others[1])).model_dump_json())
        status, lines = await check(web, broken)
        assert status == 2
        assert lines[-1].startswith("remailer: can't check: directory")
        assert what in lines[-1]
    key = web.folder / "alpha" / "keys" / "link.key"
    key.rename(key.with_suffix(".away"))
    try:
        status, lines = await check(web)
    finally:
        key.with_suffix(".away").rename(key)
    assert status == 2
    assert "link.key" in lines[-1]


def test_days_and_disk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = load(made / "alpha" / "keys")

    def certificate(since: int, days: int) -> Line:
        (tmp_path / "link.crt").write_text(pair("alpha", since, days)[1])
        file = replace(keys, certificate=tmp_path / "link.crt")
        return checking._certificate(file, datetime.now(UTC))

    assert certificate(0, 32).well.endswith("days left")
    assert "remailer renew" in certificate(0, 20).trouble
    assert "expired" in certificate(10, 5).trouble

    place = checking.Place(tmp_path, "127.0.0.1")
    assert not checking._disk(place).trouble
    monkeypatch.setattr(checking, "SCARCE", 1 << 60)
    assert "nearly full" in checking._disk(place).trouble
    monkeypatch.setattr(checking, "RESERVE", 1 << 60)
    assert "no mail is taken" in checking._disk(place).trouble
    assert "no mail is taken" in checking._disk(checking.Place(tmp_path / "no", "::1")).trouble


async def test_a_port_full_of_connections_is_named(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = web.ports["alpha"]
    monkeypatch.setattr(checking, "CROWDED", 3)
    assert not checking._connections(port).trouble
    talks = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    assert "nearly full" in checking._connections(port).trouble
    for _, writer in talks:
        writer.close()
