"""The witnesses' rows: each passes what is clean, names its plant, is open without a twin."""

from __future__ import annotations

import os
import random
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from testbed.topology import Topology
from testbed.traffic import Letter
from testbed.verdict import Control, Finding, Status
from testbed.wire.canary import Canaries
from testbed.witness import files, headers, keys, output, spool
from testbed.witness.agent import keys as agent_keys
from testbed.witness.agent import walk
from testbed.witness.agent.mounts import Mount

RUN = Canaries.new(random.Random(1))


def told(finding: Finding) -> tuple[Status, list[str], str]:
    return finding.status, [e.what for e in finding.evidence], finding.kind


# -- silent-output ----------------------------------------------------------------------------


def attributes(driver: str = "json-file", said: str = "") -> dict[str, Any]:
    checks = [{"Start": "2026-11-24T20:59:00Z", "ExitCode": 0, "Output": said}]
    return {
        "HostConfig": {"LogConfig": {"Type": driver, "Config": {}}},
        "State": {"Health": {"Status": "healthy", "Log": checks}},
    }


READY = b"remailer alpha: ready\n"


@pytest.mark.parametrize(
    ("log", "driver", "said", "status", "evidence"),
    [
        (READY, "json-file", "", Status.PASS, []),
        (READY * 2, "local", "", Status.PASS, []),  # it was started twice
        (READY + b"mail of 78 bytes\n", "json-file", "", Status.FAIL, ["mail of 78 bytes"]),
        (READY + b"no end", "json-file", "", Status.FAIL, ["no end"]),
        (READY + b"\n", "json-file", "", Status.FAIL, ["an empty line"]),
        (READY, "json-file", "3 mails waiting", Status.FAIL, ["3 mails waiting"]),
        (b"remailer alpha: ready, too\n", "local", "", Status.FAIL, ["remailer alpha: ready, too"]),
        (b"", "json-file", "", Status.INCONCLUSIVE, []),
        (READY, "syslog", "", Status.INCONCLUSIVE, []),
    ],
)
def test_output(log: bytes, driver: str, said: str, status: Status, evidence: list[str]) -> None:
    finding = output.judge_log("alpha", log, attributes(driver, said))
    assert told(finding) == (status, evidence, "stdout" if evidence else "")


# -- silent-root, silent-tmpfs, silent-volume, /dev -------------------------------------------


def entry(path: str, kind: str = "file", **more: Any) -> dict[str, Any]:
    return {
        "path": path, "kind": kind, "size": 5, "mode": "0600", "uid": 20001, "target": "",
        "attributes": [], "hits": [], **more,
    }  # fmt: skip


def mount(point: str, kind: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "point": point, "kind": kind, "writable": True, "folder": True, "fstype": "ext4",
        "bytes": 5, "entries": list(entries), **more,
    }  # fmt: skip


HIT = {"place": "contents", "offset": 9, "form": "hex", "mark": "x1", "excerpt": "a x1\n b"}
DEV = mount(
    "/dev", "tmpfs",
    entry("/dev/null", "device"), entry("/dev/fd", "link", target="/proc/self/fd"), control=True,
)  # fmt: skip
SPOOL = mount("/var/lib/remailer/spool", "disk", entry("/var/lib/remailer/spool/spool.db"),
              control=True)  # fmt: skip
KEYS = mount("/var/lib/remailer/keys", "disk", entry("/var/lib/remailer/keys/secret"),
             writable=False)  # fmt: skip


