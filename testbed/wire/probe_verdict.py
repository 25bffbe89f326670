"""What the prober saw, judged: stranger, impostor, and the certificate of port 25. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509

from testbed.hexdump import dump
from testbed.topology import Link, Topology
from testbed.verdict import Context, Control, Evidence, Finding, judge
from testbed.wire.identities import IMPOSTORS

ATTEMPTS = 2
"""How often a node must have come to an impostor before the right key is shown: a node that falls
back to something weaker does so when it tries again."""
STRANGERS = {
    "none": "no certificate",
    "stranger": "a stranger's certificate",
    "swapped": "another key under a peer's name",
    "lapsed": "a pinned certificate that expired",
    "old": "a pinned key, TLS 1.2",
    "clear": "no TLS",
}
"""What is tried at each node's link port, and must be refused."""
CELL = "a cell"
"""What a link that speaks cells says to a peer."""
FRIENDLY = "friend"
"""The same prober with a pinned key: it has to be let in."""


def findings(
    topology: Topology, answers: Mapping[str, Any], marks: Mapping[str, str]
) -> list[Finding]:
    """The rows link-refuses, link-pinned and port25-cert of every node. Pure.

    A node that the agent says nothing of is inconclusive.
    """
    nodes = [node.name for node in topology.remailers]
    encrypted = topology.link in (Link.TLS, Link.CELLS)
    seen = [(name, answers.get(name, {})) for name in nodes]
    return [
        *(_refuses(name, answer) for name, answer in seen),
        *(_pinned(name, answer, marks, encrypted=encrypted) for name, answer in seen),
        *(_same(name, answer) for name, answer in seen),
    ]


def _refuses(node: str, answer: Mapping[str, Any]) -> Finding:
    knocks: Mapping[str, Mapping[str, str]] = answer.get("knocks", {})
    bad = [
        _told(f"link port, {what}", "let in: ", knocks[name]["said"])
        for name, what in STRANGERS.items()
        if name in knocks and knocks[name]["said"]
    ]
    unclear = [
        what for name, what in STRANGERS.items()
        if not knocks.get(name, {}).get("end", "").startswith(("alert", "closed"))
    ]  # fmt: skip
    twins: Mapping[str, Mapping[str, str]] = answer.get("twins", {})
    out = {
        what: twins.get(name, {}).get("end", "not tried")
        for name, what in STRANGERS.items()
        if not _let_in(twins.get(name, {}))
    }
    friend = knocks.get(FRIENDLY, {"said": "", "end": "not tried"})
    controls = (
        Control(
            "the same prober with a pinned key is let in",
            _let_in(friend),
            _line(friend["said"]) or friend["end"],
        ),
        Control(
            "every stranger got an answer: an alert or the end of the line",
            not unclear,
            f"none for {', '.join(unclear)}" if unclear else "",
        ),
        Control(
            "a server of the prober's own, which refuses nobody, lets each stranger in",
            not out,
            "; ".join(f"{what}: {end}" for what, end in out.items()),
        ),
    )
    ends = sorted({knocks[name]["end"] for name in STRANGERS if name in knocks})
    return judge(
        "link-refuses", node,
        looked_at=f"{len(STRANGERS)} strangers at its link port: {', '.join(ends) or 'no answer'}",
        controls=controls, evidence=bad, kind="stranger",
    )  # fmt: skip


def _let_in(knock: Mapping[str, str]) -> bool:
    """Was there a conversation in SMTP, or a cell?"""
    said = knock.get("said", "")
    return said == CELL or (said.startswith("220 ") and "\n250" in said)


def _pinned(
    node: str, answer: Mapping[str, Any], marks: Mapping[str, str], *, encrypted: bool
) -> Finding:
    bad: list[Evidence] = []
    controls = []
    refused_in_all = 0
    for name, what in IMPOSTORS.items():
        attempts = answer.get("attempts", {}).get(name, [])
        bad += _handed_over(name, what, attempts, encrypted=encrypted)
        tried = [a for a in attempts if not a["right"]]
        refused_in_all += len([a for a in tried if not a["spoke"]])
        arrived = [m for a in attempts if a["right"] and a["tls"] == "TLSv1.3" for m in a["mails"]]
        mark = marks.get(f"{node}>{name}", "")
        mine = [m for m in arrived if mark and f"\n{mark}" in m]
        trouble = answer.get("submitted", {}).get(name, "")
        controls.append(
            Control(
                f"{name}: tried, and with the pinned key the waiting mail arrives, once",
                len(tried) >= ATTEMPTS and len(mine) == len(arrived) == 1,
                trouble or f"{len(tried)} times, then {len(arrived)} mail",
            )
        )
    return judge(
        "link-pinned", node,
        looked_at=f"{len(IMPOSTORS)} impostors, {refused_in_all} attempts ended without a word",
        controls=controls, evidence=bad, kind="impostor",
    )  # fmt: skip


def _handed_over(
    name: str, what: str, attempts: list[Mapping[str, Any]], *, encrypted: bool
) -> Iterator[Evidence]:
    """SMTP that an impostor was told, and mail that anybody was told outside TLS."""
    for number, attempt in enumerate(attempts, 1):
        clear = encrypted and attempt["right"] and not attempt["tls"] and attempt["spoke"]
        if (attempt["right"] and not clear) or not attempt["spoke"]:
            continue
        shown = what if attempt["tls"] else "in clear"
        took = f"took {len(attempt['mails'])} mail, " if attempt["mails"] else ""
        yield _told(f"{name}, attempt {number}", f"{took}{shown}: ", attempt["spoke"])


def _same(node: str, answer: Mapping[str, Any]) -> Finding:
    """One certificate on port 25, however many mails have come: its number could count them."""
    before, after = answer.get("certificates", ["not tried", "not tried"])
    asked = [before, after]
    failed = [shown for shown in asked if not _is_hex(shown)]
    own: list[str] = answer.get("changing", [])
    submitted: Mapping[str, str] = answer.get("submitted", {})
    bad = []
    if not failed and before != after:
        bad.append(
            Evidence(
                "port 25, STARTTLS",
                f"{_named(before)} before the probe's mails, {_named(after)} after them",
                Context(dump(bytes.fromhex(after))),
            )
        )
    return judge(
        "port25-cert", node,
        looked_at=f"{len(asked) - len(failed)} handshakes on port 25, before and after mails",
        controls=(
            Control("it shows a certificate both times", not failed, "; ".join(failed)),
            Control(
                "and takes mail in between",
                bool(submitted) and not any(submitted.values()),
                "; ".join(filter(None, submitted.values())) or f"{len(submitted)} mails",
            ),
            Control(
                "two certificates of the prober's own are told apart",
                len(set(own)) == 2 and all(map(_is_hex, own)),
                "; ".join(shown if not _is_hex(shown) else _named(shown) for shown in own),
            ),
        ),
        evidence=bad, kind="certificate",
    )  # fmt: skip


def _is_hex(shown: str) -> bool:
    return bool(shown) and set(shown) <= set("0123456789abcdef")


def _named(shown: str) -> str:
    """A certificate by its serial number, or if it isn't one by its size."""
    try:
        return f"serial {x509.load_der_x509_certificate(bytes.fromhex(shown)).serial_number:x}"
    except ValueError:
        return f"{len(shown) // 2} bytes that are no certificate"


def _told(where: str, lead: str, said: str) -> Evidence:
    return Evidence(where, lead + _line(said), Context(dump(said.encode())))


def _line(text: str) -> str:
    return " / ".join(text.split("\r\n")).strip(" /")[:100]
