"""Each planted leak is caught: by the claim that is there for it, at its node, as its kind."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from leaks.catalogue import BY_NAME, CATALOGUE, Plant
from testbed.claims import CLAIMS
from testbed.report.progress import Progress
from testbed.verdict import Finding, Status
from testbed.verify import verify_web
from webs import WebMaker

WEBS = [[plant.name for plant in CATALOGUE[at : at + 5]] for at in range(0, len(CATALOGUE), 5)]
"""Several plants in one web, one a node. Their modules change the stock code: never import them."""


def node_of(finding: Finding) -> str:
    """The node that a finding accuses: of a link, the one that sends."""
    return finding.subject.partition(">")[0]


@pytest.mark.web
@pytest.mark.parametrize("plants", WEBS, ids=lambda plants: "+".join(plants))
def test_each_plant_is_caught_at_its_node_and_nobody_else_is_accused(
    plants: list[str], make_web: WebMaker, out: Path
) -> None:
    nodes = ("alpha", "bravo", "charlie", "delta", "echo")
    planted = dict(zip(nodes, plants, strict=False))
    with make_web(leaks=planted) as web:
        record = verify_web(web, out, seed=1, progress=Progress(), last=True)
    failed = [finding for finding in record.findings if finding.status is Status.FAIL]
    for node in nodes:
        caught = {(f.claim, f.kind) for f in failed if node_of(f) == node}
        plant = BY_NAME[planted[node]]
        assert (plant.claim, plant.kind) in caught, f"{plant.name} at {node} was missed"
        others = {claim for claim, _ in caught} - plant.also - {plant.claim}
        assert not others, f"{plant.name} at {node}: {others} accuse it too"
    assert record.status == 1


def test_the_catalogue_and_the_table_of_claims_name_the_same_plants() -> None:
    listed = {(claim.id, plant) for claim in CLAIMS for plant in claim.plants}
    by_claim = {(plant.claim, plant.name.replace("_", "-")) for plant in CATALOGUE}
    assert by_claim <= listed
    assert {plant for _, plant in by_claim} == {plant for _, plant in listed}


@pytest.mark.parametrize("plant", CATALOGUE, ids=lambda plant: plant.name)
def test_each_plant_says_what_somebody_did(plant: Plant) -> None:
    path = Path(__file__).with_name(f"{plant.name}.py")
    assert ast.get_docstring(ast.parse(path.read_text()))
