"""Claim `log-hops`: the log of no mail host names a hop between remailers.

The logs are read from outside, through Docker. A host names a hop when it says whom it gave the
mail to, or whom it had it from; each is looked for on its own side of the link. A remailer alone in
its container has no mail host, and no log: then the ordinary hosts' logs show what one would say.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from docker.errors import NotFound

from testbed.run import Run
from testbed.topology import MailHost, Node, Topology
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.web import Web
from testbed.witness.files import MAIL_LOG
from testbed.witness.inside import TROUBLE, excerpt, reason


@dataclass(frozen=True)
class Log:
    """A mail host's log, by the name of its container; `why` there is none that could be read."""

    owner: str
    lines: tuple[str, ...] = ()
    why: str = ""
    missing: bool = False
    """The container was looked into, and has no such file."""

    def gave_to(self, domain: str) -> list[Evidence]:
        """The lines that say that mail went to a domain."""
        return self._lines(rf"to=<[^<>]*@{re.escape(domain)}>")

    def had_from(self, host: str) -> list[Evidence]:
        """The lines that say that mail, or whoever brings it, came from an address."""
        return self._lines(rf"(client=|connect from )[^\s\[]*\[{re.escape(host)}\]")

    def _lines(self, pattern: str) -> list[Evidence]:
        wanted = re.compile(pattern)
        return [
            Evidence(f"{self.owner}:{MAIL_LOG}, line {number}", excerpt(line))
            for number, line in enumerate(self.lines, 1)
            if wanted.search(line)
        ]


def findings(run: Run) -> list[Finding]:
    """A row a link."""
    return judge_logs(run.web.topology, read(run.web))


def read(web: Web) -> dict[str, Log]:
    """The logs of all nodes' containers and of the ordinary mail hosts."""
    names = [node.name for node in web.topology.remailers]
    names += [host.name for host in web.topology.mailhosts]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(lambda name: _read(web, name), names), strict=True))


def _read(web: Web, name: str) -> Log:
    try:
        packed, _ = web.container(name).get_archive(MAIL_LOG)
        with tarfile.open(fileobj=io.BytesIO(b"".join(packed))) as tar:
            stream = tar.extractfile(tar.next() or "")
            text = stream.read().decode("utf-8", "replace") if stream else ""
        return Log(name, tuple(text.splitlines()))
    except NotFound:
        return Log(name, why="no such file", missing=True)
    except (*TROUBLE, OSError, tarfile.TarError) as error:
        return Log(name, why=reason(error))


def judge_logs(topology: Topology, logs: dict[str, Log]) -> list[Finding]:
    """A row a link, from the logs of all nodes' containers and of the ordinary mail hosts."""
    return [_row(topology, a, b, logs) for a, b in topology.links]


def _row(topology: Topology, a: Node, b: Node, logs: dict[str, Log]) -> Finding:
    own = (logs[a.name], logs[b.name])
    evidence = [*own[0].gave_to(b.domain), *own[1].had_from(a.host)]
    sender, recipient = topology.sender, topology.recipient
    seen = [_found(logs[sender.name], f"gave mail to {n.name}", n.domain) for n in (a, b)]
    if topology.hosted:
        seen += [_from(log, sender) for log in own]
    else:
        seen += [_no_host(log) for log in own]
        seen.append(_from(logs[recipient.name], b))
    return judge(
        "log-hops", f"{a.name}>{b.name}",
        looked_at=", ".join(f"{len(log.lines)} lines of log in {log.owner}" for log in own),
        controls=seen, evidence=some(evidence), kind="log",
    )  # fmt: skip


def _found(log: Log, what: str, domain: str) -> Control:
    return _control(log, what, log.gave_to(domain))


def _from(log: Log, whom: Node | MailHost) -> Control:
    return _control(log, f"had mail from {whom.name}", log.had_from(whom.host))


def _control(log: Log, what: str, lines: Sequence[Evidence]) -> Control:
    """The same reading finds what a log has to say."""
    where = lines[0].where if lines else log.why
    return Control(f"the log of {log.owner} says that it {what}", bool(lines), where)


def _no_host(log: Log) -> Control:
    """A remailer without a mail host: its container was looked into, whatever was found there."""
    return Control(f"{log.owner} was looked into for a log", log.missing or not log.why, log.why)
