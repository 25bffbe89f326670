"""The command `testbed`: what make calls, and the same for those who like flags better."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from remailer.errors import RemailerError
from testbed import compose, engine, mailbox
from testbed.errors import TestbedError, UsageError, WebError
from testbed.images import Images
from testbed.report import files
from testbed.report.progress import Progress
from testbed.report.terminal import show
from testbed.topology import Link, Topology
from testbed.web import Web

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
CACHE = compose.ROOT / ".cache"
OUT = compose.ROOT / "out"

INTERRUPTED = 130
"""What typer gives for Ctrl-C."""


def _env(name: str, default: str) -> str:
    """A setting from the environment; make exports empty ones too."""
    return os.environ.get(name) or default


def _number(name: str, default: int) -> int:
    text = _env(name, str(default))
    if not text.isdecimal():
        raise UsageError(f"{name}={text!r} is not a number")
    return int(text)


def wanted() -> Topology:
    """The topology that the environment asks for (WEB, LINK, NODES, POOL, CELLS, HOSTED, WITNESS,
    LEAKS)."""
    link = _env("LINK", Topology.link)
    if link not in set(Link):
        raise UsageError(f"LINK={link!r} is no link stage: use one of {', '.join(Link)}")
    return replace(
        named(),
        link=Link(link),
        nodes=_number("NODES", Topology.nodes),
        pool=_env("POOL", Topology.pool),
        cells=_number("CELLS", Topology.cells),
        hosted=bool(_number("HOSTED", 0)),
        witness=_env("WITNESS", Topology.witness),
    )


def planted(asked: Topology) -> Topology:
    """The same with the leaks that LEAKS names: NODE=LEAK, several with commas."""
    given = [item.strip().partition("=") for item in _env("LEAKS", "").split(",") if item.strip()]
    return _planted(asked, {node: leak for node, _, leak in given})


def _planted(asked: Topology, leaks: Mapping[str, str]) -> Topology:
    if unknown := leaks.keys() - {node.name for node in asked.remailers}:
        raise UsageError(f"a leak in {', '.join(sorted(unknown))}: no remailer of this web")
    if not leaks:
        return asked
    from testbed.leaks.plant import module

    return replace(asked, leaks={node: module(leak) for node, leak in leaks.items()})


def named() -> Topology:
    """Just the web that the environment names: its other settings are not asked for."""
    return Topology(web=_env("WEB", Topology.web))


def _ports() -> int:
    """The first of four ports that PORTS chooses; 0 for free ones."""
    ports = _number("PORTS", 0)
    if ports and not 1 <= ports <= 65532:
        raise UsageError(f"PORTS={ports}: four ports from there on must be below 65536")
    return ports


def _same(web: Web, asked: Topology) -> None:
    """A web that is up must be the one that is asked for."""
    for setting in ("link", "nodes", "pool", "cells", "hosted", "witness", "leaks"):
        is_, want = (getattr(topology, setting) for topology in (web.topology, asked))
        if is_ != want:
            is_, want = map(_told, (is_, want))
            raise WebError(
                f"web {asked.web} is up with {setting.upper()}={is_}, not {want}: "
                f"{asked.make('down')} first"
            )


def _told(setting: object) -> str:
    """A setting as one gives it."""
    if isinstance(setting, Mapping):
        return ",".join(f"{node}={leak}" for node, leak in setting.items()) or "nothing"
    return str(int(setting) if isinstance(setting, bool) else setting)


@app.command()
def images() -> None:
    """Build the images whose inputs have changed."""
    docker = engine.connect()
    with Progress() as progress, progress.phase("images") as phase:
        built = Images(docker, CACHE).ensure(progress=phase.note)
    for name, tag in built.items():
        print(f"{name:10} {tag}")


@app.command()
def up() -> None:
    """Bring a web up, if it isn't, and print how to write to it."""
    docker, asked, ports = engine.connect(), planted(wanted()), _ports()
    web = Web.find(docker, asked.web)
    if web is not None:
        _same(web, asked)
    else:
        web = Web(docker, asked)
        with Progress() as progress:
            with progress.phase("images") as phase:
                built = Images(docker, CACHE).ensure(progress=phase.note)
            web.up(built, progress.phase, ports=ports)
            with progress.phase("health"):
                web.wait_until_healthy()
    _tell(web)


