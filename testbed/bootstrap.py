"""A Debian root file system where no registry answers: by mmdebstrap, fetched with apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.errors import DockerError

SUITE = "trixie"

_TOOLS = ("mmdebstrap", "debian-archive-keyring")
"""Packages that need not be installed: they are unpacked into the cache and run from there."""

_UNWANTED = ("man", "doc", "info", "locale")


def root_tar(cache: Path) -> Path:
    """Make the tar file of a minimal Debian with apt in it (about 20 s). The caller removes it.

    Nothing is installed on the host, and apt's lists for it stay in the cache. Raises DockerError.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise DockerError(
            f"base image: debian:{SUITE}-slim can't be pulled, and no apt is here to make one: "
            "let Docker reach its registry, or docker load that image"
        )
    tools = _tools(cache / "bootstrap")
    tar = cache / "bootstrap" / "root.tar"
    program = tools / "usr" / "bin"
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _UNWANTED]
    keyring = tools / "usr" / "share" / "keyrings" / "debian-archive-keyring.gpg"
    _run(
        "perl", str(program / "mmdebstrap"), "--quiet", "--variant=apt", *excludes,
        f"--keyring={keyring}", SUITE, str(tar),
        env={"PATH": f"{program}:{os.environ.get('PATH', '')}"},  # it calls its own mmtarfilter
    )  # fmt: skip
    return tar


def _tools(directory: Path) -> Path:
    """Unpack the tools, with the host's package sources but lists and archives of our own."""
    unpacked = directory / "tools"
    if (unpacked / "usr" / "bin" / "mmdebstrap").exists():
        return unpacked
    for part in ("lists/partial", "archives/partial", "debs"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    apt = (
        "apt-get", "-qq",
        "-o", f"Dir::State::Lists={directory / 'lists'}",
        "-o", f"Dir::Cache={directory}",
        "-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}",
    )  # fmt: skip
    _run(*apt, "update")
    debs = directory / "debs"
    _run(*apt, "download", *_TOOLS, cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        _run("dpkg", "-x", str(deb), str(unpacked))
    return unpacked


def _run(*argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | dict(env or {}),
        cwd=cwd,
        check=False,
    )
    if done.returncode:
        raise DockerError(
            f"base image: debian:{SUITE}-slim can't be pulled, and {Path(argv[0]).name} "
            f"{_subject(argv)} failed: {last_words(done.stderr)}: let Docker reach its registry, "
            "or this host its Debian mirror"
        )


def _subject(argv: Sequence[str]) -> str:
    return next((Path(a).name for a in argv[1:] if a in {"update", "download"} or "/mm" in a), "-x")


def last_words(said: str, lines: int = 3) -> str:
    """The last lines of a program's output, condensed to one line."""
    spoken = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    return " / ".join(spoken[-lines:]) or "no word"
