"""The sender's commands. Imports stand in the functions: a node starts this command line, too."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remailer.errors import RemailerError
from remailer.options import DIRECTORY, DirectoryOption

if TYPE_CHECKING:
    from remailer.client.send import Server

ChainOption = Annotated[str, typer.Option(help="remailers, first to last: a,b,c")]


def register(app: typer.Typer) -> None:
    """Add the sender's commands to the command line."""
    for command in (send, block):
        app.command()(command)


def send(
    chain: ChainOption,
    to: Annotated[str, typer.Option(help="recipients, separated by commas")],
    file: Annotated[Path, typer.Argument(help="the text; - is standard input")],
    subject: str = "",
    directory: DirectoryOption = DIRECTORY,
    server: Annotated[str, typer.Option(help="HOST:PORT of your mail host's submission")] = "",
    user: Annotated[str, typer.Option(help="your name there")] = "",
    password_file: Annotated[Path | None, typer.Option(help="file with your password")] = None,
    sender: Annotated[str, typer.Option("--from", help="your own address")] = "",
    print_: Annotated[bool, typer.Option("--print", help="print it instead of sending")] = False,
) -> None:
    """Send a text through a chain of remailers."""
    from remailer.client import chain as forward
    from remailer.client.send import submit
    from remailer.directory import load

    recipients = [one.strip() for one in to.split(",")]
    body = _read(file)
    made = forward.make(load(directory), forward.names(chain), recipients, subject, body)
    if print_:
        sys.stdout.buffer.write(b"To: " + made.recipient.encode() + b"\r\n\r\n" + made.body)
    elif not server or not sender:
        raise RemailerError("give --server HOST:PORT and --from ADDRESS, or --print")
    else:
        asyncio.run(submit(_server(server, user, password_file), sender, made))


def block(
    chain: ChainOption,
    to: Annotated[str, typer.Option("--to", help="where answers shall arrive: your address")],
    subject: str = "",
    directory: DirectoryOption = DIRECTORY,
) -> None:
    """Print a reply block: who mails it to the chain's first remailer with a text reaches you."""
    from remailer.client import chain as forward
    from remailer.client import reply_block
    from remailer.directory import load

    known, names = load(directory), forward.names(chain)
    made = reply_block.make(known, names, to, subject)
    first = known.named(names[0])
    if first is not None:
        print(f"Mail it, with the answer right after it, to {first.address}", file=sys.stderr)
    sys.stdout.buffer.write(made)


def _server(where: str, user: str, password_file: Path | None) -> Server:
    from remailer.client.send import Server

    host, colon, port = where.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise RemailerError(f"--server {where!r}: write it as HOST:PORT")
    return Server(host.strip("[]"), int(port), user or None, password_file)


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
