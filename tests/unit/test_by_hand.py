"""docs/by-hand.md: its commands, with real gpg and a stand-in for swaks, make what arrives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from remailers import address, carry, directory

from remailer.client.submission import Submission

PAGE = Path(__file__).parents[2] / "docs" / "by-hand.md"

# Writes the mail to a new file, as swaks sends it: with one more line end.
SWAKS = f"""#!{sys.executable}
import pathlib, sys
said = dict(zip(sys.argv[1::2], sys.argv[2::2]))
outbox = pathlib.Path(said["--config"])
mail = pathlib.Path(said["--data"].removeprefix("@")).read_bytes() + b"\\n"
(outbox / str(len(list(outbox.iterdir())))).write_bytes(mail)
"""


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg isn't installed")
def test_the_page_works(tmp_path: Path) -> None:
    page = PAGE.read_text()
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    (tmp_path / "swaks").write_text(SWAKS)
    (tmp_path / "swaks").chmod(0o755)
    (tmp_path / "directory.json").write_text(directory().model_dump_json())
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "DIRECTORY": str(tmp_path / "directory.json"),
        "SWAKS_CONFIG": str(outbox),
        "FROM": "alice@sender.test",
        "TO": "bob@recipient.test",
        "TMPDIR": str(tmp_path),
    }
    subprocess.run(["sh", "-eu", "-c", script], env=environment, check=True, capture_output=True)
    arrived = []
    for number in range(3):
        head, _, body = (outbox / str(number)).read_bytes().partition(b"\n\n")
        assert head == f"From: alice@sender.test\nTo: {address('alpha')}".encode()
        path, delivered = carry(Submission(address("alpha"), body))
        assert path == ["alpha", "bravo"]
        arrived += delivered
    assert [(to, body_of(mail)) for to, mail in arrived[:2]] == [
        ("bob@recipient.test", b"Sent by hand over two remailers.\r\n"),
        ("alice@sender.test", b"Answered by hand, to nobody I know.\r\n"),
    ]
    to, sealed = arrived[2]
    assert to == "alice@sender.test"
    assert b"Answered" not in sealed
    (folder,) = tmp_path.glob("tmp.*")
    (folder / "answer.txt").write_bytes(sealed)
    (script,) = re.findall(r"^```sh open\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    environment["GNUPGHOME"] = str(folder / "keys")
    script += "gpgconf --kill all\n"
    subprocess.run(
        ["sh", "-eu", "-c", script], env=environment, cwd=folder, check=True, capture_output=True
    )
    assert (folder / "text.txt").read_bytes() == b"Answered by hand, and sealed twice.\r\n"


def body_of(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[2]
