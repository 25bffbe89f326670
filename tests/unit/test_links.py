"""What the wire shows, from synthetic rows: a clean wire passes, each thing planted is named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_rows import BRIDGE, Sample, hello, record

from testbed.topology import LINK_PORT, PROBE_PORT, Link
from testbed.traffic import trail
from testbed.verdict import MOST_TOLD, Control, Evidence, Finding, Status
from testbed.wire import contacts, links
from testbed.wire.asked import ASKED
from testbed.wire.capture import CaptureFile
from testbed.wire.contacts import DevLog
from testbed.wire.packets import (
    CLIENT_HELLO,
    SERVER_HELLO,
    SYN,
    Bytes,
    assemble,
    parse,
)
from testbed.wire.records import records

WHOLE = CaptureFile(Path("web.pcapng"), {}, {}, complete=True)
LINK_CLAIMS = ("link-port", "link-encrypted", "link-canary", "link-ephemeral")
DEV = ((), (Control("a test file was found", found=True),))


def look(
    sample: Sample,
    capture: CaptureFile = WHOLE,
    trouble: str = "",
    dev_log: Mapping[str, DevLog] = MappingProxyType({"alpha": DEV, "bravo": DEV}),
) -> dict[tuple[str, str], Finding]:
    wire = replace(sample.tape.wire(), trouble=trouble)
    found = links.findings(wire, sample.topology, sample.canaries, sample.letters, capture, 0)
    trails = {n.name: trail(sample.letters, sample.canaries, n) for n in sample.topology.remailers}
    whole = links.is_whole(wire, capture)
    found += contacts.findings(wire, sample.topology, trails, whole, dev_log)
    assert len(found) == len({(f.claim, f.subject) for f in found}) == 2 * 4 + 2 * 2
    return {(f.claim, f.subject): f for f in found}


def statuses(found: dict[tuple[str, str], Finding], status: Status) -> set[tuple[str, str]]:
    return {key for key, finding in found.items() if finding.status is status}


def test_a_clean_wire_passes() -> None:
    found = look(Sample())
    assert statuses(found, Status.PASS) == set(found)
    assert "X25519MLKEM768" in found["link-ephemeral", "alpha>bravo"].looked_at


def test_in_clear_the_bytes_are_shown() -> None:
    """The same code on the stage smtp: three claims fail with what was read, all others hold."""
    sample = Sample(Link.SMTP)
    found = look(sample)
    failed = {
        (claim, link)
        for claim in ("link-encrypted", "link-canary", "link-ephemeral")
        for link in ("alpha>bravo", "bravo>alpha")
    }
    assert statuses(found, Status.FAIL) == failed
    assert statuses(found, Status.PASS) == set(found) - failed
    clear = found["link-encrypted", "alpha>bravo"]
    assert any("MAIL FROM" in e.what for e in clear.evidence)
    number = int(clear.evidence[0].where.removeprefix("frame "))
    assert sample.tape.packets[number - 1].payload.startswith(b"MAIL FROM")
    mark = sample.canaries.mark(0, "b")
    assert mark in found["link-canary", "alpha>bravo"].evidence[0].what
    assert mark not in str(found["link-canary", "bravo>alpha"].evidence)
    assert "no handshake" in found["link-ephemeral", "alpha>bravo"].evidence[0].what


@pytest.mark.parametrize(
    ("capture", "trouble"),
    [
        (replace(WHOLE, complete=False, why="3 packets dropped"), ""),
        (WHOLE, "tshark ended with 2"),
    ],
)
def test_an_incomplete_capture_leaves_everything_open(capture: CaptureFile, trouble: str) -> None:
    found = look(Sample(), capture, trouble)
    assert statuses(found, Status.INCONCLUSIVE) == set(found)


def test_a_link_without_mail_is_open_and_no_other_link_vouches_for_it() -> None:
    sample = Sample()
    a, b = sample.alpha.host, sample.bravo.host
    gone = {
        p.stream for p in sample.tape.packets if p.flags == SYN and (p.source, p.target) == (a, b)
    }
    sample.tape.packets = [p for p in sample.tape.packets if p.stream not in gone]
    found = look(sample)
    assert {(claim, "alpha>bravo") for claim in LINK_CLAIMS} <= statuses(found, Status.INCONCLUSIVE)
    assert {(claim, "bravo>alpha") for claim in LINK_CLAIMS} <= statuses(found, Status.PASS)


def test_a_mark_that_no_edge_shows_leaves_the_canary_open() -> None:
    sample = Sample()
    sample.tape.packets = [
        replace(p, payload=bytes(len(p.payload)))
        if (p.target, p.target_port) == (sample.alpha.host, 25)
        else p
        for p in sample.tape.packets
    ]
    found = look(sample)
    assert statuses(found, Status.INCONCLUSIVE) == {("link-canary", "alpha>bravo")}


def test_a_missing_packet_leaves_its_link_open() -> None:
    sample = Sample()
    a, b = sample.alpha.host, sample.bravo.host
    ends = (a, b, LINK_PORT)
    middle = [
        p for p in sample.tape.packets if (p.source, p.target, p.target_port) == ends and p.payload
    ][1]
    sample.tape.packets.remove(middle)
    found = look(sample)
    assert statuses(found, Status.INCONCLUSIVE) == {(c, "alpha>bravo") for c in LINK_CLAIMS}


def without_last(sample: Sample, sent: int) -> Sample:
    """alpha>bravo, cut after so many packets with bytes that alpha sent."""
    a, b = sample.alpha.host, sample.bravo.host
    ends = (a, b, LINK_PORT)
    cut = [
        p for p in sample.tape.packets if (p.source, p.target, p.target_port) == ends and p.payload
    ][sent:]
    sample.tape.packets = [p for p in sample.tape.packets if p not in cut]
    return sample


def test_a_handshake_alone_is_no_mail() -> None:
    """Cut behind the client's Finished: 3,300 bytes passed, more than the mail has, none of it."""
    found = look(without_last(Sample(), 2))
    assert statuses(found, Status.INCONCLUSIVE) == {
        (claim, AB) for claim in ("link-port", "link-encrypted", "link-canary")
    }
    assert "0 bytes" in str(found["link-port", AB].controls)


