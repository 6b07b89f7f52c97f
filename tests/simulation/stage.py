"""Runs a shape from its start to its result, with or without a worker that is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from attrs import define, field

from resonate import Resonate
from resonate.core import ids
from resonate.core.engine.deliveries import HEADER
from resonate.core.engine.identity import CALL, SITE
from resonate.core.engine.reports import TELLER, TOLD
from resonate.core.engine.tries import TRIES
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.projection import project
from resonate.core.protocol.properties import violated_state
from resonate.core.protocol.records import PromiseState, Value
from resonate.core.protocol.requests import Rejection, Request
from resonate.core.trace import LifecycleEvent, StepStarted
from resonate.ports.store import Backend, Store
from resonate.testing import Attempts, CrashPoint, Faulty, Harness, VirtualClock
from resonate.testing.harness import Server
from tests.simulation.shapes import YEAR, Shape

PATIENCE = 120
"""Real seconds after which a run is hung."""


@define
class Stage:
    """One run of a shape.

    Args:
        shape: what is run.
        mode: how many continuations workers keep; 0 replays at each resume.
        point: where the first worker is lost; None for nowhere.
        census: whether every state of the server is checked, and not the last alone.
        network: makes what clients use of the harness and the server; None for the server itself.
    """

    shape: Shape
    mode: int
    point: CrashPoint | None = None
    census: bool = False
    dialect: Dialect | None = None
    server: Callable[[VirtualClock], Server] | None = None
    network: Callable[[Harness, Backend], Backend] | None = None
    options: Callable[[str], dict[str, Any]] = lambda _pid: {}
    """Further options of each client, by its pid."""
    result: Any = None
    requests: list[Request[Any]] = field(factory=list)
    history: dict[str, Any] = field(factory=dict)
    wrong: list[str] = field(factory=list)
    """What no run may do."""
    harness: Harness = field(init=False)
    tracers: list[Attempts] = field(factory=list)

    async def play(self) -> Stage:
        """Run it to the end."""
        async with asyncio.timeout(PATIENCE):
            async with Harness(
                continuations=self.mode, timeout=YEAR, grace=0.0, dialect=self.dialect, server=self.server
            ) as harness:
                self.harness = harness
                await self._play(harness)
        return self

    async def _play(self, harness: Harness) -> None:
        faults = Faulty(self._server(_Checked(self) if self.census else harness.backend), self.point)
        first = await self._open(backend=faults, pid="a")
        if self.shape.remote:
            await self._open(group="far", pid="f", functions=self.shape.remote)
        outside: asyncio.Task[None] | None = None
        if self.shape.outside is not None:
            outside = asyncio.ensure_future(
                self.shape.outside(harness, await self._open(group="outside", pid="o", functions=()))
            )
        running = asyncio.ensure_future(first.run("root", self.shape.fn, *self.shape.args))
        lost = asyncio.ensure_future(faults.crashed.wait())
        await asyncio.wait([running, lost], return_when=asyncio.FIRST_COMPLETED)
        lost_at_once = not running.done()
        if lost_at_once:
            running.cancel()
            await harness.crash(first)
            with suppress(asyncio.CancelledError):
                await running
            second = await self._open(pid="b")
            self.result = await second.run("root", self.shape.fn, *self.shape.args)
        else:
            lost.cancel()
            self.result = await running
        if outside is not None:
            outside.cancel()
        await harness.clock.advance(timedelta(hours=1))  # what is detached comes to its end, too
        if faults.crashed.is_set() and not lost_at_once:
            await harness.crash(first)
            await self._open(pid="b")
            await harness.clock.advance(timedelta(hours=1))
        self.requests = faults.requests
        self._look_back()

    def _server(self, server: Backend) -> Backend:
        return server if self.network is None else self.network(self.harness, server)

    async def _open(
        self, *, functions: tuple[Any, ...] | None = None, backend: Backend | None = None, **options: Any
    ) -> Resonate:
        attempts = Attempts()
        self.tracers.append(attempts)
        backend = backend or self._server(self.harness.backend)
        more = self.options(options["pid"])
        tracers = [attempts, _Witness(self), *more.pop("tracers", ())]
        client = self.harness.client(backend=backend, tracers=tracers, **options, **more)
        for fn in (self.shape.fn, *self.shape.register) if functions is None else functions:
            client.register(fn)
        return await self.harness.open(client)

    def _look_back(self) -> None:
        self.check(self.harness.server.snapshot())
        snapshot = self.harness.snapshot()
        for attempts in self.tracers:
            self.wrong.extend(attempts.broken)
        for promise in snapshot.promises:
            record = project(promise.record, snapshot.now)
            if HEADER in record.param.headers and _is_own(record.id):
                continue  # a stretch of the record of deliveries, which differs from run to run
            self.history[record.id] = (
                record.state,
                _bare(record.value),
                _bare(record.param) if record.id != "root" else record.param.data,
                dict(record.tags) if record.id != "root" else None,
            )

    def check(self, snapshot: Any) -> None:
        """Check the server's state."""
        violated = set(violated_state(snapshot))
        if self.dialect is not None and self.dialect.targeted_timers:
            violated -= {"well_formed_promise_timer_not_targeted"}  # they are asked for
        self.wrong.extend(f"the server violates {name}" for name in sorted(violated))

    def step_started(self, step_id: str) -> None:
        """Check that a step that starts has no result yet."""
        snapshot = self.harness.snapshot()
        for promise in snapshot.promises:
            if promise.record.id == step_id and project(promise.record, snapshot.now).state is not PromiseState.PENDING:
                self.wrong.append(f"the step {step_id} is run though it is {promise.record.state.value}")


LEFT_OUT = frozenset({HEADER, SITE, TOLD, TELLER, TRIES})


def _bare(value: Value) -> Value:
    """Return a value without what may differ between two runs: order of events, code lines, tries, the time of day."""
    headers = {k: v for k, v in value.headers.items() if k not in LEFT_OUT}
    return Value(headers, None if headers.get(CALL) == "now" else value.data)


@define
class _Witness:
    """A tracer that looks at the server whenever a step starts."""

    stage: Stage

    def record(self, event: LifecycleEvent) -> None:
        if isinstance(event, StepStarted):
            self.stage.step_started(event.id)


@define
class _Checked:
    """The harness's server, whose state is checked after each request."""

    stage: Stage

    @property
    def clock(self) -> Any:
        return self.stage.harness.clock

    def connect(self, *, group: str, pid: str) -> Store:
        return _CheckedStore(self.stage, self.stage.harness.backend.connect(group=group, pid=pid))


class _CheckedStore:
    def __init__(self, stage: Stage, inner: Store) -> None:
        self._stage = stage
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, request: Request[Any]) -> Any | Rejection:
        reply = await self._inner.send(request)
        self._stage.check(self._stage.harness.server.snapshot())
        return reply


def _is_own(promise_id: str) -> bool:
    return any(ids.is_own("root", promise_id, separator) for separator in ":.")
