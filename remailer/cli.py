"""The command line. What a user can cause is one line on stderr and exit status 2."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remailer.errors import RemailerError

if TYPE_CHECKING:
    from remailer.client.send import Server

DIRECTORY = Path("/etc/remailer/directory.json")
KEYS = Path("/var/lib/remailer/keys")
SPOOL = Path("/var/lib/remailer/spool")
USAGE = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

KeysOption = Annotated[Path, typer.Option("--keys", help="folder of the node's own keys")]
DirectoryOption = Annotated[Path, typer.Option("--directory", help="file of all remailers")]
ChainOption = Annotated[str, typer.Option(help="remailers, first to last: a,b,c")]


class Speaks(StrEnum):
    """What a node speaks on its link port."""

    SMTP = "smtp"
    TLS = "tls"


@app.callback()
def _remailer() -> None:
    """A minimal Type I remailer that keeps no logs. (`remailer health`: is port 25 answering?)"""


@app.command()
def init(
    name: Annotated[str, typer.Option(help="short name, as in chains")],
    address: Annotated[str, typer.Option(help="remailer@ and the node's own mail domain")],
    host: Annotated[list[str], typer.Option(help="IP address of the link port; repeatable")],
    link_port: Annotated[int, typer.Option(help="port on which peers are spoken to")] = 2525,
    speaks: Speaks = Speaks.TLS,
    keys: KeysOption = KEYS,
) -> None:
    """Make a node's keys; print its directory entry, and nothing else."""
    from remailer.init import make
    from remailer.keys import Identity

    identity = Identity(
        name=name, address=address, hosts=tuple(host), link_port=link_port, speaks=speaks.value
    )
    print(make(keys, identity).model_dump_json())


@app.command()
def run(
    resolver: Annotated[str, typer.Option(help="IP address of the DNS server to ask")],
    pool: Annotated[str, typer.Option(help="off, or exponential:MEAN in seconds")] = "off",
    keys: KeysOption = KEYS,
    spool: Annotated[Path, typer.Option(help="folder for mail in transit")] = SPOOL,
    directory: DirectoryOption = DIRECTORY,
) -> None:
    """Be a remailer: one line on stdout when ready, then silence."""
    from remailer.node import Place
    from remailer.run import run as live

    live(keys, directory, Place(spool, resolver), pool)


@app.command()
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


@app.command()
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


def main() -> None:
    """Run the command line."""
    try:
        status = app(standalone_mode=False) or 0
    except RemailerError as error:
        status = _complain(str(error))
    except typer.TyperException as error:
        status = _complain(getattr(error, "format_message", lambda: "unusable arguments")())
    except typer.Abort:
        status = _complain("interrupted")
    except OSError as error:
        status = _complain(f"{error.filename or 'system'}: {error.strerror}")
    sys.exit(status)


def _complain(line: str) -> int:
    if not line:  # without arguments there was the help instead
        return USAGE
    print(f"remailer: {line}", file=sys.stderr)
    return USAGE
