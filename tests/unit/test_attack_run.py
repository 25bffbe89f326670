"""A matrix's order of events: what runs beside what, and that no web costs another's results."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from testbed.attack import run
from testbed.attack import tape as kept
from testbed.attack.case import Case, Tape
from testbed.attack.load import Load, Posted
from testbed.attack.physical import PHYSICAL
from testbed.errors import DockerError
from testbed.report.progress import Progress
from testbed.topology import Link
from testbed.wire.capture import CaptureFile
from testbed.wire.packets import Wire

JOBS = run._jobs("web", run.Plan(stages=(Link.SMTP, Link.TLS)))
GONE = CaptureFile(Path("nowhere"), {}, {}, complete=False, why="the sniffer was not running")


def tape(job: run.Job, captured: CaptureFile = GONE) -> Tape:
    load = Load((), ())
    return Tape(job.topology, 1.0, load, captured, ((0.0, 1.0),), {}, 0, (), 1.0)


def case(job: run.Job) -> Case:
    return Case(str(job.topology.link), job.topology.pool, 1, 1.0, 0, 0, 1.0, {}, {}, "nothing")


class Lab:
    """No Docker: when each web has mail, and when the attacks try on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.lab = run.Lab(DockerClient.__new__(DockerClient), folder, "web", folder)
        self.events: list[str] = []
        self.broken = self.stays = ""
        self.begun = {job.name: threading.Event() for job in JOBS}
        monkeypatch.setattr(run, "_through_web", self.through)
        monkeypatch.setattr(run, "_judged", self.judged)

    def through(
        self, lab: Any, job: run.Job, images: Any, seed: int, phase: Any
    ) -> tuple[Tape, DockerError | None]:
        self.events.append(f"mail {job.name}")
        self.begun[job.name].set()
        return tape(job), DockerError("a network stays") if job.name == self.stays else None

    def judged(
        self, lab: Any, sniffer: str, job: run.Job, tape: Tape, seed: int, *, stay: bool
    ) -> Case:
        following = JOBS[JOBS.index(job) + 1 :][:1]
        if self.beside and following:
            assert self.begun[following[0].name].wait(10)
        self.events.append(f"attacks {job.name}")
        if job.name == self.broken:
            raise ValueError("an attack is broken")
        job.keep(lab.kept, case(job))
        return case(job)

    def measured(self, *, beside: bool) -> list[Any]:
        self.beside = beside
        images = {"sniffer": "sniffer"}
        return run._measured(self.lab, images, JOBS, 1, Progress(), beside=beside)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    return Lab(monkeypatch, tmp_path / "kept")


def test_attacks_try_on_one_web_while_mail_goes_through_the_next(lab: Lab) -> None:
    assert lab.measured(beside=True) == [case(job) for job in JOBS]
    for one, following in pairwise(JOBS):
        mail, attacks = f"mail {following.name}", f"attacks {one.name}"
        assert lab.events.index(mail) < lab.events.index(attacks)


def test_in_a_full_run_nothing_is_beside_the_mail(lab: Lab) -> None:
    assert lab.measured(beside=False) == [case(job) for job in JOBS]
    wanted = [(f"mail {job.name}", f"attacks {job.name}") for job in JOBS]
    assert lab.events == [event for pair in wanted for event in pair]


def test_an_attack_that_breaks_costs_no_other_webs_results(lab: Lab) -> None:
    lab.broken = JOBS[0].name
    with pytest.raises(ValueError, match="an attack is broken"):
        lab.measured(beside=True)
    kept = {job.name for job in JOBS if job.known(lab.lab.kept)}
    assert kept == {job.name for job in JOBS[1:]}


def test_a_web_of_which_something_stays_costs_no_results(lab: Lab) -> None:
    lab.stays = JOBS[1].name
    with pytest.raises(DockerError, match="a network stays"):
        lab.measured(beside=True)
    assert all(job.known(lab.lab.kept) for job in JOBS)


def test_what_is_known_is_not_measured_again(lab: Lab) -> None:
    first = lab.measured(beside=True)
    lab.events.clear()
    assert lab.measured(beside=True) == first
    assert lab.events == []


def test_what_was_measured_in_another_way_is_not_known(lab: Lab) -> None:
    job = JOBS[0]
    lab.measured(beside=True)
    for other in (
        replace(job, size=replace(job.size, forward=9)),
        replace(job, topology=replace(job.topology, pool="exponential:9.0")),
        replace(job, topology=replace(job.topology, nodes=6)),
        replace(job, images="others"),
    ):
        (lab.lab.kept / other.file).write_bytes((lab.lab.kept / job.file).read_bytes())
        assert other.known(lab.lab.kept) is None
    assert job.known(lab.lab.kept) == case(job)


class Dissector:
    """No Docker: only whether there is a capture."""

    def __init__(self, *_: Any) -> None: ...

    def __enter__(self) -> Dissector:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, file: Path, bridge: str) -> Wire:
        return Wire(trouble="not read" if file.exists() else "there is no capture")


