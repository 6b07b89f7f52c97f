"""One simulated run: a server, workers, a caller, what befalls them, and what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from attrs import define, evolve, field, frozen

from resonate.adapters.memory import MemoryServer
from resonate.client import Resonate
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.projection import project
from resonate.core.protocol.records import PromiseState
from resonate.core.protocol.snapshot import Snapshot
from resonate.core.registry import Registry
from resonate.errors import EngineBug, NondeterminismError
from resonate.runtime.host import Host
from resonate.testing.inside import settings_of, take_over
from resonate.testing.simulation.faults import Fate, Fault, Faults, Kind, Plan
from resonate.testing.simulation.network import Network
from resonate.testing.simulation.oracles import Finding, Ledger, Watch, unsettled
from resonate.testing.simulation.steps import OnLoop, SimulatedSteps
from resonate.testing.simulation.timeline import Line
from resonate.testing.simulation.world import START, Process, Spinning, World
from resonate.wiring import Parts

ROOT: Final = "root"
"""The id of the execution that is simulated."""
MOST_STEPS: Final = 60_000
HOUR_MS: Final = 3_600_000
LONG_WAIT_MS: Final = 2 * HOUR_MS
"""Whoever waits longer than this is told of lost messages by its network, and need not ask each minute."""
_AT_HOME: Final = frozenset({"main", "resonate-messages", "resonate-heartbeat"})
"""What runs in a worker that has nothing to do."""

Function: TypeAlias = Callable[..., Any]


class Outside(Protocol):
    """Runs beside the workflow, as a program of its own that nothing happens to."""

    def __call__(self, client: Resonate, /) -> Awaitable[object]:
        """Do what is to be done, with an open client."""
        ...


@frozen(kw_only=True)
class Scenario:
    """What is simulated; see `simulate` for what its parts mean."""

    fn: Function
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    register: tuple[Function, ...] = ()
    upgrade: tuple[Function, ...] = ()
    app: Resonate | None = None
    stubs: Mapping[Function, Function] = field(factory=dict[Function, Function])
    dependencies: Mapping[Any, Any] = field(factory=dict[Any, Any])
    groups: Mapping[str, tuple[Function, ...]] = field(factory=dict[str, tuple[Function, ...]])
    outside: Outside | None = None
    before: Callable[[], object] | None = None
    workers: int = 2
    options: Mapping[str, Any] = field(factory=dict[str, Any])
    within_ms: int = HOUR_MS
    registries: dict[Any, Registry] = field(factory=dict[Any, Registry])
    duration_ms: int | None = None
    """How long it takes when nothing goes wrong; None as long as nobody knows."""

    @property
    def name(self) -> str:
        """What the workflow is called."""
        return self.fn.__name__


@frozen
class Outcome:
    """What a caller was given: a value, or an error."""

    value: Any = None
    error: BaseException | None = None

    def is_like(self, other: Outcome) -> bool:
        """Tell whether two callers were given the same."""
        if self.error is None or other.error is None:
            return self.error is other.error and bool(self.value == other.value)
        return type(self.error) is type(other.error) and str(self.error) == str(other.error)

    def __str__(self) -> str:
        return repr(self.value) if self.error is None else f"{type(self.error).__name__}: {self.error}"


@define
class Run:
    """What came of one run.

    Args:
        seed: its seed.
        outcome: what its caller was given; None if there was no answer.
        faults: what went wrong.
        findings: what no run may do.
        duration_ms: how much virtual time went by until there was an answer.
        requests: how many requests were sent to the server.
        ran: how often each step really ran.
        timeline: what happened, if that was recorded.
        stored: what the server had stored in the end.
    """

    seed: int
    outcome: Outcome | None = None
    faults: Plan = field(default=Plan())
    findings: list[Finding] = field(factory=list[Finding])
    duration_ms: int = 0
    requests: int = 0
    actions: int = 0
    ran: Counter[Function] = field(factory=Counter[Function])
    timeline: list[Line] = field(factory=list[Line])
    stored: Snapshot = field(default=Snapshot(now=START))

    @property
    def result(self) -> Any:
        """What the workflow returned; None if it did not."""
        return None if self.outcome is None else self.outcome.value

    @property
    def error(self) -> BaseException | None:
        """What the workflow raised; None if it did not."""
        return None if self.outcome is None else self.outcome.error

    def runs(self, step: Function) -> int:
        """Return how often a step really ran, all attempts counted."""
        return self.ran[step]

    @property
    def history(self) -> dict[str, tuple[PromiseState, str | None]]:
        """How each promise ended, by id."""
        records = (project(promise.record, self.stored.now) for promise in self.stored.promises)
        return {record.id: (record.state, record.value.data) for record in records}


@define(eq=False)
class _Slot:
    """A place for a process, in which one follows on another."""

    name: str
    group: str
    functions: tuple[Function, ...]
    calls: bool = False
    immortal: bool = False
    outside: Outside | None = None
    generation: int = 0
    process: Process | None = None
    client: Resonate | None = None
    pid: str = ""


class Cluster:
    """One run. Make one anew for each; `play` is called once."""

    def __init__(self, scenario: Scenario, seed: int, faults: Faults | Plan, *, record: bool = False) -> None:
        self._scenario = scenario
        self._seed = seed
        self.run = Run(seed)
        self.world = World(seed)
        self._record = record
        self._fate = Fate(faults, seed)
        self._ledger = Ledger(self._found, well=lambda: not self._fate.dealt)
        self._claims: dict[tuple[str, int], Process] = {}
        self._watches: list[Watch] = []
        self._slots: dict[Process, _Slot] = {}
        self._parts_of_all: list[Parts] = []
        self._born = 0
        self._deployed = False
        chance = self.world.chance
        self._by_rpc = chance.random() < 0.5
        self._options: dict[str, Any] = {
            "continuations": chance.choice((1_000, 1_000, 0, 1)),
            "concurrency": chance.choice((1_000, 1_000, 1_000, 2)),
            "ttl": chance.choice((60.0, 60.0, 60.0, 10.0)),
            **scenario.options,
        }
        short = scenario.duration_ms is not None and scenario.duration_ms < LONG_WAIT_MS
        self._network = Network(
            self.world,
            self._fate,
            lambda process: MemoryServer(process.clock, witness=self._ledger),
            dialect=evolve(OURS, loses_answers=seed % 2 == 1, loses_messages=short and chance.random() < 0.5),
            on_process_fault=self._befall,
            tell=self._tell if record else None,
            found=self._found,
        )

    def play(self) -> Run:
        """Run it to its end, and look back. `close` is to follow, once nobody looks at what the run has left."""
        scenario, run = self._scenario, self.run
        if scenario.before is not None:
            scenario.before()
        self._begin()
        self._carry_on()
        self._look_back()
        run.faults = Plan(tuple(self._fate.dealt))
        run.requests = self._network.requests
        run.actions = self._ledger.actions
        return run

    def close(self) -> None:
        """Clear away: what still stands somewhere is ended there, `finally` and all."""
        for parts in self._parts_of_all:
            parts.worker.forget()
        self.world.close()

    def _carry_on(self) -> None:
        run = self.run
        try:
            answered = self.world.run(
                lambda: run.outcome is not None or bool(run.findings), limit=MOST_STEPS, latest=self._latest
            )
            run.duration_ms = self.world.now - START
            if not answered:
                self._found(Finding("everything settles", "nothing is left to happen, and the caller has no answer"))
                return
            if not run.findings:
                self.world.run(lambda: bool(run.findings), limit=MOST_STEPS, latest=lambda: 2**62)
        except Spinning as error:
            self._found(Finding("everything settles", f"{error}"))

    def _latest(self) -> int:
        known = self._scenario.duration_ms
        return 2**62 if known is None else self._network.last_fault + 2 * known + self._scenario.within_ms

    # ------------------------------------------------------------ who there is

    def _begin(self) -> None:
        scenario = self._scenario
        functions = (scenario.fn, *scenario.register)
        for number in range(1, scenario.workers + 1):
            calls = number == 1 and not self._by_rpc
            self._start(_Slot(f"worker {number}", "default", functions, calls=calls))
        for group, known in scenario.groups.items():
            self._start(_Slot(f"worker of {group}", group, known))
        if self._by_rpc:
            self._start(_Slot("client", "clients", (), calls=True))
        if scenario.outside is not None:
            self._start(_Slot("outside", "outside", (), immortal=True, outside=scenario.outside))

    def _start(self, slot: _Slot) -> None:
        self._born += 1
        slot.generation += 1
        skew = 0
        process = self.world.process(f"{slot.name}.{slot.generation}")
        for fault in self._fate.process(self._born):
            self._network.took(fault, process)
            skew = fault.ms
        process.skew = skew
        if slot.generation == 1 or self.world.chance.random() < 0.7:
            slot.pid = f"{slot.name.replace(' ', '-')}.{slot.generation}"  # and else it has the name of the one before
        slot.process = process
        self._slots[process] = slot
        self._say(process, "starts")
        _ = process.spawn(self._main(slot, process), "main")

    async def _main(self, slot: _Slot, process: Process) -> None:
        try:
            await self._live(slot, process)
        except Exception as error:  # noqa: BLE001 - whatever it raises ends the process, and the run
            text = f"the program in {process.name} fails with {type(error).__name__}: {error}"
            self._found(Finding("programs do not fail", text))

    async def _live(self, slot: _Slot, process: Process) -> None:
        client = slot.client = self._client(slot, process)
        for key, value in self._scenario.dependencies.items():
            client.set_dependency(key, value)
        await client.__aenter__()
        parts = self._parts(slot)
        if parts is not None:
            self._parts_of_all.append(parts)
        if slot.outside is not None:
            await slot.outside(client)
        elif slot.calls:
            await self._call(client, process)

    def _client(self, slot: _Slot, process: Process) -> Resonate:
        tell = self._tell_detail if self._record else None
        watch = Watch(process, self._ledger, self._claims, self._found, tell)
        self._watches.append(watch)
        options: dict[str, Any] = {"grace": 5.0, **self._options}
        app = self._scenario.app
        if app is not None:
            options.setdefault("codec", settings_of(app).codec)
        client = Resonate(
            self._network.backend(process),
            clock=process.clock,
            group=slot.group,
            pid=slot.pid,
            tracers=[watch],
            **options,
        )
        say = self._tell if self._record else None

        def steps(**parts: Any) -> SimulatedSteps:
            return SimulatedSteps(process=process, ran=self.run.ran, stubs=self._scenario.stubs, tell=say, **parts)

        if app is not None and slot.functions:
            take_over(client, settings_of(app))
        host = Host(
            pool=lambda _count: OnLoop(),
            draw=self.world.chance.random,
            heartbeat_thread=False,
            steps=steps,
        )
        session = client._session  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # there is no other machine for users
        upgraded = self._deployed and bool(slot.functions)
        session.settings = evolve(session.settings, host=host, registry=self._registry(client, slot, upgraded=upgraded))
        return client

    def _registry(self, client: Resonate, slot: _Slot, *, upgraded: bool) -> Registry:
        """Return what is registered in a process: the same in all runs, since describing functions takes a while."""
        known = self._scenario.registries
        key = (slot.functions, upgraded)
        if key not in known:
            registry = settings_of(client).registry
            for fn in slot.functions:
                if registry.of(fn) is None:
                    client.register(fn)
            for fn in self._scenario.upgrade if upgraded else ():
                client.register(version=2, name=fn.__name__)(fn)
            known[key] = settings_of(client).registry
        return known[key]

    async def _call(self, client: Resonate, process: Process) -> None:
        scenario = self._scenario
        try:
            if self._by_rpc:
                value = await client.options(target="default").rpc(ROOT, scenario.fn, *scenario.args, **scenario.kwargs)
            else:
                value = await client.run(ROOT, scenario.fn, *scenario.args, **scenario.kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it raises is its outcome
            if client.healthy:
                self._answered(process, Outcome(error=error))
        else:
            self._answered(process, Outcome(value))

    def _answered(self, process: Process, outcome: Outcome) -> None:
        if not process.alive:
            return  # what is closed with a killed process is given to nobody
        self._say(process, f"is given {outcome}")
        first = self.run.outcome
        if first is None:
            self.run.outcome = outcome
        elif not first.is_like(outcome):
            text = f"one caller was given {first}, another {outcome}"
            self._found(Finding("recorded results never change", text))

    # ------------------------------------------------------------ what befalls them

    def _befall(self, process: Process, fault: Fault) -> None:
        slot = self._slots.get(process)
        match fault.kind:
            case Kind.DEPLOY:
                self._deploy()
            case _ if slot is None or slot.immortal:
                pass
            case Kind.KILL if fault.ms < 0:
                self._kill(slot, process)
            case Kind.KILL:
                self.world.after(fault.ms, lambda: self._kill(slot, process))
            case Kind.PAUSE:
                process.pause()
                self.world.after(fault.ms, lambda: self._go_on(process))
            case _:
                pass

    def _kill(self, slot: _Slot, process: Process) -> None:
        if not process.alive:
            return
        self._say(process, "is killed")
        process.kill()
        self._network.killed(process)
        chance = self.world.chance
        self.world.after(chance.randrange(1, chance.choice((50, 5_000, 90_000))), lambda: self._start(slot))

    def _go_on(self, process: Process) -> None:
        if process.alive:
            self._say(process, "goes on")
            process.go_on()

    def _deploy(self) -> None:
        """Replace the workers, one after the other, as a careful operator does."""
        self._deployed = True
        gap = 0
        for slot in dict.fromkeys(self._slots.values()):
            if slot.functions:
                self.world.after(gap, lambda slot=slot: self._replace(slot))  # type: ignore[misc]
                gap += self.world.chance.randrange(20_000)

    def _replace(self, slot: _Slot) -> None:
        process, client = slot.process, slot.client
        if process is None or client is None or not process.alive:
            return  # it was killed, and what follows on it is new

        async def stop() -> None:
            await client.__aexit__(None, None, None)
            self._say(process, "has shut down")
            process.kill()
            self._network.killed(process)
            self.world.after(self.world.chance.randrange(1, 3_000), lambda: self._start(slot))

        self._say(process, "is to shut down")
        _ = process.spawn(stop(), "shutdown")

    # ------------------------------------------------------------ looking back

    def _look_back(self) -> None:
        for watch in self._watches:
            watch.check()
        stored = self.run.stored = self._network.server.snapshot()
        self._ledger.compare(stored)
        if self.run.findings:
            return
        for left in unsettled(stored):
            self._found(Finding("everything settles", left))
        for process, slot in self._slots.items():
            if process.alive and slot.outside is None:
                self._check_leaks(slot, process)

    def _check_leaks(self, slot: _Slot, process: Process) -> None:
        for task in process.tasks:
            if task.get_name() not in _AT_HOME:
                body = getattr(task.get_coro(), "__qualname__", "something")
                text = f"{process.name} still runs {body}"
                self._found(Finding("no leaks", text))
        parts = self._parts(slot)
        if parts is None:
            return
        if parts.worker.executions:
            self._found(Finding("no leaks", f"{process.name} still holds {parts.worker.executions} executions"))
        for parked in parts.worker.parked:
            last = max((version for id, version in self._claims if id == parked), default=0)
            if self._claims.get((parked, last)) is process:
                self._found(Finding("no leaks", f"{process.name} keeps the continuation of {parked}, which is over"))

    def _parts(self, slot: _Slot) -> Parts | None:
        client = slot.client
        return None if client is None else client._session.parts  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # as above

    def _found(self, finding: Finding) -> None:
        self.run.findings.append(finding)
        if self._record:
            self.run.timeline.append(Line(self.world.now - START, "", f"!!! {finding.text}"))

    # ------------------------------------------------------------ the timeline

    def _say(self, process: Process, text: str) -> None:
        if self._record:
            self._tell(process, text)

    def _tell(self, process: Process, text: str) -> None:
        self.run.timeline.append(Line(self.world.now - START, process.name, text))

    def logged(self, record: logging.LogRecord) -> None:
        """Take note of what a process has logged."""
        process = asyncio._get_running_loop()  # noqa: SLF001 - it is public, and None where none runs
        if self._record and isinstance(process, Process):
            self._tell(process, f"{record.levelname.lower()}: {record.getMessage()}")
        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, NondeterminismError | EngineBug):
                self._found(Finding("a replay asks for the same", str(said)))

    def _tell_detail(self, process: Process, text: str) -> None:
        self.run.timeline.append(Line(self.world.now - START, process.name, f"    {text}", detail=True))
