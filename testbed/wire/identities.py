"""The prober's keys and directory entries: an honest peer, and impostors. Nothing here does I/O.

The prober is in the web's directory like any remailer, under several names: so a node has a pinned
key for each of them, and what it does when another key is shown can be tried.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from remailer.directory import Peer
from testbed.topology import PROBE_PORT, Link, Topology

FRIEND, LAPSED = "probe", "probe-lapsed"
IMPOSTORS = {
    "probe-wrong": "a stranger's certificate",
    "probe-swapped": "another peer's certificate",
    "probe-expired": "its expired certificate",
    "probe-old": "the right key, but TLS 1.2",
    "probe-clear": "no TLS",
}
"""Directory entries behind which a server first shows what it should not, and what that is."""

RUDE = "probe-wrong"
"""The one that with the right key keeps no rule of `cells`: what link-cells has to tell."""

PROBE_PORTS = range(PROBE_PORT, PROBE_PORT + 2 + len(IMPOSTORS))
"""Where the prober answers as a peer: each of its entries has one."""

STRANGER, OLD = "stranger", "probe-expired-old"
"""A key that no entry has, and the expired one of two keys that `probe-expired` has."""

_VALID = timedelta(days=365)


def identities(topology: Topology, openpgp_armored: str) -> tuple[list[Peer], dict[str, bytes]]:
    """The prober's directory entries, and its files: `NAME.pem` has certificate and private key.

    No mail is ever encrypted to the prober, so any OpenPGP certificate will do.
    """
    names = [FRIEND, LAPSED, *IMPOSTORS, STRANGER, OLD]
    with ThreadPoolExecutor(4) as pool:
        keys = dict(zip(names, pool.map(lambda _: _new_key(), names), strict=True))
    shown = {
        name: certificate(
            keys[name], subject(FRIEND if name == STRANGER else name.removesuffix("-old")),
            expired=name in {LAPSED, OLD},
        )
        for name in names
    }  # fmt: skip
    entries = []
    for index, name in enumerate([FRIEND, LAPSED, *IMPOSTORS]):
        pinned = [shown[OLD]] if name == "probe-expired" else []
        entries.append(
            Peer(
                name=name,
                address=f"remailer@{name}.remailer.test",
                hosts=(topology.prober,),
                link_port=PROBE_PORT + index,
                speaks=Link(topology.link).value,
                certificates=tuple(c.decode() for c in (*pinned, shown[name])),
                openpgp=openpgp_armored,
            )
        )
    return entries, {f"{name}.pem": shown[name] + key_pem(keys[name]) for name in names}


def subject(name: str) -> x509.Name:
    """A subject with that common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(key: rsa.RSAPrivateKey, name: x509.Name, *, expired: bool = False) -> bytes:
    """A self-signed certificate, PEM: valid for a year from yesterday, or until yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    start, end = (yesterday - _VALID, yesterday) if expired else (yesterday, yesterday + _VALID)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def key_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The private key, PEM, in clear: the files are 0600 and end with the web."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)
