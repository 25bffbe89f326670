"""Witnesses in a real web: each sees what is put in front of it, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.mailbox import Mailboxes, send
from testbed.run import Run
from testbed.traffic import Plan
from testbed.verdict import Evidence, Finding, Status
from testbed.wire.canary import Canaries
from testbed.witness import durable, files, keys, output, spool
from testbed.witness.moments import Moment
from webs import WebMaker

pytestmark = pytest.mark.web

ME, OTHER = "alpha", "bravo"


@pytest.fixture(scope="module")
def run(make_web: WebMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A web of two nodes, quiet but for ordinary mail between the mail hosts."""
    with make_web(nodes=2) as web:
        run = Run(web, Canaries.new(random.Random(1)), tmp_path_factory.mktemp("out"), seed=1)
        plan = Plan(web.topology, run.canaries, random.Random(2))
        plan.direct()
        with Mailboxes(web) as mailboxes:
            asyncio.run(send(web, plan.letters, lambda _: None))
            assert mailboxes.collect(plan.letters, 30.0) == []
        run.letters += plan.letters
        yield run


def inside(run: Run, service: str, program: str, user: str = "") -> str:
    """Run a piece of Python in a container; what it printed."""
    code, said = run.web.container(service).exec_run(["python3", "-c", program], user=user)
    assert code == 0, said.decode()
    return said.decode()


def look(run: Run) -> list[Finding]:
    """What is in the nodes' files."""
    topology = run.web.topology
    services = [part.name for part in (*topology.remailers, *topology.mailhosts)]
    return files.findings(run, lambda: files.diffs(run, services))


def rows(found: list[Finding], claim: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in found if finding.claim == claim}


def test_a_quiet_web_is_clean_and_every_control_is_found(run: Run) -> None:
    found = [*output.findings(run), *look(run), *keys.findings(run)]
    found += durable.findings(run)
    assert {(f.claim, f.subject): f.status for f in found if f.status != Status.PASS} == {}
    assert len(found) == 6 * 2
    assert all(
        not evidence and [control.found for control in controls] == [True]
        for evidence, controls in files.dev_log(run).values()
    )


def test_nothing_of_the_witnesses_is_left_in_the_nodes(run: Run) -> None:
    look(run)
    files.dev_log(run)
    durable.findings(run)
    for node in (ME, OTHER):
        left = inside(
            run,
            node,
            "import os\n"
            "for top in ('/dev', '/var/lib/remailer'):\n"
            "    for folder, _, names in os.walk(top): print(*names)\n",
        )
        assert "unlogged" not in left
        pid = run.web.container(node).attrs["State"]["Pid"]
        assert re.search(r"TracerPid:\s+0\n", Path(f"/proc/{pid}/status").read_text())


PLANTS = {
    "file": ("silent-tmpfs", "open('/dev/shm/last', 'w').write('x')", "/dev/shm/last"),
    "queue": (
        "silent-tmpfs",
        "import ctypes\n"
        "made = ctypes.CDLL(None).mq_open(b'/log', 0o102, 0o600, None)\n"
        "assert made >= 0",
        "/dev/mqueue/log",
    ),
    "folder": (
        "silent-volume",
        "import os; os.mkdir('/var/lib/remailer/spool/2026-11-24')",
        "/var/lib/remailer/spool/2026-11-24",
    ),
    "name": (
        "silent-volume",
        "open('/var/lib/remailer/spool/{mark}', 'w')",
        "/var/lib/remailer/spool/{mark}, name, byte 24",
    ),
    "attribute": (
        "silent-volume",
        "import os; os.setxattr('/var/lib/remailer/spool/spool.db', 'user.log', b'{mark}')",
        "/var/lib/remailer/spool/spool.db, attribute user.log, byte 9",
    ),
    "bytes behind the spool": (
        "silent-volume",
        "open('/var/lib/remailer/spool/spool.db', 'ab').write(b'12:00 78\\n')",
        "/var/lib/remailer/spool/spool.db",
    ),
    "a shared memory file": (
        "silent-volume",
        "open('/var/lib/remailer/spool/spool.db-shm', 'w').write('12:00 78')",
        "/var/lib/remailer/spool/spool.db-shm",
    ),
}
AWAY = """
import contextlib, ctypes, os, shutil
shutil.rmtree('/var/lib/remailer/spool/2026-11-24', ignore_errors=True)
with contextlib.suppress(OSError): os.unlink('/dev/shm/last')
for name in os.listdir('/var/lib/remailer/spool'):
    if name not in ('spool.db', 'spool.db-wal'): os.unlink('/var/lib/remailer/spool/' + name)
with contextlib.suppress(OSError): os.removexattr('/var/lib/remailer/spool/spool.db', 'user.log')
with open('/var/lib/remailer/spool/spool.db', 'r+b') as file:
    file.truncate(os.stat(file.fileno()).st_size // 4096 * 4096)
ctypes.CDLL(None).mq_unlink(b'/log')
"""


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_put_into_a_node_is_found_there_and_nowhere_else(run: Run, plant: str) -> None:
    claim, program, where = PLANTS[plant]
    mark = run.canaries.mark(7, "s")
    try:
        inside(run, ME, program.format(mark=mark))
        found = rows(look(run), claim)
    finally:
        inside(run, ME, AWAY)
    assert found[OTHER].status == Status.PASS
    assert found[ME].status == Status.FAIL
    assert [e.where for e in found[ME].evidence] == [where.format(mark=mark)]


