"""Users with proxies: their mail programs, inside their containers, hand mail in at its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from docker.errors import APIError

from testbed import agent
from testbed.attack.load import Posted
from testbed.attack.truth import Handed
from testbed.engine import refused
from testbed.errors import WebError
from testbed.topology import Guest
from testbed.web import Web

_PROGRAM = """
import json, smtplib, sys, time
for at, to, mail in json.loads(sys.stdin.readline()):
    time.sleep(max(0.0, at - time.time()))
    begun = time.time()
    with smtplib.SMTP("127.0.0.1", 2526, timeout=30) as proxy:
        proxy.sendmail("me@localhost", [to], mail.encode())
        print(json.dumps([begun, time.time()]), flush=True)
"""
"""Standard library only: it runs in the user's container, where any mail program of his would."""
LEAD = 4.0
"""Seconds in which all the programs start, before the first mail."""
PATIENCE = 60.0
"""Seconds that a proxy may take for its user's last mail."""


def send(web: Web, posted: Sequence[Posted], sent: Callable[[], None]) -> list[Handed]:
    """Hand letters in at their users' own proxies, each at its time; when each was.

    Raises WebError with a program's last word.
    """
    by_name = {guest.name: guest for guest in web.topology.guests}
    theirs: dict[str, list[Posted]] = {}
    for one in sorted(posted, key=lambda one: one.at):
        theirs.setdefault(one.sender, []).append(one)
    began = time.time() + LEAD
    with ThreadPoolExecutor(len(theirs)) as pool:
        works = [
            pool.submit(_hand_in, web, by_name[name], own, began, sent)
            for name, own in theirs.items()
        ]
        return [handed for work in works for handed in work.result()]


def _hand_in(
    web: Web, guest: Guest, letters: Sequence[Posted], began: float, sent: Callable[[], None]
) -> list[Handed]:
    task = [(began + one.at, one.to, one.mail.decode()) for one in letters]
    most = LEAD + letters[-1].at + PATIENCE
    handed: list[Handed] = []
    complaints: list[str] = []
    try:
        argv = ["python3", "-I", "-c", _PROGRAM]
        made = web.docker.api.exec_create(web.container(guest.name).id, argv, stdin=True)["Id"]
        who = f"{guest.name}: its mail program"
        for begun, taken in agent.talk(web.docker, made, task, most, complaints, who):
            handed.append(Handed(guest.name, guest.path[0], begun, taken))
            sent()
    except APIError as error:
        raise refused(error) from None
    if len(handed) < len(letters):
        last = (complaints or ["without a word"])[-1]
        raise WebError(f"{guest.name}: its mail program ended early: {last}")
    return handed
