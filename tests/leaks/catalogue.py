"""The catalogue of planted leaks: which claim must catch each, at its node, as what, by what."""

from __future__ import annotations

from leaks.blind.rows import ROWS
from leaks.rows.careless import CARELESS
from leaks.rows.cells import CELLS
from leaks.rows.edges import EDGES
from leaks.rows.malicious import MALICIOUS
from leaks.rows.technical import TECHNICAL
from testbed.leaks.plant import Plant

BLIND = tuple(
    Plant(f"blind.{row.name}", row.grade, row.claim, "", "", blind=True, missed=row.missed)
    for row in ROWS
)
"""What they must be called, and show, their author couldn't know."""

CATALOGUE: tuple[Plant, ...] = (*CARELESS, *TECHNICAL, *MALICIOUS, *EDGES, *CELLS, *BLIND)
