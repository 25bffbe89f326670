"""The harness's errors: one tree, one line for the user, an exit status in the class."""

from __future__ import annotations


class TestbedError(Exception):
    """What was wrong, where, and what to do, on one line. Exit status 2: nothing was measured."""

    __test__ = False
    status = 2


class UsageError(TestbedError):
    """An argument or setting that can't be."""


class DockerError(TestbedError):
    """Docker is absent, refuses, or did something else than was asked."""


class WebError(TestbedError):
    """The web is not in the state that the command needs (stale, missing, half up)."""
