"""The agent: what it makes of mounts and files. Its controls are taken away whatever happens."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from testbed.wire.canary import Canaries
from testbed.witness.agent import dev, keys, log, look, processfacts, queues, walk
from testbed.witness.agent.mounts import Mount, parse
from testbed.witness.agent.sought import Sought

ME = os.getpid()
RUN = Canaries.new(random.Random(1))
TOKEN = Canaries.new(random.Random(2))

# A node's /proc/1/mountinfo under Docker 20.10, shortened.
MOUNTINFO = """\
119 59 0:50 / / ro,noatime master:3 - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0,group_id=0
120 119 0:52 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
121 119 0:53 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
122 121 0:54 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666
124 123 0:56 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
134 121 0:51 / /dev/mqueue rw,nosuid,nodev,noexec,relatime - mqueue mqueue rw
135 121 0:57 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
139 119 254:0 /volumes/e_spool/_data /var/lib/remailer/spool rw,relatime master:1 - ext4 /dev/vda rw
140 119 254:0 /volumes/e_keys/_data /var/lib/remailer/keys ro,relatime master:1 - ext4 /dev/vda rw
141 119 254:0 /a\\040b /mnt/a\\040b rw,relatime - ext4 /dev/vda ro
64 120 0:58 / /proc/acpi ro,relatime - tmpfs tmpfs ro
65 120 0:53 /null /proc/keys rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
"""


def test_mountinfo() -> None:
    mounts = {mount.point: mount for mount in parse(MOUNTINFO)}
    assert {point: (m.kind, m.writable) for point, m in mounts.items()} == {
        "/": ("root", False),
        "/proc": ("kernel", True),
        "/dev": ("tmpfs", True),
        "/dev/pts": ("kernel", True),
        "/sys/fs/cgroup": ("tmpfs", True),
        "/dev/mqueue": ("mqueue", True),
        "/dev/shm": ("tmpfs", True),
        "/var/lib/remailer/spool": ("disk", True),
        "/var/lib/remailer/keys": ("disk", False),
        "/mnt/a b": ("disk", False),
        "/proc/acpi": ("tmpfs", False),
        "/proc/keys": ("tmpfs", True),
    }
    assert mounts["/mnt/a b"].root == "/a b"


def test_of_two_mounts_at_one_point_the_last_is_seen() -> None:
    twice = MOUNTINFO + "150 119 0:99 / /dev/shm rw - ext4 /dev/vda rw\n"
    assert [m.fstype for m in parse(twice) if m.point == "/dev/shm"] == ["ext4"]


def searched(folder: Path) -> dict[str, walk.Entry]:
    mount = Mount("", "/", str(folder), True, "ext4")
    entries = list(walk.walk(ME, mount, frozenset({str(folder / "below")})))
    for entry in entries:
        walk.search(ME, entry, RUN)
    return {entry.path.removeprefix(f"{folder}/"): entry for entry in entries}


def test_names_targets_and_contents_are_searched_and_nothing_below_another_mount(
    tmp_path: Path,
) -> None:
    mark = RUN.mark(7, "s")
    (tmp_path / "plain").write_text("nothing")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_text(f"from {mark}")
    (tmp_path / f"of {mark}").touch()
    (tmp_path / "link").symlink_to(mark)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"\xff")).touch()
    found = searched(tmp_path)
    assert {name: entry.kind for name, entry in found.items()} == {
        "plain": "file", "deep": "directory", "deep/log": "file", f"of {mark}": "file",
        "link": "link", "pipe": "fifo", os.fsdecode(b"\xff"): "file",
    }  # fmt: skip
    hits = {name: [(h["place"], h["mark"]) for h in e.hits] for name, e in found.items() if e.hits}
    assert hits == {
        "deep/log": [("contents", mark)], f"of {mark}": [("name", mark)],
        "link": [("target", mark)],
    }  # fmt: skip
    assert found[os.fsdecode(b"\xff")].told()["path"].endswith("\\xff")


def test_a_file_too_large_to_look_through_is_said(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(walk.Unseen, match="large: more than"):
        walk.read(ME, str(tmp_path / "large"), most=4)


def test_a_control_is_there_for_the_search_and_gone_afterwards(tmp_path: Path) -> None:
    mount = Mount("", "/", str(tmp_path), True, "ext4")
    with walk.control_file(ME, mount, b"text") as point:
        assert Path(point).read_bytes() == b"text"
    assert not any(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError), walk.control_file(ME, mount, b"text"):
        raise ZeroDivisionError
    assert not any(tmp_path.iterdir())


def test_what_a_killed_agent_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / f"{walk.CONTROL}0").touch()
    mount = Mount("", "/", str(tmp_path), True, "ext4")
    with walk.control_file(ME, mount, b"text"):
        left = sorted(path.name for path in tmp_path.iterdir())
    # Only root's own: a node, which isn't root, can't hide a file behind that name.
    assert len(left) == (1 if os.getuid() == 0 else 2)


def test_an_agent_that_is_ended_takes_its_control_away(tmp_path: Path) -> None:
    program = (
        "import signal, sys\n"
        "from testbed.witness.agent import __main__ as agent, walk\n"
        "from testbed.witness.agent.mounts import Mount\n"
        "def job(task):\n"
        "    with walk.control_file(task['pid'], Mount('', '/', task['at'], True, 'ext4'), b'x'):\n"
        "        yield {'there': True}\n"
        "        signal.pause()\n"
        "agent.JOBS['wait'] = job\n"
        "agent.main()\n"
    )
    task = f'{{"pid": {ME}, "at": "{tmp_path}"}}'
    argv = [sys.executable, "-c", program, "wait"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin
        assert agent.stdout
        agent.stdin.write(f"{task}\n".encode())
        agent.stdin.flush()
        assert b"there" in agent.stdout.readline()
        assert len(list(tmp_path.iterdir())) == 1
        agent.send_signal(signal.SIGTERM)
        agent.wait(10)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("job", [look.run, dev.run, keys.run])
def test_a_process_that_is_gone_is_an_answer(job: object) -> None:
    task = {
        "nodes": {"alpha": 2**22 + 1},
        "prefix": RUN.prefix,
        "token": TOKEN.prefix,
        "carried": {"alpha": {"values": [], "names": ["alpha"]}},
        "database": "/d",
    }
    [answer] = job(task | {"folder": "/keys"})  # type: ignore[operator]
    assert answer["node"] == "alpha"
    assert "gone" in answer["why"]


def test_a_folders_own_attributes_are_seen(tmp_path: Path) -> None:
    try:
        os.setxattr(tmp_path, "user.log", RUN.mark(7, "s").encode())
    except OSError:
        pytest.skip("no extended attributes here")
    assert [h["place"] for h in searched(tmp_path)[str(tmp_path)].hits] == ["attribute user.log"]


def test_an_open_file_without_a_name_is_seen(tmp_path: Path) -> None:
    me = Path(f"/proc/{ME}")
    assert me in list(look._processes(ME))
    with (tmp_path / "log").open("w"), (tmp_path / "kept").open("w"):
        (tmp_path / "log").unlink()
        memory = os.memfd_create("secret")
        targets = {found["target"] for found in look._unlinked(me)}
        os.close(memory)
    assert {f"{tmp_path}/log (deleted)", "/memfd:secret (deleted)"} <= targets
    assert not any("kept" in target for target in targets)


def test_what_nobody_reads_from_a_pipe_or_socket_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LOOKS", 9)
    monkeypatch.setattr(processfacts, "of_container", lambda pid: [pid])
    out, into = os.pipe()
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)

    ends = [Path(f"/proc/{ME}/fd/{fd}") for fd in (out, into, one.fileno(), other.fileno())]
    mine = [str(end.readlink()) for end in ends]

    def kept() -> dict[str, int]:
        told = queues.of_node(ME, os.getuid())
        assert told["control"]
        assert told["asked"] >= 4
        return {end["target"]: end["bytes"] for end in told["kept"] if end["target"] in mine}

    assert not kept()
    os.write(into, b"took 17 bytes\n")
    one.send(b"")  # a datagram without a byte
    found = kept()
    assert found[mine[0]] == 14
    assert found[mine[2]] > 0
    assert os.read(out, 99) == b"took 17 bytes\n"
    assert other.recv(99) == b""
    os.write(into, b"x")
    reading = threading.Timer(0.1, os.read, [out, 9])
    reading.start()
    assert not kept()
    reading.join()
    os.close(out)
    os.close(into)
    one.close()
    other.close()


def test_a_log_that_is_passed_on_from_pipe_to_pipe_is_unread() -> None:
    empty, full = {"bytes": 0}, {"bytes": 9}
    juggled = [{"1": full, "2": empty}, {"1": empty, "2": full}] * 25
    assert queues.unread(juggled) == [full]
    moment = [{"1": empty, "2": empty}]
    assert queues.unread(juggled + moment * (queues.EMPTY - 1)) == [full]
    assert not queues.unread(juggled + moment * queues.EMPTY)
    assert queues.clean(moment * queues.EMPTY)
    assert not queues.clean([])


def test_a_pipe_of_another_user_in_the_container_is_none_of_the_nodes() -> None:
    assert queues.of_node(ME, 65534)["asked"] == 0


def test_pipes_that_cannot_be_asked_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_PIDFD_GETFD", -1)
    assert "can't be asked" in queues.of_node(ME, os.getuid())["why"]


def test_a_log_is_searched_for_marks(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(f"from=<alice+{RUN.mark(7, 's')}@sender.test>")
    task = {"nodes": {"sender": ME, "gone": 2**22 + 1}, "prefix": RUN.prefix}
    there, gone = log.run(task | {"path": f"{tmp_path}/mail.log"})
    assert there["marks"] == {RUN.mark(7, "s"): 12}
    assert "why" in gone


def test_what_is_sought_is_marks_and_digests_and_the_control_is_found() -> None:
    mark = RUN.mark(7, "s")
    task = {"prefix": RUN.prefix, "token": TOKEN.prefix, "words": ["Subject:"]}
    at_alpha = Sought.of(
        task | {"carried": {"alpha": {"values": [mark], "names": ["alpha"]}}}, "alpha"
    )
    digest = hashlib.sha256(f"alpha|{mark}".encode()).digest()
    hits = {(hit.form, hit.mark) for hit in at_alpha.search(mark.encode() + b" " + digest)}
    assert hits == {("raw", mark), ("sha256 with alpha, raw", mark)}
    control = [(hit.form, hit.mark) for hit in at_alpha.search(at_alpha.control)]
    assert at_alpha.found(control)
    assert all(not at_alpha.found(control[:n] + control[n + 1 :]) for n in range(len(control)))
