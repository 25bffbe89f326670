"""What the dns container serves: the web's A, MX and PTR records. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.topology import Topology

SOA = "@ 60 IN SOA dns.test. hostmaster.test. 1 3600 600 86400 60\n@ 60 IN NS dns.test.\n"


def _hosts(topology: Topology) -> Iterator[tuple[str, str]]:
    """Every name with its address."""
    yield "dns.test.", topology.dns
    yield "prober.remailer.test.", topology.prober
    for node in topology.remailers:
        yield f"{node.domain}.", node.host
    for host in topology.mailhosts:
        yield f"mail.{host.domain}.", host.host


def files(topology: Topology) -> dict[str, str]:
    """nsd.conf and the zones test. and its reverse: file name → text."""
    reverse = ".".join(reversed(topology.net.split("."))) + ".in-addr.arpa"
    forward = [f"{name} 60 IN A {address}" for name, address in _hosts(topology)]
    forward += [f"{n.domain}. 60 IN MX 10 {n.domain}." for n in topology.remailers]
    # Subdomains too: each letter has one of its own, so that look-ups can be told apart.
    forward += [
        f"{name}{m.domain}. 60 IN MX 10 mail.{m.domain}."
        for m in topology.mailhosts
        for name in ("", "*.")
    ]
    backward = [
        f"{address.rpartition('.')[2]} 60 IN PTR {name}" for name, address in _hosts(topology)
    ]
    return {
        "nsd.conf": _CONF.format(reverse=reverse),
        "test.zone": f"$ORIGIN test.\n{SOA}" + "\n".join(forward) + "\n",
        "reverse.zone": f"$ORIGIN {reverse}.\n{SOA}" + "\n".join(backward) + "\n",
    }


_CONF = """\
server:
    ip-address: 0.0.0.0
    port: 53
    username: ""
    chroot: ""
    zonesdir: "/etc/nsd"
    database: ""
    pidfile: ""
    xfrdfile: ""
    zonelistfile: ""
    xfrdir: "/dev/shm"
    server-count: 1
    hide-version: yes
remote-control:
    control-enable: no
zone:
    name: "test"
    zonefile: "test.zone"
zone:
    name: "{reverse}"
    zonefile: "reverse.zone"
"""
