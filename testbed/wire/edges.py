"""The edges: what a node shows on the wire that it could have chosen otherwise. Pure.

Here is what the four witnesses share: one node's packets, streams and conversations in SMTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from testbed.topology import MailHost, Node, Topology
from testbed.traffic import Letter
from testbed.verdict import Control, Evidence, some
from testbed.wire.contacts import hardware
from testbed.wire.frames import Frames
from testbed.wire.packets import Packet, Stream, Wire
from testbed.wire.smtp import Talk, talk

MAIL_PORT, DNS_PORT = 25, 53

Told = tuple[int, str]
"""The number of a packet, and what is wrong with it."""


@dataclass(frozen=True)
class Edges:
    """A capture, and the letters that explain it."""

    wire: Wire
    topology: Topology
    letters: Sequence[Letter]
    whole: Control
    since: float = 0.0
    """Seconds since 1970, before the first letter: what was said earlier was other mail's."""
    _talks: dict[int, Talk] = field(default_factory=dict)

    @cached_property
    def macs(self) -> dict[str, str]:
        """IP address → hardware address."""
        return hardware(self.wire.packets)

    @cached_property
    def times(self) -> dict[int, float]:
        """Number of a packet → seconds since 1970."""
        return {p.frame: p.time for p in self.wire.packets}

    @cached_property
    def _frames(self) -> Frames:
        return Frames(self.wire.packets, self.topology)

    def evidence(self, told: Iterable[Told]) -> tuple[Evidence, ...]:
        """The first of these, each with its packet."""
        return some([self._frames.told(frame, what) for frame, what in sorted(told)])

    def packets(self, node: Node) -> list[Packet]:
        """What the node sent: by its hardware, whatever address it used."""
        own = self.macs.get(node.host)
        return [p for p in self.wire.packets if own is not None and p.mac == own]

    def twins(self, node: Node) -> list[Packet]:
        """What was sent under the node's address by somebody else: the harness's own controls."""
        own = self.macs.get(node.host)
        return [p for p in self.wire.packets if p.source == node.host and p.mac != own]

    def served(self, node: Node | MailHost) -> list[Stream]:
        """Conversations on its port 25."""
        return [
            s for s in self.wire.streams
            if s.server == node.host and s.server_port == MAIL_PORT and s.received.data
        ]  # fmt: skip

    def begun(self, node: Node) -> list[Stream]:
        """Those that the node began on port 25 of a mail host."""
        hosts = {h.host for h in self.topology.mailhosts}
        return [
            s for s in self.wire.streams
            if s.client == node.host and s.server_port == MAIL_PORT and s.server in hosts
        ]  # fmt: skip

    def talk(self, stream: Stream) -> Talk:
        """A stream as SMTP, read once."""
        if stream.number not in self._talks:
            self._talks[stream.number] = talk(stream)
        return self._talks[stream.number]

    def leaving(self, node: Node) -> list[Letter]:
        """The letters that the node hands to a mail host."""
        return [x for x in self.letters if x.path and x.path[-1] == node.name]


T = TypeVar("T", bound=Hashable)


def usual(values: Iterable[T]) -> T | None:
    """What is said most often, the first of equals."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None
