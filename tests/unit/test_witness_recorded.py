"""What the recorder told becomes rows: a leak fails, a twin that is missing leaves the row open."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace
from typing import Any

import pytest

from testbed.contract import WRITTEN
from testbed.topology import Topology
from testbed.traffic import Letter
from testbed.verdict import Finding, Status
from testbed.witness import calls, message_ids, recorded, sockets, writes
from testbed.witness.agent import calls as program

TOPOLOGY = Topology()
NODE, PEER = TOPOLOGY.remailers[:2]
RUN = "remailer run --resolver 10.193.0.2"
PROGRAMS = (RUN, "remailer health")
CHANCE = "0f" * 16


def told(count: int = 1, command: str = "remailer") -> dict[str, Any]:
    return {"count": count, "pid": 7, "uid": NODE.uid, "command": command}


def shown(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def inet(host: str, port: int) -> str:
    packed = socket.inet_aton(host)
    return shown(struct.pack("=H", 2) + port.to_bytes(2, "big") + packed + bytes(8))


def started(line: str) -> str:
    data = line.replace(" ", "\0").encode() + b"\0"
    return f"exec\t{len(data)} {shown(data[:240])}"


def file(count: int = 1, head: str = "", kind: str = "file") -> dict[str, Any]:
    return told(count) | {"kind": kind, "size": len(head), "head": head}


def answer(
    texts: dict[str, Any] | None = None,
    files: dict[str, Any] | None = None,
    counts: dict[str, int] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What is told of an honest node, and more."""
    usual = {
        started(f"/usr/bin/python3 -IB /usr/local/bin/{RUN}"): told(),
        "openat\ta0042 /var/lib/remailer/spool/spool.db": told(2),
        "openat\ta0042 /var/lib/remailer/spool/spool.db-journal": told(),
        "unlink\t/var/lib/remailer/spool/spool.db-journal": told(),
        "mkdir\t/var/lib/remailer/spool": told(),
        "prctl\t4": told(3),
        "fcntl\t6 1 1073741825 1": told(),
        "prlimit64\t0 4": told(3),
        "execve\t/usr/bin/python3": told(3),
        f"connect\t{inet(PEER.host, 2525)}": told(4),
        f"connect\t{inet(TOPOLOGY.recipient.host, 25)}": told(4),
        f"sendto\t{inet(TOPOLOGY.dns, 53)}": told(4),
        f"connect\t{inet('127.0.0.1', 25)}": told(9),
        f"bind\t{inet('0.0.0.0', 25)}": told(),
        "socket\t2 524289 6": told(9),
        "setsockopt\t6 1 1": told(9),
        "listen\t100": told(2),
    }
    return {
        "files": {path: file() for path in WRITTEN} | (files or {}),
        "marked": ["/", "/dev/shm"],
        "folders": ["/dev/shm"],
        "controls": ["/dev/shm"],
        "dropped": 0,
        "lost": 0,
        "unseen_files": "",
        "unseen_calls": "",
        "texts": usual | (texts or {}),
        "tried": ["memfd_create", "mkdir", "sendto", "setxattr", "socket", "umask"],
        "counts": {f"{NODE.uid} fdatasync": 40, f"{NODE.uid} read": 9, "0 unshare": 4}
        | (counts or {}),
        "random": [CHANCE, "aa" * 12],
    } | more


def calls_row(given: dict[str, Any]) -> Finding:
    return calls.row(NODE.name, given, PROGRAMS, NODE.uid)


def sockets_row(given: dict[str, Any]) -> Finding:
    return sockets.row(NODE, TOPOLOGY, given)


def writes_row(given: dict[str, Any]) -> Finding:
    return writes.row(NODE.name, given)


def letter(message_id: str, path: tuple[str, ...] = (NODE.name,)) -> Letter:
    mail = f"From: a\r\nMessage-ID: {message_id}\r\n\r\ntext\r\n".encode()
    return Letter(0, "forward", path, "a", "b", "s", "<x@y>", b"text\r\n", delivered=[mail])


ORDINARY = replace(letter("<m0@sender.test>", ()), number=1)