def _tell(web: Web) -> None:
    """What a user wants to know of a web that is up."""
    topology = web.topology
    state = web.state.relative_to(compose.ROOT)
    beside = " beside mail hosts" if topology.hosted else ""
    print(
        f"web {topology.web}: {topology.nodes} remailers{beside}, {topology.link} links, "
        f"{topology.pool}"
    )
    print(f"  remailers   {', '.join(node.address for node in topology.remailers)}")
    for host in topology.mailhosts:
        names = ", ".join(f"{name}@{host.domain}" for name in host.users)
        (at, submission), (_, imap) = web.published(host.name, 587), web.published(host.name, 143)
        print(f"  {host.name:10}  submission {at}:{submission}, IMAP {at}:{imap}: {names}")
    print(f"  directory   {state}/directory.json; passwords in {state}/USER.password")
    user, other = topology.sender.users[0], topology.recipient.users[0]
    at, port = web.published(topology.sender.name, 587)
    chain = ",".join(node.name for node in topology.remailers[:3])
    made = f".venv/bin/remailer send --directory {state}/directory.json --chain {chain}"
    made += f" --to {other}@{topology.recipient.domain} --subject hello"
    print("Write to it, through three remailers:")
    print(
        f"  echo hello | {made} --server {at}:{port} --user {user}"
        f" --password-file {state}/{user}.password --from {user}@{topology.sender.domain} -"
    )
    print("or with swaks (docs/by-hand.md: with gpg, too):")
    print(
        f"  echo hello | {made} --print - | swaks --config {state}/{user}.swaksrc"
        f" --to {topology.remailers[0].address} --data -"
    )
    web_ = "" if topology.web == Topology.web else f"WEB={topology.web} "
    print(f"Read it:\n  {web_}.venv/bin/testbed read {other}")
    node = web.container(topology.remailers[0].name).name
    option = " --hosted" if topology.hosted else ""
    print(
        "Is a node well? (Peers called probe are the prober's, and there only while it probes.)\n"
        f"  docker exec {node} remailer check{option} --resolver {topology.dns}"
    )


@app.command()
def read(user: Annotated[str, typer.Argument(help="a user's name, like bob")]) -> None:
    """Print the mails that a user of the web has, as his IMAP server gives them."""
    web = Web.find(engine.connect(), named().web)
    if web is None:
        raise WebError(f"web {named().web} is not up: {named().make('up')}")
    sys.stdout.buffer.writelines(mail + b"\r\n" for mail in mailbox.all_of(web, user))


@app.command()
def status() -> None:
    """What of the web is up; exit status 2 if it is not, or not whole."""
    docker, asked = engine.connect(), named()
    states = Web(docker, asked).status()
    for service, state in states.items():
        print(f"{service:12} {state}")
    web = Web.find(docker, asked.web)
    if web is None:
        raise WebError(f"web {asked.web} is not up: {asked.make('up')}")
    _tell(web)


@app.command()
def down() -> None:
    """Remove all that belongs to the web: containers, networks, volumes, keys."""
    docker, asked = engine.connect(), named()
    count = Web(docker, asked).down()
    print(f"web {asked.web}: {'nothing was there' if not count else 'nothing is left'}")


@app.command()
def verify(
    out: Annotated[Path, typer.Option(help="Folder for the verdict, report and capture.")] = OUT,
) -> None:
    """Send real mail through a web and give the verdict: 0 holds, 1 a claim fails, 2 inconclusive.

    Brings a web up if none is, and takes that one down again.
    """
    from testbed.verify import patience, verify_web

    docker, asked = engine.connect(), planted(wanted())
    patience(asked.pool)  # now is the time to hear of a pool that keeps mail
    seed = _number("SEED", secrets.randbelow(10**6))
    web = Web.find(docker, asked.web)
    with Progress() as progress:
        if web is not None:
            _same(web, asked)
            web.must_be_fresh()
            record = verify_web(web, out, seed, progress)
        else:
            with progress.phase("images") as phase:
                built = Images(docker, CACHE).ensure(progress=phase.note)
            web = Web(docker, asked)
            try:
                web.up(built, progress.phase)
                record = verify_web(web, out, seed, progress, last=True)
            finally:
                with progress.phase("down"):
                    web.down()
    show(record, out)
    raise typer.Exit(record.status)


@app.command()
def bench(
    out: Annotated[Path, typer.Option(help="Folder for bench.json and bench.html.")] = OUT,
) -> None:
    """Measure what the web costs, as ratios to what one would use instead (docs/bench.md)."""
    from testbed.bench.run import Plan
    from testbed.bench.run import bench as measure
    from testbed.report import bench_terminal

    docker = engine.connect()
    seed = _number("SEED", secrets.randbelow(10**6))
    plan = Plan(pairs=_number("PAIRS", Plan.pairs))
    if not plan.pairs:
        raise UsageError("PAIRS=0: at least one pair has to be measured")
    with Progress() as progress:
        found = measure(docker, CACHE, f"bench-{os.getpid()}", plan, seed, progress)
    files.write_bench(found, out)
    bench_terminal.show(found, out)


