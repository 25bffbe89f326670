"""Webs whose nodes stand beside mail hosts: what the table expects there, and how they are made."""

from __future__ import annotations

import pytest
import yaml
from sample import record

from testbed import compose
from testbed.claims import BY_ID, Expected
from testbed.errors import UsageError
from testbed.report import claims_page, terminal
from testbed.report.record import NOT_CLAIMED
from testbed.topology import Link, Topology
from testbed.verdict import Status

HOLDS, FAILS, NOT = Expected.HOLDS, Expected.FAILS, Expected.NOT_CLAIMED


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("delivered", (HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS)),
        ("log-hops", (FAILS, FAILS, HOLDS, HOLDS, HOLDS, HOLDS)),
        ("headers", (FAILS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS)),
        ("silent-root", (FAILS, FAILS, HOLDS, HOLDS, HOLDS, FAILS)),
        ("durable", (NOT, NOT, HOLDS, HOLDS, HOLDS, NOT)),
        ("link-canary", (FAILS, FAILS, FAILS, HOLDS, HOLDS, HOLDS)),
        ("link-port", (NOT, NOT, HOLDS, HOLDS, HOLDS, HOLDS)),
        ("link-cells", (NOT, NOT, NOT, NOT, HOLDS, NOT)),
        ("link-pinned", (NOT, FAILS, FAILS, HOLDS, HOLDS, HOLDS)),
    ],
)
def test_what_each_stage_promises(claim: str, expected: tuple[Expected, ...]) -> None:
    columns = [(stage, hosted) for _, stage, hosted in claims_page.COLUMNS]
    assert tuple(BY_ID[claim].expected(*column) for column in columns) == expected


def test_stages_stand_in_the_ladders_order() -> None:
    assert list(Link) == ["port25", "direct25", "smtp", "tls", "cells"]


@pytest.mark.parametrize("link", [Link.PORT25, Link.DIRECT25])
def test_on_port_25_nodes_stand_beside_mail_hosts(link: Link) -> None:
    topology = Topology(link=link)
    assert topology.hosted
    assert topology == Topology(link=link, hosted=True)
    assert topology.link.port == 25


def test_what_is_not_claimed_is_never_a_pass_whatever_was_seen() -> None:
    run = record(Link.DIRECT25)
    assert run.as_expected
    assert run.status == 1
    durable = next(row for row in run.rows if row.claim.id == "durable")
    assert {f.status for f in durable.findings} == {Status.NOT_APPLICABLE}
    assert {f.looked_at for f in durable.findings} == {NOT_CLAIMED}
    assert "not claimed" in terminal.svg(run).replace("&#160;", " ")


def test_a_hosted_node_is_a_users_process_and_starts_as_its_own_uid() -> None:
    text = compose.render(Topology(nodes=2, hosted=True, leaks={"alpha": "hop_by_host"}))
    _, alpha, bravo = text.split("    <<: *remailer\n")
    assert "UNLOGGED_REMAILER_1993_IMAGE" in text
    assert "--hosted]" in text
    assert 'REMAILER_UID: "20002"' in bravo
    assert "user:" not in alpha + bravo.partition("<<: *mailhost")[0]
    assert "command: [python3, -m, leaks.hop_by_host, run, " in alpha
    assert "1993" not in compose.render(Topology())


def test_users_with_proxies_are_guests_of_their_first_remailer_and_of_no_other() -> None:
    topology = Topology(nodes=3, proxies=True, cells=5)
    assert {guest.path for guest in topology.guests} == {
        (a.name, b.name) for a, b in topology.links
    }
    parts = [*topology.remailers, *topology.mailhosts, *topology.guests]
    assert len({part.host for part in parts}) == len(parts)
    services = yaml.safe_load(compose.render(topology))["services"]
    assert services["alpha"]["command"][-2:] == ["--guests", "/etc/remailer/guests-alpha.json"]
    user = services["user-bravo-charlie"]
    assert user["command"][:5] == ["proxy", "--chain", "bravo,charlie", "--cells", "5"]
    assert user["volumes"][1:] == [
        "user-bravo-charlie-keys:/var/lib/remailer/keys:ro",
        "user-bravo-charlie-spool:/var/lib/remailer/spool",
    ]
    assert not Topology(nodes=3).guests
    for wrong in ({"link": Link.TLS}, {"nodes": 7}):
        with pytest.raises(UsageError, match="only on cells, and in webs of at most 6 nodes"):
            Topology(**{"proxies": True} | wrong)  # type: ignore[arg-type]