NONCE = "aa" * 12
SEIZED = {"numbers": [CHANCE, NONCE]}
TAGS: dict[str, Any] = {"tags": 3, "strange": []}


def ids_row(
    given: dict[str, Any],
    *letters: Letter,
    spool: dict[str, Any] = SEIZED,
    tags: dict[str, Any] | None = TAGS,
) -> Finding:
    return message_ids.row(NODE.name, given, spool, tags, [*letters, ORDINARY])


HONEST = letter(f"<{CHANCE}@alpha.remailer.test>")


@pytest.mark.parametrize("row", [calls_row, sockets_row, writes_row])
def test_an_honest_node_passes(row: Any) -> None:
    finding = row(answer())
    assert finding.status is Status.PASS, finding


@pytest.mark.parametrize("row", [calls_row, sockets_row, writes_row])
def test_a_node_that_was_not_watched_from_its_start_is_left_open(row: Any) -> None:
    finding = row({"node": NODE.name, "why": "it was started again"})
    assert finding.status is Status.INCONCLUSIVE
    assert "started again" in finding.controls[0].where


@pytest.mark.parametrize(
    ("row", "twin"),
    [
        (writes_row, {"controls": []}),
        (writes_row, {"dropped": 1}),
        (writes_row, {"files": {}}),
        (writes_row, {"unseen_files": "fanotify_init: not permitted"}),
        (calls_row, {"tried": ["mkdir", "setxattr", "umask"]}),
        (calls_row, {"tried": ["memfd_create", "mkdir", "setxattr"]}),
        (calls_row, {"lost": 5}),
        (calls_row, {"texts": {}}),
        (calls_row, {"counts": {}}),
        (calls_row, {"unseen_calls": "bpftrace has ended: killed"}),
        (sockets_row, {"tried": ["socket"]}),
        (sockets_row, {"tried": ["sendto"]}),
        (sockets_row, {"texts": {}}),
        (sockets_row, {"lost": 5}),
    ],
)
def test_without_its_twin_no_row_passes(row: Any, twin: dict[str, Any]) -> None:
    assert row(answer() | twin).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/var/lib/remailer/spool/mail.log", file(head="from alice")),
        ("/dev/shm/x", file()),
        ("/var/lib/remailer/spool/spool.db-journal", file(2, "from alice")),
    ],
)
def test_a_file_that_is_written_to_for_a_moment_is_found(path: str, written: Any) -> None:
    finding = writes_row(answer(files={path: written}))
    assert (finding.status, finding.kind) == (Status.FAIL, "written")
    assert finding.evidence[0].where == path
    assert "process 7" in finding.evidence[0].context.process


def test_the_journal_of_a_new_spool_is_no_leak() -> None:
    journal = {
        "/var/lib/remailer/spool/spool.db-journal": file(4, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
    }
    assert writes_row(answer(files=journal)).status is Status.PASS


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("memfd_create\tlog", "memory"),
        ("shmget\t7 4096", "memory"),
        ("mkdir\t/dev/shm/alice", "name"),
        ("mkdir\t/var/lib/remailer/spool/alice", "name"),
        ("openat\t80241 /var/lib/remailer/spool/mail.log", "name"),
        ("openat\t80241 spool.db", "name"),
        ("renameat2\ta\tb", "name"),
        ("utimensat\t/var/lib/remailer/spool/spool.db", "name"),
        ("setxattr\t/var/lib/remailer/spool\tuser.log", "attribute"),
        ("ioctl\t40086602", "attribute"),
        ("prctl\t15", "title"),
        ("prlimit64\t0 7", "title"),
        ("fcntl\t6 0 4711 1", "attribute"),
        ("openssl\tRAND_set_rand_method", "generator"),
        ("execve\t/bin/logger", "program"),
        (started("/bin/sh -c logger"), "program"),
        (started(f"/usr/bin/python3 -IB /usr/local/bin/{RUN[:-1]}3"), "program"),
        (started("/usr/bin/python3 -c from multiprocessing.spawn import spawn_main; "
                 "spawn_main(tracker_fd=5, pipe_handle=123456) --multiprocessing-fork"), "program"),
    ],
)  # fmt: skip
def test_a_call_that_leaves_something_is_found(text: str, kind: str) -> None:
    finding = calls_row(answer({text: told(3)}))
    assert (finding.status, finding.kind) == (Status.FAIL, kind)
    assert "3 times" in finding.evidence[0].what


