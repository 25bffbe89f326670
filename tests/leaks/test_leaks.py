"""Each planted leak is caught: by the claim that is there for it, at its node, as its kind."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from testbed.claims import CLAIMS
from testbed.report.progress import Progress
from testbed.verdict import Finding, Status
from testbed.verify import verify_web
from webs import WebMaker

WEBS = {
    "careless": {
        "alpha": "stdout_line",
        "bravo": "volume_file",
        "charlie": "tmpfs_file",
        "delta": "syslog_datagram",
        "echo": "received_kept",
    },
    "technical": {
        "alpha": "link_clear",
        "bravo": "peer_unpinned",
        "charlie": "spool_clear",
        "delta": "sync_off",
        "echo": "message_id_kept",
    },
}
"""Several plants in one web, one a node."""


def node_of(finding: Finding) -> str:
    """The node that a finding accuses: of a link, the one that sends."""
    return finding.subject.partition(">")[0]


@pytest.mark.web
@pytest.mark.parametrize("name", WEBS)
def test_each_plant_is_caught_at_its_node_and_nobody_else_is_accused(
    name: str, make_web: WebMaker, out: Path
) -> None:
    plants = WEBS[name]
    with make_web(leaks=plants) as web:
        record = verify_web(web, out, seed=1, progress=Progress(), last=True)
    failed = [finding for finding in record.findings if finding.status is Status.FAIL]
    caught = {(node_of(finding), finding.claim, finding.kind) for finding in failed}
    for node, plant in plants.items():
        module = importlib.import_module(f"leaks.{plant}")
        assert (node, module.CLAIM, module.KIND) in caught, f"{plant} at {node} was missed"
        others = {claim for accused, claim, _ in caught if accused == node} - module.CLAIMS
        assert not others, f"{plant} at {node}: {others} accuse it too"
    open_ = [f for f in record.findings if f.status is Status.INCONCLUSIVE]
    assert not [f for f in open_ if node_of(f) not in plants], open_
    assert record.status == 1


def test_the_catalogue_and_the_table_of_claims_name_the_same_plants() -> None:
    planted = {plant.replace("_", "-") for plants in WEBS.values() for plant in plants.values()}
    assert planted == {plant for claim in CLAIMS for plant in claim.plants}


def test_each_plant_says_what_it_is() -> None:
    for plants in WEBS.values():
        for plant in plants.values():
            module = importlib.import_module(f"leaks.{plant}")
            assert module.__doc__
            assert module.GRADE in {"careless", "technical"}
            assert module.CLAIM in module.CLAIMS
