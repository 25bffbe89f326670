"""Rows of no-growth and process-plain: what differs is told, unless it is declared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from testbed.verdict import Control, Finding, Status
from testbed.wire.canary import Canaries
from testbed.witness import growth, plain
from testbed.witness.moments import Moment

SPOOL = "/var/lib/remailer/spool"
FILE = f"{SPOOL}/spool.db"
LIMITS = "Limit  Soft Limit  Hard Limit  Units\nMax core file size        {}    {}    bytes\n"
LOGS = (Control("the log of sender grows", True),)
CANARIES, TOKEN = Canaries("qwertyuiopas"), "asdfghjklzxc"


def process(kind: str, **more: Any) -> dict[str, Any]:
    """One process as the agent tells of it."""
    return {
        "pid": 7, "kind": kind, "command": kind, "environment": "HOME=/\0", "titles": ["remailer"],
        "descriptors": {"/dev/null": 3, "pipe": 2}, "dumpable": False, "executed": False,
        "mapped": {"/usr/bin/python3": ["r--p 00000000"]},
        "folders": ["/", "/", "/p"],
        "scheduling": {"nice": "0", "policy": "0"},
        "status": {"Umask": "0022", "VmSwap": "0 kB", "SigPnd": "0"},
        "files": {
            "coredump_filter": "33", "oom_score_adj": "0", "personality": "0", "autogroup": "",
            "limits": LIMITS.format(0, 0),
        },
    } | more  # fmt: skip


def answer() -> dict[str, Any]:
    """A resting node."""
    facts = {"size": 4096, "changed": 10, "altered": 10, "blocks": 8, "inode": 5, "mode": "100600"}
    control = process("python3", command=TOKEN + "0000b", environment=f"X={TOKEN}0000b")
    control["files"] = control["files"] | {"limits": LIMITS.format(1, "unlimited")}
    return {
        "rest": "",
        "mails": 0,
        "files": {SPOOL: dict(facts), FILE: dict(facts), f"{FILE}-wal": dict(facts)},
        "header": {"pages": 77, "change counter": 3},
        "kernel": {
            "sockets": {"udp": 1}, "locks": ["POSIX"], "keys": [],
            "ipc": {"shm": [], "sem": [], "msg": []},
        },
        "processes": [process("remailer run"), process("worker"), process("worker")],
        "control": control,
    }  # fmt: skip


def grown(change: Callable[[dict[str, Any]], object], transfers: int = 8) -> Finding:
    """The row of a node that something changed between the readings."""
    later = answer()
    change(later)
    return growth.row("alpha", (answer(), answer(), later), transfers, LOGS)


def setting(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Sets the last of the names to the value behind it."""

    def change(told: dict[str, Any]) -> None:
        *names, last, value = path
        for name in names:
            told = told[name]
        told[last] = value

    return change


def test_a_node_of_which_nothing_differs_passes() -> None:
    assert grown(lambda told: None).status is Status.PASS


def test_what_is_declared_may_differ_and_no_more() -> None:
    def wrote(told: dict[str, Any], changed: int, altered: int) -> None:
        for name in (FILE, f"{FILE}-wal"):
            told["files"][name] |= {"changed": changed, "altered": altered}

    assert grown(lambda told: wrote(told, 20, 20)).status is Status.PASS
    assert grown(lambda told: wrote(told, 20, 21)).status is Status.FAIL  # a time that was set
    assert grown(setting("files", FILE, "size", 8192)).status is Status.PASS
    assert grown(setting("header", "pages", 78)).status is Status.PASS
    assert grown(setting("header", "pages", 79)).status is Status.FAIL
    assert grown(setting("header", "pages", 79), transfers=60).status is Status.PASS
    assert grown(setting("header", "pages", 76)).status is Status.FAIL
    for blocks in (0, 16, 24):  # the file system's own map of it comes and goes
        assert grown(setting("files", FILE, "blocks", blocks)).status is Status.PASS
    assert grown(setting("files", FILE, "blocks", 32)).status is Status.FAIL


