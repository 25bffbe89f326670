"""The witness of durability: what it makes of real lines of strace, and of lines put out of order.

The files are what strace said of a stock node and of one with the plant sync_off, with the
contents of the spool's pages left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testbed.verdict import Finding, Status
from testbed.witness.durable import Call, calls, judge_lines, taken

DATA = Path(__file__).with_name("witness_data")
TOKEN = "ek5qv95lmsgx"


def lines(name: str) -> list[str]:
    return (DATA / f"{name}.txt").read_text().splitlines()


def judged(of: list[str]) -> Finding:
    return judge_lines("echo", of, TOKEN)


def test_a_stock_node_is_durable_and_everything_was_seen() -> None:
    finding = judged(lines("strace-durable"))
    assert finding.status == Status.PASS
    assert all(control.found for control in finding.controls)
    mails = taken(calls(lines("strace-durable")), TOKEN.encode())
    assert len(mails) == 2
    assert all(m.probe and m.sync and m.end < m.sync < m.reply for m in mails)


def test_without_syncs_each_mail_is_told_with_its_lines() -> None:
    finding = judged(lines("strace-sync-off"))
    assert (finding.status, finding.kind) == (Status.FAIL, "not durable")
    assert len(finding.evidence) == 2
    found = re.fullmatch(r"strace-echo\.txt, lines (\d+) to (\d+)", finding.evidence[0].where)
    assert found
    said = lines("strace-sync-off")
    assert r"\r\n.\r\n" in said[int(found[1]) - 1]
    assert '"250 2.0.0 OK' in said[int(found[2]) - 1]


def test_a_call_that_another_thread_interrupts_is_one_call() -> None:
    text = [
        "strace: Process 7 attached with 2 threads",
        "[pid     7] recvfrom(3<socket:[5]>,  <unfinished ...>",
        "[pid     8] fdatasync(11</var/lib/remailer/spool/spool.db-wal> <unfinished ...>",
        r'[pid     7] <... recvfrom resumed>"a\303\t\"\r\n", 262144, 0, NULL, NULL) = 6',
        "[pid     8] <... fdatasync resumed>)    = 0",
        "[pid     7] recvfrom(3<socket:[5]>, 0x2c, 9, 0, NULL, NULL) = -1 EAGAIN (Resource ...)",
        r'[pid     7] sendmsg(3<socket:[5]>, {msg_name=NULL, msg_iov=[{iov_base="25", iov_len=2}, '
        r'{iov_base="0 OK\r\n"..., iov_len=60}], msg_iovlen=2}, 0) = 62',
        '[pid     9] <... read resumed>"x", 1) = 1',
        "strace: Process 7 detached",
    ]
    wal = "/var/lib/remailer/spool/spool.db-wal"
    assert list(calls(text)) == [
        Call("recvfrom", "socket:[5]", b'a\xc3\t"\r\n', False, 6, 2, 4),
        Call("fdatasync", wal, b"", False, 0, 3, 5),
        Call("recvfrom", "socket:[5]", b"", False, -1, 6, 6),
        Call("sendmsg", "socket:[5]", b"250 OK\r\n", True, 62, 7, 7),
    ]


WAL = "7</var/lib/remailer/spool/spool.db-wal>"
END = rf'recvfrom(3<socket:[5]>, "{TOKEN}\r\n.\r\n", 99, 0, NULL, NULL) = 20'
WRITE = f'pwrite64({WAL}, "x"..., 4096, 0) = 4096'
HEADER = f'pwrite64({WAL}, "7\\177\\6\\202"..., 16, 0) = 16'
SYNC = f"fdatasync({WAL}) = 0"
OTHER = "fdatasync(8</var/lib/remailer/spool/spool.db>) = 0"
REPLY = r'sendto(3<socket:[5]>, "250 2.0.0 OK\r\n", 14, 0, NULL, 0) = 14'
DATA_SAID = r'sendto(3<socket:[5]>, "354 go\r\n", 8, 0, NULL, 0) = 8'


@pytest.mark.parametrize(
    ("between", "durable"),
    [
        ([END, WRITE, SYNC, REPLY], True),
        ([END, REPLY, WRITE, SYNC], False),
        ([END, SYNC, REPLY], False),  # of what was written before
        ([WRITE, END, SYNC, REPLY], False),
        ([END, SYNC, WRITE, REPLY], False),
        ([END, WRITE, OTHER, REPLY], False),
        # Another row's page, synced, does not vouch for a mail of more bytes.
        ([END.replace("= 20", "= 23760"), WRITE, SYNC, REPLY, WRITE], False),
        ([END.replace("= 20", "= 8000"), WRITE, WRITE, SYNC, REPLY], True),
        ([END, HEADER, SYNC, WRITE, REPLY], False),  # synchronous = NORMAL
        ([END, WRITE, SYNC.replace("= 0", "= -1 EIO (Input/output error)"), REPLY], False),
        (
            [END, WRITE, f"[pid 8] fdatasync({WAL} <unfinished ...>", REPLY,
             "[pid 8] <... fdatasync resumed>) = 0"],
            False,
        ),
        (
            [END, f"[pid 8] fdatasync({WAL} <unfinished ...>", WRITE,
             "[pid 8] <... fdatasync resumed>) = 0", REPLY],
            False,
        ),
    ],
)  # fmt: skip
def test_only_a_sync_of_this_mails_own_write_counts(between: list[str], durable: bool) -> None:
    [mail] = taken(calls([DATA_SAID, *between]), TOKEN.encode())
    assert (mail.sync is not None) == durable


@pytest.mark.parametrize(
    "conversation",
    [
        [END, WRITE, SYNC, REPLY],  # no DATA was seen
        [DATA_SAID, END, REPLY.replace("250", "452")],
        [DATA_SAID, END.replace("[5]", "[6]"), REPLY],
        [DATA_SAID, END.replace(r"\r\n.\r\n", r"\r\n."), REPLY],
        [DATA_SAID, END.replace(r'\r\n"', r'\r\n"...'), REPLY],
    ],
)
def test_what_is_no_whole_mail_is_not_judged(conversation: list[str]) -> None:
    assert taken(calls(conversation), TOKEN.encode()) == []
    assert judged(conversation).status == Status.INCONCLUSIVE


def test_an_end_that_comes_in_pieces_is_an_end() -> None:
    pieces = [
        rf'recvfrom(3<socket:[5]>, "{piece}", 99, 0, NULL, NULL) = 2'
        for piece in (r"a\r\n", ".", r"\r", r"\n")
    ]
    [mail] = taken(calls([DATA_SAID, *pieces, WRITE, SYNC, REPLY]), b"")
    assert (mail.end, mail.sync, mail.reply) == (5, 7, 8)


def test_other_mail_is_judged_but_is_no_control() -> None:
    said = [DATA_SAID, END.replace(TOKEN, "other"), REPLY]
    finding = judged(said)
    assert finding.status == Status.FAIL
    assert not finding.controls[0].found


def test_what_went_wrong_is_said_where_the_control_is_missing() -> None:
    finding = judge_lines("echo", [], TOKEN, "ConnectionRefusedError: [Errno 111]")
    assert finding.status == Status.INCONCLUSIVE
    assert "Refused" in finding.controls[0].where
