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


class Group(StrEnum):
    """What a claim is about, in the order in which the verdict tells it."""

    MAIL = "mail"
    LOGS = "no logs"
    SPOOL = "spool and keys"
    WIRE = "on the wire"
    LINKS = "links"


@dataclass(frozen=True)
class Claim:
    """One claim: a sentence, against whom, who witnesses it, and what keeps the witness honest.

    Attackers (docs/claims.md): W reads all wires, A also alters them, D seizes disks and the mail
    hosts' logs, K the keys as well, N runs remailers himself, S sends mail; U is no attacker but a
    user who wants his mail to arrive.
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
    group: Group = field(kw_only=True)
    causes: str = field(kw_only=True)
    """What usually makes it fail, and where to look."""

    def expected(self, link: Link, hosted: bool = False) -> Expected:
        """What this claim's rows must say at a link stage; `hosted`: beside mail hosts."""
        if link in self.not_claimed_at:
            return Expected.NOT_CLAIMED
        if link in self.fails_at:
            return Expected.FAILS
        return self.hosted if hosted or link.port == 25 else Expected.HOLDS


_PORT_25 = frozenset({Link.PORT25, Link.DIRECT25})
_CLEAR = _PORT_25 | {Link.SMTP}
_BY_SIZE = _CLEAR | {Link.TLS}

