"""One decrypted run: with the connections' own keys, logged by a planted leak, tshark sees what no
wire shows: which certificates both ends of a link proved, and what is inside."""

from __future__ import annotations

import asyncio
import io
import random
import tarfile
import zlib
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from remailer.directory import Peer
from remailer.link.geometry import CELL
from testbed.mailbox import Mailboxes, send
from testbed.topology import LINK_PORT, Link
from testbed.traffic import Plan
from testbed.web import Web
from testbed.wire.canary import Canaries
from testbed.wire.capture import Capture
from testbed.wire.dissect import Dissector
from webs import WebMaker

pytestmark = pytest.mark.web

LOG = "/dev/shm/tls-keys"
CERTIFICATE_VERIFY, FINISHED = "15", "20"
FIELDS = (
    "tcp.stream", "ip.src", "ip.dst", "tcp.dstport", "tls.handshake.type",
    "tls.handshake.certificate", "tls.compress_certificate.compressed_certificate_message",
    "data.data",
)  # fmt: skip
Row = dict[str, list[str]]


def decrypted(web: Web, capture: Path, logs: bytes) -> dict[str, list[Row]]:
    """What tshark reads of each connection to a link port, with these keys: its packets."""
    argv = ["tshark", "-n", "-r", "/tmp/capture.pcapng", "-d", f"tcp.port=={LINK_PORT},tls"]
    argv += ["-o", "tls.keylog_file:/tmp/keys", "-Y", f"tls and tcp.port == {LINK_PORT}"]
    argv += ["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"]
    argv += [part for name in FIELDS for part in ("-e", name)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in (("keys", logs), ("capture.pcapng", capture.read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    with Dissector(web.docker, web.topology.web, web.images["sniffer"]) as dissector:
        assert dissector._container
        dissector._container.put_archive("/tmp", packed.getvalue())
        said = dissector._run(argv)
        lines = list(said)
    assert said.status == 0, said.last
    found: dict[str, list[Row]] = defaultdict(list)
    for line in lines:
        row = dict(zip(FIELDS, (v.split(",") for v in line.split("\t")), strict=True))
        found[row["tcp.stream"][0]].append(row)
    return found


def pinned(peer: Peer) -> set[str]:
    """The peer's certificates as tshark writes them."""
    loaded = (x509.load_pem_x509_certificate(pem.encode()) for pem in peer.certificates)
    return {one.public_bytes(Encoding.DER).hex() for one in loaded}


def shown(row: Row) -> set[str]:
    """The certificate of a packet, if it has one; a client's comes compressed (RFC 8879)."""
    plain, packed = row[FIELDS[5]], row[FIELDS[6]]
    # One entry of a list (RFC 8446, 4.4.2), behind three lengths and before an empty extension.
    opened = [zlib.decompress(bytes.fromhex(one))[7:-2].hex() for one in packed if one]
    return {*plain, *opened} - {""}


def test_both_ends_of_each_link_prove_their_pinned_keys(make_web: WebMaker, out: Path) -> None:
    names = ("alpha", "bravo", "charlie")
    with make_web(Link.CELLS, len(names), leaks=dict.fromkeys(names, "keys_logged")) as web:
        rng = random.Random(1)
        canaries = Canaries.new(rng)
        plan = Plan(web.topology, canaries, rng)
        letters = [plan.add("matrix", (a.name, b.name), 1000) for a, b in web.topology.links]
        capture = Capture(web, rng)
        capture.wait_listening()
        with Mailboxes(web) as mailboxes:
            asyncio.run(send(web, letters, lambda _: None))
            mailboxes.collect(letters, 60)
        captured = capture.finish(out)
        assert captured.complete, captured.why
        logs = b"".join(web.container(name).exec_run(["cat", LOG]).output for name in names)
        seen = decrypted(web, captured.path, logs)
        peers = {peer.hosts[0]: peer for peer in web.directory.remailers if peer.name in names}
    linked, read = set(), set()
    for rows in seen.values():
        cells = [bytes.fromhex(data) for row in rows for data in row["data.data"]]
        if not any(cells):
            continue  # the capture ended in the midst of its handshake
        assert {len(cell) for cell in cells if cell} == {CELL}
        read |= {hit.mark for hit in canaries.search(b"".join(cells))}
        proved: dict[str, set[str]] = defaultdict(set)
        kinds: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            proved[row["ip.src"][0]] |= shown(row)
            kinds[row["ip.src"][0]] |= set(row["tls.handshake.type"])
        ends = frozenset((rows[0]["ip.src"][0], rows[0]["ip.dst"][0]))
        assert set(proved) == ends <= set(peers)
        for host in ends:
            assert len(proved[host]) == 1
            assert proved[host] <= pinned(peers[host])
            assert {CERTIFICATE_VERIFY, FINISHED} <= kinds[host]
        linked.add(ends)
    assert linked == {frozenset(pair) for pair in combinations(peers, 2)}
    # A reply block's text goes on as it is: what link-canary looks for is there, once it is open.
    assert {canaries.mark(letter.number, "b") for letter in letters} <= read
