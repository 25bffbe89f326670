"""Calls of the pacer: who calls whom, and when.

Between two remailers there is one link, whose cells go both ways. Who calls is settled by their
addresses, and when by a schedule that no mail moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from ipaddress import ip_address
from typing import Protocol

from remailer.link.line import Line, Tls
from remailer.link.pins import Pins
from remailer.party import Party

CONNECT_SECONDS = 20.0
PAUSE_SECONDS = (0.5, 2.0)
"""Between two calls of one peer, drawn anew each time."""
LIFE_SECONDS = (43_200.0, 86_400.0)
"""After so long a connection gives way to a new one, with new keys: TLS wants it after some 24
million records (RFC 8446, 5.5), and what was said yesterday should open with no key of today."""


class House(Protocol):
    """The pacer, as its calls see it."""

    pins: Pins
    rng: random.Random

    def enter(self, plain: socket.socket, tls: Tls, peer: Party) -> Line:
        """A connection to that peer after its handshake."""


def calls(own: Party, peer: Party) -> bool:
    """Whether it is for `own` to call that peer: a guest calls, else the lower address."""
    if own.name == peer.name or peer.guest or peer.speaks != "cells":
        return False
    return own.guest or own.speaks != "cells" or _order(own) < _order(peer)


def _order(peer: Party) -> tuple[int, bytes, int]:
    address = ip_address(peer.hosts[0])
    return address.version, address.packed, peer.link_port


async def call_always(house: House, peer: Party) -> None:
    """Have a connection with that peer: call, wait until it breaks or is old, call again."""
    while True:
        for host in peer.hosts:
            try:
                line = await _call(house, peer, host)
            except Exception as error:  # whatever was wrong, the next call may go better
                error.__traceback__ = None  # asyncio keeps it in a circle, and with it all of TLS
                continue
            with contextlib.suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it loses a cancellation when `gone` is set with it.
                async with asyncio.timeout(house.rng.uniform(*LIFE_SECONDS)):
                    await line.gone.wait()
            break
        await asyncio.sleep(house.rng.uniform(*PAUSE_SECONDS))


async def _call(house: House, peer: Party, host: str) -> Line:
    """A connection with the owner of that peer's key. Raises OSError, TimeoutError."""
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    plain, tls = socket.socket(family, socket.SOCK_STREAM), Tls(house.pins.client(peer))
    plain.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(plain, (host, peer.link_port))
            await tls.shake_hands(plain)
        if not house.pins.shows(tls.certificate, peer):
            raise ConnectionRefusedError
    except BaseException:
        plain.close()
        raise
    return house.enter(plain, tls, peer)
