"""The project's images: what each is made of, its tag, and the building of those that are missing.

A tag is a hash of everything that goes into the image, so a tag that Docker has is up to date.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, ImageNotFound
from requests.exceptions import RequestException

from testbed import bootstrap, wheels
from testbed.engine import refused
from testbed.errors import DockerError

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

PULLED = f"debian:{bootstrap.SUITE}-slim"
BOOTSTRAPPED = f"unlogged/debian:{bootstrap.SUITE}"
LABEL = "unlogged.image"

PULL_PATIENCE = 10
"""Seconds that a registry has to say whether it has the base image."""

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Recipe:
    """What an image is built from: images/NAME/ and copies of other parts of the checkout."""

    name: str
    copies: Mapping[str, str] = field(default_factory=dict)
    """Path in the build context → file or folder in the checkout."""
    lock: str = ""
    """File of locked Python packages that are put into the context as `site/`."""
    apart: bool = False
    """No part of a web: built only for who names it."""


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("base"),
        Recipe("remailer", {"remailer": "remailer"}, lock="requirements/node.txt"),
        Recipe(
            "remailer-1993",
            {"remailer": "remailer", "remailer-entry.py": "images/remailer/entry.py"},
            lock="requirements/node.txt",
        ),
        Recipe(
            "witness",
            {
                "testbed/witness/agent": "testbed/witness/agent",
                "testbed/wire/canary.py": "testbed/wire/canary.py",
                "testbed/wire/digests.py": "testbed/wire/digests.py",
                "testbed/wire/streams.py": "testbed/wire/streams.py",
                "testbed/wire/words.py": "testbed/wire/words.py",
                "remailer/__init__.py": "remailer/__init__.py",
                "remailer/seal.py": "remailer/seal.py",
            },
        ),
        Recipe("sniffer"),
        Recipe("dns"),
        Recipe("mailhost"),
        Recipe("user"),
        Recipe(
            "bench",
            {"remailer": "remailer", "testbed/bench/agent": "testbed/bench/agent"},
            lock="requirements/node.txt",
            apart=True,
        ),
    )
}


class Images:
    """The images of this checkout. `cache` keeps what was fetched for them."""

    def __init__(self, docker: DockerClient, cache: Path, root: Path = ROOT) -> None:
        """Nothing is read or built yet."""
        self.docker = docker
        self.cache = cache
        self.root = root

    def tags(self) -> dict[str, str]:
        """Image name → the tag that this checkout's image has, built or not."""
        base = self._digest(RECIPES["base"], bootstrap.SUITE)
        digests = {
            name: base if name == "base" else self._digest(recipe, base)
            for name, recipe in RECIPES.items()
        }
        return {name: f"unlogged/{name}:{digest[:12]}" for name, digest in digests.items()}

    def ensure(
        self, names: Iterable[str] | None = None, progress: Progress = lambda _: None
    ) -> dict[str, str]:
        """Build the named images (default: all of a web) that Docker does not have. Name → tag.

        `progress` is told what is being made. Raises DockerError.
        """
        tags = self.tags()
        webs = (name for name, recipe in RECIPES.items() if not recipe.apart)
        wanted = list(webs if names is None else names)
        try:
            with self._alone():
                missing = [name for name in wanted if not self._has(tags[name])]
                if missing and not self._has(tags["base"]):
                    progress("image base")
                    self._build("base", tags["base"], {"ROOT": self._debian(progress)})
                for name in missing:
                    if name != "base":
                        progress(f"image {name}")
                        self._build(name, tags[name], {"BASE": tags["base"]})
        except APIError as error:
            raise refused(error) from None
        except RequestException as error:
            raise DockerError(f"Docker: {' '.join(str(error).split())}") from None
        return {name: tags[name] for name in wanted}

    def remove(self) -> int:
        """Remove all images that this project made, of whatever state of the checkout.

        Raises DockerError if one is in use. Returns how many there were.
        """
        found = self.docker.images.list(filters={"label": LABEL})
        names = {tag for image in found for tag in image.tags if tag.startswith("unlogged/")}
        # What two builds at once have made twice has no name.
        names |= {str(image.id) for image in found if not image.tags}
        # The others stand on these.
        order = {"unlogged/base": 1, "unlogged/debian": 2}
        try:
            for name in sorted(names, key=lambda n: order.get(n.partition(":")[0], 0)):
                self.docker.images.remove(name)
        except APIError as error:
            raise refused(error) from None
        return len(names)

    # -- what an image is made of ------------------------------------------------------------

    def _digest(self, recipe: Recipe, below: str) -> str:
        """Hash of all that the image is made of; `below`: the hash of what it stands on."""
        digest = hashlib.sha256(f"{below}\n".encode())
        digest.update(context(self._inputs(recipe)))
        if recipe.lock:
            # The packages themselves are pinned by the hashes in the lock.
            digest.update(wheels.digest(self.root / recipe.lock).encode())
        return digest.hexdigest()

    def _inputs(self, recipe: Recipe) -> dict[str, Path]:
        """Path in the build context → the checkout's file."""
        found = dict(_files("", self.root / "images" / recipe.name))
        for target, source in recipe.copies.items():
            found |= dict(_files(target, self.root / source))
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else builds this checkout's images meanwhile: whoever comes then finds them."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / "images.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # -- Docker --------------------------------------------------------------------------------

    def _has(self, tag: str) -> bool:
        try:
            self.docker.images.get(tag)
        except ImageNotFound:
            return False
        return True

    def _build(self, name: str, tag: str, arguments: Mapping[str, str]) -> None:
        recipe = RECIPES[name]
        files = self._inputs(recipe)
        if recipe.lock:
            site = wheels.site_packages(self.root / recipe.lock, self.cache)
            files |= dict(_files("site", site))
        steps = self.docker.api.build(
            fileobj=io.BytesIO(context(files)),
            custom_context=True,
            tag=tag,
            labels={LABEL: name},
            buildargs=dict(arguments),
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow(name, steps)

    def _debian(self, progress: Progress) -> str:
        """A Debian to build on: there already, pulled, or made here."""
        for tag in (PULLED, BOOTSTRAPPED):
            if self._has(tag):
                return tag
        progress(f"pulling {PULLED}")
        if self._pull():
            return PULLED
        progress("no registry answers: bootstrapping Debian")
        tar = bootstrap.root_tar(self.cache.resolve())
        repository, _, version = BOOTSTRAPPED.partition(":")
        try:
            self.docker.api.import_image_from_file(
                str(tar), repository, version, changes=[f"LABEL {LABEL}=debian", 'CMD ["bash"]']
            )
        finally:
            tar.unlink()
        if not self._has(BOOTSTRAPPED):
            raise DockerError("base image: Docker did not take the bootstrapped Debian: try again")
        return BOOTSTRAPPED

    def _pull(self) -> bool:
        """Whether a registry gave the image. One that does not answer soon gives nothing."""
        try:
            with _patience(self.docker, PULL_PATIENCE):
                self.docker.images.get_registry_data(PULLED)
            self.docker.images.pull(PULLED)
        except (APIError, RequestException):
            return False
        return True


@contextmanager
def _patience(docker: DockerClient, seconds: int) -> Iterator[None]:
    """A shorter time-out of the engine's answers, for a while."""
    before = docker.api.timeout
    docker.api.timeout = seconds
    try:
        yield
    finally:
        docker.api.timeout = before


def context(files: Mapping[str, Path]) -> bytes:
    """A build context as a tar file that depends on names, contents and executable bits only."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            data = files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if files[name].stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _files(target: str, source: Path) -> Iterator[tuple[str, Path]]:
    """A file, or a folder's files, without what Python and editors leave behind."""
    if source.is_file():
        yield target, source
    for path in source.rglob("*"):
        parts = path.relative_to(source).parts
        hidden = any(p == "__pycache__" or p.startswith(".") or p.endswith("~") for p in parts)
        if path.is_file() and not hidden:
            yield "/".join((*([target] if target else []), *parts)), path


def _follow(name: str, steps: Iterable[Any]) -> None:
    """Read a build to its end. Raises DockerError with the failing step and its last words."""
    step, said = "", ""
    for event in steps:
        text = str(event.get("stream", ""))
        if text.startswith("Step "):
            step, said = " ".join(text.partition(" : ")[2].split())[:60], ""
        said = (said + text)[-4000:]
        if "error" in event:
            words = bootstrap.last_words(f"{said}\n{event['error']}")
            raise DockerError(f"image {name}: {step}: {words}")