def with_entries(base: dict[str, Any], *more: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return base | {"entries": [*base["entries"], *more]} | changed


@pytest.mark.parametrize(
    ("mounts", "status", "where"),
    [
        ([DEV], Status.PASS, []),
        ([with_entries(DEV, entry("/dev/shm/last-mail"))], Status.FAIL, ["/dev/shm/last-mail"]),
        ([with_entries(DEV, entry("/dev/null2", "device"))], Status.FAIL, ["/dev/null2"]),
        ([with_entries(DEV, entry("/dev/zero"))], Status.FAIL, ["/dev/zero"]),
        ([with_entries(DEV, entry("/dev/stdin", "link", target="a"))], Status.FAIL, ["/dev/stdin"]),
        (
            [with_entries(DEV, entry("/dev/tty", "device", hits=[HIT]))],
            Status.FAIL,
            ["/dev/tty, contents, byte 9"],
        ),
        ([DEV | {"control": False}], Status.INCONCLUSIVE, []),
        ([DEV, {"point": "/run", "kind": "tmpfs", "why": "no"}], Status.INCONCLUSIVE, []),
        (
            [DEV, mount("/proc/keys", "tmpfs", entry("/proc/keys", "device"), folder=False)],
            Status.PASS,
            [],
        ),
        (
            [DEV, mount("/dev/mqueue", "tmpfs", entry("/dev/mqueue/q"), fstype="mqueue")],
            Status.FAIL,
            ["/dev/mqueue/q"],
        ),
        ([], Status.INCONCLUSIVE, []),
    ],
)
def test_tmpfs(mounts: list[dict[str, Any]], status: Status, where: list[str]) -> None:
    finding = files.tmpfs_row("alpha", {"mounts": mounts})
    assert (finding.status, [e.where for e in finding.evidence]) == (status, where)
    assert finding.kind == ("tmpfs" if where else "")


HOSTS = mount("/etc/hosts", "disk", entry("/etc/hosts", uid=0), folder=False)


@pytest.mark.parametrize(
    ("mounts", "status", "where"),
    [
        ([SPOOL, KEYS, HOSTS], Status.PASS, []),
        (
            [with_entries(SPOOL, entry("/var/lib/remailer/spool/mail.log")), KEYS],
            Status.FAIL,
            ["/var/lib/remailer/spool/mail.log"],
        ),
        (
            [SPOOL, with_entries(KEYS, entry("/var/lib/remailer/keys/deep/secret"))],
            Status.FAIL,
            ["/var/lib/remailer/keys/deep/secret"],
        ),
        (
            [with_entries(SPOOL, entry("/var/lib/remailer/spool/spool.db-wal", hits=[HIT]))],
            Status.FAIL,
            ["/var/lib/remailer/spool/spool.db-wal, contents, byte 9"],
        ),
        (
            [with_entries(SPOOL, entry("/var/lib/remailer/spool/spool.db-wal", "directory"))],
            Status.FAIL,
            ["/var/lib/remailer/spool/spool.db-wal"],
        ),
        (
            [with_entries(SPOOL, entry("/var/lib/remailer/spool/spool.db-shm", attributes=["u"]))],
            Status.FAIL,
            ["/var/lib/remailer/spool/spool.db-shm"],
        ),
        (
            [SPOOL, mount("/data", "disk", entry("/data/a"), control=True)],
            Status.FAIL,
            ["/data/a"],
        ),
        (
            [SPOOL, mount("/etc/remailer", "disk", entry("/etc/remailer/a"), writable=False)],
            Status.PASS,
            [],
        ),
        ([SPOOL, KEYS | {"entries": []}], Status.INCONCLUSIVE, []),
        ([SPOOL | {"control": False}, KEYS], Status.INCONCLUSIVE, []),
    ],
)
def test_volume(mounts: list[dict[str, Any]], status: Status, where: list[str]) -> None:
    finding = files.volume_row("alpha", {"mounts": mounts})
    assert (finding.status, [e.where for e in finding.evidence]) == (status, where)
    assert finding.kind == ("volume" if where else "")


ROOT = {"root": {"read_only": True, "fstype": "overlay"}}
LOGGED = [Control("docker diff of sender shows its log", True)]


@pytest.mark.parametrize(
    ("diff", "answer", "controls", "status"),
    [
        ([], ROOT, LOGGED, Status.PASS),
        ([{"Path": "/tmp/x", "Kind": 1}], ROOT, LOGGED, Status.FAIL),
        ([], {"root": {"read_only": False, "fstype": "overlay"}}, LOGGED, Status.INCONCLUSIVE),
        ([], ROOT, [Control("its log", False)], Status.INCONCLUSIVE),
        ("Docker: gone", ROOT, LOGGED, Status.INCONCLUSIVE),
        ([], {"why": "process 5 is gone"}, LOGGED, Status.INCONCLUSIVE),
    ],
)
def test_root(diff: Any, answer: Any, controls: list[Control], status: Status) -> None:
    assert files.root_row("alpha", diff, answer, controls).status == status


def test_mount_points_that_docker_made_are_no_change() -> None:
    points = [PurePosixPath("/etc/remailer")]
    leads = [files._leads_to(PurePosixPath(p), points) for p in ("/etc", "/etc/remailer")]
    assert leads == [True, True]
    assert not files._leads_to(PurePosixPath("/etc/remailer/x"), points)
    assert not files._leads_to(PurePosixPath("/et"), points)


def test_dev_log() -> None:
    answer = {
        "control": True,
        "entries": [
            entry("/dev/null", "device"),
            entry("/dev/log", "link", target="/run/log"),
            entry("/dev/shm/s", "socket"),
        ],
    }
    evidence, controls = files.judge_dev(answer)
    assert [e.where for e in evidence] == ["/dev/log", "/dev/shm/s"]
    assert [c.found for c in controls] == [True]
    assert [c.found for c in files.judge_dev({"why": "gone"})[1]] == [False]


# -- spool-sealed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, Status.PASS),
        ({"rows": {"spool": 0, "transfer": 3}}, Status.INCONCLUSIVE),
        ({"rows": {}}, Status.INCONCLUSIVE),
        ({"control": False}, Status.INCONCLUSIVE),
        ({"hits": [HIT | {"file": "spool.db-wal"}]}, Status.FAIL),
        ({"why": "the witness died"}, Status.INCONCLUSIVE),
    ],
)
def test_spool(changed: dict[str, Any], status: Status) -> None:
    answer = {"rows": {"spool": 2}, "files": {"spool.db": 4096}, "hits": [], "control": True}
    finding = spool.row("alpha", answer | {"after": 0.4, "looks": 1} | changed)
    assert finding.status == status
    if status is Status.FAIL:
        assert finding.kind == "spool"
        assert finding.evidence[0].where == "/var/lib/remailer/spool/spool.db-wal, byte 9"