def test_a_web_whose_sniffer_stopped_is_a_case_without_scores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "Dissector", Dissector)
    lab = run.Lab(DockerClient.__new__(DockerClient), tmp_path, "web", tmp_path)
    captured = replace(GONE, path=tmp_path / "wire" / "web.pcapng")
    found = run._judged(lab, "sniffer", JOBS[0], tape(JOBS[0], captured), 1)
    assert isinstance(found, Case)
    assert (found.trouble, found.scores) == ("the sniffer was not running", {})
    assert JOBS[0].known(tmp_path) == found


def recorded(job: run.Job, folder: Path) -> Tape:
    """A tape with a mail on it, and its capture."""
    path = job.wire(folder) / "web.pcapng"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"packets")
    mail = Posted("forward", ("alpha", "bravo"), "a@x", "b@y", 0.5, "c@z", b"a mail\r\n", "mark")
    captured = CaptureFile(path, {"br": 3}, {"br": 0}, complete=True)
    return replace(tape(job, captured), load=Load((mail,), ((mail,),)), logs={"sender": ["a line"]})


def test_a_tape_that_is_kept_is_the_same_wherever_its_folder_goes(tmp_path: Path) -> None:
    job, other = JOBS[:2]
    own = recorded(job, tmp_path / "here")
    kept.keep(own, job.wire(tmp_path / "here"), job.sent)
    (tmp_path / "here").rename(tmp_path / "there")
    folder = job.wire(tmp_path / "there")
    captured = replace(own.captured, path=folder / "web.pcapng")
    assert kept.kept(folder, job.sent) == replace(own, captured=captured)
    assert kept.kept(folder, other.sent) is None, "it is of another web"
    (folder / "web.pcapng").unlink()
    assert kept.kept(folder, job.sent) is None, "the capture is gone"


def test_attacks_try_again_on_what_is_kept_without_a_web(lab: Lab) -> None:
    job = JOBS[0]
    kept.keep(recorded(job, lab.lab.kept), job.wire(lab.lab.kept), job.sent)
    lab.measured(beside=False)
    assert f"mail {job.name}" not in lab.events
    assert f"attacks {job.name}" in lab.events


def test_where_tapes_are_wanted_a_result_without_one_is_measured_again(lab: Lab) -> None:
    lab.measured(beside=False)
    lab.events.clear()
    lab.lab = replace(lab.lab, tapes=True)
    kept.keep(recorded(JOBS[0], lab.lab.kept), JOBS[0].wire(lab.lab.kept), JOBS[0].sent)
    lab.measured(beside=False)
    assert lab.events[0] == f"mail {JOBS[1].name}"


@pytest.mark.parametrize("tapes", [False, True])
def test_a_capture_is_gone_when_the_attacks_have_tried_unless_it_is_kept(
    tapes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Web:
        def __init__(self, *_: Any) -> None: ...

        def up(self, images: Any, phase: Any) -> None: ...

        def down(self) -> None: ...

    job = JOBS[1]
    monkeypatch.setattr(run, "Web", Web)
    monkeypatch.setattr(run, "Dissector", Dissector)
    monkeypatch.setattr(kept, "taped", lambda *_: recorded(job, tmp_path))
    lab = run.Lab(DockerClient.__new__(DockerClient), tmp_path, "web", tmp_path, tapes=tapes)
    with Progress().phase("one") as phase:
        own, _ = run._through_web(lab, job, {}, 1, phase)
    run._judged(lab, "sniffer", job, own, 1, stay=tapes)
    assert own.captured.path.exists() == tapes
    assert (kept.kept(job.wire(tmp_path), job.sent) is not None) == tapes


def test_no_two_webs_of_a_matrix_have_one_name() -> None:
    plan = run.Plan(full=True, plants=PHYSICAL)
    names = [job.topology.web for job in run._jobs("web", plan)]
    assert len(set(names)) == len(names) == 12 + len(PHYSICAL)


@pytest.mark.parametrize("broken", ["up", "down", ""])
def test_what_was_brought_up_is_taken_down_and_a_network_that_stays_costs_no_tape(
    broken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events: list[str] = []

    class Web:
        def __init__(self, *_: Any) -> None: ...

        def up(self, images: Any, phase: Any) -> None:
            events.append("up")
            if broken == "up":
                raise DockerError("no web")

        def down(self) -> None:
            events.append("down")
            if broken == "down":
                raise DockerError("a network stays")

    monkeypatch.setattr(run, "Web", Web)
    monkeypatch.setattr(kept, "taped", lambda *_: tape(JOBS[1]))
    lab = run.Lab(DockerClient.__new__(DockerClient), tmp_path, "web", tmp_path)
    with Progress().phase("one") as phase:
        if broken == "up":
            with pytest.raises(DockerError, match="no web"):
                run._through_web(lab, JOBS[1], {}, 1, phase)
        else:
            found, trouble = run._through_web(lab, JOBS[1], {}, 1, phase)
            assert found == tape(JOBS[1])
            assert str(trouble or "") == ("a network stays" if broken else "")
    assert events == ["up", "down"]