def test_all_mails_of_a_link_are_asked_for() -> None:
    sample = Sample()
    more = sample.letter(2, ("bravo", "alpha", "bravo"))
    sample.letters.append(replace(more, kind="forward"))
    found = look(sample)
    few = {(claim, link) for claim in LINK_CLAIMS[:3] for link in (AB, BA)}
    assert statuses(found, Status.INCONCLUSIVE) == few
    for a, b in sample.topology.links:
        sample.connection(a, b, more.body)
    assert statuses(look(sample), Status.PASS) == set(found)


def plant_clear(sample: Sample) -> None:
    sample.tape.tcp(sample.alpha.host, sample.bravo.host, LINK_PORT, [b"MAIL FROM:<>\r\n"])


def plant_clear_after_handshake(sample: Sample) -> None:
    hellos = (hello(CLIENT_HELLO, "x"), hello(SERVER_HELLO, "y"))
    sent = [record(22, 50), b"MAIL FROM:<>\r\n"]
    sample.tape.tcp(sample.alpha.host, sample.bravo.host, LINK_PORT, sent, [record(22, 9)], hellos)


def plant_tls12(sample: Sample) -> None:
    hellos = (hello(CLIENT_HELLO, "x"), hello(SERVER_HELLO, "y", versions=(0x0303,)))
    ends = (sample.alpha.host, sample.bravo.host, LINK_PORT)
    sample.tape.tcp(*ends, [record(22, 9), record(23, 9)], [record(22, 9)], hellos)


def plant_no_handshake(sample: Sample) -> None:
    sample.tape.tcp(sample.alpha.host, sample.bravo.host, LINK_PORT, [record(23, 99)])


def plant_share_twice(sample: Sample) -> None:
    for share in ("p", "q"):
        hellos = (hello(CLIENT_HELLO, "same"), hello(SERVER_HELLO, share))
        ends = (sample.alpha.host, sample.bravo.host, LINK_PORT)
        sample.tape.tcp(*ends, [record(22, 9)], [record(22, 9)], hellos)


def plant_resumed(sample: Sample) -> None:
    hellos = (hello(CLIENT_HELLO, "x", extensions=(43, 51, 41)), hello(SERVER_HELLO, "y"))
    ends = (sample.alpha.host, sample.bravo.host, LINK_PORT)
    sample.tape.tcp(*ends, [record(22, 9)], [record(22, 9)], hellos)


def plant_hex_mark(sample: Sample) -> None:
    mark = sample.canaries.mark(0, "r").encode().hex().encode()
    ends = (sample.alpha.host, sample.bravo.host, LINK_PORT)
    hellos = (hello(CLIENT_HELLO, "x"), hello(SERVER_HELLO, "y"))
    data = bytes([23, 3, 3, 0, len(mark)]) + mark
    # In two segments, cut through the mark.
    sample.tape.tcp(*ends, [record(22, 9), data[:20], data[20:]], [record(22, 9)], hellos)


