"""Delivery: retries, giving up, and destinations that don't hold up each other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remailer import delivery
from remailer.delivery import HOSTS, MOST_BREAKS, PEERS, Connect, Deliveries, Pace, back_off
from remailer.exit import Undeliverable
from remailer.link.smtp import Interrupted, Outcome, Unreachable
from remailer.seal import Leaving
from remailer.spool import DAY, Spool, Ticket

TODAY = int(time.time() // DAY)


class Fake:
    """Conversations by script: what each attempt of a domain does, the last one for ever."""

    def __init__(self, **scripts: list[Any]) -> None:
        self.scripts = scripts
        self.begun: list[str] = []
        self.sent: list[tuple[str, bytes]] = []
        self.changed = asyncio.Condition()

    def route(self, domain: str) -> Connect:
        async def connect() -> Any:
            self.begun.append(domain)
            step = self._step(domain)
            if step == "hang":
                await asyncio.Event().wait()
            if isinstance(step, Exception):
                raise step
            return self

        return connect

    def _step(self, domain: str) -> Any:
        script = self.scripts.get(domain, [None])
        return script.pop(0) if len(script) > 1 else script[0]

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        step = self._step(recipient.partition("@")[0])
        if isinstance(step, Exception):
            raise step
        async with self.changed:
            self.sent.append((recipient, mail))
            self.changed.notify_all()
        return step or Outcome.DELIVERED

    async def end(self) -> None: ...
    def close(self) -> None: ...

    async def until(self, number: int) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.sent) >= number)


class Bench:
    """A spool with deliveries over fake conversations."""

    def __init__(self, folder: Path, fake: Fake, pace: Pace, most: int = 64) -> None:
        self.spool = Spool.open(folder / "spool.db", b"s" * 32)
        self.all = Deliveries(self.spool, fake.route, random.Random(1), pace, most)

    async def put(
        self, recipient: str, due: float = 0.0, until: int = TODAY, mail: bytes = b"mail"
    ) -> Ticket:
        id_ = await self.spool.arrive(b"")
        (ticket,) = await self.spool.replace(id_ or b"", [Leaving(recipient, mail, due, until)])
        return ticket

    async def empty(self) -> None:
        async with asyncio.timeout(10):
            while any(await self.spool.contents()):
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.all.stop()
        self.spool.close()


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda fake, most=64: Bench(tmp_path, fake, Pace(0.02, 0.02), most)


async def test_several_mails_in_one_conversation(bench: Callable[..., Bench]) -> None:
    fake = Fake()
    here = bench(fake)
    here.all.schedule([await here.put("a@x"), await here.put("b@x")])
    here.all.schedule([await here.put("c@x", time.time() + 0.1)])
    await fake.until(3)
    await here.empty()
    await here.close()
    assert fake.begun == ["x"]


async def test_nothing_leaves_before_it_is_due(bench: Callable[..., Bench]) -> None:
    fake = Fake()
    here = bench(fake)
    now = time.time()
    dues = {f"{n}@x": now + n / 20 for n in (6, 2, 9, 4)}
    here.all.schedule([await here.put(to, due) for to, due in dues.items()])
    for number in range(1, 5):
        await fake.until(number)
        assert time.time() >= dues[fake.sent[number - 1][0]]
    await here.close()
    assert [to for to, _ in fake.sent] == sorted(dues)


@pytest.mark.parametrize(
    "script", [[Unreachable("no")] * 3 + [None], [RuntimeError("bug")] * 2 + [None]]
)
async def test_unreachable_is_tried_again(script: list[Any], bench: Callable[..., Bench]) -> None:
    fake = Fake(x=script)
    here = bench(fake)
    attempts = len(script)
    here.all.schedule([await here.put("a@x"), await here.put("b@x")])
    await fake.until(2)
    await here.empty()
    await here.close()
    assert len(fake.begun) == attempts


async def test_deferred_and_broken_and_refused(bench: Callable[..., Bench]) -> None:
    fake = Fake(
        later=[Outcome.DEFERRED, Outcome.DEFERRED, None],
        breaks=[Unreachable("line broke"), None],
        never=[Outcome.REFUSED],
    )
    here = bench(fake)
    here.all.schedule([await here.put(f"{n}@x") for n in ("later", "breaks", "never", "fine")])
    await here.empty()
    await here.close()
    sent = [to for to, _ in fake.sent]
    assert sorted(sent) == ["breaks@x", "fine@x", "later@x", "later@x", "later@x", "never@x"]


class Flaky(Fake):
    """A peer that gets two parts of a mail, then the line breaks; it keeps those of four mails."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[bytes, int] = {}

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        self.kept[mail] = self.kept.pop(mail, 0) + 2
        while len(self.kept) > 4:
            del self.kept[next(iter(self.kept))]
        if self.kept[mail] < 6:
            raise Interrupted("the link broke")
        del self.kept[mail]
        return await super().send(recipient, mail)


