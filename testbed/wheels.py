"""The Python packages of an image, fetched on the host by its pip: as locked, wheels only."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.bootstrap import last_words
from testbed.errors import DockerError

PYTHON = "3.13"
"""The Python of the images (Debian trixie's)."""

_GLIBC_MINOR = (34, 31, 28, 26, 24, 17, 12, 5)
"""manylinux_2_N: which wheels Debian trixie (glibc 2.41) can run, among those that are made."""


def digest(lock: Path) -> str:
    """Hash of what the packages depend on: the lock, the Python, this machine's architecture."""
    said = f"{PYTHON} {platform.machine()}\n".encode() + lock.read_bytes()
    return hashlib.sha256(said).hexdigest()


def site_packages(lock: Path, cache: Path) -> Path:
    """A folder of the locked packages, unpacked for the images' Python. Made once, then kept.

    Every archive's hash is in the lock, and pip takes no other. Raises DockerError.
    """
    site = cache / f"site-{digest(lock)[:12]}"
    if site.exists():
        return site
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        fresh = Path(scratch) / "site"
        _pip_install(lock, fresh)
        # Programs for people, with this host's Python in their first line.
        shutil.rmtree(fresh / "bin", ignore_errors=True)
        fresh.rename(site)
    return site


def _pip_install(lock: Path, target: Path) -> None:
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
            "--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile",
            "--implementation=cp", f"--python-version={PYTHON}",
            *(f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINOR),
            f"--platform=manylinux2014_{machine}", "--platform=any",
            "--target", str(target), "--requirement", str(lock),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise DockerError(
            f"Python packages of {lock.name}: pip: {last_words(done.stderr, 1)}: "
            "check this host's way to its package index"
        )
