"""`remailer run`: one node as a process, from its arguments to SIGTERM; the same for a proxy."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from remailer import directory, keys, pool
from remailer.errors import RemailerError
from remailer.node import Node, Place
from remailer.silence import Voice, hush, hush_loop

SETUP_FAILED = 2


class Service(Protocol):
    """What lives until it is told to stop."""

    async def stop(self) -> None:
        """Stop, within a second."""


Start = Callable[[], Awaitable[tuple[str, Service]]]
"""Starts a service; the line to say when it is ready, and the service. Raises RemailerError."""


def run(keys_folder: Path, directory_file: Path, place: Place, delays: str) -> None:
    """Be a node until SIGTERM or SIGINT; never returns, but exits with 0, or SETUP_FAILED.

    Stdout gets one line when the node is ready, stderr one when it can't be set up, and both
    nothing else: from the first moment on only the voice has them.
    """

    async def start() -> tuple[str, Node]:
        own = keys.load(keys_folder)
        node = Node(own, directory.load(directory_file), place, pool.parse(delays))
        await node.start()
        return f"remailer {own.identity.name}: ready", node

    live(start)


def live(start: Start) -> None:
    """Be what `start` gives until SIGTERM or SIGINT, as `run` is."""
    voice = Voice()
    hush()
    asyncio.run(_live(start, voice))


async def _live(start: Start, voice: Voice) -> None:
    loop = asyncio.get_running_loop()
    hush_loop(loop)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        line, service = await start()
    except RemailerError as error:
        voice.complain(f"remailer: {error}")
        os._exit(SETUP_FAILED)
    except Exception as error:
        voice.complain(f"remailer: can't start: {type(error).__name__}: {_one_line(error)}")
        os._exit(SETUP_FAILED)
    voice.say(line)
    voice.close()
    await stopped.wait()
    await service.stop()
    # Everything is on disk; threads of libraries are not waited for.
    os._exit(0)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
