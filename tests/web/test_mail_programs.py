"""Mail written in ordinary mail programs goes through three hops, and an answer comes back.

Each program sends it as it sends any mail, over its user's submission port: mutt as it comes (it
chooses quoted-printable for such a text), mutt with format=flowed, and s-nail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from docker.models.containers import Container
from user_machine import HOME, arrive, in_shell, machine, page_blocks

from testbed.keys import put_file
from testbed.mailbox import Mailboxes, all_of
from testbed.traffic import body_of
from testbed.web import Web

pytestmark = pytest.mark.web

TEXT = """\
naïve “8-bit”
 indented, and a line of a thousand letters that quoted-printable must break:
{long}
From the line's start
> quoted
.
..
trailing blanks\x20\x20
--\x20
a signature = 100%
""".format(long="x" * 990)
"""What mail programs change on the way: each arrives as it was typed."""

CHAIN = """
# nest TO SUBJECT-AND-TEXT REMAILER... (last to first)
nest() {
    to=$1 file=$2; shift 2
    for hop; do
        hop=remailer@$hop.remailer.test
        { printf '::\\nAnon-To: %s\\n\\n' "$to"; cat "$file"; } | seal $hop > sealed
        { printf '::\\nEncrypted: PGP\\n\\n'; cat sealed; } > "$file"
        to=$hop
    done
}
printf '##\\nSubject: an answer\\n\\n' > block.txt
nest "$FROM" block.txt alpha echo delta
{ printf '##\\nSubject: written in a mail program\\n\\n%s' "$TEXT"; cat block.txt; } > letter.txt
nest "$TO" letter.txt charlie bravo alpha
"""
"""A letter over three hops that carries a reply block of three hops for its sender."""

ACCOUNT = """
setting() { sed -n "s/^--$1 //p" "$SWAKS_CONFIG"; }
at=$(setting server):$(setting port) user=$(setting auth-user) password=$(setting auth-password)
"""

MUTT = """
cat > muttrc <<END
set from="$FROM" realname="A User" copy=no
set smtp_url="smtp://${user%@*}@$at/" smtp_pass="$password" smtp_authenticators=plain
set ssl_starttls=no ssl_force_tls=no
END
"""

SNAIL = """
cat > mailrc <<END
set v15-compat from=$FROM mta=smtp://${user%@*}:$password@$at smtp-auth=plain sendwait
set sendcharsets=utf-8 mime-encoding=quoted-printable
END
"""


@dataclass(frozen=True)
class Program:
    """How a mail program is set up, how it mails stdin to $1 with a copy to $2, what it makes."""

    name: str
    setup: str
    post: str
    marks: tuple[bytes, ...]
    """What the copy of an answer shows: that the program did change the text on its way."""


PROGRAMS = (
    Program(
        "mutt",
        MUTT,
        'mutt -F muttrc -s hello -b "$2" -- "$1"',
        (b"quoted-printable", b"=46rom the line's", b"\r\n=3D"),
    ),
    Program(
        "mutt-flowed",
        MUTT + "echo 'set text_flowed=yes' >> muttrc",
        'mutt -F muttrc -s hello -b "$2" -- "$1"',
        (b"format=flowed", b"quoted-printable", b"\r\n From the line's", b"\r\n=3D"),
    ),
    Program(
        "s-nail",
        SNAIL,
        'MAILRC=mailrc s-nail -:u -s hello -b "$2" "$1"',
        (b"quoted-printable", b"=46rom the line's", b"\r\n=3D"),
    ),
)


@pytest.fixture
def user(web: Web) -> Iterator[Container]:
    with machine(web) as container:
        yield container


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_three_hops_there_and_back(web: Web, user: Container, program: Program) -> None:
    script = "\n".join([*page_blocks()[:2], CHAIN, f"cp letter.txt {HOME}", "cat block.txt"])
    block = in_shell(user, script, TEXT=TEXT)
    with Mailboxes(web) as mailboxes:
        write(user, program, f"{HOME}/letter.txt", "alpha", "alice", "sender")
        (letter,) = arrive(mailboxes, crlf(TEXT.encode() + block))
        assert b"Subject: written in a mail program\r\n" in letter
        assert not re.search(rb"(?i)alice|sender\.test|mutt|s-nail|boundary", letter)

        # Bob cuts the block out of what he got, and puts his text after it.
        found = body_of(letter)[body_of(letter).index(b"::\r\nEncrypted: PGP") :]
        put_file(user, HOME, "answer.txt", found.replace(b"\r\n", b"\n") + TEXT.encode(), 0o600)
        write(user, program, f"{HOME}/answer.txt", "delta", "bob", "recipient")
        (answer,) = arrive(mailboxes, crlf(TEXT.encode()))
        assert b"Subject: an answer\r\n" in answer
        assert b"To: alice@sender.test\r\n" in answer
        assert not re.search(rb"(?i)bob|recipient\.test|mutt|s-nail", answer)
    (*_, copy) = all_of(web, "barbara")
    for mark in program.marks:
        assert mark in copy


def write(
    user: Container, program: Program, file: str, remailer: str, name: str, host: str
) -> None:
    """Mail a file to a remailer, with a copy to a colleague, as the mail program does it."""
    colleague = {"alice": "andrew", "bob": "barbara"}[name]
    in_shell(
        user,
        "\n".join([ACCOUNT, program.setup, "post() {", program.post, "}",
                   f'post remailer@{remailer}.remailer.test {colleague}@{host}.test < "{file}"']),
        SWAKS_CONFIG=f"{HOME}/{name}.swaksrc",
        FROM=f"{name}@{host}.test",
    )  # fmt: skip


def crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")
