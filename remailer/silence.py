"""Silence: after readiness a node writes nothing anywhere, whatever fails.

The rule: descriptors 0, 1 and 2 go to /dev/null *before* anything else starts, so that workers,
libraries and the interpreter itself have nothing to write to. What is said at set-up goes through
a `Voice`, which keeps private copies of stdout and stderr; once it is closed nobody has any.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import resource
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # workers start without it
    import asyncio

_PR_SET_DUMPABLE = 4


class Voice:
    """The only way to stdout and stderr once `hush` was called; children don't inherit it."""

    def __init__(self) -> None:
        self._out, self._err = _copy(1), _copy(2)

    def say(self, line: str) -> None:
        """One line on the original stdout."""
        _write(self._out, line)

    def complain(self, line: str) -> None:
        """One line on the original stderr."""
        _write(self._err, line)

    def close(self) -> None:
        """From here on nothing can be said any more."""
        for descriptor in (self._out, self._err):
            if descriptor >= 0:
                os.close(descriptor)
        self._out = self._err = -1


def hush() -> None:
    """Make this process unable to say, log or dump anything. Every worker process calls it too."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)
    # OpenSSL may itself have been built to obey this variable; popping it also unsets it in C.
    os.environ.pop("SSLKEYLOGFILE", None)
    logging.disable(sys.maxsize)
    logging.lastResort = None
    logging.raiseExceptions = False
    warnings.simplefilter("ignore")
    faulthandler.disable()
    sys.excepthook = _nothing
    sys.unraisablehook = _nothing
    threading.excepthook = _nothing
    _no_dumps()


def hush_loop(loop: asyncio.AbstractEventLoop) -> None:
    """The same for asyncio's own complaints (exceptions that nobody fetched, and so on)."""
    loop.set_debug(False)
    loop.set_exception_handler(_nothing)


def _no_dumps() -> None:
    """No core file, and no other process of this uid may read our memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _nothing(*_: Any) -> None:
    """What every hook does."""


def _copy(descriptor: int) -> int:
    # `os.dup` makes the copy non-inheritable: no child can write to it.
    try:
        return os.dup(descriptor)
    except OSError:
        return -1


def _write(descriptor: int, line: str) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.write(descriptor, line.encode("utf-8", "replace") + b"\n")
