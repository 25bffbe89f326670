"""Parties: whoever is at the other end of a link of cells, as the link has to know it.

Plain, unlike the entries that are read from files: the pacer's process starts without the library
that reads those.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Party:
    """A remailer, or a guest."""

    name: str
    certificates: tuple[str, ...]
    """Its link certificates, PEM."""
    hosts: tuple[str, ...] = ()
    """IP addresses; a guest has none: it calls, and can't be called."""
    link_port: int = 0
    speaks: str = "cells"

    @property
    def guest(self) -> bool:
        """Whether it is a user, and no remailer."""
        return not self.hosts
