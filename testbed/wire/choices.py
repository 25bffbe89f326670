"""What a node could choose on the wire: the four claims about it, from one capture. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from testbed.topology import Topology
from testbed.traffic import Letter
from testbed.verdict import Finding
from testbed.wire import delays, fields, lookups, said
from testbed.wire.capture import CaptureFile
from testbed.wire.edges import Edges
from testbed.wire.links import is_whole
from testbed.wire.packets import Wire


def findings(
    wire: Wire,
    topology: Topology,
    letters: Sequence[Letter],
    capture: CaptureFile,
    given: Mapping[str, Collection[str]],
    since: float = 0.0,
) -> list[Finding]:
    """The rows dns-late, smtp-talk, wire-fields and delays of every node.

    `given`: the random numbers that the kernel gave each node, in hex; `since`: see Edges.
    """
    edges = Edges(wire, topology, letters, is_whole(wire, capture), since)
    others = [row for witness in (said, fields, delays) for row in witness.findings(edges)]
    return lookups.findings(edges, given) + others
