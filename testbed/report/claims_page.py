"""Writes docs/claims.md from the table of claims. A pure function of that table.

`python -m testbed.report.claims_page > docs/claims.md` makes the file; a test says that it is so.
"""

from __future__ import annotations

from testbed.claims import CLAIMS, Claim, Group
from testbed.topology import Link
from testbed.wire.canary import FORMS
from testbed.wire.digests import ALGORITHMS
from testbed.wire.streams import KINDS, NEAR
from testbed.wire.words import WORD
from testbed.witness.growth import DECLARED, OF_CELLS

ATTACKERS = (
    ("W", "reads every wire of the web, all of them at once, and keeps what he reads"),
    ("A", "has what W has, and also alters, delays, drops, repeats and adds what is on a wire"),
    (
        "D",
        "gets a node's disk, its volumes and its container's output afterwards, and the logs that "
        "the ordinary mail hosts keep",
    ),
    (
        "K",
        "has what D has, and the node's long-term keys with it. With W's old captures he opens "
        "that node's OpenPGP layers; what TLS protected stays shut to him",
    ),
    ("N", "runs some of the remailers himself"),
    ("S", "sends mail through the web like any user, as much of it as he likes"),
    ("U", "is no attacker: a user, who wants his mail to arrive"),
)

STAGES = {
    Link.PORT25: "through the mail systems of both hosts, on port 25: both of them log",
    Link.DIRECT25: "the remailer's own SMTP client to port 25 of the peer's host, which logs",
    Link.SMTP: "SMTP in clear straight to the peer's agreed port, which nobody logs",
    Link.TLS: "the same SMTP inside TLS 1.3, both sides shown to hold the key that the directory "
    "names",
    Link.CELLS: "a protocol of its own inside the same TLS 1.3: cells of one size, both ways, at a "
    "rate that no mail changes (docs/link.md)",
}

