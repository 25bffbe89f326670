"""Claim `link-forward`: who seizes both ends' keys afterwards opens nothing that was captured.

tshark has had the nodes' link keys when it dissected the capture. A connection is open when it
could read a Finished in it, which is encrypted in every version of TLS (RFC 8446, 4.4.4).
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed.topology import Node, Topology
from testbed.verdict import Control, Finding, judge, some
from testbed.wire.frames import Frames
from testbed.wire.packets import Stream, Wire


def findings(
    wire: Wire, topology: Topology, whole: Control, tried: Mapping[str, str]
) -> list[Finding]:
    """A row a link; `tried`: by node why its key didn't open what it could, or nothing."""
    frames = Frames(wire.packets, topology)
    opened = {p.stream: p.frame for p in reversed(wire.packets) if p.opened}

    def row(a: Node, b: Node) -> Finding:
        own = [s for s in wire.streams if {s.client, s.server} == {a.host, b.host} and _tls(s)]
        evidence = [
            frames.told(opened[s.number], "its keys follow from a key on disk: this was decrypted")
            for s in own
            if s.number in opened
        ]
        return judge(
            "link-forward",
            f"{a.name}>{b.name}",
            looked_at=f"{len(own)} connections, with the link keys of both ends",
            controls=[
                whole,
                Control("connections with a handshake are seen on this link", bool(own)),
                *(
                    Control(
                        f"a connection with static RSA under {n.name}'s key is opened, which is "
                        "made for this",
                        not tried.get(n.name, "not tried"),
                        tried.get(n.name, "not tried"),
                    )
                    for n in (a, b)
                ),
            ],
            evidence=some(evidence),
            kind="key exchange",
        )

    return [row(a, b) for a, b in topology.links]


def _tls(stream: Stream) -> bool:
    return bool(stream.hellos)
