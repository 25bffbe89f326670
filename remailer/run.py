"""`remailer run`: one node as a process, from its arguments to SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from remailer import directory, keys, pool
from remailer.errors import RemailerError
from remailer.node import Node, Place
from remailer.silence import Voice, hush, hush_loop

SETUP_FAILED = 2


def run(keys_folder: Path, directory_file: Path, place: Place, delays: str) -> None:
    """Be a node until SIGTERM or SIGINT; never returns, but exits with 0, or SETUP_FAILED.

    Stdout gets one line when the node is ready, stderr one when it can't be set up, and both
    nothing else: from the first moment on only the voice has them.
    """
    voice = Voice()
    hush()

    def make() -> tuple[str, Node]:
        own = keys.load(keys_folder)
        node = Node(own, directory.load(directory_file), place, pool.parse(delays))
        return own.identity.name, node

    asyncio.run(_live(make, voice))


async def _live(make: Callable[[], tuple[str, Node]], voice: Voice) -> None:
    loop = asyncio.get_running_loop()
    hush_loop(loop)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        name, node = make()
        await node.start()
    except RemailerError as error:
        voice.complain(f"remailer: {error}")
        os._exit(SETUP_FAILED)
    except Exception as error:
        voice.complain(f"remailer: can't start: {type(error).__name__}: {_one_line(error)}")
        os._exit(SETUP_FAILED)
    voice.say(f"remailer {name}: ready")
    voice.close()
    await stopped.wait()
    await node.stop()
    # Everything is on disk; threads of libraries are not waited for.
    os._exit(0)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
