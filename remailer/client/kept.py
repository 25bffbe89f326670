"""The phrases of one's own reply blocks: one file a block, which only its user can read.

A file has a phrase a line, in the order in which they are needed: the last remailer's first. Lines
that begin with `#` are notes. Whoever has a file can read the answers that come by its block, and
can find them on the way: keep it like a key.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remailer import places
from remailer.errors import AnswerError

MOST = 200
"""Blocks that are tried, the newest first: each try takes 0.1 s or so."""

_NOTE = "# Phrases of a reply block, as `remailer open` needs them: the last remailer's first."


@dataclass(frozen=True)
class Kept:
    """One block's phrases, the last remailer's first."""

    path: Path
    phrases: tuple[str, ...]


def folder() -> Path:
    """Where they are kept if nothing else is said."""
    return places.users() / "blocks"


def keep(path: Path | None, phrases: Sequence[str], rng: random.Random) -> Path:
    """Write a new file with a block's phrases, the first remailer's first; on disk on return.

    Without a path it gets a random name in the folder. Raises OSError.
    """
    if path is None:
        path = folder() / f"{rng.getrandbits(64):016x}"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join([_NOTE, *reversed(phrases), ""]))
        file.flush()
        os.fsync(file.fileno())
    folder_of = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder_of)  # the name as well
    os.close(folder_of)
    return path


def kept(path: Path | None) -> list[Kept]:
    """The block in that file, or those in that folder, the newest first. Raises AnswerError."""
    path = path or folder()
    try:
        files = [f for f in path.iterdir() if f.is_file()] if path.is_dir() else [path]
        files.sort(key=lambda file: -file.stat().st_mtime_ns)
        found = [Kept(file, _phrases(file)) for file in files[:MOST]]
    except OSError as error:
        raise AnswerError(f"{error.filename}: {error.strerror}") from None
    found = [one for one in found if one.phrases]
    if not found:
        raise AnswerError(f"{path}: no phrases in it; `remailer block` keeps them")
    return found


def _phrases(file: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except UnicodeDecodeError:
        raise AnswerError(f"{file}: not text; --keep is a file or folder of phrases") from None
    return tuple(line for line in lines if line and not line.startswith("#"))
