"""Where a node keeps its things unless it is told: the machine's own remailer, else this user's.

The rule: `run`, `deliver` and the rest must find the same place, whatever started them. So it
depends on nothing but what is there and on HOME, which a mail system sets for a .forward too.
"""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM = Path("/var/lib/remailer")
"""Made by whoever administers the machine; where it is missing, an ordinary user's folder is."""
USERS = ".local/share/remailer"


def folder() -> Path:
    """The folder of this machine's or this user's remailer."""
    return SYSTEM if SYSTEM.is_dir() else users()


def directory() -> Path:
    """The file of all remailers."""
    system = Path("/etc/remailer/directory.json")
    return system if SYSTEM.is_dir() or system.exists() else folder() / "directory.json"


def users() -> Path:
    """The folder of this user, also beside the machine's own remailer."""
    return Path(os.environ.get("HOME", "/")) / USERS


KEYS, SPOOL, DIRECTORY = folder() / "keys", folder() / "spool", directory()
GUEST, PROXY = users() / "guest", users() / "proxy"
