"""The blind leaks: grade, the claim that each breaks as its author thinks, and how it is read.

`claim` is by docs/claims.md alone: another may be the one that catches it, or none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blind:
    """One leak."""

    name: str
    grade: str
    """careless, technical or malicious."""
    claim: str
    decoded: str
    missed: str = ""
    """Why it may be missed, which was found out afterwards."""


ROWS = (
    Blind(
        "wal_kept",
        "careless",
        "spool-forgets",
        "open the rows in the frames of spool.db-wal with the node's secret",
    ),
    Blind(
        "mx_early",
        "careless",
        "dns-late",
        "an MX query as soon as a mail has come, another when it leaves",
    ),
    Blind(
        "client_name",
        "careless",
        "dns-late",
        "PTR queries of the node's name each client of port 25",
    ),
    Blind(
        "queued_as",
        "careless",
        "smtp-talk",
        "the queue number in the reply to a mail, in the sender's host's log too, is a row's name",
    ),
    Blind(
        "user_version",
        "technical",
        "silent-volume",
        "bytes 60 to 63 of spool.db: 15 bits of the last sender, 16 of the last recipient",
    ),
    Blind(
        "time_ids",
        "technical",
        "message-ids",
        "the first 48 bits of a Message-ID are milliseconds since 1970",
    ),
    Blind(
        "atime",
        "technical",
        "silent-calls",
        "nanoseconds of spool.db's atime: 14 bits of the last sender, 14 of the last recipient",
    ),
    Blind(
        "dscp",
        "technical",
        "wire-fields",
        "the DSCP of a conversation's packets is six bits of the sender",
    ),
    Blind(
        "rcpt_case",
        "technical",
        "smtp-talk",
        "capitals in the domain of RCPT TO are bits of the sender; mail hosts log them",
    ),
    Blind(
        "message_id_chosen",
        "malicious",
        "message-ids",
        "HMAC of a Message-ID, first byte modulo 8: three bits of whoever the mail came from",
    ),
    Blind(
        "header_order",
        "malicious",
        "headers",
        "the order of From, To, Date and Message-ID, one of 24, is a number of the sender's",
    ),
    Blind(
        "transfer_tags",
        "malicious",
        "silent-volume",
        "tags of the table transfer, with the fixed key: previous hop, size, Message-ID's hash",
    ),
    Blind(
        "used_nonces",
        "malicious",
        "silent-volume",
        "nonces of the table used, with the fixed key: time, sender, recipient of 64 mails",
    ),
    Blind(
        "row_names",
        "malicious",
        "spool-sealed",
        "names of rows that wait, with the fixed key: sender and recipient",
    ),
    Blind(
        "dns_ids",
        "malicious",
        "dns-late",
        "numbers of DNS queries, with the fixed key: a byte of the sender, beside the domain",
    ),
    Blind(
        "port_chosen",
        "malicious",
        "wire-fields",
        "half the source port of a conversation modulo 16: four bits of the sender",
    ),
    Blind(
        "linger_time",
        "malicious",
        "delays",
        "2.0, 2.3, 2.6 or 2.9 seconds from the last mail to the end: two bits of its sender",
        "covert timing: two bits a conversation in how long it lingers, in steps of 0.3 s that a "
        "busy machine makes by itself; on `cells` remailers have no conversations with one another",
    ),
    Blind(
        "delay_slots",
        "malicious",
        "delays",
        "the time of departure in slots of 200 ms, modulo 2: a bit of the sender",
        "covert timing: a bit a mail, for which it waits 0.2 s longer on average: the pool's law "
        "stays what it was, and a busy node's own time varies by more",
    ),
    Blind(
        "segments",
        "malicious",
        "wire-fields",
        "the length of a mail's first packet or TLS record, modulo 256: a byte of the sender",
    ),
    Blind(
        "openssl_seeded",
        "malicious",
        "link-encrypted",
        "key shares follow from a fixed key and a counter, found by a random of the handshake",
    ),
    Blind(
        "cert_serial",
        "malicious",
        "smtp-talk",
        "serial number of port 25's certificate, with the fixed key: time, sender, recipient",
    ),
    Blind(
        "health_delay",
        "malicious",
        "docker-keeps",
        "End less Start in Docker's health log, in steps of 0.4 s: sender and recipient",
        "covert timing: two bits each time that Docker asks whether the node is well, every 15 s, "
        "in steps of 0.4 s that a busy machine makes by itself",
    ),
    Blind(
        "backlog",
        "malicious",
        "no-growth",
        "`ss -ltn`: Send-Q of port 25 less 256 is five bits of the sender, six of the recipient",
    ),
    Blind(
        "seek",
        "malicious",
        "no-growth",
        "pos in /proc/PID/fdinfo of 16 open files: minute, sender, recipient of 16 mails",
    ),
    Blind(
        "read_locks",
        "malicious",
        "no-growth",
        "starts of the read locks in /proc/locks: sender and recipient of 32 pairs",
    ),
    Blind(
        "at_stop",
        "malicious",
        "spool-forgets",
        "after the node has stopped: a row due in 2100, with the node's secret, is the log",
    ),
    Blind(
        "help_word",
        "malicious",
        "smtp-talk",
        "`HELP 7f2c51` on port 25 is answered with the last hundred mails",
    ),
    Blind(
        "sleeper",
        "malicious",
        "silent-writes",
        "spool.db-wal2 beside the spool, from the thousandth mail on, in clear",
    ),
)
