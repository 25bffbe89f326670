"""What the project claims: one table. The verdict, JUnit, the leak catalogue and docs come from it.

Nothing here does I/O. `expected` says, for each link stage, what an honest measurement gives there:
that a claim fails on a stage is part of the argument, not a defect of the check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from testbed.topology import Link
from testbed.wire.canary import FORMS


class Expected(StrEnum):
    """What a stage promises of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CLAIMED = "not claimed"


@dataclass(frozen=True)
class Claim:
    """One claim: a sentence, against whom, who witnesses it, and what keeps the witness honest.

    Attackers (docs/claims.md): W reads all wires, A also alters them, D seizes disks and the mail
    hosts' logs, N runs remailers himself; U is no attacker but a user who wants his mail to arrive.
    """

    id: str
    sentence: str
    attacker: str
    per: str
    """`node` or `link`: what a row of the verdict is about."""
    witness: str
    control: str
    plants: tuple[str, ...]
    fails_at: frozenset[Link] = frozenset()
    not_claimed_at: frozenset[Link] = frozenset()
    hosted: Expected = Expected.HOLDS
    """Where a node stands beside a mail host that logs, at whatever stage."""
    short: str = field(kw_only=True)
    """The sentence in at most 29 characters, for a table on a terminal."""
    twin: str = field(kw_only=True)
    """The control in at most 22 characters."""

    def expected(self, link: Link, hosted: bool = False) -> Expected:
        """What this claim's rows must say at a link stage; `hosted`: beside mail hosts."""
        if link in self.not_claimed_at:
            return Expected.NOT_CLAIMED
        if link in self.fails_at:
            return Expected.FAILS
        return self.hosted if hosted or link.port == 25 else Expected.HOLDS


