"""The recorder's door: whoever asks and goes away takes nothing with him."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from testbed.witness.agent.fanotify import Written
from testbed.witness.agent.recorder import Node, Recorder

ASKED = json.dumps({"job": "recorded", "pids": {}, "token": "t"}).encode() + b"\n"


def asked(tmp_path: Path, said: bytes, *, stays: bool) -> bytes:
    """What the recorder says to somebody who said that, and perhaps hung up."""
    with (
        socket.socket(socket.AF_UNIX) as door,
        socket.socket(socket.AF_UNIX) as who,
    ):
        door.bind(str(tmp_path / "door"))
        door.listen()
        who.connect(str(tmp_path / "door"))
        who.sendall(said)
        if not stays:
            who.close()
        Recorder()._answer_at(door)
        return who.makefile("rb").read() if stays else b""


def test_it_answers(tmp_path: Path) -> None:
    assert json.loads(asked(tmp_path, ASKED, stays=True)) == {}


@pytest.mark.parametrize("said", [b"", ASKED], ids=["nothing", "a question"])
def test_whoever_asks_and_goes_away_does_not_end_it(tmp_path: Path, said: bytes) -> None:
    asked(tmp_path, said, stays=False)


def test_of_nodes_that_have_ended_it_tells_what_was_seen_until_then() -> None:
    recorder = Recorder()
    recorder.nodes["alpha"] = node = Node(1, 0, frozenset())
    node.take(Written(1, "/late", "0:1", 65532, "file", 4, b"last", b""))
    told = recorder.ended(["alpha", "bravo"])
    assert told["alpha"]["files"]["/late"]["head"] == "last"
    assert told["alpha"]["folders"] == told["alpha"]["controls"] == []
    assert told["bravo"] == {"why": "it was not watched from its start"}
