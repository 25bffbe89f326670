"""The witnesses' rows: each passes what is clean, names its plant, is open without a twin."""

from __future__ import annotations

import os
import random
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from testbed.verdict import Control, Finding, Status
from testbed.wire.canary import Canaries
from testbed.witness import files, keys, output, way_out
from testbed.witness.agent import keys as agent_keys
from testbed.witness.agent import walk
from testbed.witness.agent.mounts import Mount

RUN = Canaries.new(random.Random(1))


def told(finding: Finding) -> tuple[Status, list[str], str]:
    return finding.status, [e.what for e in finding.evidence], finding.kind


# -- silent-output ----------------------------------------------------------------------------


STARTED = "2026-11-24T20:59:00.5Z"


def attributes(driver: str = "json-file", said: str = "") -> dict[str, Any]:
    checks = [{"Start": "2026-11-24T20:59:00Z", "ExitCode": 0, "Output": said}]
    return {
        "HostConfig": {"LogConfig": {"Type": driver, "Config": {}}},
        "State": {"StartedAt": STARTED, "Health": {"Status": "healthy", "Log": checks}},
    }


READY = b"remailer alpha: ready\n"
NOW, BEFORE = b"2026-11-24T20:59:00.750000000Z ", b"2026-11-24T20:59:00.499999999Z "


@pytest.mark.parametrize(
    ("log", "driver", "said", "status", "evidence"),
    [
        (NOW + READY, "json-file", "", Status.PASS, []),
        # It was started three times.
        (BEFORE + READY + BEFORE + READY + NOW + READY, "local", "", Status.PASS, []),
        (
            (NOW + READY) * 3,
            "local",
            "",
            Status.FAIL,
            ["said again: remailer alpha: ready"] * 2,
        ),
        (BEFORE + READY, "local", "", Status.INCONCLUSIVE, []),
        (BEFORE + b"x\n" + NOW + READY, "local", "", Status.FAIL, ["x"]),
        (NOW + READY + NOW + b"mail of 78 bytes\n", "local", "", Status.FAIL, ["mail of 78 bytes"]),
        (NOW + READY + NOW + b"no end", "json-file", "", Status.FAIL, ["no end"]),
        (NOW + READY + NOW + b"\n", "json-file", "", Status.FAIL, ["an empty line"]),
        (NOW + READY, "json-file", "3 mails waiting", Status.FAIL, ["3 mails waiting"]),
        (NOW + READY, "json-file", "Health check exceeded timeout (5s)", Status.PASS, []),
        (NOW + READY, "local", "Health check exceeded timeout (5s): x", Status.FAIL,
         ["Health check exceeded timeout (5s): x"]),
        (NOW + b"remailer alpha: ready, too\n", "local", "", Status.FAIL,
         ["remailer alpha: ready, too"]),
        (b"", "json-file", "", Status.INCONCLUSIVE, []),
        (NOW + READY, "syslog", "", Status.INCONCLUSIVE, []),
    ],
)  # fmt: skip
def test_output(log: bytes, driver: str, said: str, status: Status, evidence: list[str]) -> None:
    finding = output.judge_log("alpha", log, attributes(driver, said))
    assert told(finding) == (status, evidence, "stdout" if evidence else "")


@pytest.mark.parametrize(
    ("more", "running", "status"),
    [
        ("", False, Status.PASS),
        ("", True, Status.FAIL),
        (": 3 mails", False, Status.FAIL),
    ],
)
def test_docker_may_ask_a_node_that_is_just_being_stopped(
    more: str, running: bool, status: Status
) -> None:
    said = "OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown"
    inspected = attributes("local", said + more)
    inspected["State"]["Running"] = running
    assert output.judge_log("alpha", NOW + READY, inspected).status is status


def test_where_a_line_stands_is_told_without_dockers_times() -> None:
    finding = output.judge_log("alpha", NOW + READY + NOW + b"x\n", attributes())
    assert finding.evidence[0].where == "docker log, line 2, byte 22"


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


HIT = {
    "place": "contents", "offset": 9, "form": "hex", "mark": "x1",
    "excerpt": "a x1\n b", "start": 7,
}  # fmt: skip
DEV = mount(
    "/dev", "tmpfs",
    entry("/dev/null", "device"), entry("/dev/fd", "link", target="/proc/self/fd"), control=True,
)  # fmt: skip
SPOOL = mount("/var/lib/remailer/spool", "disk", entry("/var/lib/remailer/spool/spool.db"),
              control=True)  # fmt: skip
KEYS = mount("/var/lib/remailer/keys", "disk", entry("/var/lib/remailer/keys/secret"),
             writable=False)  # fmt: skip


