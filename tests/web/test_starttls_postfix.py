"""Port 25 with real Postfix on both edges: STARTTLS, and names that match addresses (HELO, PTR)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest
from docker.models.containers import Container

from testbed.mailbox import Mailboxes
from testbed.traffic import body_of
from testbed.web import Web
from webs import WebMaker

pytestmark = pytest.mark.web

MAIL = "From: alice@sender.test\nTo: {to}\n\n::\nAnon-To: bob@recipient.test\n\n{text}\n"
LOG = "/var/log/mail.log"
STRICT = (
    "reject_unknown_client_hostname,reject_unknown_reverse_client_hostname,"
    "reject_unknown_helo_hostname,reject_non_fqdn_helo_hostname,reject_unauth_destination"
)
"""A refusal by one of these is for now (450), so its mail would not arrive in this test."""

STRANGER = """
import smtplib
with smtplib.SMTP("127.0.0.1", 25, "nobody.nowhere.test") as client:
    client.ehlo()
    client.mail("a@b.test")
    print(client.rcpt("bob@recipient.test"))
"""


@pytest.fixture(scope="module")
def two(make_web: WebMaker) -> Iterator[Web]:
    with make_web(nodes=2, pool="off", witness="plain") as web:
        yield web


def configure(host: Container, settings: Sequence[str]) -> None:
    for command in (["postconf", "-e", *settings], ["postfix", "reload"]):
        status, said = host.exec_run(command)
        assert status == 0, said.decode()


def log_of(host: Container) -> str:
    return str(host.exec_run(["cat", LOG])[1].decode(errors="replace"))


def mail_through(web: Web, text: bytes, within: float = 40) -> None:
    """A mail of a user at the sender's host through alpha to the recipient's host."""
    to = web.topology.remailers[0].address
    written = MAIL.format(to=to, text=text.decode())
    sender = web.container(web.topology.sender.name)
    with Mailboxes(web) as mailboxes:
        status, said = sender.exec_run(
            ["sh", "-c", 'printf %s "$MAIL" | sendmail -f alice@sender.test "$TO"'],
            environment={"MAIL": written, "TO": to},
        )
        assert status == 0, said.decode()
        deadline = time.monotonic() + within
        while not any(text in body_of(mail) for mail in mailboxes.new()):
            assert time.monotonic() < deadline, log_of(sender)[-3000:]
            time.sleep(0.3)


def test_real_postfix_on_both_edges_goes_on_in_tls(two: Web) -> None:
    sender = two.container(two.topology.sender.name)
    recipient = two.container(two.topology.recipient.name)
    mail_through(two, b"in clear")
    assert "TLS connection established" not in log_of(sender) + log_of(recipient)  # the control
    configure(sender, ["smtp_tls_security_level=may", "smtp_tls_loglevel=1"])
    script = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mail.recipient.test "
        "-keyout /etc/postfix/host.pem -out /etc/postfix/crt.pem && "
        "cat /etc/postfix/crt.pem >> /etc/postfix/host.pem"
    )
    status, said = recipient.exec_run(["sh", "-c", script])
    assert status == 0, said.decode()
    chain = "smtpd_tls_chain_files=/etc/postfix/host.pem"
    configure(recipient, ["smtpd_tls_security_level=may", "smtpd_tls_loglevel=1", chain])
    mail_through(two, b"in TLS")
    domain = two.topology.remailers[0].domain
    assert f"TLS connection established to {domain}" in log_of(sender)
    assert f"TLS connection established from {domain}" in log_of(recipient)


def test_a_host_that_compares_names_and_addresses_takes_our_mail(two: Web) -> None:
    recipient = two.container(two.topology.recipient.name)
    rules = f"smtpd_client_restrictions={STRICT}"
    configure(recipient, [rules, "smtpd_helo_required=yes", "unknown_client_reject_code=550"])
    mail_through(two, b"by its right name")
    # The control: the same rules refuse a name that nobody has.
    said = recipient.exec_run(["python3", "-c", STRANGER])[1].decode()
    assert "nobody.nowhere.test" in said, said
    assert "reject" in log_of(recipient)
