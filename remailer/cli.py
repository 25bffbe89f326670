"""The command line. What a user can cause is one line on stderr and exit status 2."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from remailer import __version__
from remailer.client import commands
from remailer.errors import RemailerError
from remailer.options import DIRECTORY, DirectoryOption
from remailer.places import KEYS, SPOOL

USAGE = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

KeysOption = Annotated[Path, typer.Option("--keys", help="folder of the node's own keys")]
_RATE = "connections and 64 KiB parts of mail that port 25 takes from one address a minute"
_CELLS = "cells a second to each peer and guest, with mail or without, if the node speaks cells"
SpoolOption = Annotated[Path, typer.Option("--spool", help="folder for mail in transit")]

GuestsOption = Annotated[
    Path | None, typer.Option("--guests", help="file of the users who may call, on cells")
]
HostedOption = Annotated[
    bool, typer.Option("--hosted", help="no port 25: the host's mail system calls `deliver`")
]


class Speaks(StrEnum):
    """What a node speaks with its peers."""

    PORT25 = "port25"
    DIRECT25 = "direct25"
    SMTP = "smtp"
    TLS = "tls"
    CELLS = "cells"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"remailer {__version__}")
        raise typer.Exit


@app.callback()
def _remailer(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")
    ] = False,
) -> None:
    """A minimal Type I remailer that keeps no logs.

    `remailer health`: is port 25 answering? `remailer deliver`: one mail, for a .forward.
    """


@app.command()
def init(
    name: Annotated[str, typer.Option(help="short name, as in chains")],
    address: Annotated[str, typer.Option(help="remailer@ and the node's own mail domain")],
    host: Annotated[list[str], typer.Option(help="IP address of the link port; repeatable")],
    link_port: Annotated[
        int | None, typer.Option(help="port for peers: 2525, or 25 if the mail host's is used")
    ] = None,
    speaks: Speaks = Speaks.CELLS,
    keys: KeysOption = KEYS,
) -> None:
    """Make a node's keys; print its directory entry, and nothing else."""
    from remailer.directory import HOSTED
    from remailer.init import make
    from remailer.keys import Identity

    port = (25 if speaks.value in HOSTED else 2525) if link_port is None else link_port
    identity = Identity(
        name=name, address=address, hosts=tuple(host), link_port=port, speaks=speaks.value
    )
    print(make(keys, identity).model_dump_json())


@app.command()
def renew(
    switch: Annotated[bool, typer.Option("--switch", help="use the next key from now on")] = False,
    keys: KeysOption = KEYS,
) -> None:
    """Make the next link key, and after it is in all directories, use it; print the entry."""
    from remailer import renew as renewal

    print((renewal.switch if switch else renewal.prepare)(keys).model_dump_json())


@app.command()
def run(
    resolver: Annotated[str, typer.Option(help="IP address of the DNS server to ask")],
    pool: Annotated[
        str, typer.Option(help="off, exponential:MEAN or timed:SECONDS,LEAST,PERCENT")
    ] = "off",
    hosted: HostedOption = False,
    keys: KeysOption = KEYS,
    spool: SpoolOption = SPOOL,
    directory: DirectoryOption = DIRECTORY,
    rate: Annotated[int, typer.Option(help=_RATE, min=1)] = 600,
    certificate: Annotated[Path | None, typer.Option(help="of port 25's STARTTLS, PEM")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="its key, PEM")] = None,
    pgponly: Annotated[bool, typer.Option("--pgponly", help="drop what isn't encrypted")] = False,
    blocked: Annotated[Path | None, typer.Option(help="file of blocked addresses")] = None,
    cells: Annotated[float, typer.Option(help=_CELLS, min=0.1, max=100)] = 2.0,
    guests: GuestsOption = None,
) -> None:
    """Be a remailer: one line on stdout when ready, then silence."""
    from remailer.blocked import Blocked, load
    from remailer.node import Place
    from remailer.run import run as live

    if (certificate is None) != (certificate_key is None):
        raise RemailerError("give --certificate and --certificate-key, or neither")
    shown = (certificate, certificate_key) if certificate and certificate_key else None
    place = Place(
        spool,
        resolver,
        rate=rate,
        certificate=shown,
        pgponly=pgponly,
        blocked=load(blocked) if blocked else Blocked(),
        hosted=hosted,
        cells=cells,
        guests=guests,
    )
    live(keys, directory, place, pool)


@app.command()
def check(
    resolver: Annotated[str, typer.Option(help="IP address of the DNS server that `run` asks")],
    keys: KeysOption = KEYS,
    spool: SpoolOption = SPOOL,
    directory: DirectoryOption = DIRECTORY,
    hosted: HostedOption = False,
    guests: GuestsOption = None,
) -> int:
    """Say whether keys, disk, peers, DNS and port 25 are well; nothing of any mail."""
    from remailer.check import check as look
    from remailer.node import Place

    return look(keys, directory, Place(spool, resolver, hosted=hosted, guests=guests))


commands.register(app)


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
