"""A bounce (RFC 3464) tells a remailer nothing to do, also if it quotes directives."""

from __future__ import annotations

import random

import pytest
from remailers import NOW, address, key

from remailer import peel
from remailer.errors import Dropped
from remailer.openpgp import Keyring

ME = address("alpha")
QUOTED = b"Subject: x\r\n\r\n::\r\nAnon-To: bob@recipient.test\r\n\r\nhello\r\n"
BOUNCE = (
    b"From: MAILER-DAEMON@mail.recipient.test (Mail Delivery System)\r\n"
    b"Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"This is a MIME-encapsulated message.\r\n\r\n"
    b"--b\r\nContent-Description: Notification\r\nContent-Type: text/plain\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n%b\r\n--b--\r\n"
)
TOLD = b"This is the mail system at host mail.recipient.test.\r\n"


def read(mail: bytes) -> list[str]:
    ring = Keyring.load(key("alpha"))
    return [one.recipient for one in peel.peel(mail, ring, ME, now=NOW, rng=random.Random(1))]


@pytest.mark.parametrize("told", [TOLD, b"", b"> ::\r\n> Anon-To: bob@recipient.test\r\n"])
def test_a_bounce_that_quotes_directives_is_dropped(told: bytes) -> None:
    with pytest.raises(Dropped):
        read(BOUNCE % (told, QUOTED))


def test_old_bounces_without_mime_are_dropped() -> None:
    with pytest.raises(Dropped):
        read(b"From: MAILER-DAEMON@x.test\r\n\r\nYour mail failed.\r\n\r\n" + QUOTED)


def test_the_quoted_mail_itself_is_obeyed() -> None:
    assert read(QUOTED) == ["bob@recipient.test"]
