"""A remailer's outside on loopback, good or planted bad: what the prober is tried on."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from remailer.directory import Directory, Peer
from testbed.topology import Node

MAIL_PORT = 2425
RETRY = 0.1
"""Seconds between two attempts at a peer."""


@dataclass
class FakeNode:
    """Takes mail on MAIL_PORT, peers on the link port, and hands on what has an Anon-To."""

    node: Node
    pem: Path
    directory: Directory
    clear: bool = False
    """Stage smtp: no TLS at all."""
    lets_anybody_in: bool = False
    old_is_fine: bool = False
    trusts_any_peer: bool = False
    """As a client it takes any certificate of the directory, not only the peer's own."""
    trusts_anybody: bool = False
    falls_back: bool = False
    """When TLS fails it tries again without."""
    loses_mail: bool = False
    sends_twice: bool = False
    changes_certificate: bool = False
    """On port 25, where it shows its link's, and another once it has taken a mail."""
    taken: int = 0
    sockets: list[socket.socket] = field(default_factory=list)
    running: bool = True

    def __enter__(self) -> FakeNode:
        for port, serve in ((MAIL_PORT, self.take), (self.entry.link_port, self.admit)):
            listening = socket.create_server((self.node.host, port), backlog=64)
            self.sockets.append(listening)
            threading.Thread(target=self._accept, args=(listening, serve), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False
        for listening in self.sockets:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    @property
    def entry(self) -> Peer:
        entry = self.directory.named(self.node.name)
        assert entry is not None
        return entry

    def _accept(self, listening: socket.socket, serve: object) -> None:
        while self.running:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            line.settimeout(5)
            threading.Thread(target=self._quietly, args=(serve, line), daemon=True).start()

    @staticmethod
    def _quietly(serve: object, line: socket.socket) -> None:
        try:
            with line:
                serve(line)  # type: ignore[operator]
        except OSError:
            return

    # -- as a server --------------------------------------------------------------------------

    def admit(self, line: socket.socket) -> None:
        """The link port."""
        if self.clear:
            self._smtp(line)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if not self.old_is_fine:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.pem)
        if not self.lets_anybody_in:
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            pems = [pem for peer in self.directory.remailers for pem in peer.certificates]
            context.load_verify_locations(cadata="\n".join(pems))
        with context.wrap_socket(line, server_side=True) as inside:
            self._smtp(inside)

    def take(self, line: socket.socket) -> None:
        """Port 25."""
        for mail in self._smtp(line, starttls=True):
            threading.Thread(target=self.hand_on, args=(mail,), daemon=True).start()

    def _start_tls(self, line: socket.socket) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        other = self.pem.with_name("probe.pem") if self.taken else self.pem
        context.load_cert_chain(other if self.changes_certificate else self.pem)
        return context.wrap_socket(line, server_side=True)

    def _smtp(self, line: socket.socket, *, starttls: bool = False) -> list[str]:
        line.sendall(f"220 {self.node.domain}\r\n".encode())
        stream, mails = line.makefile("rb"), []
        while text := stream.readline():
            if text.upper().startswith(b"DATA"):
                line.sendall(b"354 go on\r\n")
                mail = b""
                while (part := stream.readline()) not in (b".\r\n", b""):
                    mail += part
                mails.append(mail.decode())
                self.taken += 1
            if starttls and text.upper().startswith(b"EHLO"):
                line.sendall(b"250-yes\r\n250 STARTTLS\r\n")
                continue
            if starttls and text.upper().startswith(b"STARTTLS"):
                line.sendall(b"220 go on\r\n")
                with self._start_tls(line) as inside:
                    inside.recv(4096)
                    inside.sendall(b"221 bye\r\n")
                break
            if text.upper().startswith(b"QUIT"):
                line.sendall(b"221 bye\r\n")
                break
            line.sendall(b"250 yes\r\n")
        return mails

    # -- as a client --------------------------------------------------------------------------

    def hand_on(self, mail: str) -> None:
        """To the peer named in Anon-To, again and again until it is taken."""
        at = mail.split("Anon-To: ")[1].split("\r\n")[0]
        peer = self.directory.at(at)
        assert peer is not None
        body = mail.split("Anon-To: ")[1].split("\r\n\r\n", 1)[1]
        clear = self.clear
        copies = 2 if self.sends_twice else 1
        while self.running and copies:
            try:
                self._deliver(peer, body, clear=clear)
                copies -= 1
            except OSError:
                if self.loses_mail:
                    return
                clear = clear or self.falls_back
                time.sleep(RETRY)

    def _deliver(self, peer: Peer, body: str, *, clear: bool) -> None:
        with socket.create_connection(
            (peer.hosts[0], peer.link_port), timeout=5, source_address=(self.node.host, 0)
        ) as plain:
            line: socket.socket = plain if clear else self._context(peer).wrap_socket(plain)
            with line:
                stream = line.makefile("rb")
                lines = ["EHLO me", "MAIL FROM:<>", f"RCPT TO:<{peer.address}>", "DATA"]
                for said in ("", *lines, f"Subject: x\r\n\r\n{body}.", "QUIT"):
                    if said:
                        line.sendall(said.encode() + b"\r\n")
                    while (answer := stream.readline())[3:4] == b"-":
                        pass
                    if answer[:1] not in (b"2", b"3"):
                        raise OSError(f"{said}: {answer!r}")

    def _context(self, peer: Peer) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if not self.old_is_fine:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.pem)
        if self.trusts_anybody:
            context.verify_mode = ssl.CERT_NONE
            return context
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        whose = self.directory.remailers if self.trusts_any_peer else (peer,)
        context.load_verify_locations(
            cadata="\n".join(pem for one in whose for pem in one.certificates)
        )
        return context