QUEUES: dict[str, Any] = {"asked": 9, "kept": [], "control": True}
REST: dict[str, Any] = {
    "database": {"strange": []}, "unlinked": [], "processes": 3, "queues": QUEUES,
}  # fmt: skip
MARKED = [Control("this run's marks are found in the log of sender", True, "/var/log/mail.log")]


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
    finding = files.tmpfs_row("alpha", REST | {"mounts": mounts})
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
            [with_entries(SPOOL, entry("/var/lib/remailer/spool/spool.db-wal", attributes=["u"]))],
            Status.FAIL,
            ["/var/lib/remailer/spool/spool.db-wal"],
        ),
        (
            [with_entries(SPOOL, entry("/var/lib/remailer/spool/spool.db-shm")), KEYS],
            Status.FAIL,
            ["/var/lib/remailer/spool/spool.db-shm"],
        ),
        (
            [with_entries(SPOOL, entry("/var/lib/remailer/spool", "directory", attributes=["u"]))],
            Status.FAIL,
            ["/var/lib/remailer/spool"],
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
    finding = files.volume_row("alpha", REST | {"mounts": mounts}, MARKED)
    assert (finding.status, [e.where for e in finding.evidence]) == (status, where)
    assert finding.kind == ("volume" if where else "")


@pytest.mark.parametrize(
    ("changed", "controls", "volume", "tmpfs"),
    [
        ({}, MARKED, Status.PASS, Status.PASS),
        ({"database": {"strange": ["table mail_log"]}}, MARKED, Status.FAIL, Status.PASS),
        ({"database": {"why": "its log"}}, MARKED, Status.INCONCLUSIVE, Status.PASS),
        ({}, [Control("marks", False)], Status.INCONCLUSIVE, Status.PASS),
        ({"target": "/var/lib/remailer/spool/log (deleted)"}, MARKED, Status.FAIL, Status.PASS),
        ({"target": "/memfd:log (deleted)"}, MARKED, Status.PASS, Status.FAIL),
        ({"target": "/dev/shm/log (deleted)"}, MARKED, Status.PASS, Status.FAIL),
    ],
)
def test_the_spool_at_rest_and_files_without_a_name(
    changed: dict[str, Any], controls: list[Control], volume: Status, tmpfs: Status
) -> None:
    if target := changed.get("target"):
        found = {"process": "7", "command": "sh (pid 7)", "fd": "9", "target": target}
        changed = {"unlinked": [found]}
    answer = REST | {"mounts": [DEV, SPOOL, KEYS]} | changed
    assert files.volume_row("alpha", answer, controls).status == volume
    assert files.tmpfs_row("alpha", answer).status == tmpfs


@pytest.mark.parametrize(
    ("queues", "status"),
    [
        (QUEUES, Status.PASS),
        (QUEUES | {"asked": 0}, Status.INCONCLUSIVE),
        (QUEUES | {"control": False}, Status.INCONCLUSIVE),
        ({"why": "they can't be asked (no)"}, Status.INCONCLUSIVE),
    ],
)
def test_pipes_have_to_be_asked(queues: dict[str, Any], status: Status) -> None:
    answer = REST | {"mounts": [DEV], "queues": queues}
    assert files.tmpfs_row("alpha", answer).status == status


def test_a_pipe_that_nobody_reads_is_evidence() -> None:
    end = {"process": "7", "command": "sh (pid 7)", "fd": "9", "target": "pipe:[5]", "bytes": 1280}
    answer = REST | {"mounts": [DEV], "queues": QUEUES | {"kept": [end]}}
    finding = files.tmpfs_row("alpha", answer)
    assert (finding.status, finding.kind) == (Status.FAIL, "tmpfs")
    (evidence,) = finding.evidence
    assert (evidence.where, evidence.what) == (
        "/proc/7/fd/9", "pipe:[5] holds 1,280 bytes that nobody reads",
    )  # fmt: skip


@pytest.mark.parametrize(("letters", "found"), [({7}, True), ({8}, False)])
def test_only_marks_of_this_runs_letters_are_a_control(letters: set[int], found: bool) -> None:
    mark = RUN.mark(7, "s")
    control = files.logged_marks("sender", {"marks": {mark: 12}}, letters, RUN)
    assert control.found == found
    assert not found or control.where == f"/var/log/mail.log, byte 12: {mark}"
    assert not files.logged_marks("sender", {"why": "gone"}, letters, RUN).found


# -- no-way-out -------------------------------------------------------------------------------

TARGETS = ("10.193.0.242:25", "172.24.0.2:143")


@pytest.mark.parametrize(
    ("networks", "answers", "status"),
    [
        (("w_web",), {TARGETS[0]: "answers", TARGETS[1]: "no: timed out"}, Status.PASS),
        (("w_web", "w_more"), {TARGETS[0]: "answers"}, Status.FAIL),
        (("w_more",), {TARGETS[0]: "answers"}, Status.FAIL),
        ((), {TARGETS[0]: "answers"}, Status.INCONCLUSIVE),
        (("w_web",), {TARGETS[0]: "answers", TARGETS[1]: "answers"}, Status.FAIL),
        (("w_web",), {}, Status.INCONCLUSIVE),
    ],
)
def test_way_out(networks: tuple[str, ...], answers: dict[str, str], status: Status) -> None:
    host = way_out.Seen(("w_web", "w_edge"), ("w_edge",), {TARGETS[1]: "answers"})
    seen = way_out.Seen(networks, (), answers)
    assert way_out.row("alpha", seen, host, TARGETS, "w_web").status == status


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
