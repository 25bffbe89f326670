"""Malicious leaks: by somebody who knows that he is watched, and wants to get a log out."""

from leaks.rows import CALLS
from testbed.leaks.plant import Plant
from testbed.topology import Link

MALICIOUS = (
    Plant("log_as_journal", "malicious", "silent-volume", "volume", r"spool\.db-journal"),
    Plant("after_twenty", "malicious", "silent-tmpfs", "tmpfs", r"/dev/shm/mails"),
    Plant("tiny_names", "malicious", "silent-calls", "name", r"/dev/shm/[0-9a-f]{2}\b"),
    Plant("row_stays", "malicious", "spool-forgets", "spool kept", r"opens to"),
    Plant(
        "message_id_sealed",
        "malicious",
        "message-ids",
        "not chance",
        r"no such number",
        perhaps=frozenset({"dns-late"}),  # it takes numbers as long as those of questions
    ),
    Plant("header_order", "malicious", "headers", "form", r"not To as no\. 2: date"),
    Plant("header_case", "malicious", "headers", "form", r"not Message-ID as no\. 4"),
    Plant("header_blanks", "malicious", "headers", "form", r"blanks"),
    Plant("date_day", "malicious", "headers", "date", r"00:00:00"),
    Plant("body_blanks", "malicious", "delivered", "mail", r"byte \d+ of|bytes were sent"),
    Plant(
        "owner_block",
        "malicious",
        "link-mails",
        "mail",
        r"letters of this run",
        # Whoever takes a mail and delivers it can't know that nobody sent it.
        passed_on=frozenset({"delivered", "spool-forgets", "dns-late", "smtp-talk"}),
        perhaps=frozenset({"delays"}),  # it seals a report for each mail where others only wait
        link=Link.TLS,
    ),
    Plant(
        "league_mail",
        "malicious",
        "link-mails",
        "mail",
        r"letters of this run",
        passed_on=frozenset({"spool-forgets"}),
        link=Link.TLS,
    ),
    Plant(
        "header_count", "malicious", "no-growth", "growth", r"header: cache size: was \d+, is \d+"
    ),
    Plant("file_locked", "malicious", "no-growth", "growth", r"file locks", perhaps=CALLS),
    Plant("signal_waits", "malicious", "no-growth", "growth", r"Sig(Pnd|Blk|Q)", perhaps=CALLS),
    Plant(
        "niceness",
        "malicious",
        "process-plain",
        "process",
        r"nice: \d+, before",
        perhaps=frozenset({"no-growth"}) | CALLS,
    ),
    Plant("descriptor_number", "malicious", "no-growth", "growth", r"open /dev/null number 3\d\d"),
    Plant(
        "to_named",
        "malicious",
        "headers",
        "header",
        r"not the recipient alone: to: [0-9a-f]{16,}",
    ),
    Plant(
        "original_to",
        "malicious",
        "headers",
        "header",
        r"not asked for: x-original-to: [0-9a-f]{32}@",
    ),
    Plant(
        "uses_filled",
        "malicious",
        "spool-forgets",
        "spool kept",
        r"table used: what it tells was altered",
    ),
    Plant(
        "schema_comment",
        "malicious",
        "silent-volume",
        "volume",
        r"table used is declared in other words",
    ),
    Plant(
        "epoch_chosen",
        "malicious",
        "spool-forgets",
        "spool kept",
        r"table transfer: \d+ tags more of day \d+",
    ),
    Plant(
        "foreign_rows",
        "malicious",
        "spool-forgets",
        "spool kept",
        r"a row that the node's secret does not open",
    ),
    Plant(
        "uses_at_stop",
        "malicious",
        "spool-forgets",
        "spool kept",
        r"table used: rows of day \d+, written when the node was stopped",
    ),
    Plant("odd_row", "malicious", "spool-forgets", "spool kept", r"a row that is no mail"),
    Plant(
        "row_rewritten",
        "malicious",
        "spool-forgets",
        "spool kept",
        r"a row that was written anew",
    ),
    Plant(
        "map_offsets",
        "malicious",
        "no-growth",
        "growth",
        r"mapped /usr/bin/env .*r--s [0-9a-f]+",
    ),
    Plant(
        "first_mails", "malicious", "no-growth", "growth", r"open /usr/bin/env number \d+, pos \d+"
    ),
    Plant(
        "pipes_juggled",
        "malicious",
        "silent-tmpfs",
        "tmpfs",
        r"pipe:\[\d+\] holds [\d,]+ bytes",
        perhaps=CALLS,
    ),
    Plant("talks_to_itself", "malicious", "no-growth", "growth", r"tcp talking to itself"),
)