@pytest.mark.parametrize(("flags", "count"), [("a0042", 2), ("80241", 1)])
def test_what_making_a_spool_needs_may_be_called_once_only(flags: str, count: int) -> None:
    again = {f"openat\t{flags} /var/lib/remailer/spool/spool.db-journal": told(count)}
    finding = calls_row(answer(again))
    assert (finding.status, finding.kind) == (Status.FAIL, "name")
    assert "2 times" in finding.evidence[0].what


@pytest.mark.parametrize("name", ["io_uring_setup", "32-bit call 5", "call 999"])
def test_a_call_that_no_remailer_needs_is_found(name: str) -> None:
    finding = calls_row(answer(counts={f"{NODE.uid} {name}": 2}))
    assert (finding.status, finding.kind) == (Status.FAIL, "other")
    assert finding.evidence[0].where == name


def test_what_root_calls_in_a_node_that_never_is_root_is_docker_s() -> None:
    assert calls_row(answer(counts={"0 io_uring_setup": 2})).status is Status.PASS


def test_a_worker_s_command_line_is_its_own() -> None:
    line = (
        "/usr/bin/python3 -B -I -c from multiprocessing.spawn import spawn_main; "
        "spawn_main(tracker_fd=12, pipe_handle=14) --multiprocessing-fork"
    )
    assert calls_row(answer({started(line): told()})).status is Status.PASS


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"sendto\t{inet('127.0.0.1', 514)}", "datagram"),
        (f"sendmsg\t{inet('10.193.0.99', 53)}", "datagram"),
        ("sendmmsg\t7 2", "datagram"),
        (f"connect\t{inet('127.0.0.1', 80)}", "socket"),
        (f"connect\t{inet('127.0.0.1', TOPOLOGY.link.port)}", "socket"),
        (f"connect\t{inet(TOPOLOGY.recipient.host, 80)}", "socket"),
        (f"connect\t{shown(struct.pack('=H', 1) + b'/dev/log')}", "socket"),
        (f"connect\t{shown(struct.pack('=H', 1) + bytes(1) + b'abstract')}", "socket"),
        (f"bind\t{inet('0.0.0.0', 40000)}", "socket"),
        (f"bind\t{inet('127.0.0.1', 25)}", "socket"),
        (f"bind\t{shown(struct.pack('=H', 1) + bytes(1) + b'log')}", "socket"),
        ("socket\t40 1 0", "socket"),
        ("socket\t16 3 15", "socket"),
        ("socket\t2 3 1", "socket"),
        ("setsockopt\t0 1 40", "option"),
        ("listen\t37", "option"),
    ],
)
def test_a_socket_to_anybody_else_is_found(text: str, kind: str) -> None:
    finding = sockets_row(answer({text: told()}))
    assert (finding.status, finding.kind) == (Status.FAIL, kind)
    assert finding.evidence[0].where == text.partition("\t")[0]


def test_a_message_id_that_the_kernel_gave_passes() -> None:
    assert ids_row(answer(), HONEST).status is Status.PASS


@pytest.mark.parametrize(
    "letters",
    [
        (letter("<00112233445566778899aabbccddeeff@alpha.remailer.test>"),),
        (letter(""),),
        (HONEST, replace(HONEST, number=2)),
    ],
    ids=["of the node's own making", "none", "twice"],
)
def test_a_message_id_of_another_origin_is_found(letters: tuple[Letter, ...]) -> None:
    finding = ids_row(answer(), *letters)
    assert (finding.status, finding.kind) == (Status.FAIL, "not chance")


@pytest.mark.parametrize("number", ["bb" * 16, "bb" * 12], ids=["name", "nonce"])
def test_a_row_s_name_or_nonce_of_another_origin_is_found(number: str) -> None:
    finding = ids_row(answer(), HONEST, spool={"numbers": [CHANCE, number]})
    assert (finding.status, finding.kind) == (Status.FAIL, "not chance")
    assert number in finding.evidence[0].where