NOT_CLAIMED: tuple[tuple[str, str], ...] = (
    (
        "Bits in what surrounds the talk on port 25",
        "How long a node waits before it closes a connection that somebody else began and ended "
        "with QUIT; whether its own end comes with QUIT, behind it or as a reset; and where it "
        "cuts into packets what of a mail lies beyond its first 8 KB: nobody measures these, and a "
        "node that means to tell something could tell some bits of each mail so.",
    ),
    (
        "When a node tidies up, and when a health check is slow",
        "The spool's file is written anew some seconds after mail, and its times say when; a "
        "health check may run out of time, and Docker keeps five. Either is taken for ordinary: a "
        "node that chose the moment could tell some bits by it.",
    ),
    (
        "Who sees both ends at low traffic",
        "Someone who sees a mail enter the web and a mail leave it, while few others are under "
        "way, can put the two together. No link and no pool changes that; only traffic does.",
    ),
    (
        "Size and time on TLS links",
        "TLS hides what a mail says, not how long it is or when it goes: a record is as long as "
        "what is in it, and leaves when it is written. How well this lets W match what enters a "
        "node with what leaves it is a question of statistics, which `make matrix` answers "
        "(docs/attacks.md): nearly always.",
    ),
    (
        "A link that somebody fills or holds up",
        "On links of cells so many go a second, whoever they are for. Who fills a link with his "
        "own mail, or holds its packets up, and sees whose mail is late then, learns which link "
        "that takes. No attack of ours tries it (docs/attacks.md).",
    ),
    (
        "Covert timing below a rate",
        "Delays in the pool that are drawn from the mail and a key, and follow the pool's law, "
        "look like chance to all but who has the key: some five bits a mail where a node's own "
        "time varies by 0.07 s and the pool's mean is 1 s (`pool-seeded`, which may be missed). "
        "Fewer symbols are found: of 400 simulated runs with 21 delays a node two symbols in all "
        "(one bit a mail), three in 95 % (1.6 bits), four in 17 % (2 bits); two that are used for "
        "nine mails in ten in 96 %, for half of them in 4 %. Replies and commands: one in four "
        "that is slow is missed (on a busy machine more), and any delay below 0.15 s, below 0.5 s "
        "for the reply to a mail.",
    ),
    (
        "Times that nobody takes",
        "Delays in the pool are those of mails that pass one node alone. How long mail waits that "
        "comes from another remailer, or goes to one, isn't judged (on `cells` no wire shows when "
        "it came), nor is the rhythm in which a node calls a peer that is down: half a second to "
        "two seconds, drawn anew each time.",
    ),
    (
        "What a node says inside TLS on port 25",
        "Where a mail host goes on in TLS nobody can read what it is answered. The hosts of the "
        "web offer none, and ask for none, so that it can be read.",
    ),
    (
        "What links of cells show all the same",
        "A node is accused when a tenth of its ticks are parted, or a twentieth lack a cell, have "
        "one twice or have them in another order (three at least, and three times the others' "
        "share), or when a twentieth of a link's cells are cut where no other node's are (two, if "
        "TCP wouldn't cut there); a mark in fewer is missed, and in a connection's first cell. "
        "A tick that is late or left out on "
        "all links together may be the machine's: what mail does to those, *ticks, taught* of "
        "`make matrix` looks for. Windows and acknowledgements, which show when a "
        "node reads, nobody looks at. And what a node's peer makes it do (hang up, by a broken "
        "cell inside TLS; wait, by not reading) is put down to the node.",
    ),
    (
        "What is random by protocol",
        "An engineer who writes his own TLS or resolver can hide sealed bits in what has to be "
        "random: nonces, session IDs and key shares, a look-up's number and the port it comes "
        "from. On the wire they look like any other. The kernel's own (sequence numbers, "
        "timestamps) are not the node's to choose; which port it gave a connection, and whether it "
        "was asked again until one suited, is not judged.",
    ),
    (
        "The queue and the root of a mail host beside a node",
        "What comes in on its port 25 lies in the host's own queue, in clear but for its OpenPGP "
        "layers, until the node has taken it; on `port25` so does all that leaves. Whoever is root "
        "there reads the user's keys. RFC 1047's window is open between host and node: a mail "
        "may be taken twice, never not at all.",
    ),
    (
        "Blocks below the file system",
        "What a file system, a disk or its controller keeps of data that was overwritten or "
        "deleted is not looked at.",
    ),
    (
        "The memory of a running node",
        "Mail that waits or is being peeled is in memory in clear, and so are the keys. What "
        "Python has freed is not wiped: `make verify` searches memory for marks some seconds after "
        "the last mail, of as many nodes as there is time for in two seconds, and reports how many "
        "it found; nothing is claimed.",
    ),
    (
        "When the node last had mail",
        "The times of the spool's two files are those of the last write to them, and its size "
        "follows the tags of transfers. Nothing else about a resting node's files does.",
    ),
    (
        "What a kernel counts of a running process and its network",
        "Processor time, memory in use, bytes and packets, connections that were closed in the "
        "last minute, neighbours: whoever is on the machine while the node runs reads them, and "
        "they go with the node. When a file was last read isn't compared either: reading it "
        "changes that. Under which numbers sockets and pipes are open, and anything in workers and "
        "pacer, and what an epoll keeps beside each descriptor, isn't compared: connections come "
        "and go.",
    ),
    (
        "What begins after a run",
        "A run speaks for its own mails, some dozens a node, and its own minutes. A node that "
        "begins to log with its thousandth mail, on a certain day, or when somebody says a certain "
        "word to it, is caught by a run in which that happens. What it does and leaves at its end "
        "is looked at where the run itself brought the web up, and takes it down.",
    ),
    (
        "Choosing among chance numbers",
        "`message-ids` sees which numbers the kernel gave, and that not many more were asked for "
        "than used. Who forges what the recorder reads (in a race against it, in memory of his "
        "own), or chooses in fewer than one mail in three, is not found out.",
    ),
    (
        "Reply blocks against remailers in league",
        "The body of a mail to a plain reply block, one without `Encrypt-Key` (`make verify` sends "
        "such), goes on unchanged from hop to hop. Two remailers of one owner recognise it at "
        "once, wherever on the path they are.",
    ),
    (
        "Tags",
        "What stands behind the armour goes on unchanged in any Type I message. Whoever alters a "
        "mail on its way into one remailer can recognise it at a later one.",
    ),
    (
        "How many mails lie in the spool, and roughly how large",
        "Rows can be counted, and each is padded only to the next of a few sizes.",
    ),
    (
        "The order of arrival in the spool's write-ahead log",
        "SQLite appends what is committed. Until the log is truncated, whoever seizes it sees in "
        "which order sealed rows came and went.",
    ),
    (
        "What SQLite leaves in its pages",
        "Tags of transfers lie in a page in the order in which they came (until the page is "
        "split), and the map of pages tells how large the spool has been at most. In the gaps of "
        "a page of tags up to 512 bytes may be left by rows that moved: so many could be written "
        "there.",
    ),
    (
        "Tags of transfers",
        "So that no mail is taken twice after a crash, a node keeps a keyed tag of each transfer "
        "between remailers for up to six days. It names neither mail nor peer to one without the "
        "key, but the tags can be counted. On `smtp` whoever reads a transfer's ID off the wire "
        "and hands in another mail with it first has taken the mail's place.",
    ),
    (
        "Uses of reply blocks",
        "For `Max-Count` a node counts, until midnight, how often a PGP message was used: in a "
        "table of fixed size, sealed under the node's secret, without addresses or times. K, who "
        "has kept such a message and gets node and secret on that day, learns how often it was "
        "used there.",
    ),
    (
        "The machine that runs Docker",
        "A node reaches no other network, but some engines let it reach the machine's own "
        "addresses. What listens there is not the web's, and is not looked at.",
    ),
    (
        "A disk seized together with its keys",
        "The spool is sealed under a secret that lies on the same machine. D without the secret "
        "gets nothing from the spool; K, who has it, opens what waits there, as the control of "
        "`spool-forgets` does, and learns how many transfers came and how often blocks were used.",
    ),
)

