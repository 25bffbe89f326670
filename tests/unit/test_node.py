"""Whole nodes as processes on loopback: mail goes through, survives, and nothing is ever said."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiosmtplib
import pytest
from node_web import Dns, free_port

from remailer import node
from remailer.__main__ import healthy
from remailer.client import chain, reply_block
from remailer.directory import Directory
from remailer.errors import SetupError, SpoolFull
from remailer.init import make
from remailer.keys import FILES, Identity, load
from remailer.node import POOLED_DAYS, Node, from_now, transfer_id
from remailer.spool import DAY, Spool, Ticket

NODE = """
import sys
from pathlib import Path
from remailer.node import Place
from remailer.run import run
folder, directory, pool, port, exit_port, dns = sys.argv[1:]
place = Place(Path(folder) / "spool", "127.0.0.1", "127.0.0.1", int(port), int(exit_port), int(dns))
run(Path(folder) / "keys", Path(directory), place, pool)
"""
NAMES = ("alpha", "bravo", "charlie")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of three nodes, and their directory."""
    folder = tmp_path_factory.mktemp("nodes")
    entries = []
    for name in NAMES:
        (folder / name / "keys").mkdir(parents=True)
        identity = Identity(
            name=name,
            address=f"remailer@{name}.remailer.test",
            hosts=("127.0.0.1",),
            link_port=free_port(),
            speaks="tls",
        )
        entries.append(make(folder / name / "keys", identity))
    (folder / "directory.json").write_text(Directory(remailers=tuple(entries)).model_dump_json())
    return folder


