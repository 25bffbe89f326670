"""Runs in the prober's container: a stranger to every node, and an impostor of its peers.

Standard library only; no file of the project is imported. The one argument names a JSON file (see
probe.py, which writes it); files that it names lie beside it. What happened is printed as JSON and
judged elsewhere: nothing here knows what should happen.
"""

from __future__ import annotations

import contextlib
import json
import select
import smtplib
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

KNOCK_SECONDS = 6.0
"""How long a node may take to answer a stranger."""
HELLO_SECONDS = 0.7
"""A client that has not begun TLS by then is greeted in clear: it may be waiting for that."""
TALK_SECONDS = 10.0
"""Limit of each step of a conversation with a node that came to us."""
ODD_PORT = 20001
"""From here on: ports for connections that are odd by the port they come from; the kernel gives
them to nobody."""
RUDE_CELLS = 20
"""Cells that come in a heap from a peer that keeps no rule."""
TLS_HEADER = 5
"""Bytes, of which the last two are the length of the record."""
BETWEEN = 0.005
"""Seconds between two pieces."""
HANDSHAKE, ALERT = 0x16, 0x15
"""First byte of a TLS record that is no data."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which has no name in Python."""
_ME = "prober.remailer.test"


def be_odd(host: str, port: int, own_port: int) -> None:
    """Connections that each differ from a usual one in one field of IP or TCP; only in the last
    something is said, and not pushed.

    The control of wire-fields: whether they came about is seen on the wire, not here.
    """
    for level, option, value in (
        (socket.IPPROTO_IP, socket.IP_TTL, 63),
        (socket.IPPROTO_IP, socket.IP_TOS, 0x20),
        (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1200),
        (socket.SOL_SOCKET, socket.SO_RCVBUF, 8192),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
    ):
        with contextlib.suppress(OSError), socket.socket() as odd:
            odd.settimeout(KNOCK_SECONDS)
            odd.setsockopt(level, option, value)
            if (level, option) == (socket.SOL_SOCKET, socket.SO_REUSEADDR):
                odd.bind(("", own_port))
            odd.connect((host, port))
            odd.recv(100)
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, port), timeout=KNOCK_SECONDS) as odd,
        odd.makefile("rb") as heard,
    ):
        for said in (f"EHLO {_ME}\r\n", "QUIT\r\n"):
            while heard.readline()[3:4] == b"-":  # to the end of what it answers
                pass
            unpushed(odd, said.encode())
        heard.read()


def unpushed(line: socket.socket, data: bytes) -> None:
    """Send it at once, but let its last packet have no PSH."""
    line.sendall(data, socket.MSG_MORE)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def client_context(files: Path, face: dict[str, Any]) -> ssl.SSLContext:
    """As a client: shows the face's certificate if it has one, and takes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if face.get("pem"):
        context.load_cert_chain(files / face["pem"])
    if face.get("old"):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def server_context(files: Path, face: dict[str, Any], trusted: str) -> ssl.SSLContext:
    """As a server: shows the face's certificate; the right face asks for the node's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / face["pem"])
    if face.get("old"):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if face.get("right"):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=trusted)
    return context