async def test_mails_that_are_interrupted_go_on_before_others_begin(
    bench: Callable[..., Bench],
) -> None:
    fake = Flaky()
    run = bench(fake)
    tickets = [await run.put("a@peer.test", mail=b"%d" % number) for number in range(6)]
    run.all.schedule(tickets)
    await run.empty()
    assert len(fake.sent) == 6
    assert len(fake.begun) <= 3 * 6
    await run.close()


async def test_a_mail_that_always_breaks_the_line_holds_up_no_other(
    bench: Callable[..., Bench],
) -> None:
    fake = Fake(bad=[Interrupted("the link broke")])
    run = bench(fake)
    # Of two that are due at the same time either may go first.
    later = await run.put("good@peer.test", due=1.0)
    run.all.schedule([await run.put("bad@peer.test"), later])
    await fake.until(1)
    assert fake.sent[0][0] == "good@peer.test"
    assert len(fake.begun) == MOST_BREAKS + 1
    await run.close()


async def test_no_such_destination_is_dropped(bench: Callable[..., Bench]) -> None:
    fake = Fake(x=[Undeliverable("no such domain")])
    here = bench(fake)
    here.all.schedule([await here.put("a@x"), await here.put("b@x")])
    await here.empty()
    await here.close()
    assert fake.sent == []


