"""What the tests of whole webs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from testbed.web import Web

WebMaker = Callable[..., AbstractContextManager[Web]]
"""Brings any web up and takes it down: `with make_web(link=Link.SMTP, nodes=2) as web`."""


@contextmanager
def quiet(phase: str) -> Iterator[None]:
    """A phase that nobody watches."""
    yield
