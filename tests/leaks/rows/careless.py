"""Careless leaks: what remains of debugging and of habits, and libraries that talk."""

from leaks.rows import CALLS, WRITES
from testbed.leaks.plant import Plant
from testbed.topology import Link

CARELESS = (
    Plant(
        "stdout_line",
        "careless",
        "silent-output",
        "stdout",
        r"mail of \d+ bytes",
        also=frozenset({"docker-keeps"}),
    ),
    Plant(
        "volume_file",
        "careless",
        "silent-volume",
        "volume",
        r"mail\.log",
        also=frozenset({"no-growth"}),
        perhaps=WRITES,
    ),
    Plant(
        "tmpfs_file",
        "careless",
        "silent-tmpfs",
        "tmpfs",
        r"/dev/shm/last-mail",
        also=frozenset({"no-growth"}),
        perhaps=WRITES,
    ),
    Plant(
        "syslog_datagram",
        "careless",
        "silent-syslog",
        "syslog",
        r"frame \d+.* port 514.*took \d+ bytes",
        also=frozenset({"contacts"}),
    ),
    Plant("received_kept", "careless", "headers", "received", r"(?i)received: .*mail\.sender"),
    Plant(
        "link_clear",
        "careless",
        "link-encrypted",
        "clear",
        r"frame \d+.*MAIL FROM",
        also=frozenset({"link-canary", "link-pinned"}),
        perhaps=frozenset({"link-ephemeral", "link-cells"}),
    ),
    Plant("message_id_kept", "careless", "headers", "message-id", r"(?i)message-id"),
    Plant(
        "mail_reported",
        "careless",
        "delivered",
        "mail",
        r"no letter of this run asked for",
        perhaps=frozenset({"dns-late", "smtp-talk"}),
    ),
    Plant(
        "hop_by_host",
        "careless",
        "log-hops",
        "log",
        r"mail\.log, line \d+.*to=<remailer@",
        also=frozenset({"contacts", "link-port", "link-encrypted", "link-canary"}),
        # Its host finds no impostor in the DNS, so there is nothing to see of what it would do.
        perhaps=frozenset({"wire-fields", "link-mails", "delays", "link-ephemeral", "link-pinned"}),
        hosted=True,
        link=Link.TLS,
    ),
    Plant("stderr_traceback", "careless", "silent-output", "stdout", r"Traceback|IndexError"),
    Plant("aiosmtpd_log", "careless", "silent-output", "stdout", r"INFO:mail\.log"),
    Plant("log_file", "careless", "silent-volume", "volume", r"remailer\.log"),
    Plant("dev_log", "careless", "silent-sockets", "socket", r"/dev/log"),
    Plant("debug_dump", "careless", "silent-tmpfs", "tmpfs", r"/dev/shm/debug"),
    Plant("mbox_copy", "careless", "silent-volume", "volume", r"copies\.mbox.*contents"),
    Plant("stats_db", "careless", "silent-tmpfs", "tmpfs", r"/dev/shm/stats\.db"),
    Plant("child_log", "careless", "silent-volume", "volume", r"child\.log"),
    Plant("mailer_named", "careless", "headers", "header", r"x-mailer: unlogged"),
    Plant("date_kept", "careless", "headers", "date", r"date: .* \d\d:\d\d:\d\d"),
    Plant("reply_to_author", "careless", "headers", "header", r"reply-to: .*@sender\.test"),
    Plant(
        "receipt_sent",
        "careless",
        "delivered",
        "mail",
        r"no letter of this run asked for",
        perhaps=frozenset({"dns-late", "smtp-talk"}),
    ),
    Plant("statsd", "careless", "contacts", "contact", r"udp .* port 8125: .*mails:1"),
    Plant("ident_lookup", "careless", "contacts", "contact", r"tcp .* port 113"),
    Plant("error_tracker", "careless", "contacts", "contact", r"tcp .* to recipient port 80"),
    Plant(
        "folder_touched",
        "careless",
        "no-growth",
        "growth",
        r"/var/lib/remailer/spool: (changed|altered)",
        perhaps=CALLS,
    ),
    Plant(
        "descriptor_kept", "careless", "no-growth", "growth", r"open /dev/null number \d+, pos 0"
    ),
    Plant("thread_kept", "careless", "no-growth", "growth", r"threads of .*was \d+, is \d+"),
    Plant("core_allowed", "careless", "process-plain", "process", r"may dump core"),
    Plant(
        "health_fails", "careless", "docker-keeps", "docker", r"exec_die, exit code 1|exit code 1:"
    ),
)