class Web:
    """The nodes, the recipient's mail host, and DNS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directory_file = folder / "directory.json"
        self.directory = Directory.model_validate_json(self.directory_file.read_bytes())
        self.program: tuple[str, ...] = ("-c", NODE)
        self.ports = {name: free_port() for name in NAMES}
        self.nodes: dict[str, asyncio.subprocess.Process] = {}
        self.exit_port = free_port()
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    async def start(self) -> None:
        self.dns = await Dns({("recipient.test", "A"): ("127.0.0.1",)}).start()
        self.host = await asyncio.start_server(
            self._receive, "127.0.0.1", self.exit_port, limit=1 << 22
        )

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 host\r\n")
        with suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                if line.startswith(b"DATA"):
                    writer.write(b"354 go\r\n")
                    self.got.put_nowait((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                writer.write(b"250 ok\r\n")
        writer.close()

    async def run(self, name: str, pool: str = "off") -> asyncio.subprocess.Process:
        spool = self.folder / name / "spool"
        spool.mkdir(exist_ok=True)
        arguments = (self.folder / name, self.directory_file, pool, self.ports[name])
        node = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.program,
            *map(str, (*arguments, self.exit_port, self.dns.port)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.nodes[name] = node
        assert node.stdout
        async with asyncio.timeout(20):
            ready = await node.stdout.readline()
            assert ready == f"remailer {name}: ready\n".encode(), await node.communicate()
        return node

    async def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> tuple[int, bytes]:
        """End a node; its status, and all that it said after the ready line."""
        node = self.nodes.pop(name)
        with suppress(ProcessLookupError):
            node.send_signal(number)
        async with asyncio.timeout(5):
            said = b"".join(await node.communicate())
        return node.returncode or 0, said

    async def mail(self, name: str, body: bytes) -> None:
        """A user's mail, over the node's port 25."""
        mail = b"From: alice@sender.test\r\nSubject: outer\r\n\r\n" + body
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.ports[name], start_tls=False)
        client.local_hostname = "sender.test"
        async with client:
            recipient = f"remailer@{name}.remailer.test"
            await client.sendmail("alice@sender.test", recipient, mail)

    async def forward(self, path: str, text: bytes) -> None:
        made = chain.make(self.directory, path.split(","), ["bob@recipient.test"], "hi", text)
        await self.mail(path.partition(",")[0], made.body)

    async def receive(self, number: int = 1) -> list[bytes]:
        async with asyncio.timeout(30):
            return [await self.got.get() for _ in range(number)]

    async def stop(self) -> None:
        for name in tuple(self.nodes):
            await self.end(name, signal.SIGKILL)
        self.host.close()
        self.dns.stop()
        for spool in self.folder.glob("*/spool/*"):
            spool.unlink()


@pytest.fixture
async def web(made: Path) -> AsyncIterator[Web]:
    web = Web(made)
    await web.start()
    yield web
    await web.stop()


async def test_mail_goes_through_chains_and_reply_blocks(web: Web) -> None:
    await asyncio.gather(*(web.run(name, "exponential:0.05") for name in NAMES))
    await web.forward("alpha,bravo,charlie", b"through three\n")
    (forward,) = await web.receive()
    block = reply_block.make(web.directory, ["bravo", "alpha"], "bob@recipient.test", "answer")
    await web.mail("bravo", reply_block.answer(block, b"back\n").body)
    (reply,) = await web.receive()
    ends = await asyncio.gather(*(web.end(name) for name in NAMES))
    assert forward.endswith(b"\r\n\r\nthrough three\r\n")
    assert reply.endswith(b"\r\n\r\nback\r\n")
    assert b"Subject: answer" in reply
    for leak in (b"alice", b"sender.test", b"Received", b"outer"):
        assert leak not in forward + reply
    assert ends == [(0, b"")] * 3
    assert ("recipient.test", "MX") in web.dns.asked


async def test_mail_to_a_remailer_and_to_others_is_not_multiplied(web: Web) -> None:
    await asyncio.gather(web.run("alpha"), web.run("bravo"))
    onward = b"::\r\nAnon-To: bob@recipient.test\r\n\r\nmultiplied\r\n"
    for others in (b"b@bravo.remailer.test", b"bob@recipient.test"):
        to = b"a@BRAVO.remailer.test," + others
        await web.mail("alpha", b"::\r\nAnon-To: " + to + b"\r\n\r\n" + onward)
    await web.forward("alpha,bravo", b"one hop at a time\n")
    (mail,) = await web.receive()
    assert mail.endswith(b"\r\n\r\none hop at a time\r\n")
    await asyncio.gather(web.end("alpha"), web.end("bravo"))
    assert web.got.empty()


async def test_kill_loses_nothing(web: Web) -> None:
    await web.run("alpha")
    for number in range(6):
        await web.forward("alpha,bravo", b"mail %d\n" % number)
    await web.end("alpha", signal.SIGKILL)  # bravo is down: all of it is in the spool
    await web.run("bravo")
    await web.run("alpha")
    mails = await web.receive(6)
    assert {mail.split()[-1] for mail in mails} == {b"%d" % number for number in range(6)}
    await web.end("bravo", signal.SIGKILL)
    await web.end("alpha")
    assert web.got.empty()


async def test_not_one_byte_after_ready_whatever_fails(web: Web) -> None:
    node = await web.run("alpha")
    assert node.stdout
    assert node.stderr
    async with asyncio.timeout(5):
        # Nobody holds the pipes any more, neither the node nor a child of it: all is said.
        assert await node.stdout.read() + await node.stderr.read() == b""
    web.dns.stop()
    web.host.close()
    await web.forward("alpha,bravo", b"a peer that is down\n")
    await web.forward("alpha", b"a resolver that is dead\n")
    await web.mail("alpha", b"nothing asked for\r\n")
    await web.mail("alpha", b"::\r\nEncrypted: PGP\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nx\r\n")
    for child in _children(node.pid):
        os.kill(child, signal.SIGKILL)
    await web.forward("alpha", b"no worker is left\n")
    await _abuse(web.ports["alpha"])
    await _abuse(load(web.folder / "alpha" / "keys").identity.link_port)
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (8192, 8192))
    with pytest.raises(aiosmtplib.SMTPDataError, match="storage"):
        await web.mail("alpha", b"x\r\n" * 100_000)
    resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (8, 8))
    for _ in range(3):
        await _abuse(web.ports["alpha"])
    assert node.returncode is None
    assert _is_null(node.pid)
    status, said = await web.end("alpha")
    assert (status, said) == (0, b"")


async def _abuse(port: int) -> None:
    """Hang up at bad moments, and talk nonsense."""
    for data in (b"", b"\x16\x03\x01\x02\x00\x01\x00", b"EHLO x\r\nMAIL FROM:<a", b"\xff" * 5000):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.close()
            await writer.wait_closed()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _is_null(pid: int) -> bool:
    return all(Path(f"/proc/{pid}/fd/{n}").readlink() == Path("/dev/null") for n in (0, 1, 2))


async def test_stop_takes_less_than_a_second(web: Web) -> None:
    node = await web.run("alpha", "exponential:1000")
    await web.forward("alpha", b"waits\n")
    await asyncio.open_connection("127.0.0.1", web.ports["alpha"])
    assert await asyncio.to_thread(healthy, web.ports["alpha"])
    async with asyncio.timeout(1):
        node.send_signal(signal.SIGTERM)
        await node.wait()
    assert await web.end("alpha") == (0, b"")
    assert not healthy(web.ports["alpha"])


async def test_no_core_no_debugger(web: Web) -> None:
    node = await web.run("alpha")
    for pid in (node.pid, *_workers(node.pid)):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
    assert (await web.end("alpha"))[1] == b""


def _workers(pid: int) -> list[int]:
    lines = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in _children(pid)}
    return [child for child, line in lines.items() if b"spawn_main" in line]


async def test_set_up_errors_are_one_line(web: Web, tmp_path: Path) -> None:
    def run(*arguments: str) -> asyncio.Future[asyncio.subprocess.Process]:
        return asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                sys.executable, "-m", "remailer", "run", *arguments,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )
        )  # fmt: skip

    alpha = f"--keys={web.folder / 'alpha' / 'keys'}"
    directory = f"--directory={web.folder / 'directory.json'}"
    (tmp_path / "empty.json").write_text(json.dumps({"remailers": []}))
    (tmp_path / "spool.db").write_bytes(b"not a database" * 1000)
    fine = [alpha, directory, f"--spool={tmp_path}", "--resolver=127.0.0.1"]
    for arguments, word in (
        ([f"--keys={tmp_path}", *fine[1:]], "remailer init"),
        ([alpha, f"--directory={tmp_path}/none", *fine[2:]], "No such file"),
        ([alpha, f"--directory={tmp_path}/empty.json", *fine[2:]], "its entry for alpha"),
        ([*fine[:3], "--resolver=dns"], "--resolver"),
        ([*fine, "--pool=on"], "--pool"),
        (fine, "not a database"),
        (["--resolver"], "--resolver"),
    ):
        process = await run(*arguments)
        out, err = await process.communicate()
        assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1), err
        assert word in err.decode()


def test_init_makes_private_files_once(made: Path, tmp_path: Path) -> None:
    keys = made / "alpha" / "keys"
    assert {file.name for file in keys.iterdir()} == set(FILES)
    assert {file.stat().st_mode & 0o777 for file in keys.iterdir()} == {0o600}
    with pytest.raises(SetupError, match="there already"):
        make(keys, load(keys).identity)
    for change in ({"name": "Al pha"}, {"address": "bob@x.test"}, {"hosts": ()}, {"link_port": 0}):
        with pytest.raises(SetupError, match=r"^--"):
            make(tmp_path, load(keys).identity.model_copy(update=change))
    assert list(tmp_path.iterdir()) == []


def test_transfer_id_is_the_headers_message_id() -> None:
    assert transfer_id(b"A: b\r\nmessage-ID: <x@y>\r\n\r\nbody") == b"<x@y>"
    assert transfer_id(b"A: b\r\n\r\nMessage-ID: <x@y>\r\n") is None


def test_what_leaves_a_timed_pool_is_tried_for_days_from_then_on() -> None:
    ticket = Ticket(b"id", "x.test", due=DAY * 10.5, until=14)
    (late,) = from_now([ticket], now=DAY * 30.5)
    assert late == replace(ticket, until=34)
    assert from_now([late], now=DAY * 10.5) == [late]
    assert from_now([ticket], now=DAY * 300.5) == [replace(ticket, until=14 + POOLED_DAYS)]


async def test_what_could_not_be_forgotten_at_midnight_is_soon_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node, "FORGET_SECONDS", 0.01)
    tried: list[int] = []

    async def expire() -> None:
        tried.append(len(tried))
        if len(tried) < 3:
            raise SpoolFull("the disk fails")

    own = Node.__new__(Node)
    own._spool, own._forgot = cast(Spool, SimpleNamespace(expire=expire)), -1
    forgetting = asyncio.create_task(own._forget_always())
    await asyncio.sleep(0.3)
    forgetting.cancel()
    assert tried == [0, 1, 2]


async def test_mail_leaves_a_timed_pool_also_after_a_kill(web: Web) -> None:
    await web.run("alpha", "timed:600,0,100")
    for text in (b"one\r\n", b"two\r\n"):
        await web.forward("alpha", text)
    await asyncio.sleep(1)
    assert web.got.empty()
    await web.end("alpha", signal.SIGKILL)
    await web.run("alpha", "timed:1,0,50")
    assert {mail.rpartition(b"\r\n\r\n")[2] for mail in await web.receive(2)} == {
        b"one\r\n",
        b"two\r\n",
    }
