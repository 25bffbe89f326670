"""Of a mail program's mail the subject and the text go on, whole or not at all."""

from __future__ import annotations

import time
from email.message import EmailMessage

import pytest

from remailer.client.letter import Letter, LetterError, read


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "cp1252"])
@pytest.mark.parametrize("coding", ["quoted-printable", "base64", "8bit"])
def test_charset_and_coding_do_not_show(charset: str, coding: str) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Grüße"
    mail.set_content("Grüße\n", charset=charset, cte=coding)
    assert read(mail.as_bytes()) == Letter("Grüße", "Grüße\r\n".encode())


@pytest.mark.parametrize(
    ("mail", "letter"),
    [
        (b"\r\nhi\r\n", Letter("", b"hi\r\n")),
        (b"Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n", Letter("ü", "ü\r\n".encode())),
        (b"Subject: a\r\n b\r\nX-Mailer: m\r\n\r\nhi\r\n", Letter("a b", b"hi\r\n")),
        (b"Subject: a\r\n\tb\r\n\r\nhi \r\n", Letter("a b", b"hi \r\n")),
        (
            b"Content-Type: text/plain; format=flowed\r\n\r\n From the start \r\non\r\n",
            Letter("", b"From the start\r\non\r\n"),
        ),
    ],
)
def test_what_goes_on(mail: bytes, letter: Letter) -> None:
    assert read(mail) == letter


def test_html_beside_the_text_is_left_behind() -> None:
    mail = EmailMessage()
    mail.set_content("hi\n")
    mail.add_alternative("<p>hi</p>", subtype="html")
    assert read(mail.as_bytes()) == Letter("", b"hi\r\n")


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("text/html", "text/html"),
        ("multipart/signed; boundary=x", "multipart/signed"),
        ("multipart/encrypted; boundary=x", "multipart/encrypted"),
        ("application/pdf", "application/pdf"),
    ],
)
def test_what_would_lose_something_is_refused_by_its_name(kind: str, named: str) -> None:
    body = "--x\r\n\r\nhi\r\n--x\r\nContent-Type: application/octet-stream\r\n\r\n?\r\n--x--\r\n"
    with pytest.raises(LetterError, match=named):
        read(f"Content-Type: {kind}\r\n\r\n{body}".encode())


@pytest.mark.parametrize(
    "mail",
    [
        b"Subject: =?x-none?q?a?=\r\n\r\nhi\r\n",
        b"Subject: \xfc\r\n\r\nhi\r\n",
        b"Content-Type: text/plain; charset=x-none\r\n\r\nhi\r\n",
        b"Content-Type: text/plain; charset=utf-16\r\n\r\nh\0i\0\n\0\n\0",
        b"Content-Type: text/plain; charset=u16\r\n\r\nh\0i\0\n\0\n\0",
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xfc\r\n",
    ],
)
def test_what_cannot_be_read_is_refused(mail: bytes) -> None:
    with pytest.raises(LetterError):
        read(mail)


def test_blanks_are_left_out_in_linear_time() -> None:
    began = time.process_time()
    line = b"=20" * 100_000 + b"x \r\n"
    head = b"Content-Type: text/plain; format=flowed\r\nContent-Transfer-Encoding: "
    read(head + b"quoted-printable\r\n\r\n" + line)
    assert time.process_time() - began < 2


def test_a_field_that_takes_long_to_read_is_refused_unread() -> None:
    began = time.process_time()
    with pytest.raises(LetterError):
        read(b"Content-Type: multipart/mixed" + b";\r\n " * 400_000 + b"\r\n\r\nhi\r\n")
    assert time.process_time() - began < 2
