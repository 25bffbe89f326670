"""`witnesses`: mails a second through one hop that is watched, over the same hop when it isn't.

Watched means what it means in a web: the recorder's marks and tracepoints on the node, and the
sniffer on the whole bridge. All other witnesses look at moments only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from docker.models.containers import Container

from testbed import agent
from testbed.bench.compare import Comparison, joined
from testbed.bench.lab import READY_WITHIN, Lab
from testbed.compose import RECORDER_CAPS, WITNESS_CAPS
from testbed.contract import WRITTEN
from testbed.engine import wait_for
from testbed.errors import WebError
from testbed.web import READY

AIM = 0.9


def measure(
    lab: Lab, images: Mapping[str, str], pairs: int, mails: int, note: Callable[[str], Any]
) -> Comparison:
    """The hop, watched and not, in turn."""
    watched, alone = [], []
    for number in range(pairs):
        note(f"pair {number + 1} of {pairs}: witnesses")
        with _watching(lab, images):
            watched.append(lab.feed("hop", mails).rate)
        alone.append(lab.feed("hop", mails).rate)
    return Comparison(
        "witnesses",
        "mails of 10 KB a second through one tls hop with the recorder and the sniffer on it, over "
        "the same without them",
        "one tls hop, watched", "one tls hop", "mails/s", joined(watched, alone), aim=AIM,
    )  # fmt: skip


@contextmanager
def _watching(lab: Lab, images: Mapping[str, str]) -> Iterator[None]:
    """Recorder and sniffer for as long as a sample lasts."""
    network = lab.docker.networks.get(lab.topology.web)
    labels = {"unlogged.web": lab.topology.web}
    started: list[Container] = []
    try:
        sniffer = lab.docker.containers.run(
            images["sniffer"], [f"br-{str(network.id)[:12]}"], network_mode="host",
            cap_drop=["ALL"], cap_add=["NET_RAW", "NET_ADMIN"], labels=labels, detach=True,
        )  # fmt: skip
        started.append(sniffer)
        witness = lab.docker.containers.run(
            images["witness"], network_mode="none", pid_mode="host",
            cap_drop=["ALL"], cap_add=[*WITNESS_CAPS, *RECORDER_CAPS],
            security_opt=["apparmor:unconfined"], labels=labels, detach=True,
        )  # fmt: skip
        started.append(witness)
        lab.containers[agent.WITNESS] = witness
        wait_for(sniffer, READY["sniffer"].encode(), READY_WITHIN)
        wait_for(witness, READY["witness"].encode(), READY_WITHIN)
        for told in agent.stream(lab, "watch", ["alpha"], declared=WRITTEN, within=READY_WITHIN):
            if blind := told.get("blind"):
                raise WebError(f"bench: the recorder sees nothing: {blind}")
        yield
    finally:
        for container in started:
            container.remove(force=True)
