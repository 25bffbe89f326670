"""Users with proxies: their mail programs, inside their containers, hand mail in at its time."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from docker.errors import APIError
from docker.utils.socket import frames_iter

from testbed.agent import raw
from testbed.attack.load import Posted
from testbed.engine import refused
from testbed.errors import WebError
from testbed.topology import Guest
from testbed.web import Web

_PROGRAM = """
import json, smtplib, sys, time
for at, to, mail in json.loads(sys.stdin.readline()):
    time.sleep(max(0.0, at - time.time()))
    with smtplib.SMTP("127.0.0.1", 2526, timeout=30) as proxy:
        proxy.sendmail("me@localhost", [to], mail.encode())
"""
"""Standard library only: it runs in the user's container, where any mail program of his would."""
PATIENCE = 60.0
"""Seconds that a proxy may take for its user's last mail."""


def send(web: Web, posted: Sequence[Posted], began: float, sent: Callable[[], None]) -> None:
    """Hand letters in at their users' own proxies, each `at` seconds after `began` (since 1970).

    Raises WebError with a program's last word.
    """
    by_name = {guest.name: guest for guest in web.topology.guests}
    theirs: dict[str, list[Posted]] = {}
    for one in sorted(posted, key=lambda one: one.at):
        theirs.setdefault(one.sender, []).append(one)

    def work(name: str) -> None:
        _hand_in(web, by_name[name], theirs[name], began)
        for _ in theirs[name]:
            sent()

    with ThreadPoolExecutor(len(theirs)) as pool:
        list(pool.map(work, theirs))


def _hand_in(web: Web, guest: Guest, letters: Sequence[Posted], began: float) -> None:
    api = web.docker.api
    task = [(began + one.at, one.to, one.mail.decode()) for one in letters]
    argv = ["python3", "-I", "-c", _PROGRAM]
    try:
        made = api.exec_create(web.container(guest.name).id, argv, stdin=True)["Id"]
        with contextlib.closing(api.exec_start(made, socket=True)) as connection:
            line = raw(connection)
            line.settimeout(max(0.0, began + letters[-1].at - time.time()) + PATIENCE)
            line.sendall(json.dumps(task).encode() + b"\n")
            frames = frames_iter(connection, tty=False)  # type: ignore[no-untyped-call]
            said = b"".join(data for _, data in frames).decode(errors="replace").strip()
        status = api.exec_inspect(made)["ExitCode"]
    except APIError as error:
        raise refused(error) from None
    except OSError as error:
        raise WebError(f"{guest.name}: its mail program gave no answer: {error}") from None
    if status:
        last = (said.splitlines() or ["without a word"])[-1]
        raise WebError(f"{guest.name}: its mail program ended with {status}: {last}")
