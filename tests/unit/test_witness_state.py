"""The agent's facts: of processes, files and the kernel, read of this machine's own."""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import re
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from remailer.spool import Spool
from testbed.witness.agent import filefacts, kernelfacts, listeners, processfacts, rest, state, walk

ME = os.getpid()


def test_a_process_is_told_with_its_titles_descriptors_and_settings() -> None:
    ready = threading.Event()
    thread = threading.Thread(target=ready.wait)
    thread.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, Path("/dev/null").open() as _:
        one.bind(f"\0state-{ME}")
        facts = processfacts.of_process(ME, kernelfacts.sockets(ME))
    ready.set()
    thread.join()
    assert facts
    assert len(facts["titles"]) >= 2
    assert facts["descriptors"][f"socket unix 0002 @state-{ME}"] == 1
    assert any(re.match(r"/dev/null number \d+, pos 0", name) for name in facts["descriptors"])
    assert "Max core file size" in facts["files"]["limits"]
    assert "python" in facts["command"]


def test_what_a_descriptor_counts_and_its_number_are_told_but_not_what_an_epoll_waits_for() -> None:
    def told() -> dict[str, int]:
        facts = processfacts.of_process(ME, {})
        assert facts
        # Not pytest's own output: where that is a file, other workers write to it too.
        ours = ("/dev/null ", "anon_inode:", "pipe ")
        return {name: n for name, n in facts["descriptors"].items() if name.startswith(ours)}

    out, into = os.pipe()
    poll, count = select.epoll(), os.eventfd(7)
    before = told()
    poll.register(out, select.EPOLLIN)
    assert told() == before
    assert any("[eventfd]" in name and "eventfd-count 7" in name for name in before)
    os.eventfd_write(count, 2)
    assert any("eventfd-count 9" in name for name in told())
    before = told()
    fcntl.fcntl(out, fcntl.F_SETFL, os.O_NONBLOCK)
    assert {name.partition(" ")[0] for name in {*told()} - {*before}} <= {"pipe"}
    null = os.open("/dev/null", os.O_RDONLY)
    before = told()
    moved = fcntl.fcntl(null, fcntl.F_DUPFD, 300)
    os.close(null)
    assert [name.split(",")[0] for name in {*told()} - {*before}] == [f"/dev/null number {moved}"]
    for fd in (out, into, count, moved):
        os.close(fd)
    poll.close()


def test_numbers_of_what_multiprocessing_passes_on_are_chance(tmp_path: Path) -> None:
    code = "print(flush=True); input()  # spawn_main(tracker_fd=7, pipe_handle=9)"
    with (
        (tmp_path / "file").open("w") as file,
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            pass_fds=[file.fileno()],
        ) as child,
    ):  # fmt: skip
        assert child.stdout
        child.stdout.readline()
        facts = processfacts.of_process(child.pid, {})
        child.kill()
    assert facts
    assert any(name.startswith(f"{tmp_path}/file pos 0") for name in facts["descriptors"])
    assert not any(" number " in name for name in facts["descriptors"])


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs this, once it has said a line."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        yield child
        child.kill()


def test_signals_that_wait_in_a_queue_are_counted() -> None:
    code = (
        "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, {40}); print(flush=True); "
        "input()"
    )
    with running(code) as child:
        queued = []
        for _ in range(2):
            facts = processfacts.of_process(child.pid, {})
            assert facts
            queued.append(int(facts["status"]["SigQ"].partition("/")[0]))
            os.kill(child.pid, 40)
    assert queued[1] == queued[0] + 1


def test_a_signal_on_its_way_is_waited_for() -> None:
    code = (
        "import signal, time; signal.signal(40, lambda *_: None); "
        "signal.pthread_sigmask(signal.SIG_BLOCK, {40}); signal.raise_signal(40); "
        "print(flush=True); time.sleep(0.05); signal.pthread_sigmask(signal.SIG_UNBLOCK, {40}); "
        "input()"
    )
    with running(code) as child:
        at_once = processfacts.of_process(child.pid, {})
        at_rest = processfacts.of_process(child.pid, {}, looks=processfacts.LOOKS)
    assert at_once
    assert at_rest
    assert waiting(at_once["status"])
    assert not waiting(at_rest["status"])


def waiting(status: dict[str, str]) -> int:
    return int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)


def test_a_process_that_is_gone_is_none() -> None:
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, check=True)  # fmt: skip
    assert processfacts.of_process(int(process.stdout), {}) is None


def test_workers_of_one_sort_are_of_one_kind_whatever_their_descriptors() -> None:
    made = {
        processfacts.PASSING.sub("N", f"spawn_main(tracker_fd={n}, pipe_handle={n + 4}) --x")
        for n in (7, 13, 101)
    }
    assert made == {"spawn_main(tracker_fd=N, pipe_handle=N) --x"}
    # A number that is none of a descriptor's stays.
    assert processfacts.PASSING.sub("N", "pipe_handle=1234567") != "pipe_handle=N"


def test_a_files_facts_follow_what_is_done_to_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    before = filefacts.of_file(ME, str(path))[str(path)]
    assert before == filefacts.of_file(ME, str(path))[str(path)]
    path.chmod(0o640)
    os.link(path, tmp_path / "other")
    after = filefacts.of_file(ME, str(path))[str(path)]
    assert {name for name in after if after[name] != before[name]} >= {"mode", "links", "altered"}
    assert filefacts.of_file(ME, str(tmp_path / "none")) == {}