_TABLE: tuple[Claim, ...] = (
    Claim(
        "delivered",
        "Every mail whose path goes through the node arrives exactly once, byte for byte.",
        "U",
        "node",
        "the recipients' Maildir, read over IMAP",
        "an ordinary mail between the two mail hosts arrives the same way",
        ("mail-reported", "receipt-sent", "body-blanks"),
        short="each mail arrives, unchanged",
        twin="ordinary mail comes",
        group=Group.MAIL,
        causes="A node that stopped, or a pool that holds mail longer than the run waits. "
        "Mail that came twice was let go before its departure was on disk; mail that was "
        "altered went through other hands than `remailer/mime.py` and `outgoing.py`. `make "
        "status` says who is up.",
    ),
    Claim(
        "durable",
        "The node says 250 to a mail on port 25 only after the mail is on disk.",
        "U",
        "node",
        "strace of the node's system calls, from another container; it is kept with the results",
        "the end of the mail, a sync of the spool and the 250 are all seen",
        ("sync-off", "early-250"),
        hosted=Expected.NOT_CLAIMED,
        short="250 only once it is on disk",
        twin="sync and 250 seen",
        group=Group.MAIL,
        causes="A reply that was written before the commit was done "
        "(`remailer/commits.py`), a `PRAGMA synchronous` that is off, or a file system that "
        "swallows syncs. The trace kept with the results has the calls in their order.",
    ),
    Claim(
        "silent-output",
        "The node writes nothing to stdout or stderr but one line a start, when it is ready.",
        "D",
        "node",
        "Docker's log driver",
        "the line that the node prints when it is ready stands in the same log since its start",
        ("stdout-line", "stderr-traceback", "aiosmtpd-log", "child-says"),
        short="nothing on stdout or stderr",
        twin="ready line seen",
        group=Group.LOGS,
        causes="A print, a warning or a traceback of a library, before "
        "`remailer/silence.py` has shut the descriptors or in a process that was started "
        "apart from it; or a health check that says more than its exit status.",
    ),
    Claim(
        "silent-root",
        "Nothing is written to the node's root file system.",
        "D",
        "node",
        "docker diff, and the mount table seen from outside",
        "docker diff shows the logs that the mail hosts wrote in the same run",
        (),
        hosted=Expected.FAILS,
        short="root file system untouched",
        twin="mail hosts' logs seen",
        group=Group.LOGS,
        causes="A library's cache, a `.pyc`, a temporary file or a log where the root file "
        "system was not mounted read-only. docker diff names the path; the container's "
        "`read_only` is in compose.yaml.j2.",
    ),
    Claim(
        "silent-tmpfs",
        "The node leaves nothing in any tmpfs, /dev/shm included, nor in an open file without a "
        "name there, nor unread in a pipe or a pair of sockets.",
        "D",
        "node",
        "a container that reads the node's mounts through /proc, and asks each pipe and Unix "
        "socket of its processes how much lies in it: of 50 looks, 0.1 s apart, some find all of "
        "them empty at once",
        "a file put into the same mount is found by the same search, and taken away again; a byte "
        "in a pipe and in a pair of sockets of the witness's own is found, and the node's are seen",
        (
            "tmpfs-file",
            "debug-dump",
            "stats-db",
            "memory-file",
            "file-names",
            "keys-logged",
            "after-twenty",
            "queue",
            "pipe-kept",
            "pipes-juggled",
        ),
        short="nothing in tmpfs or /dev/shm",
        twin="test file found",
        group=Group.LOGS,
        causes="A temporary file that nobody took away, or memory that is shared by name: "
        "`tempfile`, `/dev/shm`, a semaphore of `multiprocessing`; or a pipe that nobody reads to "
        "its end.",
    ),
    Claim(
        "silent-volume",
        "The node's volumes hold the declared spool and key files and no mark of any mail; the "
        "spool at rest has the declared tables, in the declared words, and where no row is no more "
        "than what SQLite leaves when rows move.",
        "D",
        "node",
        "a container that reads the node's mounts and open files through /proc",
        "a file put into the same mount is found by the same search, and taken away again; and "
        "this run's marks are found in the mail hosts' logs",
        (
            "volume-file",
            "log-file",
            "mbox-copy",
            "child-log",
            "attribute-value",
            "link-target",
            "link-count",
            "fifo-made",
            "spool-counts",
            "log-as-journal",
            "free-pages",
            "rows-kept",
            "attribute",
            "schema-comment",
        ),
        short="only spool and keys on disk",
        twin="test file found",
        group=Group.LOGS,
        causes="A file beside the spool (a log, a copy, a database's journal), a mark in "
        "the spool's own files, or a table that `remailer/spool.py` does not declare; "
        "bytes written past SQLite, a comment in a declaration. Path and offset say which.",
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
        group=Group.LOGS,
        causes="A library or a mail host that logs through `/dev/log` or UDP port 514: "
        "Python's `SysLogHandler`, `syslog()` of the C library.",
    ),
    Claim(
        "silent-writes",
        "No process of the node makes or changes a file, not for a moment, but the declared files "
        "of its spool.",
        "D",
        "node",
        "fanotify marks on each of the node's mounts, set from another container before the node's "
        "first instruction, and read until the load has gone; where the web goes down afterwards, "
        "once more when the nodes have been stopped",
        "in each mount that can be written to a file that the witness makes and deletes again at "
        "once is seen, with what stood in it; and the spool's own writes are seen (at the stop: "
        "what was tried before it; only that no event was lost is asked anew)",
        (
            "write-then-delete",
            "file-without-name",
            "mapped-file",
            "shared-memory-moment",
            "at-stop-file",
        ),
        hosted=Expected.FAILS,
        short="no file, not for a moment",
        twin="a moment's file seen",
        group=Group.LOGS,
        causes="A file that was written and deleted again: `tempfile`, a copy for a child "
        "process, SQLite's journal or temporary table, a log that is rotated away. Process "
        "and path say who wrote it.",
    ),
    Claim(
        "silent-calls",
        "The node asks the kernel for nothing that outlives it or that others can see, but the "
        "declared: no name, link or attribute of a file, no memory file, shared memory, queue or "
        "key ring, no title or limit, no program but its own.",
        "D",
        "node",
        "tracepoints of all system calls of all processes in the node's mount namespace, from "
        "before the first instruction",
        "the spool's own calls are seen, and a memory file, a name, an attribute and a mask that "
        "the witness tries inside the node's mounts",
        (
            "memory-file-moment",
            "folder-names",
            "mode-bits",
            "limit-counts",
            "tiny-names",
        ),
        hosted=Expected.FAILS,
        short="no trace left in the kernel",
        twin="a memfd of ours seen",
        group=Group.LOGS,
        causes="A `memfd`, a shared memory or queue, a name, link or attribute as a note, a "
        "title set with `prctl`, a core limit that was raised, a program that was started. "
        "The call and its process stand in the evidence.",
    ),
    Claim(
        "silent-sockets",
        "Each socket of the node is one of its ports, a conversation with a peer, a mail host or "
        "the resolver, or a pair inside it; nothing goes to any other, not even on the loopback "
        "(but to its own port 25, for its health) or to a socket in a folder.",
        "D",
        "node",
        "tracepoints of socket, bind, connect, send and option calls",
        "the node's conversations with peers, mail hosts and the resolver are seen, and a datagram "
        "of the witness's on the node's own loopback, with its socket",
        (
            "dev-log",
            "loopback-datagram",
            "abstract-socket",
            "debug-port",
            "source-port",
            "cell-ttl",
        ),
        hosted=Expected.NOT_CLAIMED,
        short="no socket but its own",
        twin="a loopback datagram",
        group=Group.LOGS,
        causes="A library that opens a connection of its own (a resolver, telemetry, a "
        "socket of the log system), or a note sent to itself on the loopback. The address "
        "stands in the evidence.",
    ),
    Claim(
        "contacts",
        "The node talks to nobody but peers (link port), mail hosts (port 25) and the resolver, "
        "and looks up no name with a mark in it.",
        "D",
        "node",
        "the sniffer",
        "the node's own mail and look-ups are seen by the same query",
        ("syslog-datagram", "hop-by-host", "statsd", "ident-lookup", "error-tracker", "dns-label"),
        short="only peers, port 25 and DNS",
        twin="own mail seen",
        group=Group.WIRE,
        causes="A library that calls home, a resolver that is not the configured one, or a "
        "remailer that talks to a host of the mail's choosing. The packet's target says whom "
        "it spoke to.",
    ),
    Claim(
        "dns-late",
        "The node looks up only where its mail goes, and only when it goes: before each "
        "conversation on port 25 the MX of the recipient's domain, then A and AAAA of its host, "
        "each once, in this order and none left out (again only after 2 s without an answer), in "
        "questions that are byte for byte the same but for the name, the type and a number that "
        "the kernel gave; and nothing but such questions goes to the resolver.",
        "W",
        "node",
        "the sniffer; tshark dissects; each letter has a recipient's domain of its own; and probes "
        "on getrandom",
        "the look-ups that the load needs are seen, each within 2 s of its conversation, and the "
        "kernel's numbers; and a "
        "query under the node's address that no mail follows, asked in another way, is found by "
        "the same code as both",
        (
            "dns-early",
            "dns-label",
            "dns-case",
            "dns-counted",
            "dns-no-question",
            "dns-order",
            "empty-conversations",
        ),
        not_claimed_at=frozenset({Link.PORT25}),
        hosted=Expected.FAILS,
        short="looks up late, and plainly",
        twin="our look-up found",
        group=Group.WIRE,
        causes="A look-up when a mail comes in instead of when it leaves (a check of the "
        "recipient's domain, a warm cache), another type or another case of letters, or a "
        "name made from the mail; a datagram or a connection that asks nothing, another order, "
        "bytes behind the question. The packet has the name.",
    ),
    Claim(
        "smtp-talk",
        "On port 25 every node says the same to everybody, byte for byte, and each line in one "
        "packet (a mail of up to 8 KB too; no mail has a byte more than it takes): greeting, "
        "replies and commands are those of one grammar, in which only the node's domain and what "
        "the mail demands are open: its recipient, its size and 8 bits. Each conversation that it "
        "begins has a mail in it and ends with QUIT, unless the host refused, hung up or didn't "
        "answer; and it hangs up on nobody before QUIT, and, where it began, within 2 s when all "
        "is said.",
        "W",
        "node",
        "the sniffer; each connection's bytes, put together and read as SMTP",
        "the node is heard taking mail and handing it on; and the queue numbers in the mail hosts' "
        "replies to it are found by the same code",
        (
            "reply-queue-id",
            "greeting-counter",
            "mail-size",
            "after-twentieth",
            "empty-conversations",
            "dots",
        ),
        hosted=Expected.FAILS,
        short="says the same to everybody",
        twin="queue numbers found",
        group=Group.WIRE,
        causes="A queue number, a time, a name or a count in a greeting or reply, an "
        "extension offered to some and not to others, or a parameter of MAIL that the mail "
        "did not need; a conversation without a mail, or one that was left without QUIT, or late; "
        "dots or line ends that the mail doesn't have. The "
        "words stand in the evidence.",
    ),
    Claim(
        "port25-cert",
        "After STARTTLS on port 25 the node shows the same certificate before and after mail, byte "
        "for byte.",
        "A",
        "node",
        "a prober on the web's network",
        "it gets a certificate both times and hands mail in between them, and tells two "
        "certificates of its own apart",
        ("cert-counts",),
        hosted=Expected.NOT_CLAIMED,
        short="one certificate on port 25",
        twin="two are told apart",
        group=Group.WIRE,
        causes="A certificate made for each connection: its serial number, dates or signature "
        "can say what passed. Both serial numbers stand in the evidence.",
    ),
    Claim(
        "wire-fields",
        "What a node could choose in IP, TCP and TLS is the same in all of its packets, "
        "connections and hellos: hop limit, service bits and fragment flag, options, windows at "
        "the start, urgent pointers, flags of packets with data (ACK, PSH and FIN alone; PSH where "
        "something ends that it says on port 25), suites, groups, extensions and their order and "
        "lengths; and source ports are even ones of Linux's range.",
        "W",
        "node",
        "the sniffer; tshark dissects",
        "connections that the node began and took are seen, and its hellos where it speaks TLS; "
        "and connections of the prober to it, each odd in one field (hop limit, service bits, "
        "segment size, window, source port, PSH), and its hellos of another version of TLS, are "
        "told apart by the same code",
        ("tcp-ttl", "tls-alpn", "cell-ttl"),
        short="no choice in TCP and TLS",
        twin="a changed field found",
        group=Group.WIRE,
        causes="A socket option, a source port or a TLS setting that depends on the mail or "
        "on the peer; or another kernel or OpenSSL beside the node. The packets that differ "
        "are named.",
    ),
    Claim(
        "delays",
        "How long the node takes tells nothing but the pool's law: it answers, asks and goes on "
        "at once, from the first look-up to its hanging up, but for one in four of each sort (more "
        "where the mail hosts' own replies are slow), and mail leaves as "
        "the pool says, not at a few times that mean something.",
        "W",
        "node",
        "the sniffer: times from a command to its reply and from a reply to the next command, from "
        "354 to the mail's end (of a mail above 64 KB to its beginning), from 221 to its FIN, and "
        "from each answer of the resolver to the next question or the conversation; and from a "
        "mail's end to the conversation with which it leaves, in chains of one hop "
        "(Kolmogorov-Smirnov, and a scan for narrow windows; Holm over all nodes, by chance less "
        "than once in 10,000 runs)",
        "the mail hosts' own plain replies are quick; at least ten of each sort and ten "
        "delays are timed; and as many "
        "of two symbols or of one, with twice the node's replies on top, are found by the same "
        "tests: the row says which, and what is finer may pass",
        ("reply-delay", "pool-symbols", "pool-seeded", "slow-talk", "lookup-pauses"),
        not_claimed_at=_PORT_25,
        hosted=Expected.NOT_CLAIMED,
        short="delays follow the pool's law",
        twin="planted symbols found",
        group=Group.WIRE,
        causes="An answer that waits for work on the mail (peeling, a look-up), or a pool "
        "that takes the mail's content, sender or size into account. On a busy machine "
        "measure again before looking further.",
    ),
    Claim(
        "message-ids",
        "What is random in the mail that the node delivers, and in its spool (names and nonces of "
        "rows), is what the kernel's generator gave it, and it asks for hardly more than it uses; "
        "and what it remembers of transfers are tags of Message-IDs that other nodes were given "
        "so: no time, number or mark in disguise.",
        "D",
        "node",
        "probes on getrandom, the mails as the recipients have them, and the seized spool",
        "the node's calls are seen, and rows of its spool, and tags in it are Message-IDs'; and a "
        "Message-ID of an ordinary mail is not among their bytes",
        (
            "message-id-time",
            "message-id-counted",
            "message-id-twister",
            "message-id-sealed",
            "tag-plain",
        ),
        short="Message-IDs are chance",
        twin="an ordinary one is not",
        group=Group.MAIL,
        causes="A library that makes its own: `email.utils.make_msgid` and MIME boundaries "
        "have the time, the process id or Python's `random` in them. `remailer/outgoing.py` "
        "is where they are made.",
    ),
    Claim(
        "headers",
        "What the node delivers tells nothing of where it came from: below the two lines of the "
        "recipient's host its header has what the node makes (its own From, the recipient's bare "
        "address, the day, a random Message-ID of its own domain) and the lines that the letter "
        "asked for, each once and in their order; no trace, no time, no name of the sender, his "
        "host or another remailer.",
        "D",
        "node",
        "the mails as the recipients have them",
        "an ordinary mail from the same sender shows all of it to the same check",
        (
            "received-kept",
            "message-id-kept",
            "mailer-named",
            "date-kept",
            "reply-to-author",
            "date-exact",
            "header-order",
            "header-case",
            "header-blanks",
            "date-day",
            "to-named",
            "original-to",
        ),
        frozenset({Link.PORT25}),
        short="the mail shows no origin",
        twin="ordinary mail shows it",
        group=Group.MAIL,
        causes="A header that was passed on instead of made: Received, Message-ID, Date "
        "with a time, what a mail program says of itself; or a line that nobody asked for, a name "
        "in To, another order or spelling. `remailer/outgoing.py` has the few that may be there; "
        "letter and line are named. If every node fails as `received`, the mail host's own line "
        "has changed (TLS, time zone): see `images/mailhost/main.cf`.",
    ),
    Claim(
        "spool-sealed",
        "A spool seized in the middle of a load has rows of random bytes in size classes, in "
        "tables declared to the letter, and nothing else: no mark of any mail and no address of "
        "the web in a searched form, nothing packed.",
        "D",
        "node",
        "copies of the spool's files taken while this run's mail lies in them; byte values are "
        "counted in pieces of 4,096 (chi-square over 560 is not random: by chance less than once "
        "in 10^21); page 1 and the header have nothing where no row is",
        "the copies hold rows that were not there before the load, and a mark and a text put "
        "beside them are found by the same search",
        ("spool-clear", "spool-table", "spool-xor", "spool-unpadded", "spool-ordered"),
        short="a seized spool shows no mail",
        twin="mark beside it found",
        group=Group.SPOOL,
        causes="A row that was written before `remailer/seal.py` had sealed it, an index "
        "over something readable, or a second file in the spool's folder. Offset and text say "
        "what it is.",
    ),
    Claim(
        "spool-forgets",
        "Once its mail has gone, whoever takes the spool and the node's own keys finds nothing of "
        "it: no row, no free page and no log holds what can be opened, and there is no row that "
        "those keys don't open, that is no mail, or that was written twice; nothing was counted or "
        "altered in it but the transfers from other remailers, each under the day on which it "
        "came.",
        "K",
        "node",
        "copies of the spool's files at rest, before the loads, between and after them: every byte "
        "is tried as the beginning of a row with the node's own secret, which stays in the "
        "witness; the digest of the opened table of uses and of its rows as they lie there, the "
        "tags' days, and names, nonces and digests of the rows of mail; once more, without the "
        "secret, when the node was stopped, where the web goes down afterwards: the file is to the "
        "byte what it was after the last mail",
        "it is at rest before and after, and all that opens is told; with the same secret the same "
        "code opens rows, by their names and as bare pieces, in the copies seized in the middle of "
        "the load",
        (
            "free-pages",
            "rows-kept",
            "all-uses-counted",
            "users-tagged",
            "row-stays",
            "at-stop-file",
            "uses-filled",
            "uses-at-stop",
            "odd-row",
            "row-rewritten",
            "epoch-chosen",
            "foreign-rows",
        ),
        short="spool and keys: nothing left",
        twin="rows opened mid-load",
        group=Group.SPOOL,
        causes="Rows that were deleted without `secure_delete`, a write-ahead log that was "
        "not emptied when the work was done, or a key that opens more than it should. The "
        "page or frame is named.",
    ),
    Claim(
        "no-growth",
        "Nothing about the resting node that can be read from outside it is different after more "
        "mail, but what is declared: no file's size, time or number, no count of anything.",
        "D",
        "node",
        "stat and attributes of each name in the node's mounts, its database's header, its "
        "processes and their open files in /proc (position, flags, locks, what an eventfd counts, "
        "numbers of files' descriptors), signals that wait, sockets and ports, file locks, keys "
        "and System V IPC, which pieces of files are mapped, read between the loads and after the "
        "second, which is of another size; what not even the first mails may move (open files, "
        "locks, signals that wait, IPC) before the first load, too",
        "the mail hosts' logs are found to grow by the same reading, and the spool's size, its "
        "header, the IPC and the mapped files are read",
        (
            "folder-touched",
            "header-count",
            "shared-memory",
            "queue",
            "socket-name",
            "descriptor-kept",
            "thread-kept",
            "file-locked",
            "signal-waits",
            "attribute",
            "volume-file",
            "tmpfs-file",
            "rows-kept",
            "descriptor-number",
            "map-offsets",
            "first-mails",
            "talks-to-itself",
        ),
        hosted=Expected.FAILS,
        short="nothing grows with the mail",
        twin="mail hosts' logs grow",
        group=Group.LOGS,
        causes="Something that counts: a log, a table that is never emptied, an inode "
        "number or a time that follows the mail. Look at what the file or counter named is "
        "written for.",
    ),
    Claim(
        "process-plain",
        "Environment, command lines, titles and limits of the node's processes hold no mark and "
        "are the same after the load as before; it can't dump core, and nothing of it is swapped.",
        "D",
        "node",
        "/proc, read from another container before, during and after the loads; workers are "
        "replaced, so each kind of process is compared",
        "the same reading finds a mark in the command line and environment of a process that the "
        "witness starts, and that it may dump core",
        ("title", "environment-kept", "niceness", "core-allowed"),
        hosted=Expected.NOT_CLAIMED,
        short="titles and limits stay",
        twin="a title of ours found",
        group=Group.LOGS,
        causes="A process title or argument that tells what it is doing, a limit set back "
        "after `remailer/silence.py`, or a machine that swaps: then run without swap, or look "
        "at the node's memory limit.",
    ),
    Claim(
        "docker-keeps",
        "What Docker keeps of the node is the same after the load as before it: its record, "
        "events, log, health, exit codes and restarts, but for the times of the health checks; and "
        "it has no volumes but the two.",
        "D",
        "node",
        "docker inspect, logs and volumes before the loads, between and after them, and the "
        "events from the first moment to the last; how it ended, where the web goes down "
        "afterwards",
        "the same reading sees an event that the harness causes in the node's container (an exec "
        "of its health check), health checks that were not there before, and the ready line's log",
        ("health-fails", "stdout-line", "exit-code"),
        hosted=Expected.NOT_CLAIMED,
        short="Docker keeps nothing new",
        twin="an event of ours seen",
        group=Group.LOGS,
        causes="A health check that says something, a restart, an exit code, or a volume "
        "that an image declared without asking. `docker inspect` of the node shows it as it "
        "stands in the evidence.",
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
        group=Group.SPOOL,
        causes="A volume that is mounted at more than one node, one uid for two nodes, or a "
        "capability that was left: see `user`, `cap_drop` and `volumes` in compose.yaml.j2.",
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
        group=Group.WIRE,
        causes="A second network, a published port, or one that is not `internal`: see the "
        "networks in compose.yaml.j2, and `docker network inspect` of those named.",
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
        group=Group.LOGS,
        causes="Mail that took the way through a mail host, on port 25: its log names who "
        "it was from and to whom it went, whatever the mail hides. Give the remailers a port "
        "of their own (`LINK=smtp`, `tls` or `cells`).",
    ),
    Claim(
        "link-port",
        "Remailers talk to each other on the agreed port only, and nobody else is talked to there.",
        "D",
        "link",
        "the sniffer",
        "at least as many bytes as this link's mails have, handshakes not counted, are seen on the "
        "agreed port, and those mails arrive",
        ("hop-by-host",),
        not_claimed_at=_PORT_25,
        short="agreed port, peers only",
        twin="mail seen on it",
        group=Group.LINKS,
        causes="A peer that is spoken to on port 25 because the directory has no other, or "
        "a second connection beside the link. Packet and port are named.",
    ),
    Claim(
        "link-mails",
        "Over the link go the mails that were sent that way, and not one more.",
        "D",
        "link",
        "the sniffer; mails are counted by the reply that comes before each, whose length TLS does "
        "not hide",
        "each of the mails that were sent that way is counted",
        ("league-mail", "owner-block"),
        not_claimed_at=_PORT_25 | {Link.CELLS},
        short="its mails and not one more",
        twin="each of them counted",
        group=Group.LINKS,
        causes="A mail of the node's own: a report to its owner by way of another remailer, or "
        "to one in league. Or a mail that was handed over twice, because the line broke.",
    ),
    Claim(
        "link-encrypted",
        "Every byte between the two remailers is inside TLS 1.3.",
        "W",
        "link",
        "the sniffer; tshark dissects",
        "at least as many bytes as this link's mails have are seen in TLS records that come after "
        "the handshake, and those mails arrive",
        ("link-clear", "hop-by-host", "static-rsa"),
        _CLEAR,
        short="all mail is inside TLS 1.3",
        twin="its records seen",
        group=Group.LINKS,
        causes="A stage that does not encrypt (`port25`, `direct25`, `smtp`), a fall-back "
        "to clear text when TLS failed, or TLS below 1.3. The packet shows what was said.",
    ),
    Claim(
        "link-canary",
        f"No mark of any mail is readable on the link, in any of {len(FORMS)} forms, and no digest "
        "of what a mail carries.",
        "W",
        "link",
        "the sniffer; marks are searched for in every form, plain and in compressed streams, and "
        "digests in every coding",
        "the mark of a mail that took this link is found on the port-25 edges before and after it, "
        "and a digest in an ordinary mail between the mail hosts",
        ("link-clear", "hop-by-host"),
        _CLEAR,
        short="no mark readable",
        twin="found on port 25",
        group=Group.LINKS,
        causes="A link without TLS, or something in clear beside it: a server name, a "
        "certificate's name, an alert. The packet shows which mail's mark it was and in what "
        "form.",
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
        group=Group.LINKS,
        causes="Session tickets or a cached session (`num_tickets`, resumption), early "
        "data, or a key share that was kept. `remailer/link/pins.py` is where the context is "
        "made.",
    ),
    Claim(
        "link-forward",
        "The link keys of both ends, seized when all is over, open nothing that was captured.",
        "K",
        "link",
        "tshark, which is given the capture and the private link keys of all nodes",
        "it opens a connection that was made for this with the same key, in which the secret is "
        "sent under that key (static RSA, TLS 1.2)",
        ("static-rsa",),
        not_claimed_at=_CLEAR,
        short="later keys open nothing",
        twin="static RSA is opened",
        group=Group.LINKS,
        causes="TLS below 1.3 with a key exchange that is not ephemeral (`kRSA` ciphers). "
        "`remailer/link/pins.py` is where the context is made.",
    ),
    Claim(
        "link-cells",
        "Every record after the handshake has one size, is given to TCP whole and is pushed (PSH) "
        "where it ends, cells go at the same rate in both directions whether or not there is mail, "
        "nobody hangs up on a peer that is there, and nobody calls one with whom there is a link "
        "(but to renew the keys, after half a day or more).",
        "W",
        "link",
        "the sniffer; TLS record headers, with their packets and times, and all connections to "
        "link ports, also those that carry nothing",
        "the number of records is what rate and time demand, this link's mails arrived, and the "
        "call is seen that the link began with, with the size of TCP's segments; the same code "
        "accuses the prober, which as a peer of the node breaks every rule but that on pauses "
        "(another size, pieces, cells that aren't pushed, more than a handshake, a heap of cells, "
        "a needless call, hanging up); and in a copy of the link that lacks some cells it tells "
        "the pause",
        (
            "cover-stops",
            "two-sizes",
            "cells-unpadded",
            "padding-bits",
            "line-renewed",
            "cell-pieces",
            "unpushed-cells",
            "empty-calls",
        ),
        not_claimed_at=_BY_SIZE,
        group=Group.LINKS,
        causes="A cell written in pieces or with a message's own length, a close_notify, cover "
        "that stops when there is nothing to send, a link that is called anew, or ticks that wait "
        "for work: see `remailer/link/pacer.py`. Packet and size, or the pause, are named. Who "
        "hangs up or pauses may have been made to by its peer, inside TLS or by not reading.",
        short="equal cells at an even rate",
        twin="cells as time demands",
    ),
    Claim(
        "link-ticks",
        "At each tick a node sends one cell on each of its links, in the same order and within "
        "10 ms (a busy machine parts a tick now and then, but all nodes' alike).",
        "W",
        "node",
        "the sniffer; when the first packet of each cell passed",
        "the ticks are seen that time demands; and in a copy of what was seen, with one odd tick "
        "in five, the same code tells a cell that is left out, one that goes twice, two that are "
        "exchanged, and one that is late",
        ("tick-order", "tick-left-out", "timing-bits"),
        not_claimed_at=_BY_SIZE,
        group=Group.LINKS,
        causes="A pacer that does something else between two cells of a tick, or serves links by "
        "what lies ready for them; or a peer that doesn't read. When, and to whom, is named.",
        short="a tick shows no mail",
        twin="odd ticks are told",
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
        ("peer-unpinned", "caller-by-address"),
        frozenset({Link.SMTP}),
        not_claimed_at=_PORT_25,
        short="takes nothing from a stranger",
        twin="pinned key let in",
        group=Group.LINKS,
        causes="A server context without a demand for a certificate, or one that trusts an "
        "authority instead of pinned keys; a name compared instead of a key. The stranger's "
        "sort says what was not checked.",
    ),
    Claim(
        "link-pinned",
        "The node hands no mail to an impostor: a wrong, a swapped or an expired certificate, TLS "
        "1.2, or no TLS; the mail waits.",
        "A",
        "node",
        "a prober that answers as a peer",
        "when the same prober shows the pinned key the waiting mail arrives, once",
        ("peer-unpinned", "caller-by-address", "link-clear"),
        frozenset({Link.DIRECT25, Link.SMTP}),
        not_claimed_at=frozenset({Link.PORT25}),
        short="hands no mail to an impostor",
        twin="pinned key gets it",
        group=Group.LINKS,
        causes="A client that checks a name or a date but not the key, or that goes on "
        "without TLS when it can't have it. The impostor's sort says what was not checked.",
    ),
)

CLAIMS = tuple(sorted(_TABLE, key=lambda claim: list(Group).index(claim.group)))
"""All claims, what is about the same thing together."""

BY_ID = {claim.id: claim for claim in CLAIMS}