_INTRO = """\
# What is claimed, and what is not

This page is made from `testbed/claims.py`, the same table that `make verify` judges by. Every claim
is a sentence that a run can refute. It has a witness, which looks from outside the node; a control,
which shows in the same run that the witness would have seen a leak; and, for most, planted leaks,
which show that the verdict does fail. A claim whose control was not found is *inconclusive*, never
passed. [witness.md](witness.md) says how one is added.
"""

_SEARCH = f"""\
## What is searched for

Each mail has a mark of its own in its sender, recipient, subject, body and Message-ID. Wherever
witnesses search, in files, spools, headers, look-ups and on links, they search for

- **marks** as {", ".join(FORMS)} (the last four wherever they
  begin in a group, a byte or a line), and each of these inside streams of {", ".join(KINDS)}.
  Nothing marks the beginning of raw deflate with tables of its own: it is tried at each of the
  first {NEAR:,} bytes, and after line ends and zeros;
- **digests** ({", ".join(ALGORITHMS)})
  of each mark, and of the whole address, Message-ID and subject around it: alone, with a line end,
  with the node's name or domain before or behind it (and nothing, a blank, `:`, `|`, `-`, `,` or
  `/` between), and as HMAC under either. They are searched for as raw bytes, hex, base64 and
  base32, whole or cut to {WORD} bytes or more, at the nodes that the mail went through.
"""

_HOSTED = """\
On the first two the receiving side is a mail host, so each node is a user's process, without root,
beside a mail host that logs (`images/remailer-1993`). `HOSTED=1` puts one beside nodes that talk
over a port of their own, too: what users mail in is in the host's log then, what goes on to the
next remailer is not. *Not claimed* is what a mail host in the container, or a peer's at the other
end, makes meaningless; a row that says so is no pass.
"""


def markdown() -> str:
    """The whole page."""
    groups = (part for group in Group for part in _group(group))
    parts = [_INTRO, _attackers(), _stages(), _table(), _SEARCH, *groups, _not_claimed()]
    return "\n".join(parts)


def _group(group: Group) -> list[str]:
    claims = [claim for claim in CLAIMS if claim.group is group]
    return [f"## {group.capitalize()}\n", *map(_section, claims)]


def _attackers() -> str:
    lines = [f"- **{letter}** {what}." for letter, what in ATTACKERS]
    return "## Against whom\n\n" + "\n".join(lines) + "\n"


COLUMNS = (
    *((f"`{stage}`", stage, stage.port == 25) for stage in Link),
    ("`tls` beside mail hosts", Link.TLS, True),
)
"""The table's columns: their heads, link stages, and whether mail hosts stand beside the nodes."""


def _stages() -> str:
    lines = [f"- `{stage}`: {STAGES[stage]}." for stage in Link]
    return (
        "## Link stages\n\nWhat remailers speak to each other (`LINK=`). That a claim fails at a "
        "stage is part of the\nargument: the same check that passes on the next stage is seen to "
        "be able to fail.\n\n" + "\n".join(lines) + "\n\n" + _HOSTED
    )


def _table() -> str:
    heads = ["claim", "about", "against", "per", *(head for head, _, _ in COLUMNS)]
    lines = [_cells(heads), _cells(["---"] * len(heads))]
    for claim in CLAIMS:
        stages = [str(claim.expected(stage, hosted)) for _, stage, hosted in COLUMNS]
        link = f"[{claim.id}](#{claim.id})"
        lines.append(_cells([link, claim.group, claim.attacker, claim.per, *stages]))
    return "## The table\n\n" + "\n".join(lines) + "\n"


def _cells(words: list[str]) -> str:
    return "| " + " | ".join(words) + " |"


def _section(claim: Claim) -> str:
    plants = ", ".join(f"`{plant}`" for plant in claim.plants) or "none yet"
    stages = ", ".join(f"{claim.expected(stage, hosted)} on {at}" for at, stage, hosted in COLUMNS)
    declared = (
        "; ".join(one.what for one in (*DECLARED, *OF_CELLS)) if claim.id == "no-growth" else ""
    )
    return (
        f"### {claim.id}\n\n{claim.sentence}\n\n"
        f"- against: {claim.attacker}; one row a {claim.per}\n"
        f"- witness: {claim.witness}\n"
        f"- control: {claim.control}\n"
        + (f"- declared: {declared}\n" if declared else "")
        + f"- planted leaks: {plants}\n"
        f"- expected: {stages}\n"
        f"- usual causes of a failure: {claim.causes}\n"
    )


def _not_claimed() -> str:
    lines = [f"- **{title}.** {words}" for title, words in NOT_CLAIMED]
    return (
        "## What is not claimed\n\nThe rest is not promised, and some of it is known to be lost."
        "\n\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    print(markdown(), end="")