@pytest.mark.parametrize(
    "change",
    [
        setting("files", SPOOL, "changed", 11),
        setting("files", FILE, "inode", 6),
        setting("files", FILE, "attribute user.mails", "1 bytes"),
        setting("files", f"{SPOOL}/log", {"size": 0}),
        setting("header", "change counter", 4),
        setting("kernel", "sockets", "unix 0002 @mails", 1),
        setting("kernel", "locks", ["POSIX", "POSIX 2"]),
        setting("kernel", "listeners", ["port 25 of family 2: 257 may wait"]),
        setting("kernel", "keys", [["20001:", "1"]]),
        setting("kernel", "ipc", "shm", ["0 1 2"]),
        setting("processes", 0, "descriptors", "/dev/null", 4),
        setting("processes", 0, "titles", ["remailer", "another"]),
        setting("processes", 0, "mapped", "/usr/bin/env", ["r--s 0123456789000"]),
        setting("processes", 1, "status", "SigPnd", "1"),
        setting("processes", 0, "scheduling", "policy", "3"),
        lambda told: told["processes"].append(process("worker")),
        lambda told: told["processes"].append(process("another")),
        lambda told: told["files"].pop(SPOOL),
    ],
)
def test_whatever_else_differs_is_evidence(change: Callable[[dict[str, Any]], object]) -> None:
    found = grown(change)
    assert found.status is Status.FAIL
    assert found.kind == "growth"
    assert found.evidence


def test_replaced_workers_differ_in_nothing_but_their_ids() -> None:
    assert grown(setting("processes", 1, "pid", 99)).status is Status.PASS


@pytest.mark.parametrize(
    "change",
    [
        setting("rest", "it had 2 conversations"),
        setting("header", {}),
        setting("mails", None),
        lambda told: [process.update(mapped={}) for process in told["processes"]],
        lambda told: told["kernel"].pop("ipc") and told["kernel"].update({"no ipc": "no"}),
        lambda told: told.update(why="gone"),
    ],
)
def test_what_was_not_read_is_never_a_pass(change: Callable[[dict[str, Any]], object]) -> None:
    change(all_of_them := answer())
    found = growth.row("alpha", (all_of_them,) * 3, 8, LOGS)
    assert found.status is Status.INCONCLUSIVE


def test_a_mail_that_lies_there_at_one_reading_only_is_no_growth_and_no_pass() -> None:
    def one_less(told: dict[str, Any]) -> None:
        told["mails"] = 1
        told["files"][FILE]["size"] = 8192
        told["header"]["pages"] = 78

    later = answer()
    one_less(earlier := answer())
    found = growth.row("alpha", (answer(), earlier, later), 8, LOGS)
    assert (found.status, found.evidence) == (Status.INCONCLUSIVE, ())
    later["files"][FILE]["mode"] = "100644"
    assert growth.row("alpha", (answer(), earlier, later), 8, LOGS).status is Status.FAIL


def test_a_piece_of_a_file_mapped_elsewhere_is_named_and_a_worker_s_is_its_own() -> None:
    pieces = [f"r--p {n:08x}" for n in range(9)]
    earlier, later = answer(), answer()
    earlier["processes"][0]["mapped"]["/lib/c.so"] = pieces
    later["processes"][0]["mapped"]["/lib/c.so"] = [*pieces[1:], "r--s 0badcafe000"]
    found = growth.row("alpha", (answer(), earlier, later), 8, LOGS)
    assert [piece.what for piece in found.evidence] == ["was r--p 00000000, is r--s 0badcafe000"]