@app.command()
def leaks(
    name: Annotated[list[str] | None, typer.Argument(help="Only these; all without.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for leaks.json and the verdicts.")] = OUT,
) -> None:
    """Plant every leak and score the verdict (docs/leaks.md): 0 all caught and no false alarm.

    Then come CLEAN webs without one: 20, or none when leaks are named.
    """
    from testbed.leaks import plant, run
    from testbed.report import leaks_terminal

    docker = engine.connect()
    seed, clean = _number("SEED", secrets.randbelow(10**6)), _number("CLEAN", 0 if name else 20)
    plants = {one.name: one for one in plant.catalogue()}
    asked = [plant.module(one) for one in name or plants]
    if others := [one for one in asked if one not in plants]:
        raise UsageError(
            f"{', '.join(others)}: only the attacks look for it (make matrix PLANTS=1)"
        )
    chosen = [plants[one] for one in asked]
    with Progress() as progress:
        with progress.phase("images") as phase:
            built = Images(docker, CACHE).ensure(progress=phase.note)
        bench = run.Bench(docker, built, run.names(), out / "leaks")
        score = run.run(bench, chosen, clean, seed, progress)
    files.write_leaks(score, out)
    leaks_terminal.show(score, out)
    raise typer.Exit(score.status)


@app.command()
def matrix(
    out: Annotated[Path, typer.Option(help="Folder for matrix.json and matrix.html.")] = OUT,
) -> None:
    """Every attack at every link stage, with the pool off and on (docs/attacks.md).

    LINK and POOL choose one of them; STRESS=1 keeps the machine busy meanwhile; PLANTS=1 tries the
    attacks on plants in nodes, too; FULL=1 does so (unless PLANTS=0), sends ten times the mail and
    more, and keeps the results in docs/results; KEEP=1 keeps the captures. Exit status 0: all is as
    expected, 1: something isn't, 2: something is inconclusive.
    """
    from testbed.attack import run
    from testbed.attack.physical import PHYSICAL
    from testbed.report import matrix_terminal

    docker = engine.connect()
    seed = _number("SEED", secrets.randbelow(10**6))
    asked, full = wanted(), bool(_number("FULL", 0))
    name = _env("WEB", f"matrix-{os.getpid()}")
    stages = (asked.link,) if _env("LINK", "") else tuple(Link)
    plan = run.Plan(
        stages=stages,
        pools=(asked.pool,) if _env("POOL", "") else (run.OFF, run.ON),
        nodes=asked.nodes,
        full=full,
        plants=tuple(
            one for one in PHYSICAL if one.link in stages and _number("PLANTS", int(full))
        ),
        stress=bool(_number("STRESS", 0)),
    )
    only = [value.replace(":", "-") for name in ("LINK", "POOL") if (value := _env(name, ""))]
    kinds = ["full"] * full + ["stressed"] * plan.stress
    kept = out / "-".join(["matrix", str(seed), str(asked.nodes), *kinds, *only])
    print(f"seed {seed}: if it is interrupted, SEED={seed} goes on where it was", file=sys.stderr)
    with Progress() as progress:
        lab = run.Lab(docker, CACHE, name, kept, tapes=bool(_number("KEEP", 0)))
        found = run.matrix(lab, plan, seed, progress)
    files.write_matrix(found, out)
    if full:
        files.keep_matrix(found, compose.ROOT / "docs" / "results", kept.name)
    matrix_terminal.show(found, out)
    raise typer.Exit(found.status)


@app.command()
def render(
    leak: Annotated[list[str] | None, typer.Option(help="NODE=LEAK: plant a leak.")] = None,
) -> None:
    """Print the Compose file of the web that the environment asks for."""
    given = [item.partition("=") for item in leak or []]
    leaks = {node: name for node, _, name in given}
    typer.echo(compose.render(_planted(wanted(), leaks)), nl=False)


@app.command()
def pictures() -> None:
    """Draw the README's pictures from the last verdict."""
    for path in files.pictures(files.read(OUT), compose.ROOT / "docs"):
        print(path.relative_to(compose.ROOT))


@app.command()
def clean() -> None:
    """Remove the project's images."""
    count = Images(engine.connect(), CACHE).remove()
    print(f"{count} images removed")


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    """A termination is handled like Ctrl-C: what was begun is taken down."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command; what a user can cause is one line and exit status 2."""
    for wanted_signal in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted_signal, _interrupt)
    try:
        status = app(standalone_mode=False) or 0
    except (TestbedError, RemailerError) as error:
        status = _complain(str(error))
    except typer.TyperException as error:
        status = _complain(getattr(error, "format_message", lambda: "unusable arguments")())
    except OSError as error:
        status = _complain(
            f"{error.filename or 'system'}: {engine.explain(error.strerror or str(error))}"
        )
    if status == INTERRUPTED:
        _complain(
            "interrupted; what this command brought up is down again; a web that was up before is "
            f"still up, with what was under way in it: {named().make('down')}"
        )
    sys.exit(status)


def _complain(line: str) -> int:
    """Say what was wrong, on one line; nothing was measured, so the exit status is 2."""
    if line:  # without arguments there was the help instead
        print(f"testbed: {line}", file=sys.stderr)
    return 2
