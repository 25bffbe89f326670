"""Nobody passes the gate before it opens; then nobody is kept waiting, whenever he comes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from testbed import gate


def passer(folder: Path) -> subprocess.Popen[bytes]:
    """The node's first program, with this folder in the place of /gate."""
    program = gate.PROGRAM.replace("/gate/", f"{folder}/")
    return subprocess.Popen(
        ["sh", "-c", program, "gate", "echo", "through"], stdout=subprocess.PIPE
    )


def asleep(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process waits for something."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_whoever_waits_and_whoever_comes_later_gets_through(tmp_path: Path) -> None:
    gate.close(tmp_path)
    early = [passer(tmp_path) for _ in range(5)]
    deadline = time.monotonic() + 10
    while not all(map(asleep, early)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(one.poll() is None for one in early)
    gate.open_(tmp_path)
    late = passer(tmp_path)
    for one in (*early, late):
        out, _ = one.communicate(timeout=20)
        assert out == b"through\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate", "wait"]