def test_a_databases_header_is_read_by_field(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 7")
        db.execute("CREATE TABLE one (two)")
    db.close()
    found = filefacts.header(ME, str(path))
    assert (found["user version"], found["page size"], found["schema cookie"]) == (7, 4096, 1)
    assert filefacts.header(ME, str(tmp_path / "none")) == {}


def test_locks_and_sockets_of_a_node_are_found(tmp_path: Path) -> None:
    before = kernelfacts.of_node(ME, [ME], kernelfacts.sockets(ME))
    with (tmp_path / "locked").open("wb") as file, socket.socket() as listening:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 41)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        after = kernelfacts.of_node(ME, [ME], kernelfacts.sockets(ME))
        port = listening.getsockname()[1]
        facts = processfacts.of_process(ME, {})
    assert facts
    held = next(name for name in facts["descriptors"] if "locked" in name)
    assert held.endswith("lock POSIX ADVISORY WRITE 41 41")
    more = Counter(after["locks"]) - Counter(before["locks"])
    assert [lock.split()[-2:] for lock in more] == [["41", "41"]]
    assert after["sockets"][f"tcp listening at {port}"] == 1


def test_a_file_that_is_mapped_is_told_by_its_offset_whatever_the_file_has() -> None:
    path = Path(sys.executable).resolve()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ, offset=8192):
        facts = processfacts.of_process(ME, {})
    assert facts
    assert "r--s 00002000" in facts["mapped"][str(path)]
    told = processfacts._mapped(
        "7f00-7f01 rw-p 00000000 00:00 0 \n7f01-7f02 rw-p 00000000 00:00 0    [heap]\n"
        "7f02-7f03 r--s 123456789000 00:27 41    /a file (deleted)\n"
    )
    assert told == {"/a file (deleted)": ["r--s 123456789000"]}


def test_a_connection_of_the_node_with_itself_is_told_even_at_a_link_s_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)) as one,
            socket.socket(socket.AF_INET6) as other,
        ):
            other.connect(("::ffff:127.0.0.1", port))
            kinds = kernelfacts.sockets(ME, [port])
            inodes = [str(os.fstat(end.fileno()).st_ino) for end in (one, other)]
    assert [kinds[inode] for inode in inodes] == [
        f"tcp talking to itself ({table}, state 01)" for table in ("tcp", "tcp6")
    ]


def test_a_node_that_is_gone_is_unseen() -> None:
    with pytest.raises(walk.Unseen, match="gone"):
        filefacts.of_mounts(2**22 + 1)


def test_a_node_is_waited_for_until_its_log_is_empty_or_the_time_is_over(tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    assert rest.of_spool(ME, str(spool)) == ""
    (tmp_path / "spool.db-wal").write_bytes(b"frames")
    look = partial(rest.of_spool, ME, str(spool))
    assert rest.wait(look, time.monotonic()) == "its log was not empty"
    said = iter(["busy", "busy", ""])
    assert rest.wait(lambda: next(said), time.monotonic() + 60) == ""


def test_a_conversation_that_only_the_reading_saw_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel's table, read while it changes, lacked the row a moment before."""
    talks = iter([{"tcp talking (tcp, state 01)": 1}, {}])
    monkeypatch.setattr(rest, "of_node", lambda *_: "")
    monkeypatch.setattr(state, "_read", lambda *_: {"kernel": {"sockets": next(talks)}})
    (told,) = state.run(
        {"nodes": {"alpha": ME}, "within": 60, "spool": "", "links": [], "token": "t"}
    )
    assert (told["kernel"]["sockets"], told["rest"]) == ({}, "")


@pytest.mark.parametrize(("within", "looks"), [(0.0, 1), (60.0, processfacts.LOOKS)])
def test_only_of_nodes_that_come_to_rest_signals_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, within: float, looks: int
) -> None:
    """A mail host has dozens of processes, and is read for its log."""
    asked: list[int] = []
    monkeypatch.setattr(filefacts, "of_mounts", lambda pid: {})
    monkeypatch.setattr(filefacts, "header", lambda *_: {})
    monkeypatch.setattr(rest, "mails", lambda *_: 0)
    monkeypatch.setattr(processfacts, "of_container", lambda pid: [pid])
    monkeypatch.setattr(
        processfacts, "of_process", lambda *_, looks=1: asked.append(looks) or {"pid": ME}
    )
    task = {"within": within, "spool": "", "links": [], "more": []}
    state._read(ME, task)
    assert asked == [looks]


async def test_mail_whose_answer_is_under_way_is_waited_for_and_mail_that_stays_is_rest(
    tmp_path: Path,
) -> None:
    """One row more at one of two readings looked like a page that the spool had lost."""
    path = tmp_path / "spool.db"
    spool = Spool.open(path, b"s" * 32)
    id_ = await spool.arrive(b"mail")
    look = partial(rest.of_spool, ME, str(path))
    async with asyncio.timeout(5):
        while look() != rest.MAIL:
            await asyncio.sleep(0.05)
    assert rest.wait(look, time.monotonic() + 0.2) == ""
    waiting = asyncio.to_thread(rest.wait, look, time.monotonic() + 60)
    forgetting = asyncio.create_task(waiting)
    await asyncio.sleep(0.2)
    assert not forgetting.done()
    await spool.delete(id_ or b"")
    assert await forgetting == ""
    assert look() == ""
    spool.close()


def test_what_somebody_executes_in_a_container_is_told_from_its_own_processes() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert not processfacts.executed(child.pid, [ME, child.pid])
        assert processfacts.executed(child.pid, [1, child.pid])
        assert not processfacts.executed(child.pid, [child.pid])
        child.kill()


def test_the_queue_of_a_port_is_read_and_follows_what_is_asked_for() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        for most in (7, 11):
            one.listen(most)
            assert f"port {port} of family 2: {most} may wait" in listeners.read()
