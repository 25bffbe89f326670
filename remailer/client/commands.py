"""The sender's commands. Imports stand in the functions: a node starts this command line, too."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remailer.errors import RemailerError
from remailer.options import DIRECTORY, DirectoryOption
from remailer.places import GUEST, PROXY

if TYPE_CHECKING:
    from remailer.client.send import Server
    from remailer.client.submission import Submission
    from remailer.directory import Directory

_LATENT = re.compile(r"\+[0-9]{0,2}:[0-9]{2}r?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")

ChainOption = Annotated[
    str, typer.Option(help="remailers, first to last: a,b,c; * is one drawn at random")
]
AvoidOption = Annotated[str, typer.Option(help="remailers that * may not be: a,b")]
SubjectOption = Annotated[str, typer.Option(help="of the mail that arrives")]
ServerOption = Annotated[str, typer.Option(help="HOST:PORT of your mail host's submission")]
UserOption = Annotated[str, typer.Option(help="your name there")]
PasswordOption = Annotated[Path | None, typer.Option(help="file with your password")]
SenderOption = Annotated[str, typer.Option("--from", help="your own address")]
PrintOption = Annotated[bool, typer.Option("--print", help="print it instead of sending")]
KeepOption = Annotated[
    Path | None,
    typer.Option(help="where phrases are kept  [default: ~/.local/share/remailer/blocks]"),
]
GuestKeysOption = Annotated[Path, typer.Option("--keys", help="folder of the guest's own keys")]
TextArgument = Annotated[Path, typer.Argument(help="the text; - is standard input")]


def register(app: typer.Typer) -> None:
    """Add the sender's commands to the command line."""
    for command in (send, block, answer, open_, guest, proxy):
        app.command(command.__name__.rstrip("_"))(command)


def send(
    to: Annotated[str, typer.Option(help="recipients, separated by commas")],
    file: TextArgument,
    chain: ChainOption = "*,*,*",
    avoid: AvoidOption = "",
    subject: SubjectOption = "",
    header: Annotated[list[str] | None, typer.Option(help="'Name: value'; repeatable")] = None,
    latent: Annotated[str, typer.Option(help="wait at each remailer: +H:MM, +H:MMr up to")] = "",
    pad: Annotated[bool, typer.Option(help="bring it to a size that many messages have")] = True,
    directory: DirectoryOption = DIRECTORY,
    server: ServerOption = "",
    user: UserOption = "",
    password_file: PasswordOption = None,
    sender: SenderOption = "",
    print_: PrintOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show its way; send nothing")] = False,
) -> None:
    """Send a text through a chain of remailers."""
    from remailer.client import chain as forward
    from remailer.client import preview
    from remailer.directory import load

    if latent and not _LATENT.fullmatch(latent):
        raise RemailerError(f"--latent {latent!r}: write it as +1:30, or +1:30r for up to it")
    known, recipients = load(directory), [one.strip() for one in to.split(",")]
    made = forward.make(
        known,
        _drawn(known, chain, avoid, recipients),
        recipients,
        subject,
        _read(file),
        [_header(line) for line in header or []],
        padded=pad,
        latent=latent,
    )
    if dry_run:
        print("\n".join(preview.lines(made, recipients)))
    else:
        _post(made, server, user, password_file, sender, print_)


def block(
    to: Annotated[str, typer.Option("--to", help="where answers shall arrive: your address")],
    chain: ChainOption = "*,*,*",
    avoid: AvoidOption = "",
    subject: SubjectOption = "",
    encrypt: Annotated[bool, typer.Option(help="each remailer seals the answer for you")] = True,
    keep: KeepOption = None,
    directory: DirectoryOption = DIRECTORY,
) -> None:
    """Print a reply block: by it others can answer you who don't learn your address."""
    from remailer.client import kept, reply_block
    from remailer.directory import load

    rng = random.SystemRandom()
    known = load(directory)
    names = _drawn(known, chain, avoid, [to])
    phrases = reply_block.phrases(len(names), rng) if encrypt else []
    made = reply_block.make(known, names, to, subject, phrases)
    if encrypt:
        path = kept.keep(keep, phrases, rng)
        print(f"remailer open needs {path}", file=sys.stderr)
    sys.stdout.buffer.write(made)


