"""Leaks on the wire: in look-ups, in what is said on port 25, in fields, in time."""

from testbed.leaks.plant import Plant
from testbed.topology import Link

EDGES = (
    Plant("dns_early", "technical", "dns-late", "look-up", r"frame \d+.*n\d{4}\..* no mail"),
    Plant(
        "dns_label",
        "technical",
        "dns-late",
        "look-up",
        r"frame \d+.*[0-9a-f]{30,}\.test",
        also=frozenset({"contacts"}),
    ),
    Plant("dns_case", "malicious", "dns-late", "look-up", r"look-up of \S*[A-Z]\S* \w+: no mail"),
    Plant(
        "dns_counted",
        "technical",
        "dns-late",
        "look-up",
        r"frame \d+.*the kernel gave the node no number",
    ),
    Plant(
        "cert_counts",
        "technical",
        "port25-cert",
        "certificate",
        r"serial [0-9a-f]+ before .* serial [0-9a-f]+ after",
    ),
    Plant("reply_queue_id", "malicious", "smtp-talk", "talk", r"frame \d+.*queued as"),
    Plant("greeting_counter", "technical", "smtp-talk", "talk", r"frame \d+.*ESMTP \d+"),
    Plant("mail_size", "malicious", "smtp-talk", "talk", r"frame \d+.*SIZE=\d+.*SIZE=\d+"),
    Plant("after_twentieth", "malicious", "smtp-talk", "talk", r"frame \d+.*250 2\.0\.0 Ok"),
    Plant(
        "tcp_ttl",
        "malicious",
        "wire-fields",
        "field",
        r"frame \d+.*ip\.ttl 63, else 64",
        perhaps=frozenset({"silent-sockets", "silent-calls"}),
        link=Link.TLS,
    ),
    Plant(
        "source_port",
        "malicious",
        "silent-sockets",
        "socket",
        r"bind: .*port \d+",
        # A port that is taken: what was looked up was in vain then.
        perhaps=frozenset({"dns-late", "silent-calls"}),
    ),
    Plant(
        "tls_alpn",
        "malicious",
        "wire-fields",
        "field",
        r"frame \d+.*ClientHello",
        link=Link.TLS,
    ),
    Plant("reply_delay", "malicious", "delays", "delay", r"\d+ of \d+ replies took longer"),
    Plant(
        "pool_symbols",
        "malicious",
        "delays",
        "delay",
        r"\d+ delays .*few symbols",
        missed="covert timing: on a machine that takes a tenth of a second to store a mail, two "
        "delays can't be told from the pool's; the row says whether they would show",
    ),
    Plant(
        "pool_seeded",
        "malicious",
        "delays",
        "delay",
        r"\d+ delays",
        missed="covert timing: delays that follow the pool's law under a key, some five bits a "
        "mail for who has the key, look like chance to everybody else",
    ),
    Plant(
        "dns_no_question",
        "malicious",
        "dns-late",
        "look-up",
        r"frame \d+.*no question to the resolver: udp",
    ),
    Plant(
        "dns_order",
        "malicious",
        "dns-late",
        "look-up",
        r"frame \d+.*look-up of \S+ AAAA: no mail",
    ),
    Plant(
        "empty_conversations",
        "malicious",
        "smtp-talk",
        "talk",
        r"frame \d+.*hung up after '220 .*where every node says QUIT",
        also=frozenset({"dns-late"}),
        # Its mail waits until the last of them is greeted.
        perhaps=frozenset({"delays"}),
    ),
    Plant(
        "dots",
        "malicious",
        "smtp-talk",
        "talk",
        r"frame \d+.*a mail with '\..*where every node has",
    ),
    Plant(
        "slow_talk",
        "malicious",
        "delays",
        "delay",
        r"\d+ of \d+ (mails after 354|ends after 221) took longer",
    ),
    Plant(
        "lookup_pauses",
        "malicious",
        "delays",
        "delay",
        r"\d+ of \d+ look-ups took longer",
        # Three pauses, and a busy machine's own, can take more than two seconds.
        perhaps=frozenset({"dns-late"}),
    ),
)
