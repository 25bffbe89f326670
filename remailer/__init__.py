"""A minimal Type I remailer that keeps no logs: listener → spool → peel → pool → link or exit."""

from __future__ import annotations

__version__ = "0.1.0"
