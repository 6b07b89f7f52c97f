"""A network that loses heartbeats: what a lease covers has stopped before another worker can have the task."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import NetworkError
from resonate.core.protocol.requests import TaskAcquire, TaskCreate, TaskHeartbeat
from resonate.core.trace import LeaseLost, TaskAcquired, TaskReleased
from tests.unit.regressions.slow import Slow, a_moment

TTL = 40


class Heard:
    def __init__(self) -> None:
        self.events: list[object] = []

    def record(self, event: object) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


class Network:
    """Loses requests of some kinds while it is cut, in the way of `how`."""

    def __init__(self, harness, how, kinds=(TaskHeartbeat,)):
        self.harness, self.how, self.kinds = harness, how, kinds
        self.cut = False
        self.sent = []
        self.backend = Slow(harness.backend, before=self._before)

    async def _before(self, request):
        await a_moment(request)
        if not isinstance(request, self.kinds):
            return
        self.sent.append((self.harness.clock.now(), request))
        if not self.cut:
            return
        if self.how == "fails":
            raise NetworkError("no route")
        await asyncio.get_running_loop().create_future()


def expiry(harness, task_id):
    (task,) = [task for task in harness.snapshot().tasks if task.id == task_id]
    return task.expires_at


def add_slow(harness, client, stopped, name="slow"):
    async def slow(n: int) -> str:
        try:
            await harness.clock.sleep_until(harness.clock.now() + 3_600_000)
        except asyncio.CancelledError:
            stopped.append((n, harness.clock.now(), expiry(harness, f"o{n}")))
            raise
        return "done"

    client.register(name=name)(slow)
    return slow


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_no_heartbeat_answered_for_a_whole_lease_stops_the_step_while_the_lease_still_lasts(harness, how):
    network, heard, stopped = Network(harness, how), Heard(), []
    client = await harness.open(harness.client(backend=network.backend, ttl=TTL, tracers=[heard]))
    slow = add_slow(harness, client, stopped)
    for n in range(3):
        await client.begin_run(f"o{n}", slow, n)
    await harness.clock.advance(timedelta(minutes=5))
    assert stopped == []
    network.cut = True
    await harness.clock.advance(timedelta(seconds=2 * TTL))
    assert sorted(n for n, _, _ in stopped[:3]) == [0, 1, 2]  # and again, when it has got them back
    for _, now, expires_at in stopped:
        assert expires_at is not None
        assert now < expires_at
    assert {event.id for event in heard.of(LeaseLost)} == {"o0", "o1", "o2"}


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_another_worker_has_the_task_when_it_has_lapsed(harness, how):
    network, stopped = Network(harness, how, kinds=object), []
    one = await harness.open(harness.client(pid="one", backend=network.backend, ttl=TTL))
    slow = add_slow(harness, one, stopped)
    two = harness.client(pid="two", ttl=TTL)

    @two.register(name="slow")
    async def quick(n: int) -> str:
        return f"{n} by two"

    await one.begin_rpc("o1", slow, 1)
    await harness.clock.advance(1_000)
    await harness.open(two)
    network.cut = True
    assert await two.get("o1") == "1 by two"
    assert [n for n, _, _ in stopped] == [1]


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_heartbeat_that_is_lost_now_and_then_costs_no_lease(harness, how):
    network, heard, stopped = Network(harness, how), Heard(), []
    client = await harness.open(harness.client(backend=network.backend, ttl=TTL, tracers=[heard]))
    slow = add_slow(harness, client, stopped)
    handle = await client.begin_run("o1", slow, 1)
    for _ in range(40):
        network.cut = True
        while len(network.sent) % 2 == 0:  # each other one is lost
            await harness.clock.advance(1_000)
        network.cut = False
        while len(network.sent) % 2 == 1:
            await harness.clock.advance(1_000)
    assert await handle == "done"
    assert heard.of(LeaseLost) == []


async def test_heartbeats_go_out_at_half_the_lease_one_for_each_origin_and_none_when_nothing_is_held(harness):
    network, stopped = Network(harness, "fails"), []
    client = await harness.open(harness.client(backend=network.backend, ttl=TTL))
    slow = add_slow(harness, client, stopped)
    for n in range(3):
        await client.begin_run(f"o{n}", slow, n)
    await harness.clock.advance(timedelta(seconds=10 * TTL))
    assert len(network.sent) == 60
    assert all(len(request.tasks) == 1 for _, request in network.sent)
    for n in range(3):
        await client.get(f"o{n}")
    beats = len(network.sent)
    await harness.clock.advance(timedelta(hours=1))
    assert len(network.sent) == beats


async def test_one_origin_that_is_not_answered_delays_no_other(harness):
    stopped, sent = [], []

    async def before(request):
        if isinstance(request, TaskHeartbeat):
            sent.append(request.tasks[0].id)
            if request.tasks[0].id == "o0":
                await asyncio.get_running_loop().create_future()

    client = await harness.open(harness.client(backend=Slow(harness.backend, before=before), ttl=TTL))
    slow = add_slow(harness, client, stopped)
    for n in range(2):
        await client.begin_run(f"o{n}", slow, n)
    await harness.clock.advance(timedelta(minutes=10))
    assert {n for n, _, _ in stopped} == {0}
    assert sent.count("o1") > 20


@pytest.mark.parametrize("call", ["run", "rpc"])
async def test_a_claim_whose_answer_comes_late_is_given_back(harness, call):
    heard, late = Heard(), []

    async def after(request):
        if isinstance(request, TaskAcquire | TaskCreate) and not late:
            late.append(request)
            await harness.clock.sleep_until(harness.clock.now() + TTL * 600)

    client = await harness.open(harness.client(backend=Slow(harness.backend, after=after), ttl=TTL, tracers=[heard]))

    async def quick() -> str:
        return "done"

    client.register(quick)
    assert await getattr(client, call)("o", quick) == "done"
    assert len(heard.of(TaskReleased)) == 1
    assert len(heard.of(TaskAcquired)) == 1
