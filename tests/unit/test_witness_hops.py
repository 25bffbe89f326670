"""Whose logs name a hop: lines that Debian's Postfix wrote, read as the witness reads them."""

from __future__ import annotations

from testbed.topology import Link, Topology
from testbed.verdict import Finding, Status
from testbed.witness.hops import Log, judge_logs

NET = "10.193.0"
USER_IN = (
    "Nov 25 01:50:28 alpha postfix/smtpd[1]: 89BA0EEDAC: client=mail.sender.test[10.193.0.241]"
)
TO_USER_PROCESS = (
    "Nov 25 01:50:28 alpha postfix/local[59]: 89BA0EEDAC: to=<remailer@alpha.remailer.test>, "
    "relay=local, delay=0.09, delays=0.02/0.01/0/0.06, dsn=2.0.0, status=sent (delivered to "
    "command: /usr/local/bin/remailer deliver)"
)
HOP_OUT = (
    "Nov 25 01:50:28 alpha postfix/smtp[61]: AD31EEEDAC: to=<remailer@bravo.remailer.test>, "
    "relay=bravo.remailer.test[10.193.0.12]:25, delay=0.04, delays=0/0.01/0.01/0.02, dsn=2.0.0, "
    "status=sent (250 2.0.0 Ok: queued as B5B3CEEDB1)"
)
HOP_IN = (
    "Nov 25 01:50:28 bravo postfix/smtpd[9]: B5B3CEEDB1: client=alpha.remailer.test[10.193.0.11]"
)
ORDINARY = {
    "sender": [
        "Nov 25 01:50:28 mail postfix/smtp[24]: 7AC72EEDA7: to=<remailer@alpha.remailer.test>, "
        "relay=alpha.remailer.test[10.193.0.11]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
        "Nov 25 01:50:28 mail postfix/smtp[24]: 7AC72EEDA8: to=<remailer@bravo.remailer.test>, "
        "relay=bravo.remailer.test[10.193.0.12]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
    ],
    "recipient": [
        "Nov 25 01:50:29 mail postfix/smtpd[2]: CA277EED: client=alpha.remailer.test[10.193.0.11]",
        "Nov 25 01:50:29 mail postfix/smtpd[2]: CA277EEE: client=bravo.remailer.test[10.193.0.12]",
    ],
}  # fmt: skip


def rows(link: Link, *, hosted: bool = False, **logs: list[str] | None) -> dict[str, Finding]:
    """The rows of a web of alpha and bravo; None is a container without a log."""
    topology = Topology(nodes=2, net=NET, link=link, hosted=hosted)
    told = {
        name: Log(name, tuple(lines)) if lines is not None
        else Log(name, why="no such file", missing=True)
        for name, lines in (ORDINARY | logs).items()
    }  # fmt: skip
    return {finding.subject: finding for finding in judge_logs(topology, told)}


def in_(node: str) -> str:
    return USER_IN.replace(" alpha ", f" {node} ")


def test_through_both_mail_systems_both_logs_name_the_hop_line_by_line() -> None:
    found = rows(
        Link.PORT25, alpha=[in_("alpha"), TO_USER_PROCESS, HOP_OUT], bravo=[in_("bravo"), HOP_IN]
    )
    evidence = found["alpha>bravo"].evidence
    assert [e.where for e in evidence] == [
        "alpha:/var/log/mail.log, line 3", "bravo:/var/log/mail.log, line 2",
    ]  # fmt: skip
    assert "to=<remailer@bravo.remailer.test>, relay=bravo" in evidence[0].what
    assert "client=alpha.remailer.test[10.193.0.11]" in evidence[1].what
    assert found["alpha>bravo"].status is Status.FAIL
    assert found["bravo>alpha"].status is Status.PASS


def test_straight_to_the_peers_port_25_the_receivers_log_alone_names_it() -> None:
    found = rows(Link.DIRECT25, alpha=[in_("alpha")], bravo=[in_("bravo"), HOP_IN])
    assert [e.where for e in found["alpha>bravo"].evidence] == ["bravo:/var/log/mail.log, line 2"]


def test_with_a_port_of_their_own_a_logging_host_names_users_only() -> None:
    found = rows(Link.TLS, hosted=True, alpha=[in_("alpha"), TO_USER_PROCESS], bravo=[in_("bravo")])
    assert {finding.status for finding in found.values()} == {Status.PASS}
    assert all("line 1" in control.where for control in found["alpha>bravo"].controls[2:])


def test_a_host_whose_log_shows_no_user_is_no_witness() -> None:
    for log in ([], None):
        found = rows(Link.TLS, hosted=True, alpha=log, bravo=[in_("bravo")])
        assert found["alpha>bravo"].status is Status.INCONCLUSIVE


def test_a_remailer_without_a_mail_host_has_no_log_and_the_ordinary_hosts_are_the_twin() -> None:
    found = rows(Link.TLS, alpha=None, bravo=None)
    assert {finding.status for finding in found.values()} == {Status.PASS}
    mute = rows(Link.TLS, alpha=None, bravo=None, recipient=[])
    assert {finding.status for finding in mute.values()} == {Status.INCONCLUSIVE}


def test_a_remailer_that_keeps_a_log_like_a_mail_hosts_is_caught() -> None:
    found = rows(Link.TLS, alpha=None, bravo=[HOP_IN])
    assert found["alpha>bravo"].status is Status.FAIL


def test_a_container_that_can_not_be_read_leaves_it_open() -> None:
    topology = Topology(nodes=2, net=NET)
    logs = {name: Log(name, tuple(lines)) for name, lines in ORDINARY.items()}
    logs |= {"alpha": Log("alpha", why="it is gone"), "bravo": Log("bravo", missing=True)}
    assert {f.status for f in judge_logs(topology, logs)} == {Status.INCONCLUSIVE}


def test_names_that_only_begin_alike_are_others() -> None:
    log = Log("alpha", (HOP_OUT.replace("bravo.remailer.test", "bravo.remailer.test.example"),))
    assert not log.gave_to("bravo.remailer.test")
    assert not Log("bravo", (HOP_IN,)).had_from("10.193.0.1")