def knock(
    host: str, port: int, files: Path, face: dict[str, Any], cells: dict[str, Any] | None = None
) -> dict[str, str]:
    """Go to a link port, say EHLO and QUIT, and read whatever comes; or just wait for a cell.

    `said`: SMTP that came back, or `a cell`. `end`: alert or closed (by the node, once there was a
    connection), met (a cell came), silent (nothing within the time), absent (no connection), error
    (anything else, also of our own). In TLS 1.3 the client is done before the server has judged its
    certificate: only what follows tells. Raises OSError if the face can't be put on.
    """
    context = None if face.get("clear") else client_context(files, face)
    try:
        line: socket.socket = socket.create_connection((host, port), timeout=KNOCK_SECONDS)
    except OSError as error:
        return {"said": "", "end": f"absent: {error.strerror or error}"}
    said, end = b"", "closed"
    try:
        with line if context is None else context.wrap_socket(line) as line:
            if cells is None or face.get("clear"):
                with contextlib.suppress(BrokenPipeError):  # what it said before can be read
                    line.sendall(f"EHLO {_ME}\r\nQUIT\r\n".encode())
                cells = None
            while data := line.recv(4096):
                said += data
                if cells and len(said) >= cells["size"]:
                    whole = said[0] == cells["version"]
                    return {"said": "a cell" if whole else repr(said[:40]), "end": "met"}
    except OSError as error:
        end = _ended(error)
    if face.get("clear") and said[:1] in (bytes([ALERT]), bytes([HANDSHAKE])):
        said, end = b"", "alert: in reply to SMTP in clear"
    return {"said": said.decode("ascii", "replace"), "end": end}


def _ended(error: OSError) -> str:
    """Whose doing the end of a connection was: the node's, or (error) nobody can tell."""
    if isinstance(error, ssl.SSLEOFError):
        return "closed: without a word"
    if isinstance(error, ssl.SSLError):
        sent = "_ALERT_" in (
            error.reason or ""
        )  # what the peer sent; own troubles have other names
        return f"{'alert' if sent else 'error'}: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "silent"
    broken = isinstance(error, ConnectionResetError | BrokenPipeError)
    return f"{'closed' if broken else 'error'}: {error.strerror or error}"


def lenient_context(files: Path, face: dict[str, Any], own: str) -> ssl.SSLContext:
    """As a server that refuses nobody, but must be shown the certificate that the face has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / own)
    if face.get("pem"):
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
        shown = (files / face["pem"]).read_text().partition("-----BEGIN PRIVATE")[0]
        context.load_verify_locations(cadata=shown)
    return context


def twin(
    files: Path, face: dict[str, Any], own: str, cells: dict[str, Any] | None = None
) -> dict[str, str]:
    """The same knock at a lenient server of our own: what ends there is the prober's fault."""
    context = None if face.get("clear") else lenient_context(files, face, own)

    def let_in() -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as plain:
            plain.settimeout(TALK_SECONDS)
            line = plain if context is None else context.wrap_socket(plain, server_side=True)
            with line:
                seen = {"spoke": "", "mails": []}
                if cells is None or face.get("clear"):
                    converse(line, seen)
                else:
                    exchange(line, seen, cells, set())

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as server:
        listening.settimeout(KNOCK_SECONDS)
        server.submit(let_in)
        return knock("127.0.0.1", listening.getsockname()[1], files, face, cells)


def attempt(what: Callable[..., dict[str, str]], *given: Any) -> dict[str, str]:
    """A knock; a face that can't be put on is an error of the prober's, and no answer."""
    try:
        return what(*given)
    except OSError as error:
        return {"said": "", "end": f"error: the prober's own: {error}"}


