"""The sender's commands: what they print, and that every mistake is one line and status 2."""

from __future__ import annotations

import io
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pysequoia
import pytest
from pysequoia import packet
from remailers import address, carry, directory, peer

from remailer import cli, places
from remailer.client.submission import Submission
from remailer.directory import Directory


@dataclass
class Said:
    """What a command said, and its exit status."""

    status: int
    out: bytes
    err: str


@dataclass
class User:
    """A user at a shell, in a folder of his own."""

    home: Path
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *args: str, given: bytes = b"") -> Said:
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["remailer", *args])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.chdir(self.home)
            patch.setenv("HOME", str(self.home))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out.flush()
        return Said(int(ended.value.code or 0), out.buffer.getvalue(), err.getvalue())  # type: ignore[attr-defined]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    (tmp_path / "directory.json").write_text(directory().model_dump_json())
    (tmp_path / "text").write_bytes(b"hello\n")
    (tmp_path / "binary").write_bytes(b"\0\xff")
    (tmp_path / "long").write_bytes(b"x" * 2000)
    (tmp_path / "big").write_bytes((b"x" * 70 + b"\n") * 18_000)
    (tmp_path / "nested").write_bytes(b"Content-Type: message/rfc822\n\n" * 2000)
    (tmp_path / "bad.json").write_text("{")
    return User(tmp_path, monkeypatch)


def submission(printed: bytes) -> Submission:
    to, _, body = printed.partition(b"\r\n\r\n")
    return Submission(to.decode().removeprefix("To: "), body)


SEND = ("send", "--directory", "directory.json", "--to", "bob@recipient.test")


def test_a_text_goes_over_three_remailers_drawn_anew_for_each_mail(user: User) -> None:
    paths = set()
    for _ in range(12):
        said = user(*SEND, "--print", "-", given=b"hello\n")
        assert (said.status, said.err) == (0, "")
        path, ((to, mail),) = carry(submission(said.out))
        assert len(set(path)) == 3
        assert (to, mail.partition(b"\r\n\r\n")[2]) == ("bob@recipient.test", b"hello\r\n")
        paths.add(tuple(path))
    assert len(paths) > 3


def test_options_reach_the_mail(user: User) -> None:
    chain = ("--chain", "*,alpha,*", "--avoid", "bravo,delta")
    more = ("--subject", "s", "--header", "In-Reply-To: <a@b>", "--latent", "+:01r", "--no-pad")
    said = user(*SEND, *chain, *more, "--print", "text")
    path, ((_, mail),) = carry(submission(said.out))
    assert path in (["charlie", "alpha", "echo"], ["echo", "alpha", "charlie"])
    assert b"Subject: s\r\nIn-Reply-To: <a@b>\r\n" in mail
    assert len(said.out) < 5000


def test_a_dry_run_shows_the_way_and_sends_nothing(user: User) -> None:
    said = user(*SEND, "--chain", "alpha,bravo", "--dry-run", "--server", "127.0.0.1:9", "text")
    assert (said.status, said.err) == (0, "")
    lines = said.out.decode().splitlines()
    key = pysequoia.Cert.from_bytes(directory().remailers[0].openpgp.encode()).fingerprint.upper()
    assert lines == [
        f"1. alpha <{address('alpha')}>",
        f"   key     {key}",
        "   takes   10903 bytes, from your mail host",
        f"   reads   to mail it to {address('bravo')}",
        f"2. bravo <{address('bravo')}>",
        lines[5],
        f"   takes   6720 bytes, from {address('alpha')}",
        "   reads   to mail it to bob@recipient.test, and the text: 13 bytes (with its header) "
        "of 4096",
        "Nothing was sent. A chain with * is drawn anew each time.",
    ]