@pytest.mark.parametrize(
    ("descriptors", "status"),
    [({"pipe": 1}, Status.PASS), ({"socket tcp of a link": 4}, Status.FAIL)],
)
def test_what_a_worker_maps_is_its_own_but_not_what_a_pacer_does(
    descriptors: dict[str, int], status: Status
) -> None:
    earlier, later = answer(), answer()
    for told in (earlier, later):
        told["processes"][1] = process("-c multiprocessing.spawn", descriptors=descriptors)
    later["processes"][1]["mapped"] = {"/lib/codecs.so": ["r--p 00000000"]}
    assert growth.row("alpha", (earlier, earlier, later), 8, LOGS).status is status


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (setting("processes", 0, "descriptors", "/usr/bin/env pos 4711", 1), Status.FAIL),
        (setting("processes", 0, "status", "SigPnd", "1"), Status.FAIL),
        (setting("kernel", "locks", ["POSIX", "POSIX 2"]), Status.FAIL),
        (setting("processes", 0, "titles", ["remailer", "another"]), Status.PASS),
        (setting("processes", 0, "descriptors", "pipe", 9), Status.PASS),
        (setting("header", "change counter", 9), Status.PASS),
    ],
)
def test_what_the_first_mails_left_and_no_later_one_changed(
    change: Callable[[dict[str, Any]], object], status: Status
) -> None:
    change(both := answer())
    found = growth.row("alpha", (answer(), both, copy.deepcopy(both)), 8, LOGS)
    assert found.status is status


def test_a_node_that_keeps_talking_to_itself_is_found() -> None:
    both = answer() | {"rest": "it had 2 conversations"}
    both["kernel"]["sockets"]["tcp talking to itself (tcp, state 01)"] = 2
    found = growth.row("alpha", (both, both, both), 8, LOGS)
    assert found.status is Status.FAIL
    # A health check that was just under way at one of them was not at the other.
    assert growth.row("alpha", (both, both, answer()), 8, LOGS).kind == "growth"


def test_without_a_log_that_grows_nothing_is_said() -> None:
    logs = (Control("the log of sender grows", False),)
    assert growth.row("alpha", (answer(),) * 3, 8, logs).status is Status.INCONCLUSIVE


def row(change: Callable[[dict[str, Any]], object], at: Moment = Moment.AFTER) -> Finding:
    """The row of process-plain when something is different at one moment."""
    readings = {moment: answer() for moment in Moment}
    change(readings[at])
    return plain.row("alpha", readings, CANARIES, TOKEN)


def test_processes_that_stay_as_they_are_pass() -> None:
    assert row(lambda told: None).status is Status.PASS
    health = process("/usr/local/bin/remailer health", dumpable=True, executed=True)
    health["files"] = health["files"] | {"limits": LIMITS.format(0, "unlimited")}
    assert row(lambda told: told["processes"].append(health), Moment.DURING).status is Status.PASS


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        (setting("processes", 0, "environment", "A=qwertyuiopas0001s\0"), "qwertyuiopas0001s"),
        (setting("processes", 0, "titles", ["remailer: 5"]), "remailer: 5"),
        (setting("processes", 1, "files", "limits", LIMITS.format(0, 9)), "may dump core"),
        (setting("processes", 1, "status", "VmSwap", "8 kB"), "swapped"),
        (setting("processes", 1, "dumpable", True), "True, before"),
        (setting("processes", 2, "scheduling", "nice", "3"), "3, before"),
        (setting("processes", 0, "status", "Umask", "0077"), "0077, before"),
        (lambda told: told["processes"].append(process("sh")), "not there before"),
    ],
)
def test_a_mark_or_a_change_in_a_process_is_evidence(
    change: Callable[[dict[str, Any]], object], shows: str
) -> None:
    for moment in (Moment.DURING, Moment.BETWEEN, Moment.AFTER):
        found = row(change, moment)
        assert found.status is Status.FAIL
        assert any(shows in piece.what for piece in found.evidence), found.evidence


@pytest.mark.parametrize(
    "change",
    [
        setting("control", {}),
        setting("control", "environment", ""),
        setting("control", "files", {"limits": LIMITS.format(0, 0)}),
        setting("processes", []),
        lambda told: told.pop("processes"),
    ],
)
def test_without_the_twin_nothing_is_said(change: Callable[[dict[str, Any]], object]) -> None:
    assert row(change).status is Status.INCONCLUSIVE