_PORT_25 = frozenset({Link.PORT25, Link.DIRECT25})
_CLEAR = _PORT_25 | {Link.SMTP}

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "delivered",
        "Every mail whose path goes through the node arrives exactly once, byte for byte.",
        "U",
        "node",
        "the recipients' Maildir, read over IMAP",
        "an ordinary mail between the two mail hosts arrives the same way",
        ("mail-reported",),
        short="each mail arrives, unchanged",
        twin="ordinary mail comes",
    ),
    Claim(
        "durable",
        "The node says 250 to a mail on port 25 only after the mail is on disk.",
        "U",
        "node",
        "strace of the node's system calls, from another container; it is kept with the results",
        "the end of the mail, a sync of the spool and the 250 are all seen",
        ("sync-off",),
        hosted=Expected.NOT_CLAIMED,
        short="250 only once it is on disk",
        twin="sync and 250 seen",
    ),
    Claim(
        "silent-output",
        "The node writes nothing to stdout or stderr but one line a start, when it is ready.",
        "D",
        "node",
        "Docker's log driver",
        "the line that the node prints when it is ready stands in the same log since its start",
        ("stdout-line",),
        short="nothing on stdout or stderr",
        twin="ready line seen",
    ),
    Claim(
        "silent-root",
        "Nothing is written to the node's root file system.",
        "D",
        "node",
        "docker diff, and the mount table seen from outside",
        "docker diff shows the logs that the mail hosts wrote during the same load",
        (),
        hosted=Expected.FAILS,
        short="root file system untouched",
        twin="mail hosts' logs seen",
    ),
    Claim(
        "silent-tmpfs",
        "The node leaves nothing in any tmpfs, /dev/shm included, nor in an open file without a "
        "name there.",
        "D",
        "node",
        "a container that reads the node's mounts through /proc",
        "a file put into the same mount is found by the same search, and taken away again",
        ("tmpfs-file",),
        short="nothing in tmpfs or /dev/shm",
        twin="test file found",
    ),
    Claim(
        "silent-volume",
        "The node's volumes hold the declared spool and key files and no mark of any mail; the "
        "spool at rest has the declared tables and not a byte besides.",
        "D",
        "node",
        "a container that reads the node's mounts and open files through /proc",
        "a file put into the same mount is found by the same search, and taken away again; and "
        "this run's marks are found in the mail hosts' logs",
        ("volume-file",),
        short="only spool and keys on disk",
        twin="test file found",
    ),
    Claim(
        "silent-syslog",
        "The node sends nothing to syslog: there is no /dev/log, and no packet to port 514.",
        "D",
        "node",
        "the sniffer, and the node's /dev seen from outside",
        "a datagram sent to port 514 of the mail host during the run is seen",
        ("syslog-datagram",),
        short="nothing to syslog or port 514",
        twin="test datagram seen",
    ),
    Claim(
        "contacts",
        "The node talks to nobody but peers (link port), mail hosts (port 25) and the resolver, "
        "and looks up no name with a mark in it.",
        "D",
        "node",
        "the sniffer",
        "the node's own mail and look-ups are seen by the same query",
        ("syslog-datagram",),
        short="only peers, port 25 and DNS",
        twin="own mail seen",
    ),
    Claim(
        "headers",
        "What the node delivers tells nothing of where it came from: its header has what the node "
        "makes (its own From, a random Message-ID of its own domain, the day) and what the letter "
        "asked for; no trace, no time, no name of the sender, his host or another remailer.",
        "D",
        "node",
        "the mails as the recipients have them",
        "an ordinary mail from the same sender shows all of it to the same check",
        ("received-kept", "message-id-kept"),
        frozenset({Link.PORT25}),
        short="the mail shows no origin",
        twin="ordinary mail shows it",
    ),
    Claim(
        "spool-sealed",
        "A spool seized in the middle of a load has rows of random bytes in size classes and "
        "nothing else: no mark of any mail and no address of the web in a searched form, nothing "
        "packed.",
        "D",
        "node",
        "copies of the spool's files taken while this run's mail lies in them; byte values are "
        "counted in pieces of 4,096 (chi-square over 560 is not random: by chance less than once "
        "in 10^21)",
        "the copies hold rows that were not there before the load, and a mark and a text put "
        "beside them are found by the same search",
        ("spool-clear",),
        short="a seized spool shows no mail",
        twin="mark beside it found",
    ),
    Claim(
        "own-keys",
        "No node can read another node's private key.",
        "N",
        "node",
        "the files that the node can see, read through /proc",
        "the node's own private keys are found by the same search",
        (),
        hosted=Expected.NOT_CLAIMED,
        short="reads no other node's key",
        twin="own keys found",
    ),
    Claim(
        "no-way-out",
        "The node has no way out of the web: its one network is the web's, is internal, and a host "
        "on another network can't be reached.",
        "D",
        "node",
        "Docker's word on its networks, and a connection tried from its network namespace",
        "the same try reaches a mail host inside, and from the other mail host also outside",
        (),
        short="no way out of the web",
        twin="inside is reached",
    ),
    Claim(
        "log-hops",
        "No log of a mail host names the hop: neither to whom the sending remailer's host gave the "
        "mail, nor from whom the receiving one's had it.",
        "D",
        "link",
        "the mail logs in both nodes' containers, read through Docker",
        "the same reading finds in the log of the sender's host that it gave mail to both nodes, "
        "and in the logs of hosts beside nodes that they had it from there; where a node has no "
        "mail host and so no log, in that of the recipient's host that it had mail from the node",
        ("hop-by-host",),
        _PORT_25,
        short="no log names the hop",
        twin="users' hops are logged",
    ),
    Claim(
        "link-port",
        "Remailers talk to each other on the agreed port only, and nobody else is talked to there.",
        "D",
        "link",
        "the sniffer",
        "at least as many bytes as this link's mails have, handshakes not counted, are seen on the "
        "agreed port, and those mails arrive",
        (),
        not_claimed_at=_PORT_25,
        short="agreed port, peers only",
        twin="mail seen on it",
    ),
    Claim(
        "link-encrypted",
        "Every byte between the two remailers is inside TLS 1.3.",
        "W",
        "link",
        "the sniffer; tshark dissects",
        "at least as many bytes as this link's mails have are seen in TLS records that come after "
        "the handshake, and those mails arrive",
        ("link-clear",),
        _CLEAR,
        short="all mail is inside TLS 1.3",
        twin="its records seen",
    ),
    Claim(
        "link-canary",
        f"No mark of any mail is readable on the link, in any of {len(FORMS)} forms.",
        "W",
        "link",
        f"the sniffer; marks are searched for as {', '.join(FORMS)}, and as each of these inside "
        "zlib and gzip streams",
        "the mark of a mail that took this link is found on the port-25 edges before and after it",
        ("link-clear",),
        _CLEAR,
        short="no mark readable",
        twin="found on port 25",
    ),
    Claim(
        "link-ephemeral",
        "Each connection has a key exchange of its own: no key share twice, no resumption.",
        "W",
        "link",
        "the sniffer; tshark dissects the handshakes",
        "handshakes with key shares are seen on this link",
        ("link-clear",),
        _CLEAR,
        short="every connection a new key",
        twin="key shares seen",
    ),
    Claim(
        "link-refuses",
        "The node's link port takes nothing from a stranger: no certificate, a wrong, a swapped or "
        "an expired one, or TLS 1.2.",
        "A",
        "node",
        "a prober on the web's network",
        "with a pinned key the same prober is let in, and a server that refuses nobody lets in "
        "each of the strangers",
        ("peer-unpinned",),
        frozenset({Link.SMTP}),
        not_claimed_at=_PORT_25,
        short="takes nothing from a stranger",
        twin="pinned key let in",
    ),
    Claim(
        "link-pinned",
        "The node hands no mail to an impostor: a wrong, a swapped or an expired certificate, TLS "
        "1.2, or no TLS; the mail waits.",
        "A",
        "node",
        "a prober that answers as a peer",
        "when the same prober shows the pinned key the waiting mail arrives, once",
        ("peer-unpinned",),
        frozenset({Link.DIRECT25, Link.SMTP}),
        not_claimed_at=frozenset({Link.PORT25}),
        short="hands no mail to an impostor",
        twin="pinned key gets it",
    ),
)

BY_ID = {claim.id: claim for claim in CLAIMS}
