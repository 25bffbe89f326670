"""The entrance of a node beside a mail host: a Unix socket, for this user's processes only.

The rule: its mode is 0600 from the start. Whoever has opened the spool owns the socket beside it:
one that an earlier process left there is taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from remailer.deliver import SOCKET
from remailer.errors import SetupError


async def listen(factory: Callable[[], asyncio.BaseProtocol], spool: Path) -> asyncio.Server:
    """Listen in the spool's folder. Raises SetupError."""
    path = spool / SOCKET
    made = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise SetupError(f"{path}: {error.strerror or error}: choose another --spool") from None
    finally:
        os.umask(mask)
    return await asyncio.get_running_loop().create_unix_server(factory, sock=made)
