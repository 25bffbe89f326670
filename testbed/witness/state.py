"""What can be counted about the nodes from outside, read at the moments of a run."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL
from testbed.run import Run
from testbed.topology import Link
from testbed.traffic import trail
from testbed.verdict import Finding
from testbed.wire.canary import Canaries
from testbed.wire.identities import PROBE_PORTS
from testbed.witness import growth, plain
from testbed.witness.files import MAIL_LOG
from testbed.witness.inside import REST_WITHIN, ask
from testbed.witness.moments import Moment


class State:
    """Reads all nodes, and the mail hosts for the controls: for no-growth and process-plain."""

    def __init__(self, run: Run) -> None:
        """Nothing is read yet."""
        self.run = run
        self.token = Canaries.new(random.SystemRandom()).prefix
        self.seen: dict[Moment, Mapping[str, Answer]] = {}
        """By moment: service → the agent's answer."""

    def look(self, moment: Moment) -> None:
        """Ask the agent, once the nodes are at rest if the moment is one of rest."""
        topology = self.run.web.topology
        within = 0.0 if moment is Moment.DURING else REST_WITHIN
        nodes = [node.name for node in topology.remailers]
        hosts = [host.name for host in topology.mailhosts]
        # Links of cells are there with mail or without, and so are calls of peers that are away.
        links = [topology.link.port, *PROBE_PORTS] if topology.link is Link.CELLS else []
        task: dict[str, Any] = {"spool": f"{SPOOL}/{DATABASE}", "token": self.token, "links": links}
        seen = ask(self.run, "state", nodes, within=within, more=[MAIL_LOG], **task)
        # A mail host is never at rest in our sense: it is there for its log.
        seen |= ask(self.run, "state", hosts, within=0.0, more=[MAIL_LOG], **task)
        self.seen[moment] = seen

    def findings(self) -> list[Finding]:
        """Two rows a node."""
        run = self.run
        nodes = run.web.topology.remailers
        trails = {node.name: trail(run.letters, run.canaries, node) for node in nodes}
        return [
            *growth.findings(run.web.topology, self.seen, run.letters),
            *plain.findings(trails, self.seen, self.token),
        ]