async def test_given_up_after_its_last_day(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SETTLING_SECONDS", 0.0)
    fake = Fake(down=[Unreachable("no")], later=[Outcome.DEFERRED])
    here = bench(fake)
    here.all.schedule([await here.put("a@down", until=TODAY - 1)])
    here.all.schedule([await here.put("later@up", until=TODAY - 1)])
    # After a stop of days: what nobody had a chance to take is tried once.
    here.all.schedule([await here.put("first@up", until=TODAY - 1)])
    await here.empty()
    await here.close()
    assert sorted(to for to, _ in fake.sent) == ["first@up", "later@up"]


async def test_after_days_without_power_nothing_is_given_up_at_once(
    bench: Callable[..., Bench],
) -> None:
    """The node is back before its network is, and then a host greylists it."""
    fake = Fake(x=[Unreachable("no")] * 3 + [None], later=[Outcome.DEFERRED] * 3 + [None])
    here = bench(fake)
    here.all.schedule([await here.put("later@x", until=TODAY - 3)])
    await here.empty()
    await here.close()
    assert [to for to, _ in fake.sent] == ["later@x"] * 4


async def test_hanging_destinations_hold_up_nobody(bench: Callable[..., Bench]) -> None:
    names = [f"hangs{n}" for n in range(16)]
    fake = Fake(**{name: ["hang"] for name in names})
    here = bench(fake)
    for name in names:
        here.all.schedule([await here.put(f"{n}@{name}") for n in range(13)])
    here.all.schedule([await here.put("a@x")])
    await fake.until(1)
    await here.close()
    assert {fake.begun.count(name) for name in names} == {1}


async def test_one_conversation_each_while_they_are_scarce(bench: Callable[..., Bench]) -> None:
    fake = Fake()
    here = bench(fake, most=2)
    here.all.schedule([await here.put(f"{n}@x") for n in range(40)])
    await here.empty()
    await here.close()
    assert fake.begun == ["x"]


@pytest.mark.parametrize(("most", "patience"), [(1, "SCARCE_SECONDS"), (64, "CONNECT_SECONDS")])
async def test_connecting_has_an_end(
    most: int, patience: str, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, patience, 0.05)
    fake = Fake(x=["hang", None])
    here = bench(fake, most)
    here.all.schedule([await here.put("a@x")])
    await fake.until(1)
    await here.close()
    assert fake.begun == ["x", "x"]


async def test_a_burst_is_worth_more_conversations(bench: Callable[..., Bench]) -> None:
    fake = Fake()
    here = bench(fake)
    here.all.schedule([await here.put(f"{n}@x") for n in range(60)])
    await fake.until(60)
    await here.empty()
    await here.close()
    assert len(set(fake.sent)) == 60
    assert 1 < len(fake.begun) <= delivery.MOST_CONVERSATIONS


@pytest.mark.parametrize(
    ("first", "longest", "waits"),
    [
        (PEERS.unreachable, PEERS.longest, ((1, 1), (2, 2), (3, 4), (9, 256), (10, 300))),
        (HOSTS.unreachable, HOSTS.longest, ((1, 1), (11, 1024), (12, 1800), (5000, 1800))),
        (HOSTS.put_off, HOSTS.longest, ((1, 30), (2, 60), (6, 960), (7, 1800), (5000, 1800))),
    ],
)
def test_waits_double_up_to_the_longest(
    first: float, longest: float, waits: tuple[tuple[int, float], ...]
) -> None:
    rng = random.Random(1)
    for failures, most in waits:
        delays = [back_off(failures, rng, first, longest) for _ in range(50)]
        assert most / 2 <= min(delays) < max(delays) <= most


def test_greylisting_and_long_trouble_at_an_ordinary_pace() -> None:
    """Five minutes of greylisting cost at most ten; a day of 4xx is no hammering."""
    for seed in range(50):
        rng, at, attempts = random.Random(seed), 0.0, [0.0]
        while at < 86_400:
            at += back_off(len(attempts), rng, HOSTS.put_off, HOSTS.longest)
            attempts.append(at)
        assert min(time for time in attempts if time >= 300) < 900
        assert sum(time < 3600 for time in attempts) <= 10
        assert len(attempts) < 110


async def test_put_off_and_unreachable_have_paces_of_their_own(tmp_path: Path) -> None:
    fake = Fake(later=[Outcome.DEFERRED], down=[Unreachable("no"), None])
    here = Bench(tmp_path, fake, Pace(unreachable=0.02, put_off=1000.0))
    here.all.schedule([await here.put("later@x"), await here.put("fine@down")])
    await fake.until(2)
    await asyncio.sleep(0.2)
    await here.close()
    assert sorted(to for to, _ in fake.sent) == ["fine@down", "later@x"]
    assert sorted(fake.begun) == ["down", "down", "x"]


async def test_a_stop_waits_for_the_reply_to_what_the_other_side_has(
    bench: Callable[..., Bench],
) -> None:
    """Else an ordinary mail host would get it twice, whenever a node is started again."""
    fake = Fake()
    here = bench(fake)
    said = asyncio.Event()

    async def send(recipient: str, mail: bytes) -> Outcome:
        fake.sent.append((recipient, mail))
        await said.wait()
        return Outcome.DELIVERED

    fake.send = send  # type: ignore[method-assign]
    here.all.schedule([await here.put("a@x"), await here.put("b@x")])
    while not fake.sent:
        await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_later(0.1, said.set)
    await here.all.stop()
    _, left = await here.spool.contents()
    await here.close()
    assert len(fake.sent) == len(left) == 1


async def test_a_stop_waits_for_no_reply_that_does_not_come(bench: Callable[..., Bench]) -> None:
    fake = Fake()
    here = bench(fake)

    async def send(recipient: str, mail: bytes) -> Outcome:
        fake.sent.append((recipient, mail))
        return await asyncio.Future()

    fake.send = send  # type: ignore[method-assign]
    here.all.schedule([await here.put("a@x")])
    while not fake.sent:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(2 * delivery.PARTING_SECONDS):
        await here.all.stop()
    _, left = await here.spool.contents()
    await here.close()
    assert len(left) == 1
