"""A node beside a mail host: no port 25, and `remailer deliver` says 0 only to what is safe.

Real commands: a node made and run by an ordinary user's defaults, and the command that a .forward
names, once for each mail.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_web import free_port

from remailer.deliver import EX_TEMPFAIL, OK, SOCKET, as_sent, sender
from remailer.outgoing import MAX_MAIL

FOLDER = ".local/share/remailer"
PROGRAM = "from remailer.__main__ import main; main()"
NULL = b"From alice@sender.test Wed Aug 25 12:00:00 1993\nSubject: x\n\n::\nNull:\n\n.\n.dots\n"


def remailer(home: Path, *arguments: str, mail: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command as a mail system starts it: with HOME, and the mail on its standard input."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={"HOME": str(home)}, input=mail, capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def listening(pid: int) -> set[int]:
    """The TCP ports that a process listens on."""
    own = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the node has closed it since
            own.add(str(entry.readlink()))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    # 0A is TCP_LISTEN: the node also asks a resolver that isn't there, by TCP as well.
    there = [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]
    return {int(row[1].rpartition(":")[2], 16) for row in there}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's home with keys and a directory, made with nothing but the defaults."""
    home = tmp_path_factory.mktemp("home")
    made = remailer(
        home, "init", "--name", "alpha", "--address", "remailer@alpha.remailer.test",
        "--host", "127.0.0.1", "--link-port", str(free_port()),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    directory = {"remailers": [json.loads(made.stdout)]}
    (home / FOLDER / "directory.json").write_text(json.dumps(directory))
    return home


@pytest.fixture
def node(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The user's node, running."""
    node = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", "--hosted", "--resolver", "127.0.0.1"],
        env={"HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert node.stdout
    assert node.stdout.readline() == b"remailer alpha: ready\n"
    yield node
    node.kill()
    node.communicate()


def test_a_mail_is_taken_and_nothing_is_said(home: Path, node: subprocess.Popen[bytes]) -> None:
    done = remailer(home, "deliver", mail=NULL)
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"", b"")


def test_what_was_taken_is_on_disk(home: Path, node: subprocess.Popen[bytes]) -> None:
    waits = b"\n::\nAnon-To: bob@recipient.test\n\nwaits for a resolver that is not there\n"
    assert remailer(home, "deliver", mail=b"Subject: x\n" + waits).returncode == OK
    node.kill()
    node.wait()
    # Emptied are neither: what is in the log or the file was committed before the 0.
    spool = home / FOLDER / "spool"
    assert sum(path.stat().st_size for path in spool.glob("spool.db*")) > 4096


def test_no_node_means_later(home: Path) -> None:
    done = remailer(home, "deliver", mail=NULL)
    assert (done.returncode, done.stdout, done.stderr) == (EX_TEMPFAIL, b"", b"")


def test_a_folder_without_any_node_means_later(tmp_path: Path) -> None:
    done = remailer(tmp_path, "deliver", "--spool", str(tmp_path), mail=NULL)
    assert (done.returncode, done.stdout, done.stderr) == (EX_TEMPFAIL, b"", b"")


def test_a_wrong_line_in_the_forward_loses_nothing(home: Path) -> None:
    done = remailer(home, "deliver", "--socket", "x", mail=NULL)
    assert done.returncode == EX_TEMPFAIL
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "mail",
    [b"Subject: x\n\nlone \r here\n", b"\n" + b"x" * 999 + b"\n", b"\n" + b"x\n" * MAX_MAIL],
    ids=["lone CR", "long line", "too big"],
)
def test_what_the_node_refuses_for_ever_is_dropped_not_bounced(
    home: Path, node: subprocess.Popen[bytes], mail: bytes
) -> None:
    done = remailer(home, "deliver", mail=mail)
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"", b"")


@pytest.mark.parametrize(
    "said",
    [b"", b"421 full\r\n", b"220 x\r\n250-x\r\n250 SIZE 99\r\n452 no room\r\n",
     b"220 x\r\n250-x\r\n250 SIZE 9999\r\n250 ok\r\n501 unknown\r\n", b"220 x\r\n500 what?\r\n"],
)  # fmt: skip
def test_any_other_answer_means_later(tmp_path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / SOCKET))
        server.listen()
        command = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "deliver", "--spool", str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        connection, _ = server.accept()
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        assert command.communicate(NULL, timeout=30) == (b"", b"")
        assert command.returncode == EX_TEMPFAIL
        connection.close()


def test_the_socket_is_the_users_own_and_port_25_stays_the_hosts(
    home: Path, node: subprocess.Popen[bytes]
) -> None:
    mode = (home / FOLDER / "spool" / SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    link = json.loads((home / FOLDER / "keys" / "identity.json").read_text())["link_port"]
    assert listening(node.pid) == {link}


def test_folders_are_made_for_this_user_only(home: Path, node: subprocess.Popen[bytes]) -> None:
    for name in ("keys", "spool"):
        assert stat.S_IMODE((home / FOLDER / name).stat().st_mode) == 0o700
        assert (home / FOLDER / name).stat().st_uid == os.getuid()


def test_a_mail_as_it_goes_over_the_wire() -> None:
    assert as_sent(b"From a Wed\nA: b\n\n.x\nFrom y\n") == b"A: b\r\n\r\n.x\r\nFrom y\r\n"
    assert as_sent(b"A: b\r\n\r\nx\r\n") == b"A: b\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"Return-Path: <alice@sender.test>\r\nA: b", "alice@sender.test"),
        (b"X-Original-To: remailer\r\nreturn-path:<a+b@x.test> ", "a+b@x.test"),
        (b"Return-Path: <a@x.test>\r\nReturn-Path: <forged@y.test>", "a@x.test"),
        (b"Return-Path: <>\r\nReturn-Path: <forged@y.test>", ""),
        (b"Return-Path: <a@x.test> SIZE=1", ""),
        (b"Return-Path: <na\xc3\xafve@x.test>", ""),
        (b"Return-Path: <" + b"a" * 500 + b"@x.test>", ""),
        (b"A: b\r\n\r\nReturn-Path: <a@x.test>", ""),
        (b"", ""),
    ],
)
def test_whom_the_envelope_named(head: bytes, named: str) -> None:
    assert sender(head + b"\r\n\r\ntext\r\n") == named


def test_who_is_blocked_is_dropped_not_bounced(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / SOCKET))
    server.listen()
    command = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "deliver", "--spool", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    connection, _ = server.accept()
    connection.sendall(b"220 x\r\n250-x\r\n250 SIZE 9999\r\n550 not from you\r\n221 bye\r\n")
    assert command.communicate(b"Return-Path: <a@b.test>\n\n", timeout=30) == (b"", b"")
    assert command.returncode == OK
    assert b"MAIL FROM:<a@b.test>" in connection.recv(4096)
    connection.close()
    server.close()