# -- own-keys ---------------------------------------------------------------------------------


def keys_answer(uid: int, **more: Any) -> dict[str, Any]:
    return {
        "own": 5, "private": 5, "foreign": [], "mounted": [], "files": 900, "uids": [uid],
        "capabilities": {"CapEff": "0000000000000000"}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status", "evidence"),
    [
        ({}, Status.PASS, []),
        ({"own": 4}, Status.INCONCLUSIVE, []),
        ({"own": 0, "private": 0}, Status.INCONCLUSIVE, []),
        ({"why": "gone"}, Status.INCONCLUSIVE, []),
        (
            {"foreign": [{"path": "/tmp/k", "owner": "bravo"}]},
            Status.FAIL,
            ["a private file of bravo"],
        ),
        (
            {"mounted": [{"point": "/k", "owner": "bravo"}]},
            Status.FAIL,
            ["the keys of bravo are mounted here"],
        ),
        ({"uids": [0]}, Status.FAIL, ["it runs as root"]),
        ({"uids": [20002]}, Status.FAIL, ["it runs as the same user as bravo"]),
        (
            {"capabilities": {"CapBnd": "0000000000000400"}},
            Status.FAIL,
            ["it has capabilities: CapBnd 0000000000000400"],
        ),
    ],
)
def test_keys(changed: dict[str, Any], status: Status, evidence: list[str]) -> None:
    answers = {"alpha": keys_answer(20001) | changed, "bravo": keys_answer(20002)}
    finding = keys.row("alpha", answers)
    assert told(finding) == (status, evidence, "key" if evidence else "")


def test_a_key_that_is_not_known_can_be_anywhere() -> None:
    finding = keys.row("alpha", {"alpha": keys_answer(20001), "bravo": {"why": "gone"}})
    assert finding.status == Status.INCONCLUSIVE


def test_the_agent_finds_another_nodes_key_by_its_hash_and_by_its_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {"alpha": os.getpid(), "bravo": os.getppid()}
    volumes = {pid: [Mount("254:0", f"/v/{name}", "/keys", False, "ext4")]
               for name, pid in nodes.items()}  # fmt: skip
    for name, pid in nodes.items():
        (tmp_path / str(pid) / "keys").mkdir(parents=True)
        (tmp_path / str(pid) / "keys" / "secret").write_text(f"secret of {name}")
    monkeypatch.setattr(walk, "mounts", lambda pid: volumes[pid])
    monkeypatch.setattr(walk, "inside", lambda pid, point: f"{tmp_path}/{pid}{point}")

    def alpha() -> tuple[Any, ...]:
        answer, _ = agent_keys.run({"nodes": nodes, "folder": "/keys"})
        return answer["own"], answer["private"], answer["foreign"], answer["mounted"]

    assert alpha() == (1, 1, [], [])

    there = tmp_path / str(nodes["alpha"]) / "data"
    there.mkdir()
    (there / "copy").write_text("secret of bravo")
    volumes[nodes["alpha"]].append(Mount("254:0", "/v/bravo", "/data", True, "ext4"))
    foreign = [{"path": "/data/copy", "owner": "bravo"}]
    assert alpha() == (1, 1, foreign, [{"point": "/data", "owner": "bravo"}])


# -- headers ----------------------------------------------------------------------------------

TOPOLOGY = Topology(nodes=2)
ALPHA = TOPOLOGY.remailers[0]