def plant_other_port(sample: Sample) -> None:
    sample.tape.udp(sample.alpha.host, sample.bravo.host, 9999, b"psst")


def plant_stranger_on_port(sample: Sample) -> None:
    sample.tape.tcp(sample.topology.sender.host, sample.bravo.host, LINK_PORT, [b"hi"])


def plant_syslog(sample: Sample) -> None:
    sample.tape.udp(sample.alpha.host, sample.topology.recipient.host, 514, b"<22>mail from alice")


def plant_false_twin(sample: Sample) -> None:
    twin = next(p for p in sample.tape.packets if p.mac == BRIDGE)
    sample.tape.udp(sample.alpha.host, sample.topology.recipient.host, 514, twin.payload)


def plant_port_25_between_peers(sample: Sample) -> None:
    sample.tape.tcp(sample.alpha.host, sample.bravo.host, 25, [b"MAIL FROM:<>\r\n"])


def plant_stranger_asked(sample: Sample) -> None:
    sample.tape.udp(sample.alpha.host, "10.193.0.99", 53, b"who is bob")


def plant_echo(sample: Sample) -> None:
    sample.tape.put(sample.alpha.host, sample.topology.sender.host, "icmp", icmp_type=8)


def plant_syslog_over_ipv6(sample: Sample) -> None:
    own = next(p.mac for p in sample.tape.packets if p.source == sample.alpha.host)
    sample.tape.udp("fe80::1", "fe80::99", 514, b"<22>mail from alice", mac=own)


def plant_echo_over_ipv6(sample: Sample) -> None:
    own = next(p.mac for p in sample.tape.packets if p.source == sample.alpha.host)
    sample.tape.put("fe80::1", "fe80::99", "icmpv6", mac=own, icmp_type=128, payload=b"ping alice")


def plant_datagrams_to_peer(sample: Sample) -> None:
    """In clear, and a mark that is cut in two."""
    mark = sample.canaries.mark(0, "b").encode()
    for part in (b"MAIL FROM:<> " + mark[:6], mark[6:]):
        sample.tape.udp(sample.alpha.host, sample.bravo.host, LINK_PORT, part)


def plant_datagram_to_peer_over_ipv6(sample: Sample) -> None:
    hosts = (sample.alpha.host, sample.bravo.host)
    for host, address in zip(hosts, ("fe80::a", "fe80::b"), strict=True):
        own = next(p.mac for p in sample.tape.packets if p.source == host)
        sample.tape.put(address, "ff02::2", "icmpv6", mac=own, icmp_type=133)
    own = next(p.mac for p in sample.tape.packets if p.source == hosts[0])
    sample.tape.udp("fe80::a", "fe80::b", LINK_PORT, b"MAIL FROM:<>", mac=own)


def plant_datagram_to_prober(sample: Sample) -> None:
    sample.tape.udp(sample.alpha.host, sample.topology.prober, 9999, b"psst")


def plant_other_port_of_prober(sample: Sample) -> None:
    sample.tape.tcp(sample.alpha.host, sample.topology.prober, 9999, [b"psst"])


def plant_marked_look_up(sample: Sample) -> None:
    mark = sample.canaries.mark(0, "s").upper()
    query = (f"{mark[:5]}.{mark[5:]}.test", 1)
    sample.tape.udp(sample.alpha.host, sample.topology.dns, 53, b"query", query=query)


def plant_ipv6(sample: Sample) -> None:
    own = next(p.mac for p in sample.tape.packets if p.source == sample.alpha.host)
    sample.tape.put("fe80::1", "ff02::fb", "udp", mac=own, target_mac="33:33:0:0:0:fb",
                    source_port=5353, target_port=5353, payload=b"hello all")  # fmt: skip


AB, BA = "alpha>bravo", "bravo>alpha"