def test_an_open_file_without_a_name_is_found(run: Run) -> None:
    program = "import os; os.memfd_create('log'); print('made', flush=True); input()"
    docker = run.web.docker.api
    made = docker.exec_create(run.web.container(ME).id, ["python3", "-c", program], stdin=True)[
        "Id"
    ]
    connection: Any = docker.exec_start(made, socket=True)
    try:
        assert b"made" in connection._sock.recv(100)
        found = rows(look(run), "silent-tmpfs")
    finally:
        connection._sock.sendall(b"\n")
        while connection._sock.recv(100):  # until it has ended
            pass
        connection._sock.close()
    assert "/memfd:log (deleted)" in found[ME].evidence[0].what
    assert found[OTHER].status == Status.PASS


def test_a_socket_called_log_is_found(run: Run) -> None:
    bind = "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind('/dev/log')"
    inside(run, ME, bind, user="0")
    try:
        found = files.dev_log(run)
    finally:
        inside(run, ME, "import os; os.unlink('/dev/log')", user="0")
    assert (found[ME][0], found[OTHER][0]) == ([Evidence("/dev/log", "socket")], [])


def test_another_nodes_key_is_found_wherever_it_is(run: Run) -> None:
    secret = inside(run, OTHER, "print(open('/var/lib/remailer/keys/secret', 'rb').read().hex())")
    at = "/var/lib/remailer/spool/copy"
    inside(run, ME, f"open('{at}', 'wb').write(bytes.fromhex('{secret.strip()}'))")
    try:
        found = rows(keys.findings(run), "own-keys")
    finally:
        inside(run, ME, AWAY)
    assert found[ME].evidence == (Evidence(at, f"a private file of {OTHER}"),)
    assert found[OTHER].status == Status.PASS


def seized(run: Run) -> list[Finding]:
    """The rows of spools that were seized just now."""
    spools = spool.Spools(run)
    spools.look(Moment.DURING)
    return [spool.row(node, spools.seized[node]) for node in spools.nodes]


def test_a_spool_without_mail_proves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "CATCH_WITHIN", 0.5)
    found = seized(run)
    assert [f.status for f in found] == [Status.INCONCLUSIVE] * 2


def test_a_node_that_is_gone_is_open_and_the_other_is_not(run: Run) -> None:
    run.web.container(OTHER).kill()
    run.web.container(OTHER).wait()
    try:
        found = [*look(run), *durable.findings(run), *keys.findings(run)]
    finally:
        run.web.container(OTHER).start()
        run.web._wait_for(OTHER, "ready")
    gone = [f for f in found if f.subject == OTHER]
    assert {f.status for f in gone} == {Status.INCONCLUSIVE}
    assert {c.where for f in gone for c in f.controls if f.claim in {"durable", "own-keys"}} == {
        "bravo does not run (exited)"
    }
    open_here = {f.claim for f in found if f.subject == ME and f.status != Status.PASS}
    assert open_here == {"own-keys"}  # whose keys can't be read may have given them to anybody


def test_without_the_witness_every_row_is_open(run: Run) -> None:
    run.web.container("witness").kill()
    try:
        found = [*look(run), *durable.findings(run), *keys.findings(run)]
        found += seized(run)
        logs = files.dev_log(run)
    finally:
        run.web.container("witness").start()
    assert {f.status for f in found} == {Status.INCONCLUSIVE}
    assert not any(control.found for _, controls in logs.values() for control in controls)