def delivered(number: int, *more: str, **changed: str) -> bytes:
    """A mail as alpha delivers it, below the trace lines of the recipient's host."""
    fields = {
        "Date": "Tue, 24 Nov 2026 00:00:00 +0000",
        "Message-ID": f"<{number:032x}@alpha.remailer.test>",
        "Subject": f"about {RUN.mark(number, 'j')}",
        "Received": (
            f"from {ALPHA.domain} ({ALPHA.domain} [{ALPHA.host}])\r\n\tby mail.recipient.test "
            f"(Postfix) with ESMTP id 4XyZ\r\n\tfor <bob+{RUN.mark(number, 'r')}@recipient.test>; "
            "Tue, 24 Nov 2026 20:59:00 +0000 (UTC)"
        ),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [
        "Return-Path: <>",
        f"Delivered-To: bob+{RUN.mark(number, 'r')}@recipient.test",
        f"Received: {fields['Received']}",
        *more,
        f"From: Anonymous <{ALPHA.address}>",
        f"To: bob+{RUN.mark(number, 'r')}@recipient.test",
        *(f"{name}: {fields[name]}" for name in ("Date", "Message-ID", "Subject")),
    ]
    return ("\r\n".join(lines) + f"\r\n\r\n{RUN.mark(number, 'b')}\r\nX-Not: a header\r\n").encode()


def letter(number: int, mail: bytes, kind: str = "forward", node: str = "alpha") -> Letter:
    return Letter(
        number, kind, (node,) if kind != "direct" else (),
        f"alice+{RUN.mark(number, 's')}@sender.test",
        f"bob+{RUN.mark(number, 'r')}@recipient.test",
        f"about {RUN.mark(number, 'j')}", f"<{RUN.mark(number, 'm')}@sender.test>", b"",
        delivered=[mail],
    )  # fmt: skip


DIRECT = (
    "Return-Path: <alice+{s}@sender.test>\r\n"
    "Received: from mail.sender.test (mail.sender.test [10.193.0.241])\r\n"
    "\tby mail.recipient.test (Postfix) with ESMTP id 4Xy; Tue, 24 Nov 2026 20:59:00 +0000\r\n"
    "Received: from laptop (unknown [172.24.0.1]) by mail.sender.test (Postfix) with ESMTPSA\r\n"
    "From: alice+{s}@sender.test\r\nTo: bob+{r}@recipient.test\r\nSubject: about {j}\r\n"
    "Date: Tue, 24 Nov 2026 20:58:59 -0000\r\nMessage-ID: <{m}@sender.test>\r\n\r\nhello\r\n"
)


def direct(number: int = 90) -> Letter:
    marks = {code: RUN.mark(number, code) for code in "srjm"}
    return letter(number, DIRECT.format(**marks).encode(), "direct")


def judged(*letters: Letter) -> Finding:
    return headers.judge_letters(TOPOLOGY, letters, RUN)[0]


@pytest.mark.parametrize(
    ("mail", "kind", "sort"),
    [
        (delivered(1), "forward", ""),
        (delivered(1, "MIME-Version: 1.0", "Content-Type: text/plain"), "forward", ""),
        (delivered(1, Subject="none"), "matrix", ""),
        # The Subject of a mail that was encrypted is nobody's business behind a reply block.
        (delivered(1), "matrix", "header"),
        (delivered(1, "Received: from x ([10.9.9.9]) by a.test"), "forward", "received"),
        (delivered(1, Received="from b ([10.193.0.12]) by mail.recipient.test"), "forward",
         "received"),
        (delivered(1, Message_ID=f"<{RUN.mark(1, 'm')}@sender.test>"), "forward", "message-id"),
        (delivered(1, Message_ID=f"<{RUN.mark(5, 'm')}@sender.test>"), "forward", "message-id"),
        (delivered(1, Date="Tue, 24 Nov 2026 20:59:00 +0000"), "forward", "date"),
        (delivered(1, Date="Tue, 24 Nov 2026 00:00:00 -0000"), "forward", "date"),
        (delivered(1, "X-Mailer: mine"), "forward", "header"),
        (delivered(1, f"Reply-To: alice+{RUN.mark(1, 's')}@sender.test"), "forward", "header"),
        (delivered(1, f"In-Reply-To: {RUN.mark(1, 's').encode().hex()}"), "forward", "header"),
        (delivered(1, f"In-Reply-To: {RUN.mark(2, 'r')}"), "forward", "header"),
    ],
)  # fmt: skip
def test_headers(mail: bytes, kind: str, sort: str) -> None:
    finding = judged(letter(1, mail, kind), direct())
    assert (finding.kind, finding.status) == (sort, Status.FAIL if sort else Status.PASS)
    if sort:
        assert finding.evidence[0].where.startswith("letter 1 as delivered, line ")


def test_a_message_id_in_two_mails_tells_that_they_belong_together() -> None:
    same = "<1@alpha.remailer.test>"
    first, second = (letter(n, delivered(n, Message_ID=same)) for n in (1, 2))
    assert judged(first, second, direct()).kind == "message-id"


def test_without_ordinary_mail_or_mail_of_its_own_a_row_is_open() -> None:
    assert judged(letter(1, delivered(1))).status == Status.INCONCLUSIVE
    assert judged(direct()).status == Status.INCONCLUSIVE
    # An ordinary mail that does not show its sender is no control.
    hidden = direct()
    hidden.delivered = [hidden.delivered[0].replace(RUN.prefix.encode(), b"nothing")]
    assert judged(letter(1, delivered(1)), hidden).status == Status.INCONCLUSIVE
