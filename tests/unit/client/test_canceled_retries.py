"""A step that waits for its next try when another process cancels its execution, or its own promise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resonate import Constant, Context, NetworkError, PromiseCanceled, Resonate, SqliteServer, StoreError
from resonate.core.protocol.requests import PromiseGet, Request, TaskGet, TaskHalt
from resonate.ports.store import Backend
from resonate.testing import FIELD, NO_SEARCHES, Harness, VirtualClock
from resonate.testing.faults import Faulty
from tests.unit.regressions.slow import Slow

LONG = 600_000
DIALECTS = {"memory": None, "SQLite": None, "field": FIELD, "no searches": NO_SEARCHES}


class Bank:
    """A step that fails so often at first, and remembers when it was tried, in s."""

    def __init__(self, clock: VirtualClock, failures: float = float("inf")) -> None:
        self.clock = clock
        self.start = clock.now()
        self.failures = failures
        self.tries: list[float] = []
        self.tried = asyncio.Event()

    async def charge(self) -> str:
        self.tries.append((self.clock.now() - self.start) / 1000)
        self.tried.set()
        if len(self.tries) <= self.failures:
            raise OSError("the bank is away")
        return "receipt"


@pytest.fixture(params=DIALECTS)
async def harness(request, tmp_path):
    def in_file(clock: VirtualClock) -> SqliteServer:
        return SqliteServer(tmp_path / "orders.db", clock=clock)

    server = in_file if request.param == "SQLite" else None
    async with Harness(dialect=DIALECTS[request.param], server=server, retry=Constant(10)) as harness:
        yield harness


@pytest.fixture
async def desk(harness):
    """A client that runs nothing, as a process of its own would be."""
    return await harness.open(harness.client(group="desk"))


async def _worker(harness: Harness, bank: Bank, backend: Backend | None = None) -> Resonate:
    """Return a worker that knows the workflow "order", which charges by a step, and the step "charge"."""

    async def order(ctx: Context) -> str:
        try:
            return await ctx.run(bank.charge)
        except PromiseCanceled:
            return "not charged"

    worker = await harness.open(harness.client(backend=backend))
    worker.register(name="order")(order)
    worker.register(name="charge")(bank.charge)
    return worker


async def _refused(harness: Harness, name: str) -> Bank:
    """Begin the workflow or the step of this name, and return its bank once that has refused for the first time."""
    bank = Bank(harness.clock)
    worker = await _worker(harness, bank)
    await worker.begin_run("order", name)
    await bank.tried.wait()
    return bank


async def test_a_canceled_executions_step_is_not_tried_again(harness, desk):
    bank = await _refused(harness, "order")
    await desk.promises.cancel("order")
    await harness.clock.sleep_until(harness.clock.now() + LONG)
    assert bank.tries == [0]


async def test_a_canceled_step_is_not_tried_again_and_its_workflow_is_told(harness, desk):
    bank = await _refused(harness, "order")
    (step,) = {one.record.id for one in harness.snapshot().promises} - {"order"}
    await desk.promises.cancel(step)
    assert await desk.get("order").result() == "not charged"
    assert bank.tries == [0]


async def test_a_step_that_was_called_directly_is_not_tried_again_once_it_is_canceled(harness, desk):
    bank = await _refused(harness, "charge")
    await desk.promises.cancel("order")
    await harness.clock.sleep_until(harness.clock.now() + LONG)
    assert bank.tries == [0]


async def test_a_halted_executions_step_is_not_tried_again(harness, desk):
    bank = await _refused(harness, "order")
    operator = harness.backend.connect(group="desk", pid="operator")
    await operator.start()
    await operator.send(TaskHalt("order"))
    await harness.clock.sleep_until(harness.clock.now() + LONG)
    assert bank.tries == [0]
    await operator.stop()


async def test_it_is_asked_once_for_each_further_try_and_never_without(harness):
    bank, asked = Bank(harness.clock, failures=0), Faulty(harness.backend)
    worker = await _worker(harness, bank, asked)
    for bank.failures in (0, 3):
        before, bank.tries = len(asked.requests), []
        assert await worker.run(f"order-{bank.failures}", "order") == "receipt"
        assert [isinstance(one, TaskGet) for one in asked.requests[before:]].count(True) == bank.failures


async def _fails_for_good(_request: Request[Any]) -> None:
    raise StoreError("The store is broken.")


async def _is_away(_request: Request[Any]) -> None:
    raise NetworkError("The store is away.")


async def _never_answers(_request: Request[Any]) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("answer", "tries"),
    [(_fails_for_good, [0, 10, 20]), (_is_away, [0, 15, 30]), (_never_answers, [0, 15, 30])],
)
async def test_a_store_that_does_not_tell_keeps_no_step_from_its_next_try(harness, answer, tries):
    async def fail(request: Request[Any]) -> None:
        if isinstance(request, TaskGet | PromiseGet):
            await answer(request)

    bank = Bank(harness.clock, failures=2)
    worker = await _worker(harness, bank, Slow(harness.backend, before=fail))
    assert await worker.run("order", "order") == "receipt"
    assert bank.tries == tries
