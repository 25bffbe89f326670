"""docs/run.md: its unit keeps silent and runs a command that there is; entries make a directory."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remailer.directory import load

DOCS = Path(__file__).parents[2] / "docs"
UNIT = DOCS / "remailer.service"


def service() -> dict[str, str]:
    """The unit's settings; of a name that is there more than once the last."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    return dict(unit["Service"])


def remailer(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-IB", "-m", "remailer", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_unit_gives_nothing_to_the_journal_or_the_disk() -> None:
    settings = service()
    for stream in ("StandardInput", "StandardOutput", "StandardError"):
        assert settings[stream] == "null"
    assert settings["LimitCORE"] == settings["MemorySwapMax"] == "0"
    assert settings["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert settings["ProtectSystem"] == "strict"


def test_the_units_command_is_understood(tmp_path: Path) -> None:
    """With the page's own options, and folders in which there are no keys yet."""
    words = shlex.split(service()["ExecStart"])
    assert words[1:4] == ["-IB", "-m", "remailer"]
    made = remailer(*words[4:], "--keys", str(tmp_path), "--spool", str(tmp_path))
    assert made.returncode == 2 == int(service()["RestartPreventExitStatus"])
    assert "run `remailer init` first" in made.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd isn't installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    here = tmp_path / "remailer.service"
    program = service()["ExecStart"].split()[0]
    here.write_text(UNIT.read_text().replace(program, sys.executable))
    made = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True)
    assert "remailer.service" not in made.stderr


def test_entries_become_a_directory_as_the_page_says(tmp_path: Path) -> None:
    (script,) = re.findall(r"python3 -c '\n(.*?)' /etc", (DOCS / "run.md").read_text(), re.DOTALL)
    files = []
    for name in ("alpha", "bravo"):
        keys = tmp_path / f"keys-{name}"
        keys.mkdir()
        made = remailer(
            "init", "--name", name, "--address", f"remailer@{name}.example",
            "--host", "192.0.2.7", "--keys", str(keys),
        )  # fmt: skip
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(made.stdout)
    joined = subprocess.run(
        [sys.executable, "-c", script, *files], capture_output=True, text=True, check=True
    )
    directory = tmp_path / "directory.json"
    directory.write_text(joined.stdout)
    assert [peer.name for peer in load(directory).remailers] == ["alpha", "bravo"]
