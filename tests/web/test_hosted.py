"""A node beside a mail host: a real Postfix runs `remailer deliver` for every mail, and the user's
process is stopped and started."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from remailer.client import chain
from testbed import mailbox
from testbed.web import Web
from webs import WebMaker

pytestmark = pytest.mark.web

WITHIN = 30.0

RUN = ["remailer", "run", "--hosted", "--pool", "off", "--resolver"]
STOP = """
import os, signal
from pathlib import Path
for pid in sorted(int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
    try:
        if pid > 1 and b"--hosted" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\\0"):
            os.kill(pid, signal.SIGTERM)
            break  # the others are its workers
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def small(make_web: WebMaker) -> Iterator[Web]:
    with make_web(nodes=2, pool="off", hosted=True, witness="plain") as web:
        yield web


def log(container: Container) -> str:
    return str(container.exec_run(["cat", "/var/log/mail.log"]).output.decode())


def until(container: Container, words: str, count: int = 1) -> str:
    """The host's log, once it says this so often."""
    deadline = time.monotonic() + WITHIN
    while (text := log(container)).count(words) < count:
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    return text


def write(web: Web, text: bytes, path: tuple[str, ...] = ("alpha", "bravo")) -> None:
    """A user's mail, put into the sender's mail host as its own users do."""
    made = chain.make(web.directory, path, ["bob@recipient.test"], "x", text)
    mail = b"From: alice@sender.test\r\nTo: %b\r\n\r\n" % made.recipient.encode() + made.body
    script = (
        "import smtplib, sys; s = smtplib.SMTP(sys.argv[1], 25, 'mail.sender.test');"
        "s.sendmail('alice@sender.test', [sys.argv[2]], sys.argv[3])"
    )
    node = next(n for n in web.topology.remailers if n.name == path[0])
    argv = ["python3", "-c", script, node.host, made.recipient, mail.decode()]
    done = web.container("sender").exec_run(argv)
    assert done.exit_code == 0, done.output


def arrived(web: Web, count: int) -> list[bytes]:
    deadline = time.monotonic() + WITHIN
    while len(mails := mailbox.all_of(web, "bob")) < count:
        assert time.monotonic() < deadline, len(mails)
        time.sleep(0.3)
    return mails


def test_a_stopped_node_defers_its_hosts_mail_and_gets_it_when_it_runs_again(small: Web) -> None:
    alpha = small.container("alpha")
    assert alpha.exec_run(["python3", "-c", STOP]).exit_code == 0
    texts = {b"kept by the host %d" % number for number in range(5)}
    for text in texts:
        write(small, text + b"\n")
    text = until(alpha, "status=deferred (temporary failure)", len(texts))
    assert "status=bounced" not in text
    assert alpha.exec_run(["cat", "/proc/1/comm"]).exit_code == 0  # the host goes on without it
    uid = small.topology.remailers[0].uid
    alpha.exec_run([*RUN, small.topology.dns], user=f"{uid}:{uid}", detach=True)
    mails = arrived(small, len(texts))
    assert {mail.splitlines()[-1] for mail in mails} == texts
    assert len(mails) == len(texts)


def test_postmaster_and_abuse_reach_the_remailer_and_others_nobody(small: Web) -> None:
    alpha = small.container("alpha")
    script = (
        "import smtplib; s = smtplib.SMTP('127.0.0.1', 25, 'x'); s.ehlo(); s.mail('a@b.test');"
        "print([s.rcpt(n + '@alpha.remailer.test')[0] for n in"
        " ('remailer', 'postmaster', 'abuse', 'root', 'bob')], s.rcpt('bob@recipient.test')[0]);"
        "s.rset()"
    )
    said = alpha.exec_run(["python3", "-c", script]).output.decode().strip()
    assert said == "[250, 250, 250, 550, 550] 250"
    before = log(alpha).count("delivered to command")
    script = (
        "import smtplib; s = smtplib.SMTP('127.0.0.1', 25, 'x');"
        "s.sendmail('a@b.test', ['postmaster@alpha.remailer.test', 'abuse@alpha.remailer.test'],"
        " 'Subject: x\\r\\n\\r\\nhello\\r\\n')"
    )
    assert alpha.exec_run(["python3", "-c", script]).exit_code == 0
    until(alpha, "delivered to command", before + 1)


def test_what_the_remailer_refuses_for_ever_is_dropped_and_no_bounce_made(small: Web) -> None:
    bravo = small.container("bravo")
    before = log(bravo).count("delivered to command")
    script = (
        "import smtplib; s = smtplib.SMTP('127.0.0.1', 25, 'x');"
        "s.sendmail('alice@sender.test', ['remailer@bravo.remailer.test'], b'A: b\\r\\n\\r\\n\\0')"
    )
    assert bravo.exec_run(["python3", "-c", script]).exit_code == 0
    text = until(bravo, "delivered to command", before + 1)
    assert "sender non-delivery" not in text
    assert "status=bounced" not in text