@pytest.mark.parametrize(
    ("plant", "caught", "told"),
    [
        (plant_clear, {("link-encrypted", AB), ("link-ephemeral", AB)}, "MAIL FROM"),
        (plant_clear_after_handshake, {("link-encrypted", AB)}, "MAIL FROM"),
        (plant_tls12, {("link-encrypted", AB)}, "0x0303"),
        (
            plant_no_handshake,
            {("link-encrypted", AB), ("link-ephemeral", AB)},
            "handshake",
        ),
        (plant_share_twice, {("link-ephemeral", AB)}, "key share same"),
        (plant_resumed, {("link-ephemeral", AB)}, "pre_shared_key"),
        (plant_hex_mark, {("link-canary", AB)}, "(hex)"),
        (
            plant_other_port,
            {
                ("link-port", AB), ("link-encrypted", AB),
                ("contacts", "alpha"),
            },
            "psst",
        ),
        (plant_stranger_on_port, {("link-port", AB), ("contacts", "bravo")}, "sender"),
        (plant_syslog, {("silent-syslog", "alpha"), ("contacts", "alpha")}, "mail from alice"),
        (plant_false_twin, {("silent-syslog", "alpha"), ("contacts", "alpha")}, "twin"),
        (
            plant_port_25_between_peers,
            {
                ("link-port", AB), ("link-encrypted", AB), ("link-ephemeral", AB),
                ("contacts", "alpha"),
            },
            "",
        ),
        (plant_stranger_asked, {("contacts", "alpha")}, "who is bob"),
        (plant_echo, {("contacts", "alpha")}, "icmp"),
        (plant_ipv6, {("contacts", "alpha")}, "hello all"),
        (plant_syslog_over_ipv6, {("silent-syslog", "alpha"), ("contacts", "alpha")}, "alice"),
        (plant_echo_over_ipv6, {("contacts", "alpha")}, "ping alice"),
        (
            plant_datagrams_to_peer,
            {
                ("link-port", AB), ("link-encrypted", AB), ("link-canary", AB),
                ("contacts", "alpha"),
            },
            "MAIL FROM",
        ),
        (
            plant_datagram_to_peer_over_ipv6,
            {("link-port", AB), ("link-encrypted", AB), ("contacts", "alpha")},
            "MAIL FROM",
        ),
        (plant_datagram_to_prober, {("contacts", "alpha")}, "psst"),
        (plant_other_port_of_prober, {("contacts", "alpha")}, "psst"),
        (plant_marked_look_up, {("contacts", "alpha")}, "look-up"),
    ],
)  # fmt: skip
def test_plants(plant: object, caught: set[tuple[str, str]], told: str) -> None:
    sample = Sample()
    plant(sample)  # type: ignore[operator]
    found = look(sample)
    assert statuses(found, Status.FAIL) == caught
    assert statuses(found, Status.PASS) == set(found) - caught
    for key in caught:
        assert told in str(found[key].evidence)
        assert found[key].kind
        number = int(found[key].evidence[0].where.removeprefix("frame "))
        assert 1 <= number <= len(sample.tape.packets)


def test_noise_is_no_contact() -> None:
    sample = Sample()
    tape, a, b = sample.tape, sample.alpha.host, sample.bravo.host
    tape.put(a, b, "ethernet 0x0806")
    tape.put(a, "224.0.0.22", "igmp", target_mac="01:00:5e:00:00:16")
    tape.put(a, sample.topology.sender.host, "icmp", icmp_type=3)
    tape.put("fe80::1", "ff02::2", "icmpv6", mac=tape.packets[0].mac, icmp_type=133)
    tape.tcp(a, sample.topology.prober, PROBE_PORT, [b"an impostor may be tried"])
    tape.tcp(sample.topology.prober, a, LINK_PORT, [b"a stranger may knock"])
    tape.tcp(sample.topology.prober, a, 25, [b"and hand in mail"])
    assert not statuses(look(sample), Status.FAIL)


def test_dev_log_is_part_of_syslog() -> None:
    sample = Sample()
    dev_log = {"alpha": ((Evidence("/dev/log", "a socket"),), DEV[1])}
    rows = {name: row for (claim, name), row in look(sample, dev_log=dev_log).items()
            if claim == "silent-syslog"}  # fmt: skip
    assert rows["alpha"].status is Status.FAIL
    assert rows["bravo"].status is Status.INCONCLUSIVE


def test_much_evidence_is_counted() -> None:
    sample = Sample()
    for _ in range(20):
        plant_other_port(sample)
        sample.tape.tcp(sample.alpha.host, sample.bravo.host, 7777, [b"x"])
    evidence = look(sample)["link-port", AB].evidence
    assert len(evidence) == MOST_TOLD + 1
    assert "more like it" in evidence[-1].what


def test_traffic() -> None:
    sample = Sample()
    told = {
        link: (size, packets)
        for link, size, packets in links.traffic(sample.tape.wire(), sample.topology)
    }
    assert set(told) == {AB, BA}
    assert all(size > 1000 and packets == 8 for size, packets in told.values())