@pytest.mark.parametrize("encrypt", ["--encrypt", "--no-encrypt"])
def test_a_block_an_answer_and_its_text(user: User, encrypt: str) -> None:
    to = ("--to", "alice@sender.test")
    said = user("block", "--directory", "directory.json", *to, "--subject", "re", encrypt)
    (user.home / "block").write_bytes(said.out)
    answered = user("answer", "block", "text", "--print")
    assert (answered.status, answered.err) == (0, "")
    path, ((arrived_at, mail),) = carry(submission(answered.out))
    assert (len(set(path)), arrived_at) == (3, "alice@sender.test")
    if encrypt == "--no-encrypt":
        assert said.err == ""
        assert mail.endswith(b"\r\n\r\nhello\r\n")
        return
    (file,) = (user.home / places.USERS / "blocks").iterdir()
    assert said.err == f"remailer open needs {file}\n"
    assert b"hello" not in mail
    for keep in ((), ("--keep", str(file)), ("--keep", str(file.parent))):
        opened = user("open", "-", *keep, given=mail)
        assert opened == Said(0, b"hello\r\n", f"by the block {file}\n")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("send --to a@b.test --directory none text", "directory none: No such file"),
        ("send --to a@b.test --directory bad.json text", "directory bad.json: file: Invalid JSON"),
        ("send --to a@b.test text", "/directory.json: No such file"),
        ("SEND", "Missing argument"),
        ("send text", "Missing option '--to'"),
        ("SEND none", "none: No such file or directory"),
        ("SEND .", ".: Is a directory"),
        ("SEND --chain alpha,zulu text", "chain: no remailer 'zulu' in the directory; it knows"),
        ("SEND --chain alpha,,bravo text", "chain 'alpha,,bravo': an empty name"),
        ("SEND --chain alpha,alpha text", "chain: alpha after itself"),
        ("SEND --chain *,*,* --avoid alpha,bravo,charlie,delta text", "chain *,*,*: can't be"),
        ("SEND --chain alpha --avoid alpha text", "chain: alpha is to be avoided, and named"),
        ("SEND --avoid zulu text", "--avoid: no remailer 'zulu'"),
        ("SEND --to bob text", "recipient 'bob': not an address"),
        ("SEND --to , text", "recipient '': not an address"),
        ("SEND --latent 18:00 text", "--latent '18:00': write it as +1:30"),
        ("SEND --header Subject text", "--header 'Subject': write it as 'Name: value'"),
        ("SEND --header Received:x text", "header 'Received': remailers don't take it"),
        ("SEND --header Grüße:x text", "header 'Grüße': remailers don't take it"),
        ("SEND --header Subject:x --subject y text", "header 'Subject': given twice"),
        ("SEND --subject \udcff text", "header 'Subject': not UTF-8"),
        ("SEND --latent +١:٣٠ --print text", "write it as +1:30"),
        ("SEND --server 127.0.0.1:99999 --from a@b.test text", "write it as HOST:PORT"),
        ("SEND --print big", "a remailer takes 4194304"),
        ("SEND --dry-run big", "send less, over fewer hops, or --no-pad"),
        ("SEND binary", "body: it has a NUL byte"),
        ("SEND long", "body: a line has 2000 bytes"),
        ("SEND text", "give --server HOST:PORT and --from ADDRESS, or --print"),
        ("SEND --server host --from a@b.test text", "--server 'host': write it as HOST:PORT"),
        ("SEND --server 127.0.0.1:9 --from a text", "sender 'a': not an address"),
        ("SEND --server 127.0.0.1:9 --from a@b.test text", "127.0.0.1:9: "),
        ("SEND --server 127.0.0.1:9 --from a@b.test --password-file none text", "password file"),
        ("SEND --nonsense text", "No such option"),
        ("block --directory directory.json --to alice", "recipient 'alice': not an address"),
        ("block --directory directory.json --to a@b.test --keep text", "text: File exis"),
        ("block --directory directory.json --to a@b.test --keep no/x", "no/x: No such"),
        ("answer text text --print", "reply block: it must be a line `To: REMAILER`"),
        ("answer none text --print", "none: No such file"),
        ("open none", "none: No such file"),
        ("open text", "share/remailer/blocks: No such file"),
        ("open text --keep text", "no PGP message in it"),
        ("open nested --keep text", "the mail can't be read"),
        ("open text --keep none", "none: No such file"),
        ("open text --keep .", "binary: not text; --keep is"),
        ("nonsense", "No such command"),
    ],
)
def test_every_mistake_is_one_line(user: User, args: str, line: str) -> None:
    words = [word for arg in args.split() for word in (SEND if arg == "SEND" else (arg,))]
    said = user(*words)
    assert (said.status, said.out) == (2, b"")
    assert said.err.startswith("remailer: ")
    assert line in said.err
    assert said.err.count("\n") == 1


USER_ID = f"alpha <{address('alpha')}>"


def expired() -> str:
    key = pysequoia.Tsk.generate(user_id=USER_ID, validity_seconds=1)  # it is made some time ago
    return str(key.extract_certificate())


def revoked() -> str:
    key = pysequoia.Tsk.generate(user_id=USER_ID)
    certificate = key.extract_certificate()
    revocation = packet.PacketPile.from_bytes(bytes(certificate.revoke(key.certifier())))
    first, *rest = packet.PacketPile.from_bytes(bytes(certificate))
    return str(pysequoia.Cert.from_packets([first, *revocation, *rest]))


def anothers() -> str:
    return str(pysequoia.Tsk.generate(user_id="mallory <m@x.test>").extract_certificate())


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (expired, "alpha: OpenPGP certificate: expired or revoked; --avoid alpha"),
        (revoked, "alpha: OpenPGP certificate: expired or revoked; --avoid alpha"),
        (anothers, "alpha: OpenPGP certificate: of m@x.test, not of remailer@alpha.remailer.test"),
        (lambda: "no key", "alpha: OpenPGP certificate: no key in it that can be encrypted to"),
    ],
)
@pytest.mark.parametrize("command", ["send", "block"])
def test_a_key_that_is_no_good_is_named_before_anything_is_made(
    user: User, command: str, key: object, line: str
) -> None:
    bad = peer("alpha", key())  # type: ignore[operator]
    known = Directory(remailers=(bad, *directory().remailers[1:]))
    (user.home / "directory.json").write_text(known.model_dump_json())
    text = ["text", "--print"] if command == "send" else []
    common = ("--directory", "directory.json", "--to", "bob@recipient.test", "--chain")
    said = user(command, *common, "bravo,alpha", *text)
    assert (said.status, said.out) == (2, b"")
    assert line in said.err
    assert said.err.count("\n") == 1
    assert not (user.home / places.USERS).exists()
    assert user(command, *common, "bravo,charlie", *text).status == 0


def test_phrases_are_kept_where_only_the_user_reads_them(user: User) -> None:
    said = user("block", "--directory", "directory.json", "--to", "a@b.test")
    (file,) = (user.home / places.USERS / "blocks").iterdir()
    assert said.err == f"remailer open needs {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