@pytest.mark.parametrize(("draws", "status"), [(1, Status.PASS), (2, Status.FAIL)])
def test_who_asks_for_more_numbers_than_he_uses_may_choose(draws: int, status: Status) -> None:
    rows = [f"{number:024x}" for number in range(message_ids.USES + 100)]
    names = [f"{number:032x}" for number in range(100 + 50 * draws)]
    given = answer() | {"random": [*names, *rows, CHANCE, NONCE]}
    assert ids_row(given, HONEST).status is status


def test_a_tag_of_no_message_id_that_another_node_made_is_found() -> None:
    finding = ids_row(answer(), HONEST, tags={"tags": 3, "strange": ["cc" * 16]})
    assert (finding.status, finding.kind) == (Status.FAIL, "not chance")
    assert finding.evidence[0].where == f"spool, a transfer's tag {'cc' * 16}"


@pytest.mark.parametrize("tags", [{"tags": 0, "strange": []}, {"why": "no such file"}])
def test_without_a_tag_that_is_known_nothing_is_said(tags: dict[str, Any]) -> None:
    assert ids_row(answer(), HONEST, tags=tags).status is Status.INCONCLUSIVE


def test_without_a_port_of_their_own_no_tags_are_asked_for() -> None:
    assert ids_row(answer(), HONEST, tags=None).status is Status.PASS


def test_for_a_node_whose_own_message_ids_are_odd_its_peers_are_not_accused() -> None:
    assert not message_ids.odd(NODE.name, answer(), [HONEST, ORDINARY])
    assert message_ids.odd(NODE.name, answer(), [letter("<bb@alpha.remailer.test>")])
    for blind in ({"lost": 1}, {"unseen_calls": "bpftrace has ended"}, {"why": "gone"}):
        assert message_ids.odd(NODE.name, answer() | blind, [])


def test_a_node_is_excused_for_as_many_tags_as_it_got_letters_from_odd_ones() -> None:
    letters = [
        replace(HONEST, path=path)
        for path in [("alpha", "bravo"), ("alpha", "bravo", "charlie"), ("bravo", "alpha"), ()]
    ]
    assert message_ids.handed({"alpha"}, "bravo", letters) == 2
    assert message_ids.handed({"alpha", "bravo"}, "charlie", letters) == 1
    assert message_ids.handed(set(), "bravo", letters) == 0


def test_numbers_that_were_not_all_seen_are_none() -> None:
    blind = {"lost": 1}, {"unseen_calls": "bpftrace has ended"}, {}
    told = {str(number): answer() | more for number, more in enumerate(blind)}
    assert recorded.given(told | {"gone": {"why": "gone"}}) == {
        "0": [], "1": [], "2": answer()["random"], "gone": [],
    }  # fmt: skip


def test_without_rows_seized_their_names_are_left_open() -> None:
    finding = ids_row(answer(), HONEST, spool={"why": "never seen with mail in it"})
    assert finding.status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    "twin", [{"random": []}, {"lost": 3}, {"unseen_calls": "no BTF"}, {"why": "gone"}]
)
def test_without_the_kernel_s_numbers_seen_message_ids_are_left_open(twin: dict[str, Any]) -> None:
    given = answer() | twin
    letters = () if "random" in twin else (HONEST,)
    assert ids_row(given, *letters).status is Status.INCONCLUSIVE


def test_the_program_tells_only_what_the_kernel_can_and_watches_whom_it_is_given() -> None:
    text = program.program(
        [4026532250], {"mkdir", "openat"}, ["/proc/7/root/libc.so.6"], ["/c"], 99
    )
    assert "@watched[(uint64)4026532250] = 1;" in text
    assert "sys_enter_mkdir {" in text
    assert "sys_enter_memfd_create" not in text
    assert "uretprobe:/proc/7/root/libc.so.6:getrandom" in text
    assert "/pid == 99/" in text
    assert "uprobe:/c:RAND_set_rand_method" in text
