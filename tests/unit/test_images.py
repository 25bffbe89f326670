"""Images: a tag is a hash of what goes in, and nothing else is."""

from __future__ import annotations

import io
import os
import platform
import shutil
import tarfile
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from docker.errors import ImageNotFound

from testbed import wheels
from testbed.errors import DockerError
from testbed.images import RECIPES, ROOT, Images, context


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what images are made of."""
    sources = {"images", *(r.lock for r in RECIPES.values() if r.lock)}
    sources |= {source for r in RECIPES.values() for source in r.copies.values()}
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / source, dirs_exist_ok=True)
        elif (ROOT / source).exists():
            (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / source, tmp_path / source)
    return tmp_path


@pytest.fixture
def docker() -> MagicMock:
    """An engine that has nothing."""
    client = MagicMock(spec_set=["api", "images"])
    client.images.get.side_effect = ImageNotFound("none")
    return client


def tags(root: Path, docker: MagicMock) -> dict[str, str]:
    return Images(docker, root / ".cache", root).tags()


def test_every_recipe_has_its_folder_and_its_sources() -> None:
    for recipe in RECIPES.values():
        assert (ROOT / "images" / recipe.name / "Dockerfile").is_file()
        assert all((ROOT / source).exists() for source in recipe.copies.values())


def test_tags_are_pure(checkout: Path, docker: MagicMock) -> None:
    assert tags(checkout, docker) == tags(ROOT, docker) == tags(checkout, docker)
    assert not docker.mock_calls


@pytest.mark.parametrize(
    ("changed", "rebuilt"),
    [
        ("images/base/Dockerfile", set(RECIPES)),
        ("images/mailhost/main.cf", {"mailhost"}),
        ("remailer/directory.py", {"remailer", "remailer-1993", "bench"}),
        ("requirements/node.txt", {"remailer", "remailer-1993", "bench"}),
        ("testbed/wire/canary.py", {"witness"}),
        ("images/sniffer/sniff.py", {"sniffer"}),
    ],
)
def test_a_change_rebuilds_what_depends_on_it(
    checkout: Path, docker: MagicMock, changed: str, rebuilt: set[str]
) -> None:
    before = tags(checkout, docker)
    with (checkout / changed).open("a") as file:
        file.write("\n# changed\n")
    after = tags(checkout, docker)
    assert {name for name in before if before[name] != after[name]} == rebuilt


def test_what_editors_and_python_leave_changes_nothing(checkout: Path, docker: MagicMock) -> None:
    before = tags(checkout, docker)
    (checkout / "remailer" / "__pycache__").mkdir(exist_ok=True)
    for leftover in ("__pycache__/x.pyc", ".directory.py.swp", "directory.py~"):
        (checkout / "remailer" / leftover).write_text("x")
    os.utime(checkout / "remailer" / "directory.py", (1, 1))
    (checkout / "remailer" / "directory.py").chmod(0o600)
    assert tags(checkout, docker) == before


def test_context_depends_on_names_contents_and_executable_bits(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    packed = context({"x": one, "d/y": two})
    assert packed == context({"d/y": two, "x": one})
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        members = tar.getmembers()
    assert [m.name for m in members] == ["d/y", "x"]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    one.chmod(0o755)
    assert context({"x": one, "d/y": two}) != packed


def test_what_docker_has_is_not_built(docker: MagicMock, tmp_path: Path) -> None:
    docker.images.get.side_effect = None
    built = Images(docker, tmp_path).ensure(["dns"])
    assert list(built) == ["dns"]
    docker.api.build.assert_not_called()


def test_a_failed_step_is_one_line(
    docker: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = Images(docker, tmp_path).tags()["base"]
    monkeypatch.setattr(Images, "_has", lambda self, t: t == tag)
    docker.api.build.return_value = iter(
        [
            {"stream": "Step 1/3 : FROM ${BASE}\n"},
            {"stream": "Step 2/3 : RUN apt-get -q update\n"},
            {"stream": "Err:1 no route\n"},
            {"stream": "E: Unable to   fetch\n"},
            {"error": "returned a non-zero code: 100"},
        ]
    )
    with pytest.raises(DockerError) as caught:
        Images(docker, tmp_path).ensure(["dns"])
    assert str(caught.value) == (
        "image dns: RUN apt-get -q update: "
        "Err:1 no route / E: Unable to fetch / returned a non-zero code: 100"
    )


def test_without_registry_and_apt_one_line_says_what_to_do(
    docker: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(Images, "_pull", lambda self: False)
    with pytest.raises(DockerError, match="docker load that image") as caught:
        Images(docker, tmp_path).ensure(["dns"])
    assert "\n" not in str(caught.value)


def test_packages_depend_on_the_lock_and_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "node.txt"
    lock.write_text("a==1\n")
    before = wheels.digest(lock)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    other_machine = wheels.digest(lock)
    lock.write_text("a==2\n")
    assert len({before, other_machine, wheels.digest(lock)}) == 3


def test_remove_takes_only_ours_and_the_base_last(docker: MagicMock, tmp_path: Path) -> None:
    held = ["unlogged/debian:trixie", "unlogged/base:1", "mine/dns:1", "unlogged/dns:1"]
    docker.images.list.return_value = [MagicMock(tags=[tag]) for tag in held]
    assert Images(docker, tmp_path).remove() == 3
    removed = [call.args[0] for call in docker.images.remove.call_args_list]
    assert removed == ["unlogged/dns:1", "unlogged/base:1", "unlogged/debian:trixie"]