def answer(
    block: Annotated[Path, typer.Argument(help="the reply block")],
    file: TextArgument,
    server: ServerOption = "",
    user: UserOption = "",
    password_file: PasswordOption = None,
    sender: SenderOption = "",
    print_: PrintOption = False,
) -> None:
    """Answer by somebody's reply block."""
    from remailer.client import reply_block

    made = reply_block.answer(block.read_bytes(), _read(file))
    _post(made, server, user, password_file, sender, print_)


def open_(
    file: Annotated[Path, typer.Argument(help="the mail as it arrived; - is standard input")],
    keep: KeepOption = None,
) -> None:
    """Print the text of an answer that came by one of your reply blocks."""
    from remailer.client import kept, reader

    found, text = reader.read(_read(file), kept.kept(keep))
    print(f"by the block {found.path}", file=sys.stderr)
    sys.stdout.buffer.write(text)


def guest(
    name: Annotated[str, typer.Argument(help="how the remailer's operator shall call you")],
    keys: GuestKeysOption = GUEST,
) -> None:
    """Make keys for `proxy`; print the entry for the first remailer's operator."""
    from remailer.client.guest import make

    print(make(keys, name).model_dump_json())


def proxy(
    chain: Annotated[str, typer.Option(help="a,*,*: the first is the one that you are a guest of")],
    avoid: AvoidOption = "",
    keys: GuestKeysOption = GUEST,
    spool: Annotated[Path, typer.Option(help="folder for mail that waits")] = PROXY,
    directory: DirectoryOption = DIRECTORY,
    port: Annotated[
        int, typer.Option(help="for mail programs, on 127.0.0.1", min=1, max=65535)
    ] = 2526,
    cells: Annotated[
        float, typer.Option(help="cells a second, as the first remailer has", min=0.1, max=100)
    ] = 2.0,
) -> None:
    """Be a local SMTP server that sends by chains, under cover; say a line when ready."""
    from remailer.client import guest as guests
    from remailer.client.chain import names
    from remailer.client.proxy import Known, Proxy, Way
    from remailer.run import live

    async def start() -> tuple[str, Proxy]:
        way = Way(Known(directory), names(chain), names(avoid) if avoid else ())
        made = Proxy(guests.load(keys), way, spool, port=port, rate=cells)
        return await made.start(), made

    live(start)


def _drawn(known: Directory, chain: str, avoid: str, recipients: list[str]) -> list[str]:
    from remailer.client import pick
    from remailer.client.chain import names

    avoided = names(avoid) if avoid else []
    rng = random.SystemRandom()
    return pick.draw(known, names(chain), rng, avoid=avoided, recipients=recipients)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise RemailerError(f"--header {line!r}: write it as 'Name: value'")
    return name, value.strip()


def _post(
    made: Submission, server: str, user: str, password_file: Path | None, sender: str, shown: bool
) -> None:
    from remailer.client.send import submit

    if shown:
        sys.stdout.buffer.write(b"To: " + made.recipient.encode() + b"\r\n\r\n" + made.body)
    elif not server or not sender:
        raise RemailerError("give --server HOST:PORT and --from ADDRESS, or --print")
    else:
        asyncio.run(submit(_server(server, user, password_file), sender, made))


def _server(where: str, user: str, password_file: Path | None) -> Server:
    from remailer.client.send import Server

    host, colon, port = where.rpartition(":")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > 65535:
        raise RemailerError(f"--server {where!r}: write it as HOST:PORT")
    return Server(host.strip("[]"), int(port), user or None, password_file)


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
