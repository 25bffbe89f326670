"""Made-up records, for tests of the report and for looking at it without a web."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle

from testbed.claims import CLAIMS, Claim, Expected
from testbed.hexdump import dump
from testbed.report.record import Capture, Mail, Record, Timing, Traffic, subjects
from testbed.topology import Link, Topology
from testbed.verdict import Context, Control, Evidence, Finding, Status, judge

NASTY = "Subject: <script>alert('x')</script>\r\n]]> & \x00\x1b[31m\u202e café"
"""What an evil mail might put in front of whoever reads the report."""

CONTEXT = Context(
    dump(NASTY.encode(), 96), f"python3 -m remailer run {NASTY} (pid 61)", f"frame 7: {NASTY}"
)
"""What stood around it."""

_CLEAR = {
    "silent-root": "added",
    "headers": "received: from alpha.remailer.test (localhost [127.0.0.1])",
    "silent-writes": "made, written and deleted: /var/log/mail.log",
    "silent-calls": "openat(/var/log/mail.log, O_APPEND)",
    "no-growth": "/var/log/mail.log: 4,211 bytes before, 9,310 after",
    "dns-late": "look-up of 241.0.193.10.in-addr.arpa type 12: no mail for it within 2 s",
    "smtp-talk": "250 2.0.0 Ok: queued as AD31EEEDAC",
    "log-hops": "postfix/smtp[61]: AD31EEEDAC: to=<remailer@bravo.remailer.test>",
    "link-encrypted": "MAIL FROM:<remailer@alpha.remailer.test>",
    "link-canary": "7Gx2mQ9vRk4 (body, as sent)",
    "link-ephemeral": "no TLS handshake: 220 remailer ESMTP",
    "link-refuses": "250 OK to a stranger without any certificate",
    "link-pinned": "354 go ahead: the whole mail went to the impostor",
}


def record(
    link: Link = Link.TLS,
    nodes: int = 5,
    leaks: dict[str, str] | None = None,
    open_claims: tuple[str, ...] = (),
) -> Record:
    """A run in which each claim gives what the table expects, but for what is said.

    `leaks`: node → claim that fails there, with nasty evidence. `open_claims`: claims about whose
    first subject the control was not found.
    """
    topology = Topology(link=link, nodes=nodes, leaks=leaks or {})
    return Record.of(
        topology,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seed=20260102,
        versions={
            "unlogged": "0.1.0",
            "python": "3.13.5",
            "docker engine": "28.2.2",
            "compose": "2.26.1",
            "openssl (image)": "3.5.1",
            "tshark": "4.4.7",
        },
        findings=_findings(topology, leaks or {}, open_claims),
        timings=(
            Timing("images", 0.4),
            Timing("web up", 4.1),
            Timing("mail over every link", 9.8),
            Timing("chains and reply blocks", 14.2),
            Timing("probes", 6.3),
            Timing("witnesses", 5.2),
            Timing("capture", 3.0),
        ),
        mails=tuple(_mails(topology)),
        traffic=tuple(
            Traffic(f"{a.name}>{b.name}", 3 + i % 4, 48_000 + 911 * i, 120 + i)
            for i, (a, b) in enumerate(topology.links)
        ),
        capture=Capture("web.pcap", 48_211, 0, True),
    )


def _findings(
    topology: Topology, leaks: dict[str, str], open_claims: tuple[str, ...]
) -> Iterator[Finding]:
    for claim in CLAIMS:
        for place, subject in enumerate(subjects(claim, topology)):
            yield _finding(
                claim,
                subject,
                fails=claim.expected(topology.link) is Expected.FAILS,
                leaks=leaks.get(subject) == claim.id,
                found=not (claim.id in open_claims and place == 0),
                frame=1000 + 37 * place,
            )


def _finding(
    claim: Claim, subject: str, *, fails: bool, leaks: bool, found: bool, frame: int
) -> Finding:
    evidence = []
    if fails:
        evidence = [Evidence(f"frame {frame + n}", _CLEAR[claim.id]) for n in range(3)]
    if leaks:
        evidence.append(Evidence("/var/lib/remailer/spool/seen.log:0", NASTY, CONTEXT))
    return judge(
        claim.id,
        subject,
        looked_at=f"{claim.witness}; {frame} things looked at for {subject}",
        controls=[Control(claim.control, found, f"frame {frame}" if found else "")],
        evidence=evidence,
        kind="readable" if fails else "volume",
    )


def _mails(topology: Topology) -> Iterator[Mail]:
    names = [node.name for node in topology.remailers]
    pairs = [(a.name, b.name) for a, b in topology.links]
    for number, pair in enumerate(pairs, 1):
        yield Mail(number, "matrix", pair, 2_310 + number, True, 2.1 + number % 5 / 4)
    sizes = cycle((1_000, 10_000, 100_000, 1_000_000))
    for hops in range(1, 5):
        path = tuple(names[i % len(names)] for i in range(hops))
        number += 1
        yield Mail(number, "forward", path, next(sizes), True, 1.2 * hops)
    yield Mail(number + 1, "reply", tuple(names[:2]), 4_400, True, 3.3)
    yield Mail(number + 2, "direct", (), 1_200, True, 0.3)


def unanswered(claim: str) -> Record:
    """A run in which no witness said anything about one claim."""
    whole = record()
    topology = Topology()
    kept = [f for f in whole.findings if f.claim != claim]
    return Record.of(topology, started=whole.started, seed=1, versions={}, findings=kept)


def answers(record_: Record) -> dict[str, Status]:
    """Claim → answer."""
    return {row.claim.id: row.status for row in record_.rows}
