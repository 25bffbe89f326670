"""The remailer's errors: one tree; a user sees one line, a mail host an SMTP code."""

from __future__ import annotations


class RemailerError(Exception):
    """What was wrong, where, and what to do, on one line."""


class SetupError(RemailerError):
    """The node can't start: keys, directory, spool or ports. Told before the ports open."""


class Dropped(RemailerError):
    """A message that asks for nothing this remailer does; it is dropped without a word."""


class ChainError(RemailerError):
    """A chain or reply block that can't be made from this directory."""


class AnswerError(RemailerError):
    """An answer by a reply block that can't be opened."""


class SpoolFull(RemailerError):
    """The disk can't take it, or fails; nothing was stored. SMTP: 452."""
