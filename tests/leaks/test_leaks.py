"""Each planted leak is caught: by the claim that is there for it, at its node, as its kind."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from leaks.catalogue import BY_NAME, CATALOGUE, Plant
from testbed.claims import CLAIMS, Expected
from testbed.report.progress import Progress
from testbed.topology import Link
from testbed.verdict import Finding, Status
from testbed.verify import verify_web
from webs import WebMaker

STOCK = [plant.name for plant in CATALOGUE if not plant.hosted]
WEBS = [STOCK[at : at + 5] for at in range(0, len(STOCK), 5)]
WEBS.append([plant.name for plant in CATALOGUE if plant.hosted])
"""Several plants in one web, one a node. Their modules change the stock code: never import them."""

USUAL = {
    Expected.HOLDS: Status.PASS,
    Expected.FAILS: Status.FAIL,
    Expected.NOT_CLAIMED: Status.NOT_APPLICABLE,
}


def node_of(finding: Finding) -> str:
    """The node that a finding accuses: of a link, the one that sends."""
    return finding.subject.partition(">")[0]


def unusual(findings: list[Finding], *, hosted: bool) -> list[Finding]:
    """Those that aren't what the table expects of a node without a plant."""
    expected = {claim.id: claim.expected(Link.TLS, hosted) for claim in CLAIMS}
    return [f for f in findings if f.status is not USUAL[expected[f.claim]]]


@pytest.mark.web
@pytest.mark.parametrize("plants", WEBS, ids=lambda plants: "+".join(plants))
def test_each_plant_is_caught_at_its_node_and_nobody_else_is_accused(
    plants: list[str], make_web: WebMaker, out: Path
) -> None:
    nodes = ("alpha", "bravo", "charlie", "delta", "echo")
    planted = dict(zip(nodes, plants, strict=False))
    hosted = BY_NAME[plants[0]].hosted
    with make_web(leaks=planted, hosted=hosted) as web:
        record = verify_web(web, out, seed=1, progress=Progress(), last=True)
    for node in nodes:
        rows = [f for f in record.findings if node_of(f) == node]
        if node in planted:
            check(BY_NAME[planted[node]], rows)
        else:
            assert unusual(rows, hosted=hosted) == [], node
    assert record.status == 1


def check(plant: Plant, findings: list[Finding]) -> None:
    """A node's rows: those that must fail do, for the right reason, and all others pass."""
    failed = {f.claim for f in findings if f.status is Status.FAIL}
    assert {plant.claim, *plant.also} <= failed, f"{plant.name} was missed"
    caught = [f for f in findings if f.claim == plant.claim and f.kind == plant.kind]
    assert caught, f"{plant.name} was called something else than {plant.kind}"
    for finding in caught:
        told = [f"{e.where} {e.what}" for e in finding.evidence]
        assert any(re.search(plant.shows, line) for line in told), (plant.name, told)
        assert any(control.found for control in finding.controls), (plant.name, finding.controls)
    accusing = {plant.claim, *plant.also, *plant.perhaps}
    others = [f for f in findings if f.claim not in accusing]
    assert others
    assert unusual(others, hosted=plant.hosted) == [], plant.name


def test_the_catalogue_and_the_table_of_claims_name_the_same_plants() -> None:
    listed = {(claim.id, plant) for claim in CLAIMS for plant in claim.plants}
    by_claim = {(plant.claim, plant.name.replace("_", "-")) for plant in CATALOGUE}
    assert by_claim <= listed
    assert {plant for _, plant in by_claim} == {plant for _, plant in listed}


@pytest.mark.parametrize("plant", CATALOGUE, ids=lambda plant: plant.name)
def test_each_plant_says_what_somebody_did(plant: Plant) -> None:
    path = Path(__file__).with_name(f"{plant.name}.py")
    assert ast.get_docstring(ast.parse(path.read_text()))
