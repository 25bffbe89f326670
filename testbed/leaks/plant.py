"""A planted leak: what somebody did to the stock remailer, and which claim must catch it."""

from __future__ import annotations

import ast
import importlib
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from testbed import compose
from testbed.errors import UsageError
from testbed.topology import Link

FOLDER = compose.ROOT / "tests" / "leaks"
"""A module a plant; they change the stock code when they are imported: never do."""
_STARTS = "\n    stock.main()\n"
"""What only a plant ends with: it is a remailer, and what helps it is none."""


class Grade(StrEnum):
    """How a leak comes about."""

    CARELESS = "careless"
    TECHNICAL = "technical"
    MALICIOUS = "malicious"


@dataclass(frozen=True)
class Plant:
    """A planted leak; its module in tests/leaks, of the same name, says what somebody did."""

    name: str
    grade: str
    """One of Grade."""
    claim: str
    """The claim that must catch it."""
    kind: str
    """What that claim must call it; empty: anything."""
    shows: str
    """A regular expression that a piece of its evidence must match (where it was, and what)."""
    also: frozenset[str] = frozenset()
    """Other claims that must accuse the node of it too."""
    perhaps: frozenset[str] = frozenset()
    """Claims that may accuse the node of it, depending on when they look."""
    hosted: bool = False
    """It takes a mail host beside the node."""
    link: Link = field(default=Link.CELLS, kw_only=True)
    """The link stage that it takes."""
    everywhere: bool = field(default=False, kw_only=True)
    """Both ends of a link have to be in it: it is at every node of a web of its own."""
    passed_on: frozenset[str] = field(default=frozenset(), kw_only=True)
    """Claims that may accuse another node, which did no more than pass it on."""
    missed: str = field(default="", kw_only=True)
    """Why it may be missed: an attacker in the kernel, or covert timing below a stated rate."""
    blind: bool = field(default=False, kw_only=True)
    """Written from docs/claims.md alone, by somebody who hadn't read the witnesses."""

    @property
    def title(self) -> str:
        """The name as tables and docs write it."""
        return self.name.rpartition(".")[2].replace("_", "-")

    @property
    def description(self) -> str:
        """What somebody did, in a line: the first paragraph of the module's docstring."""
        return described(self.name)


def source(name: str) -> Path:
    """Where a plant's module is; a dot in its name is a folder."""
    return FOLDER / f"{name.replace('.', '/')}.py"


def described(name: str) -> str:
    """What a plant's module says that somebody did."""
    told = ast.get_docstring(ast.parse(source(name).read_text(encoding="utf-8"))) or ""
    return " ".join(told.partition("\n\n")[0].split())


def module(name: str) -> str:
    """A plant's module by its name, or by what tables call it. Raises UsageError.

    Some are in no catalogue, as only the attacks look for them.
    """
    plants = catalogue()
    titles = {plant.title: plant.name for plant in reversed(plants)}
    found = titles.get(name, name.replace("-", "_"))
    path = source(found)
    if not path.is_file() or _STARTS not in path.read_text(encoding="utf-8"):
        raise UsageError(f"no leak {name!r}: docs/leaks.md lists them")
    return found


def catalogue() -> tuple[Plant, ...]:
    """All plants, from tests/leaks/catalogue.py of this checkout."""
    tests = str(FOLDER.parent)
    if tests not in sys.path:
        sys.path.append(tests)
    plants: tuple[Plant, ...] = importlib.import_module("leaks.catalogue").CATALOGUE
    return plants