@given(st.binary(max_size=300), st.data())
def test_bytes_come_together_in_any_order(whole: bytes, data: st.DataObject) -> None:
    """Cut anywhere, sent twice, out of order: the same bytes, and each leads to its frame."""
    cuts = sorted({0, len(whole), *data.draw(st.lists(st.integers(0, len(whole)), max_size=8))})
    segments = [(at, frame, whole[at:end]) for frame, (at, end) in enumerate(pairwise(cuts))]
    doubled = segments + [(at, 100 + frame, part) for at, frame, part in segments]
    put = assemble(data.draw(st.permutations(doubled)))
    assert put.data == whole
    assert not put.holes
    for offset in range(len(whole)):
        at, _, part = segments[put.frame(offset)]
        assert at <= offset < at + len(part)


def test_a_hole_is_known() -> None:
    assert assemble([(0, 1, b"ab"), (4, 3, b"ef")]) == Bytes(b"ab\0\0ef", (0, 4), (1, 3), ((2, 4),))


@given(st.lists(st.tuples(st.sampled_from([20, 21, 22, 23]), st.integers(0, 400))))
def test_records_are_records(parts: list[tuple[int, int]]) -> None:
    data = b"".join(record(kind, size) for kind, size in parts)
    whole = records(data)
    assert (whole.application, whole.clear) == (sum(n for kind, n in parts if kind == 23), None)
    assert records(data + b"220 hi\r\n").clear == len(data)
    for end in range(0, len(data), 50):
        assert records(data[:end]).clear is None


def test_rows_of_tshark() -> None:
    """A client's hello as tshark 4.4 prints it, and an ICMP error that quotes a packet."""
    said = dict.fromkeys(ASKED, "")
    ends = {
        "ip.src": "10.0.0.1",
        "ip.dst": "10.0.0.2",
        "ip.proto": "6",
        "eth.src": "m",
        "eth.dst": "n",
    }
    first = said | ends | {
        "frame.number": "6", "frame.time_epoch": "1.5",
        "tcp.srcport": "41744", "tcp.dstport": "2525", "tcp.payload": "1603",
        "tcp.stream": "0", "tcp.seq_raw": "4294967295", "tcp.flags": "0x0018",
        "tls.handshake.type": "1", "tls.handshake.extensions.supported_version": "0x0304,0x0303",
        "tls.handshake.extension.type": "43,51", "tls.handshake.version": "0x0303",
        "tls.handshake.extensions_key_share_group": "4588,29",
        "tls.handshake.extensions_key_share_key_exchange": "aa,bb",
    }  # fmt: skip
    second = said | {
        "frame.number": "7", "frame.time_epoch": "2", "ip.src": "10.0.0.2,10.0.0.1",
        "ip.dst": "10.0.0.1,10.0.0.2", "ip.proto": "1,17", "icmp.type": "3",
        "udp.srcport": "40000", "udp.dstport": "514",
    }  # fmt: skip
    tcp, icmp = parse("\t".join(row.values()) for row in (first, second))
    assert (tcp.source, tcp.target_port, tcp.payload, tcp.sequence) == (
        "10.0.0.1", 2525, b"\x16\x03", 4294967295,
    )  # fmt: skip
    assert tcp.hello is not None
    assert tcp.hello.versions == (0x0304, 0x0303)
    assert tcp.hello.groups == ("X25519MLKEM768", "x25519")
    assert len(set(tcp.hello.shares)) == 2
    assert (icmp.protocol, icmp.source, icmp.icmp_type, icmp.target_port) == (
        "icmp", "10.0.0.2", 3, 0,
    )  # fmt: skip


def test_a_digest_on_the_link_is_found_and_so_is_the_one_in_an_ordinary_mail() -> None:
    sample = Sample()
    seen = look(sample)["link-canary", "alpha>bravo"].controls
    assert [c.found for c in seen if "digest" in c.sought] == [True]
    mark = sample.canaries.mark(sample.letters[0].number, "s")
    digest = hashlib.sha256(f"alpha:{mark}".encode()).hexdigest().encode()
    sample.tape.tcp(sample.alpha.host, sample.bravo.host, LINK_PORT, [digest])
    found = look(sample)["link-canary", "alpha>bravo"]
    assert found.status is Status.FAIL
    assert found.evidence[0].what.startswith(f"{mark} (sha256 with alpha, hex): ")
    assert found.evidence[0].context.packet.endswith("to bravo port 2525, 64 bytes")


def test_without_a_digest_in_an_ordinary_mail_the_row_is_open() -> None:
    sample = Sample()
    sample.letters = sample.letters[:-1]
    assert look(sample)["link-canary", "alpha>bravo"].status is Status.INCONCLUSIVE