class Impostors:
    """Servers at the ports of directory entries, each first with a face that is not its own."""

    def __init__(self, task: dict[str, Any], files: Path) -> None:
        """Open the ports."""
        self.task, self.files = task, files
        self.names = {host: name for name, host in task["nodes"].items()}
        self.changed = threading.Condition()
        self.attempts: dict[tuple[str, str], list[dict[str, Any]]] = {
            (node, impostor["name"]): [] for node in task["nodes"] for impostor in task["impostors"]
        }
        self.known: dict[tuple[str, str], set[bytes]] = {key: set() for key in self.attempts}
        self.sockets = [
            socket.create_server((task["listen"], impostor["port"]), backlog=64)
            for impostor in task["impostors"]
        ]
        for listening, impostor in zip(self.sockets, task["impostors"], strict=True):
            threading.Thread(target=self._accept, args=(listening, impostor), daemon=True).start()

    def _accept(self, listening: socket.socket, impostor: dict[str, Any]) -> None:
        while True:
            try:
                line, (host, *_) = listening.accept()
            except OSError:
                return
            if host in self.names:
                work = (line, self.names[host], impostor)
                threading.Thread(target=self._serve, args=work, daemon=True).start()
            else:
                line.close()

    def _serve(self, line: socket.socket, node: str, impostor: dict[str, Any]) -> None:
        """One connection of a node; what it was shown is decided when it comes."""
        key = (node, impostor["name"])
        with self.changed:
            right = len(self.attempts[key]) >= self.task["attempts"]
        face = {**impostor["right"], "right": True} if right else impostor["first"]
        if right and impostor["rude"]:
            face["rude"] = self.task["nodes"][node], self.task["link_ports"][node]
        seen: dict[str, Any] = {"right": right, "tls": "", "spoke": "", "mails": [], "end": ""}
        line.settimeout(TALK_SECONDS)
        try:
            with line:
                seen["end"] = self._talk(line, face, seen, self.known[key])
        except ssl.SSLError as error:
            seen["end"] = f"alert: {error.reason or error}"
        except OSError as error:
            seen["end"] = f"closed: {error.strerror or error}"
        with self.changed:
            self.attempts[key].append(seen)
            self.changed.notify_all()

    def _talk(
        self, line: socket.socket, face: dict[str, Any], seen: dict[str, Any], known: set[bytes]
    ) -> str:
        if not face.get("clear") and select.select([line], [], [], HELLO_SECONDS)[0]:
            first = line.recv(1, socket.MSG_PEEK)
            if not first:
                return "closed: without a word"
            if first[0] == HANDSHAKE:
                context = server_context(self.files, face, self.task["trusted"])
                cells, rude = self.task["cells"], face.get("rude")
                with (
                    in_pieces(line) if rude else contextlib.nullcontext(line) as outside,
                    context.wrap_socket(outside, server_side=True) as inside,
                ):
                    seen["tls"] = inside.version() or ""
                    if rude:
                        be_rude(inside, cells, rude)
                    if cells:
                        return exchange(inside, seen, cells, known)
                    return converse(inside, seen)
        return converse(line, seen)

    def done(self) -> bool:
        """Every node's mail has come to every impostor."""
        return all(any(a["mails"] for a in own) for own in self.attempts.values())

    def wait(self, deadline: float) -> None:
        """Until all mail has come, or the deadline (time.monotonic())."""
        with self.changed:
            self.changed.wait_for(self.done, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Close the ports."""
        for listening in self.sockets:
            listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
            listening.close()


def converse(line: socket.socket, seen: dict[str, Any]) -> str:
    """Be an SMTP server that takes everything; `seen` gets the first bytes and the mails."""
    line.sendall(f"220 {_ME} ESMTP\r\n".encode())
    stream = line.makefile("rb")
    while text := stream.readline(4096):
        if not seen["spoke"] and text[0] in (HANDSHAKE, ALERT):
            return "TLS in reply to a greeting in clear"
        seen["spoke"] = (seen["spoke"] + text.decode("ascii", "replace"))[:200]
        verb = text[:4].upper().strip()
        if verb == b"DATA":
            line.sendall(b"354 go on\r\n")
            mail = b""
            while (part := stream.readline(65536)) and part != b".\r\n":
                mail += part
            if not part:
                return "closed: in the middle of a mail"
            seen["mails"].append(mail.decode("utf-8", "replace"))
            line.sendall(b"250 taken\r\n")
        elif verb == b"EHLO":
            line.sendall(f"250-{_ME}\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n".encode())
        elif verb == b"QUIT":
            line.sendall(b"221 bye\r\n")
            return "QUIT"
        else:
            line.sendall(b"250 yes\r\n")
    return "closed"


@contextlib.contextmanager
def in_pieces(line: socket.socket) -> Iterator[socket.socket]:
    """A socket in front of that one: each TLS record that is written to it goes on in halves, the
    second without PSH."""

    def out() -> None:
        with contextlib.suppress(OSError):
            while head := far.recv(TLS_HEADER, socket.MSG_WAITALL):
                data = head + far.recv(int.from_bytes(head[3:]), socket.MSG_WAITALL)
                line.sendall(data[: len(data) // 2])
                time.sleep(BETWEEN)
                unpushed(line, data[len(data) // 2 :])
                time.sleep(BETWEEN)

    def back() -> None:
        with contextlib.suppress(OSError):
            while data := line.recv(16_384):
                far.sendall(data)
        far.shutdown(socket.SHUT_WR)

    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    near, far = socket.socketpair()
    near.settimeout(TALK_SECONDS)
    # Daemons, as a node that has no more mail for us stays on the line for ever.
    going, coming = (threading.Thread(target=work, daemon=True) for work in (out, back))
    going.start()
    coming.start()
    try:
        yield near
    finally:
        near.close()
        going.join()  # all of it has left
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        coming.join()
        far.close()


def be_rude(line: socket.socket, cells: dict[str, Any], node: tuple[str, int]) -> None:
    """Break the rules of a link's cells, before any message: a first cell in two records, the next
    ones in a heap, and a call to a node that has called us.

    The control of link-cells: whether all that is told is seen on the wire, not here.
    """
    cover = bytearray(cells["size"])
    struct.pack_into(cells["head"], cover, 0, cells["version"], 0)
    line.sendall(cover[:1000])
    line.sendall(cover[1000:])
    for _ in range(RUDE_CELLS):
        line.sendall(cover)
    with contextlib.suppress(OSError):
        socket.create_connection(node, timeout=KNOCK_SECONDS).close()


def exchange(
    line: socket.socket, seen: dict[str, Any], cells: dict[str, Any], known: set[bytes]
) -> str:
    """Be a peer that takes every message, each once: a cell for each cell, until one was taken."""
    answer_at, answer = cells["answer"]
    part_at, part = cells["part_head"]
    coming: dict[bytes, bytes] = {}
    cover = bytearray(cells["size"])
    struct.pack_into(cells["head"], cover, 0, cells["version"], 0)
    line.sendall(cover)  # whoever was called speaks first
    while cell := _exactly(line, cells["size"]):
        version, kind = struct.unpack_from(cells["head"], cell)
        seen["spoke"] = seen["spoke"] or f"a cell of version {version}, kind {kind}"
        reply = bytearray(cover)
        if kind == cells["part"]:
            transfer, size, _ = struct.unpack_from(part, cell, part_at)
            data = coming.get(transfer, b"") + cell[cells["data_at"] :]
            coming[transfer] = data
            if len(data) >= size:
                if transfer not in known:
                    seen["mails"].append(data[:size].decode("utf-8", "replace"))
                known.add(transfer)
                struct.pack_into(answer, reply, answer_at, cells["stored"], transfer, 0)
        line.sendall(reply)
        if seen["mails"]:
            _exactly(line, cells["size"])  # it has the answer by then
            return "took a message"
    return "closed"


def _exactly(line: socket.socket, size: int) -> bytes:
    """So many bytes; b"" if the other side hangs up before."""
    data = b""
    while len(data) < size:
        more = line.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


def submit(host: str, port: int, mails: dict[str, str]) -> dict[str, str]:
    """Write to a node as any user could: one mail for each impostor. Error by impostor, or ""."""
    told = {}
    for impostor, mail in mails.items():
        try:
            with smtplib.SMTP(host, port, local_hostname=_ME, timeout=TALK_SECONDS) as client:
                client.sendmail(f"anybody@{_ME}", [_recipient(mail)], mail.encode())
            told[impostor] = ""
        except (OSError, smtplib.SMTPException) as error:
            told[impostor] = str(error) or type(error).__name__
    return told


def _recipient(mail: str) -> str:
    return next(ln[4:] for ln in mail.splitlines() if ln.startswith("To: "))


def certificate(host: str, port: int) -> str:
    """What a host shows after STARTTLS on port 25: the certificate as hex, or `error: why`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with smtplib.SMTP(host, port, local_hostname=_ME, timeout=TALK_SECONDS) as client:
            client.starttls(context=context)
            line = client.sock
            shown = line.getpeercert(binary_form=True) if isinstance(line, ssl.SSLSocket) else None
            return (shown or b"").hex()
    except (OSError, smtplib.SMTPException) as error:
        return f"error: {str(error) or type(error).__name__}"


def changing(files: Path, pems: list[str]) -> list[str]:
    """The same question to a host of our own that shows another certificate each time."""

    def show(pem: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files / pem)
        with contextlib.suppress(OSError), listening.accept()[0] as line:
            line.settimeout(TALK_SECONDS)
            line.sendall(f"220 {_ME}\r\n".encode())
            for reply in (f"250-{_ME}\r\n250 STARTTLS\r\n", "220 go on\r\n"):
                line.recv(4096)
                line.sendall(reply.encode())
            with context.wrap_socket(line, server_side=True) as inside:
                inside.recv(4096)
                inside.sendall(b"221 bye\r\n")

    shown = []
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as server:
        listening.settimeout(KNOCK_SECONDS)
        for pem in pems:
            server.submit(show, pem)
            shown.append(certificate("127.0.0.1", listening.getsockname()[1]))
    return shown


def run(task: dict[str, Any], files: Path) -> dict[str, Any]:
    """Everything at once over all nodes: mails out, strangers in, impostors waiting."""
    deadline = time.monotonic() + task["within"]
    impostors = Impostors(task, files)
    nodes: dict[str, str] = task["nodes"]
    cells = task["cells"]
    with ThreadPoolExecutor(2 * len(nodes)) as pool:
        asked = {n: pool.submit(certificate, host, task["mail_port"]) for n, host in nodes.items()}
        first = {node: shown.result() for node, shown in asked.items()}  # before any mail of ours
        twice = pool.submit(changing, files, task["changing"])
        for index, host in enumerate(nodes.values()):
            pool.submit(be_odd, host, task["mail_port"], ODD_PORT + 2 * index)
        submitted = {
            node: pool.submit(submit, host, task["mail_port"], task["mails"][node])
            for node, host in nodes.items()
        }
        knocks = {
            (node, name): pool.submit(
                attempt, knock, host, task["link_ports"][node], files, face, cells
            )
            for node, host in nodes.items()
            for name, face in task["faces"][node].items()
        }
        different = {json.dumps(f): f for own in task["faces"].values() for f in own.values()}
        twins = {
            key: pool.submit(attempt, twin, files, face, task["lenient"], cells)
            for key, face in different.items()
        }
        answers: dict[str, Any] = {
            node: {
                "submitted": submitted[node].result(),
                "knocks": {n: k.result() for (of, n), k in knocks.items() if of == node},
                "twins": {
                    name: twins[json.dumps(face)].result()
                    for name, face in task["faces"][node].items()
                },
                "certificates": [first[node]],
                "changing": twice.result(),
                "attempts": {},
            }
            for node in nodes
        }
    impostors.wait(deadline)
    time.sleep(task["linger"])  # a look, not a wait: whoever sends twice may do so now
    impostors.close()
    for node, host in nodes.items():  # after the mails, last of all
        answers[node]["certificates"].append(certificate(host, task["mail_port"]))
    with impostors.changed:
        for (node, name), own in impostors.attempts.items():
            answers[node]["attempts"][name] = list(own)
    return answers


def main() -> None:
    """Read the task, do it, print what happened."""
    task = Path(sys.argv[1])
    print(json.dumps(run(json.loads(task.read_text()), task.parent)))


if __name__ == "__main__":
    main()
