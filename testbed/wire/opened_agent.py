"""Runs beside tshark: connections that whoever has a key later can open, made with nodes' own keys.

Argument: JSON with pairs [certificate, key] (paths), port (of the server), text (what is said in
each connection) and file (where they are to stand, as a capture). With each pair a client and a
server in here speak TLS 1.2 with static RSA: the client sends the secret under the server's key
(RFC 5246, 7.4.7.1), and both keys never change. Nothing goes over any network.
"""

import json
import ssl
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROW = 16
"""Bytes on a line of text2pcap's input."""


def said(certificate: str, key: str, text: bytes) -> list[tuple[str, bytes]]:
    """What one connection puts on the wire: `O` from the client, `I` from the server."""
    sides = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    for side in sides:
        side.check_hostname = False
        side.verify_mode = ssl.CERT_NONE
        side.minimum_version = side.maximum_version = ssl.TLSVersion.TLSv1_2
        side.set_ciphers("AES128-GCM-SHA256:@SECLEVEL=0")
    sides[1].load_cert_chain(certificate, key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = sides[0].wrap_bio(received, sent)
    server = sides[1].wrap_bio(up, down, server_side=True)
    wire = []

    def step(way: str) -> None:
        source, target = (sent, up) if way == "O" else (down, received)
        if data := source.read():
            wire.append((way, data))
            target.write(data)

    done: set[str] = set()
    while len(done) < 2:
        for end, way in ((client, "O"), (server, "I")):
            try:
                end.do_handshake()
                done.add(way)
            except ssl.SSLWantReadError:
                pass
            step(way)
    client.write(text)
    step("O")
    return wire


def dumped(wire: list[tuple[str, bytes]]) -> str:
    """As text2pcap reads it: a packet each time, with the way that it went."""
    lines = []
    for way, data in wire:
        lines.append(way)
        lines += [f"{at:06x} {data[at : at + ROW].hex(' ')}" for at in range(0, len(data), ROW)]
    return "\n".join([*lines, ""])


def main() -> None:
    """Make the capture."""
    task = json.loads(sys.argv[1])
    with TemporaryDirectory() as folder:
        parts = []
        for number, (certificate, key) in enumerate(task["pairs"], 1):
            text, part = Path(folder, f"{number}.txt"), Path(folder, f"{number}.pcap")
            text.write_text(dumped(said(certificate, key, task["text"].encode())))
            ports = f"{task['port']},{number}"  # of what goes in; what goes out has them swapped
            subprocess.run(["text2pcap", "-q", "-D", "-T", ports, text, part], check=True)
            parts.append(part)
        subprocess.run(["mergecap", "-w", task["file"], *parts], check=True)


if __name__ == "__main__":
    main()
