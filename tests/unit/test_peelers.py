"""remailer.peelers: workers that can be lost, and that nothing is heard of."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from remailers import NOW, address, directory, key

from remailer import openpgp
from remailer import peelers as peelers_
from remailer.client import chain
from remailer.errors import SetupError
from remailer.message import MAX_MAIL
from remailer.peelers import MAX_TASKS, Peelers

ME = address("alpha")
HEAD = b"From: a@b.test\r\n\r\n::\r\nEncrypted: PGP\r\n\r\n"


def good(body: bytes = b"hello\n") -> bytes:
    submission = chain.make(directory(), ["alpha"], ["bob@recipient.test"], "s", body)
    return submission.mail("alice@sender.test", NOW, "id@sender.test")


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A mail of under 4 MiB whose PGP message opens to 450 MB."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg isn't installed")
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    (home / "key").write_text(openpgp.certificate(key("alpha")))
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--armor", "-z", "1"]
    gpg += ["--encrypt", "--trust-model", "always", "--recipient-file", str(home / "key")]
    with subprocess.Popen(["head", "-c", "450000000", "/dev/zero"], stdout=subprocess.PIPE) as zero:
        made = subprocess.run(gpg, stdin=zero.stdout, capture_output=True, check=True).stdout
    assert len(made) < MAX_MAIL
    return HEAD + made


@pytest.fixture
async def peelers() -> AsyncIterator[Peelers]:
    peelers = Peelers(key("alpha"), ME, workers=2, seconds=2.0)
    await peelers.start()
    yield peelers
    await peelers.stop()


def workers_of(parent: int) -> list[int]:
    """Process ids of the peeling workers."""
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    children = [int(pid) for thread in threads for pid in thread.read_text().split()]
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, line in lines.items() if b"spawn_main" in line]


async def test_mails_are_peeled(peelers: Peelers) -> None:
    outs = await asyncio.gather(*(peelers.peel(good(b"%d\n" % i)) for i in range(20)))
    assert [out.mail.rpartition(b"\r\n\r\n")[2] for (out,) in outs] == [
        b"%d\r\n" % i for i in range(20)
    ]


@pytest.mark.parametrize(
    "raw", [b"", b"no directive", b"x" * (MAX_MAIL + 1), HEAD + b"garbage"], ids=lambda r: r[:12]
)
async def test_a_mail_that_asks_for_nothing_is_dropped(peelers: Peelers, raw: bytes) -> None:
    assert await peelers.peel(raw) == ()


async def test_the_largest_mails_are_peeled(peelers: Peelers) -> None:
    line = b"x" * 62 + b"\r\n"
    many = b"Anon-To: " + b",".join(b"u%d@x.test" % i for i in range(5)) + b"\r\n\r\n"
    assert len(await peelers.peel(many + line * 65_000)) == 5
    assert len(await peelers.peel(good(line * 45_000))) == 1


async def test_what_opens_to_more_than_a_mail_is_dropped(peelers: Peelers) -> None:
    body = b"\n" * (MAX_MAIL * 2 // 3)
    sealed = openpgp.seal(b"Anon-To: x@y.test\n\n" + body, directory().remailers[0].openpgp)
    assert len(HEAD + sealed) < MAX_MAIL
    assert await peelers.peel(HEAD + sealed) == ()


async def test_a_zip_bomb_is_dropped_and_others_are_served(peelers: Peelers, bomb: bytes) -> None:
    dropped, *served = await asyncio.gather(peelers.peel(bomb), *map(peelers.peel, [good()] * 6))
    assert dropped == ()
    assert all(len(outs) == 1 for outs in served)
    assert len(await peelers.peel(good())) == 1


async def test_what_one_mail_leaves_behind_takes_no_room_from_another() -> None:
    """Freed memory isn't all given back, and an honest mail may need nearly all that is left."""
    peelers = Peelers(key("alpha"), ME, workers=1)
    await peelers.start()
    parts = b"".join(
        b"--\r\nAnon-To: a@x.test,b@x.test,c@x.test,d@x.test,e@x.test\r\n\r\n" + b"x\r\n" * 140_000
        for _ in range(9)
    )
    try:
        for _ in range(4):
            assert await peelers.peel(b"\r\n::\r\nCutmarks: --\r\n\r\n" + parts) == ()
            assert len(await peelers.peel(b"Anon-To: x@y.test\r\n\r\n" + b"\r\n" * 2_000_000)) == 1
    finally:
        await peelers.stop()


async def test_a_hundred_layers_are_dropped(peelers: Peelers) -> None:
    text = b"Anon-To: x@y.test\r\n\r\nhi\r\n"
    certificate = directory().remailers[0].openpgp
    for _ in range(22):
        text = b"::\r\nEncrypted: PGP\r\n\r\n" + openpgp.seal(text, certificate)
    assert await peelers.peel(b"\r\n" + text) == ()


async def test_killed_idle_workers_cost_no_mail(peelers: Peelers) -> None:
    for _ in range(2):
        for pid in workers_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        outs = await asyncio.gather(*map(peelers.peel, [good()] * 6))
        assert all(len(out) == 1 for out in outs)


async def test_a_worker_killed_at_its_mail_drops_that_mail_only(peelers: Peelers) -> None:
    slow = asyncio.create_task(peelers.peel(b"Anon-To: x@y.test\n\n" + b"\n" * 2_000_000))
    busy = await busy_worker()
    others = [asyncio.create_task(peelers.peel(good())) for _ in range(3)]
    await asyncio.gather(*others)
    os.kill(busy, signal.SIGKILL)
    assert await slow == ()
    assert all(len(other.result()) == 1 for other in others)
    assert len(await peelers.peel(good())) == 1


def cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


async def test_a_mail_given_up_leaves_nothing_to_the_next() -> None:
    peelers = Peelers(key("alpha"), ME, workers=1)
    await peelers.start()
    try:
        with pytest.raises(TimeoutError):
            # Two million empty lines take about half a second.
            async with asyncio.timeout(0.05):
                await peelers.peel(b"Anon-To: x@y.test\n\n" + b"\n" * 2_000_000)
        (out,) = await peelers.peel(good(b"second\n"))
        assert out.mail.endswith(b"\r\n\r\nsecond\r\n")
    finally:
        await peelers.stop()


async def test_a_mail_that_takes_too_long_is_dropped() -> None:
    peelers = Peelers(key("alpha"), ME, workers=1, seconds=0.1)
    await peelers.start()
    try:
        before = workers_of(os.getpid())
        # Not for its size: it is peeled when there is time.
        assert await peelers.peel(b"Anon-To: x@y.test\n\n" + b"\n" * 2_000_000) == ()
        assert not set(before) & set(workers_of(os.getpid()))
        assert len(await peelers.peel(good())) == 1
    finally:
        await peelers.stop()


async def busy_worker() -> int:
    """The worker that has been at a mail for a while."""
    before = {pid: cpu_ticks(pid) for pid in workers_of(os.getpid())}
    async with asyncio.timeout(20):
        while True:
            for pid, ticks in before.items():
                if cpu_ticks(pid) >= ticks + 10:
                    return pid
            await asyncio.sleep(0.005)


async def test_a_mail_whose_time_was_lost_to_a_pause_is_peeled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peelers_, "SLOWEST", 2)
    peelers = Peelers(key("alpha"), ME, workers=1, seconds=3.0)
    await peelers.start()
    try:
        task = asyncio.create_task(peelers.peel(b"Anon-To: x@y.test\n\n" + b"\n" * 1_000_000))
        os.kill(await busy_worker(), signal.SIGSTOP)
        assert len(await task) == 1
    finally:
        await peelers.stop()


async def test_a_busy_machine_is_no_mails_fault() -> None:
    peelers = Peelers(key("alpha"), ME, workers=1, seconds=2.0)
    await peelers.start()
    try:
        task = asyncio.create_task(peelers.peel(b"Anon-To: x@y.test\n\n" + b"\n" * 1_000_000))
        worker = await busy_worker()
        os.kill(worker, signal.SIGSTOP)  # other work has the processors, for longer
        await asyncio.sleep(3.0)
        os.kill(worker, signal.SIGCONT)
        assert len(await task) == 1
        assert workers_of(os.getpid()) == [worker]
    finally:
        await peelers.stop()


async def test_signals_to_the_whole_process_group_drop_no_mail() -> None:
    peelers = Peelers(key("alpha"), ME, workers=1)
    await peelers.start()
    try:
        task = asyncio.create_task(peelers.peel(b"Anon-To: x@y.test\n\n" + b"\n" * 2_000_000))
        worker = await busy_worker()
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        assert len(await task) == 1
        assert workers_of(os.getpid()) == [worker]
    finally:
        await peelers.stop()


async def test_workers_have_their_limits(peelers: Peelers) -> None:
    workers = workers_of(os.getpid())
    assert len(workers) == 2
    secret = key("alpha").split(b"\n")[5]
    for pid in workers:
        proc = Path(f"/proc/{pid}")
        limits = (proc / "limits").read_text()
        assert "Max core file size        0                    0" in limits
        assert "unlimited" not in next(x for x in limits.splitlines() if "address space" in x)
        assert {(proc / f"fd/{n}").readlink() for n in range(3)} == {Path("/dev/null")}
        assert secret not in (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        # Not dumpable: the kernel gives its /proc files to root.
        assert (proc / "fd").stat().st_uid == 0


async def test_workers_are_replaced_now_and_then() -> None:
    peelers = Peelers(key("alpha"), ME, workers=1)  # two don't share mails evenly
    await peelers.start()
    try:
        before = workers_of(os.getpid())
        outs = await asyncio.gather(*map(peelers.peel, [good()] * (MAX_TASKS + 1)))
        assert all(len(out) == 1 for out in outs)
        assert not set(before) & set(workers_of(os.getpid()))
    finally:
        await peelers.stop()


async def test_a_key_that_isnt_one_is_told() -> None:
    with pytest.raises(SetupError, match="not a secret key"):
        await Peelers(b"no key", ME).start()


SILENT = """
import asyncio, multiprocessing, os, sys
from signal import SIGABRT, SIGKILL, SIGSEGV, SIGTERM
from pathlib import Path
from remailer import silence
from remailer.peelers import Peelers

async def main():
    voice = silence.Voice()
    silence.hush()
    peelers = Peelers(Path(sys.argv[1]).read_bytes(), "remailer@alpha.remailer.test", workers=1)
    await peelers.start()
    voice.say("ready")
    good, bomb = (Path(path).read_bytes() for path in sys.argv[2:])
    outs = [await peelers.peel(good)]
    for signal in (SIGABRT, SIGSEGV, SIGTERM, SIGKILL):
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal)
        outs.append(await peelers.peel(good))
    await peelers.peel(bomb)
    await peelers.stop()
    sys.exit(not all(map(len, outs)))

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_nothing_is_printed_also_when_a_worker_aborts(tmp_path: Path, bomb: bytes) -> None:
    files = {"main.py": SILENT.encode(), "key": key("alpha"), "bomb": bomb, "good": good()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "main.py", "key", "good", "bomb"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"ready\n", b"")
