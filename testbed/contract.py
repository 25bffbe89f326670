"""What a node may have on disk, and where: all else that it writes is a leak. No I/O here."""

from __future__ import annotations

from remailer.deliver import SOCKET

SPOOL = "/var/lib/remailer/spool"
KEYS = "/var/lib/remailer/keys"
"""Where a node has its volumes."""

DATABASE = "spool.db"
"""The spool's file in its folder; its log stands beside it."""

DECLARED = {
    SPOOL: frozenset({DATABASE, f"{DATABASE}-wal", SOCKET}),
    KEYS: frozenset({"identity.json", "openpgp.asc", "link.key", "link.crt", "secret"}),
}
"""The volumes of a node, and every file that may be in them."""

WRITTEN = tuple(f"{SPOOL}/{name}" for name in (DATABASE, f"{DATABASE}-wal"))
"""The files that a node writes to while it runs."""
